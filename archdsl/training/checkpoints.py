"""Checkpoints on disk: a folder of tensors and facts for each, which is whole or not there.

checkpoints/step_00000500/tensors.safetensors   network.*, optimizer.*, average.*; several files where sharded
checkpoints/step_00000500/state.json            step, arch, recipe, figures, checksums of the other files and its own
"""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch.distributed.checkpoint as dcp
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.tensor import DTensor

from archdsl.errors import SpecError
from archdsl.files import checksum, flush_folder, json_text, write_flushed
from archdsl.training.world import World, as_one

Facts = dict[str, Any]
TENSORS = "tensors.safetensors"
STATE = "state.json"
NAMED = re.compile(r"step_(\d{8,})")


def checkpoints_in(run: Path) -> list[Path]:
    """The checkpoints of a run's folder, the oldest first."""
    found = ((match, path) for path in (run / "checkpoints").glob("step_*") if (match := NAMED.fullmatch(path.name)))
    return [path for _, path in sorted((int(match[1]), path) for match, path in found)]


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.removeprefix("step_"))


def save_checkpoint(run: Path, tensors: Mapping[str, Tensor], facts: Facts, world: World) -> Path:
    """Write a checkpoint. Raises SpecError where the disk has no room; older checkpoints are as they were."""
    place = run / "checkpoints" / f"step_{facts['step']:08d}"
    beside = place.with_name(f".{place.name}")
    with as_one(), whole_or_not(run, place, beside):
        if world.first:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()
    with as_one(), whole_or_not(run, place, beside):
        write_tensors(beside, tensors, world)
        if world.first:
            finish(beside, facts)
            shutil.rmtree(place, ignore_errors=True)
            beside.replace(place)
            flush_folder(place.parent)
    return place


@contextmanager
def whole_or_not(run: Path, place: Path, beside: Path) -> Iterator[None]:
    """Nothing stays of a checkpoint that the disk did not take. Raises SpecError then."""
    try:
        yield
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise not_saved(run, place, error) from None


def write_tensors(folder: Path, tensors: Mapping[str, Tensor], world: World) -> None:
    """Every process writes its shards; where nothing is sharded, the first process writes all."""
    if any(isinstance(tensor, DTensor) for tensor in tensors.values()):
        writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
        dcp.save(dict(tensors), storage_writer=writer)
    elif world.first:
        write_flushed(folder / TENSORS, save({name: x.detach().cpu().contiguous() for name, x in tensors.items()}))


def finish(folder: Path, facts: Facts) -> None:
    """The facts, with the checksums of all that was written."""
    files = {path.name: checksum(path) for path in sorted(folder.iterdir())}
    facts = facts | {"files": files}
    write_flushed(folder / STATE, json_text(facts | {"checksum": digest(facts)}))
    flush_folder(folder)


def digest(facts: Facts) -> str:
    """SHA-256 of facts, in whatever order they are."""
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def not_saved(run: Path, place: Path, error: OSError) -> SpecError:
    """The error of a disk that takes no checkpoint."""
    last = checkpoints_in(run)
    return SpecError(
        f"cannot write checkpoint {place.name}",
        written=str(place),
        got=error.strerror or str(error),
        want="room for a checkpoint",
        fix=f"make room; the same command then goes on from {last[-1].name}" if last else "make room, then begin again",
    )


def read_facts(checkpoint: Path) -> Facts:
    """What a checkpoint says of itself, every file of it checked. Raises SpecError for a damaged one, and for none."""
    if not (checkpoint / STATE).exists() and not (checkpoint.is_dir() and NAMED.fullmatch(checkpoint.name)):
        last = [f"--resume {path}" for path in checkpoints_in(checkpoint)[-1:]]
        want = "a folder such as RUN/checkpoints/step_00000500"
        raise SpecError("no checkpoint", got=str(checkpoint), want=want, fix=last[0] if last else None)
    try:
        facts: Facts = json.loads((checkpoint / STATE).read_bytes())
        stated = facts.pop("checksum")
    except (OSError, ValueError, KeyError, AttributeError):
        raise damaged(checkpoint, f"{STATE} that cannot be read") from None
    if digest(facts) != stated:
        raise damaged(checkpoint, f"another checksum of {STATE}")
    wrong = [name for name, sum_ in facts["files"].items() if not has_checksum(checkpoint / name, sum_)]
    if wrong:
        raise damaged(checkpoint, f"another checksum of {', '.join(wrong)}")
    return facts


def has_checksum(path: Path, stated: str) -> bool:
    """Whether a file is there as it was written."""
    return path.is_file() and checksum(path) == stated


def damaged(checkpoint: Path, got: str) -> SpecError:
    """The error of a checkpoint that is not as it was written; the one before is offered."""
    run = checkpoint.parent.parent
    before = [path for path in checkpoints_in(run) if path.name < checkpoint.name]
    return SpecError(
        f"a damaged checkpoint: {checkpoint.name}",
        written=str(checkpoint),
        got=got,
        want="the files as they were written",
        fix=f"--resume {before[-1]}" if before else f"remove {checkpoint} to begin again",
    )


def read_tensors(checkpoint: Path, make: Callable[[dict[str, tuple[int, ...]]], dict[str, Tensor]]) -> None:
    """Read a checkpoint's tensors into those that `make` gives for their names and shapes; sharded or whole."""
    shapes = shapes_in(checkpoint)
    wanted = make(shapes)
    try:
        if (checkpoint / TENSORS).exists() and not any(isinstance(x, DTensor) for x in wanted.values()):
            found = load_file(checkpoint / TENSORS)
            for name, tensor in wanted.items():
                tensor.copy_(found[name])
            return
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # one process reads shards too
            dcp.load(wanted, storage_reader=HuggingFaceStorageReader(str(checkpoint)))
    except SafetensorError as error:
        raise damaged(checkpoint, str(error)) from None


def shapes_in(checkpoint: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor of a checkpoint."""
    metadata = HuggingFaceStorageReader(str(checkpoint)).read_metadata()
    entries = metadata.state_dict_metadata.items()
    return {name: tuple(entry.size) for name, entry in entries if isinstance(entry, TensorStorageMetadata)}


def prune(run: Path, keep: int, best: int | None) -> None:
    """Remove all but the newest checkpoints and the best."""
    for path in checkpoints_in(run)[:-keep]:
        if path.name != f"step_{best:08d}" if best is not None else True:
            gone = path.with_name(f".{path.name}")
            os.replace(path, gone)
            shutil.rmtree(gone, ignore_errors=True)


def sweep(run: Path) -> None:
    """Remove what a killed process had half written."""
    for path in (run / "checkpoints").glob(".step_*"):
        shutil.rmtree(path, ignore_errors=True)
