"""From a network to a folder: a page, its pictures as files, its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from archdsl.compiler.inner_values import check_addresses
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.language.recipes.recipe import Recipe
from archdsl.report.number_format import plural, shapes_text
from archdsl.spec.files import make_folder, naming_write_errors, write_whole
from archdsl.training.state.run_reader import data_of_weights, read_run
from archdsl.visualization.files import encoded
from archdsl.visualization.maps import check_map
from archdsl.visualization.methods import Method, methods_named
from archdsl.visualization.page import ShownPicture, ShownSection, page_text
from archdsl.visualization.request import Request, Section, Track, layers_of, target_of
from archdsl.visualization.subject import ShownClip, clips_of_data, clips_of_videos, subject_of

PAGE = "index.html"


class Visualization(NamedTuple):
    """What was written."""

    page: Path
    files: tuple[Path, ...]
    """All files, the page first."""
    left_out: dict[str, str]
    """Method -> why this network has none of it."""
    sections: dict[str, Section]


def silent(things: Iterable[Any], total: int, title: str) -> Iterable[Any]:
    """No progress bar."""
    return things


def visualize(
    arch: Arch | str | Path,
    videos: Sequence[str | Path] = (),
    *,
    out: str | Path,
    methods: Sequence[str] = (),
    at: Sequence[str] = (),
    channel: int | None = None,
    class_: str | None = None,
    recipe: Recipe | str | Path | None = None,
    weights: str | Path | None = None,
    data: str | None = None,
    split: str = "val",
    clips: int = 2,
    count: int = 64,
    top: int = 6,
    steps: int = 128,
    temporal: Sequence[float] = (0.0, 1.0, 10.0),
    spatial: float = 1.0,
    device: str | None = None,
    seed: int = 0,
    track: Track = silent,
) -> Visualization:
    """A page of pictures of what a network looks at and looks for, in the folder `out`, with its files and numbers.

    `arch` is a run's folder, or an arch with weights of a file or as initialised. The target is a class (`class_`, a
    name or a number), or a `channel` of the address `at`; by default the class with the highest score in each clip.
    Clips are of `videos`, or the first of the `data`. Without `methods` all are shown that this network has.

    Raises SpecError where these do not fit.
    """
    if not isinstance(arch, Arch) and Path(arch).is_dir():
        run = read_run(Path(arch))
        arch, recipe, weights = run.arch, recipe or run.recipe, weights or arch
    wanted = methods_named(methods)
    subject = subject_of(arch, recipe, weights, device=device, seed=seed)
    if at:
        check_addresses(subject.plan, at)
    target = target_of(subject, at, channel, class_)
    data = data or (data_of_weights(Path(weights)) if weights else None) or "motion"
    source = subject.videos(data, split)
    shown = list(clips_of_videos(subject, videos) if videos else clips_of_data(subject, source, clips))
    if not shown:
        raise SpecError("no clip can be read", got=data, want="videos", fix="`archdsl data check` says why")
    request = Request(
        subject, target, tuple(at), named_apart(shown), source, track, count, top, steps, (*temporal,), spatial, seed
    )
    request.layers = request.layers or layers_of(request)
    for name in request.layers:
        check_map(request, name)
    parts, left_out, files = [], dict[str, str](), list[Path]()
    make_folder(Path(out))
    for method in wanted:
        try:
            section = method.show(request)
        except SpecError as error:
            if methods:
                raise
            left_out[method.name] = left_out_text(error)
            parts.append(ShownSection(method, None, (), left_out[method.name]))
            continue
        part, written = write_section(Path(out), method, section)
        parts.append(part)
        files += written
    page = Path(out) / PAGE
    with naming_write_errors(page):
        write_whole(page, page_text(f"Inside {subject.plan.name}", page_facts(request, data, bool(videos)), parts))
    sections = {part.method.name: part.section for part in parts if part.section}
    return Visualization(page, (page, *files), left_out, sections)


def left_out_text(error: SpecError) -> str:
    """Why a method shows nothing, in a line."""
    fault = error.faults[0]
    return f"{fault.what}: {fault.got}" if fault.got else fault.what


def named_apart(clips: Sequence[ShownClip]) -> list[ShownClip]:
    """Clips of which no two share a name."""
    found: dict[str, ShownClip] = {}
    for one in clips:
        name, number = one.name, 1
        while name in found:
            number += 1
            name = f"{one.name}_{number}"
        found[name] = one._replace(name=name)
    return [*found.values()]


def write_section(out: Path, method: Method, section: Section) -> tuple[ShownSection, list[Path]]:
    """A method's pictures and numbers in the folder; and as the page shows them."""
    files: dict[Path, bytes] = {}
    pictures = []
    for picture in section.pictures:
        stem = f"{method.name}_{re.sub(r'[^A-Za-z0-9.]+', '_', picture.name).strip('_')}"
        made = list(encoded(picture.frames))
        files |= {out / f"{stem}.{suffix}": data for suffix, data in made}
        pictures.append(ShownPicture(picture.caption, *made[0]))
    files |= {out / f"{method.name}_{i}.svg": text.encode() for i, text in enumerate(section.drawings, 1)}
    data = BytesIO()
    np.savez(data, **{name: x.detach().cpu().numpy() for name, x in section.numbers.items()})  # type: ignore[arg-type]
    files[out / f"{method.name}.npz"] = data.getvalue()
    with naming_write_errors(out):
        for path, content in files.items():
            write_whole(path, content)
    return ShownSection(method, section, tuple(pictures)), [*files]


def page_facts(request: Request, data: str, of_videos: bool) -> dict[str, str]:
    """What the page opens with."""
    subject, target = request.subject, request.target
    clips = ", ".join(one.name + f" ({one.label})" * bool(one.label) for one in request.clips)
    values = subject.recipe.values
    said = "the class with the highest score in each clip" if target.at == subject.scores else target.at
    if target.channel is not None:
        said = target.title(subject, target.channel)
    return {
        "network": f"{subject.plan.name}: {shapes_text({name: clip.shape for name, clip in subject.clips.items()})}",
        "weights": subject.weights,
        "target": said,
        "layers": ", ".join(request.layers) or "no maps",
        "clips": clips if of_videos else f"{clips}, of {data}",
        "normalised": f"by recipe {subject.recipe.name}: {values_text(values)}",
        "data": f"{plural(min(request.count, len(request.data)), 'clip')} of {data}",
        "seed": str(request.seed),
    }


def values_text(values: Any) -> str:
    """How pixels become numbers."""
    mean, std = (", ".join(f"{one:g}" for one in numbers) for numbers in (values.mean, values.std))
    return f"mean {mean}; std {std}"
