"""Features of videos as files: what a network gives at addresses of its inside, pooled, over all of each video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from archdsl.backend import build
from archdsl.backend.devices import device_of
from archdsl.compiler import Plan
from archdsl.compiler.inner_values import plan_of_values, values_of_head
from archdsl.errors import SpecError, excerpt
from archdsl.language import Arch
from archdsl.language.recipes.recipe import Recipe
from archdsl.language.writers.yaml_writer import recipe_data
from archdsl.spec.files import is_regular, json_text, make_folder, naming_write_errors, read_text, write_whole
from archdsl.training.batches import view_batches
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.modalities import check_modalities
from archdsl.training.data.sources.one_video import one_video
from archdsl.training.device_memory import ViewsMemory
from archdsl.training.evaluation.evaluate import resolve_network
from archdsl.training.evaluation.predict import videos_in
from archdsl.training.evaluation.views import VIEWS_PER_BATCH, evaluation_mode
from archdsl.training.passes import inference_passes, prepared_for_inference
from archdsl.training.precision import autocast_of, recipe_on
from archdsl.training.state.initial_weights import network_with_weights
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.state.snapshot import fingerprint

POOLS = ("thw", "hw", "t", "none")
FORMATS = ("npy", "npz", "csv")
ABOUT = "features.json"
"""What a folder of features was made by."""
MAX_ABOUT_BYTES = 1 << 20


class FeatureFile(NamedTuple):
    """A video's features: where they are, or why there are none."""

    path: Path
    video: Path
    unreadable: str | None = None
    kept: bool = False
    """Whether the file was there already."""

    def record(self) -> dict[str, Any]:
        """As plain data."""
        file = None if self.unreadable else str(self.path)
        return {"video": str(self.video), "file": file, "unreadable": self.unreadable, "kept": self.kept}


@dataclass(frozen=True)
class FeatureForm:
    """What is kept of the values of each window, and how it is written."""

    at: tuple[str, ...]
    pool: str = "thw"
    """The axes whose mean is taken: thw, hw, t or none."""
    form: str = "npy"
    rows: int | None = None
    """Rows over the whole video, linearly between those there are; by default these."""

    def check(self) -> None:
        """Raises SpecError for words that there are not, and for values that a format cannot hold."""
        for what, got, known in (("pool", self.pool, POOLS), ("format", self.form, FORMATS)):
            if got not in known:
                raise SpecError(f"no {what} {got!r}", got=got, want=", ".join(known))
        if self.form == "csv" and (self.pool not in ("thw", "hw") or len(self.at) > 1):
            got = f"pool {self.pool} at {', '.join(self.at)}"
            raise SpecError("a CSV has a row of numbers for each time", got=got, want="pool thw or hw at one address")
        if self.form == "npy" and len(self.at) > 1:
            want = "one address, or --format npz"
            raise SpecError("a .npy file has one array", got=", ".join(self.at), want=want, fix="--format npz")

    def rows_of(self, value: Tensor) -> Tensor:
        """What is kept of a window: rows along time.  (c, t, h, w) -> (rows, c), (rows, c, h, w)"""
        axes = [i for i, axis in enumerate("thw", 1) if axis in self.pool and self.pool != "none"]
        value = value.float().mean(axes, keepdim=True) if axes else value.float()
        rows = value.transpose(0, 1)
        return rows.flatten(1) if "hw" in self.pool else rows

    def written(self, windows: Sequence[Mapping[str, Tensor]], times: Sequence[tuple[float, float]]) -> bytes:
        """A video's file, of what each of its windows gave."""
        arrays = {}
        for name in self.at:
            rows = [self.rows_of(window[name]) for window in windows]
            seconds = [middle for (start, end), part in zip(times, rows) for middle in middles(start, end, len(part))]
            found = torch.cat(rows)
            arrays[name] = (found if self.rows is None else resampled(found, seconds, self.rows)).numpy()
        file = BytesIO()
        if self.form == "csv":
            (values,) = arrays.values()
            lines = [",".join(f"f{i}" for i in range(values.shape[1]))]
            lines += [",".join(f"{number:.6g}" for number in row) for row in values.tolist()]
            return "".join(f"{line}\n" for line in lines).encode()
        if self.form == "npy":
            np.save(file, next(iter(arrays.values())))
        else:
            np.savez(file, windows=np.array(times), **arrays)  # type: ignore[arg-type]
        return file.getvalue()


def middles(start: float, end: float, rows: int) -> list[float]:
    """The middle of each row of a window, in seconds."""
    return [start + (end - start) * (i + 0.5) / rows for i in range(rows)]


def resampled(rows: Tensor, seconds: Sequence[float], count: int) -> Tensor:
    """As many rows at equal distances from the first to the last, linearly between those there are.  (n, ...)"""
    places = torch.tensor(seconds, dtype=torch.float64)
    wanted = torch.linspace(float(places[0]), float(places[-1]), count, dtype=torch.float64)
    high = torch.searchsorted(places, wanted).clamp(0, len(places) - 1)
    low = (high - 1).clamp(min=0)
    share = ((wanted - places[low]) / (places[high] - places[low]).clamp(min=1e-12)).clamp(0, 1)
    share = share.view(-1, *[1] * (rows.ndim - 1)).to(rows.dtype)
    return rows[low] * (1 - share) + rows[high] * share


def write_features(
    arch: Arch | str | Path,
    paths: Sequence[str | Path],
    *,
    out: str | Path,
    at: Sequence[str] = (),
    pool: str = "thw",
    form: str = "npy",
    rows: int | None = None,
    recipe: Recipe | str | Path | None = None,
    weights: str | Path | None = None,
    device: str | None = None,
    workers: int = 0,
    batch: int | None = None,
) -> Iterator[FeatureFile]:
    """A file of features for each video file, each video of a folder and each folder of pictures, one after the other.

    `arch` is a run's folder, or an arch with recipe and weights; `at` addresses of ops, blocks or stages, by default
    what the head reads. Windows of the clip's length cover a video; crops are averaged. Files that are there already
    stay, so that the same command goes on after an interruption. Raises SpecError where these do not fit.
    """
    plan, recipe, weights = resolve_network(arch, recipe, weights)
    where = device_of(device)
    recipe = recipe_on(recipe, where)
    check_modalities(plan.arch.clips)
    wanted = FeatureForm(tuple(at) or values_of_head(plan), pool, form, rows)
    inner = plan_of_values(plan, wanted.at)
    wanted.check()
    videos = named_videos(paths)
    make_folder(Path(out))
    network = features_network(plan, inner, weights, recipe, where)
    keep_about(Path(out), plan, recipe, wanted, fingerprint(network))
    network = prepared_for_inference(network, recipe, where)
    for name, video in videos.items():
        path = Path(out) / f"{name}.{form}"
        if is_regular(path):
            yield FeatureFile(path, video, kept=True)
            continue
        found = features_bytes(network, inner, recipe, video, wanted, where, workers, batch)
        if isinstance(found, str):
            yield FeatureFile(path, video, found)
            continue
        make_folder(path.parent)
        with naming_write_errors(path):
            write_whole(path, found)
        yield FeatureFile(path, video)


def features_network(plan: Plan, inner: Plan, weights: Path, recipe: Recipe, device: torch.device) -> nn.Module:
    """The network of the values, with those of a whole network's weights that it has."""
    whole = network_with_weights(plan.of_frames_read, weights).state_dict()
    network = build(inner.of_frames_read, inference_passes(recipe, device))
    network.load_state_dict({name: whole[name] for name in network.state_dict()})
    return network


def features_bytes(
    network: nn.Module,
    inner: Plan,
    recipe: Recipe,
    video: Path,
    wanted: FeatureForm,
    device: torch.device,
    workers: int,
    batch: int | None,
) -> bytes | str:
    """The file of a video's features, or why it cannot be read."""
    try:
        recipe, videos = one_video(video, inner.arch, recipe)
    except Unreadable as missing:
        return missing.reason
    skips, crops = SkippedVideos(), recipe.views.crops
    feed = view_batches(
        videos,
        recipe,
        inner.arch.clips,
        task=None,
        device=device,
        workers=workers,
        skips=skips,
        batch=batch or ViewsMemory(inner).views(device, VIEWS_PER_BATCH),
        frames_read=inner.frames_read,
    )
    windows: list[dict[str, Tensor]] = []
    times: list[tuple[float, float]] = []
    with evaluation_mode(network):
        for one in feed:
            with autocast_of(recipe, device):
                values = network(one.clips)
            values = values if isinstance(values, dict) else {wanted.at[0]: values}
            windows += [
                {name: x[i : i + crops].mean(0).cpu() for name, x in values.items()}
                for i in range(0, len(one.starts), crops)
            ]
            times += [*zip(one.starts, one.ends)][::crops]
    return wanted.written(windows, times) if windows else next(iter(skips.names.values()))


def named_videos(paths: Sequence[str | Path]) -> dict[str, Path]:
    """Name of its file -> video: its own, or of a folder's its path in it. Raises SpecError for two of one name."""
    found: dict[str, Path] = {}
    for given in map(Path, paths):
        for video in videos_in([given])[0]:
            name = str(video.relative_to(given).with_suffix("")) if video != given else video.stem
            if (other := found.setdefault(name, video)) != video:
                raise SpecError(
                    "two videos of one name", got=f"{other}, {video}", want="another name for each, or a folder of both"
                )
    return found


def keep_about(out: Path, plan: Plan, recipe: Recipe, wanted: FeatureForm, weights: str) -> None:
    """Write what the features are made by. Raises SpecError where the folder has those of something else."""
    about: dict[str, Any] = {
        "network": plan.name,
        "at": [*wanted.at],
        "shapes": {name: [*shape] for name, shape in plan_of_values(plan, wanted.at).outputs.items()},
        "pool": wanted.pool,
        "format": wanted.form,
        "rows": wanted.rows,
        "weights": weights,
        "recipe": recipe_data(recipe),
    }
    text = json_text(about, indent=2) + "\n"
    path = out / ABOUT
    if is_regular(path) and (before := read_text(path, MAX_ABOUT_BYTES)) != text:
        lines = Counter(text.splitlines())
        lines.subtract(before.splitlines())
        differs = [line.strip() for line, times in lines.items() if times > 0]
        raise SpecError(
            "a folder with features of something else",
            written=str(path),
            got=excerpt(", ".join(differs) or "fewer fields"),
            want="the network, weights and settings that its files were made by",
            fix="another folder: -o OTHER",
        )
    with naming_write_errors(path):
        write_whole(path, text)
