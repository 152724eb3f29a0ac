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
from typing import Any, NamedTuple

import torch
import torch.distributed.checkpoint as dcp
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.distributed.checkpoint import CheckpointException, HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.tensor import DTensor

from archdsl.errors import Fault, SpecError
from archdsl.spec.files import checksum, flush_folder, is_regular, json_text, read_bytes, write_flushed
from archdsl.training.distributed import World, as_one, gathered
from archdsl.training.state.locks import alone, shared
from archdsl.training.state.records import LARGEST, Facts, made, parsed

TENSORS = "tensors.safetensors"
STATE = "state.json"
NAMED = re.compile(r"step_(\d{8,})")
DAMAGED = (
    *(SafetensorError, ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError),
    *(OSError, RuntimeError, TypeError, ValueError),
)
"""What torch and safetensors raise for tensors that are not as they say."""
TRIES = 100
"""So often is a run's last checkpoint looked for while its trainer removes them."""
SHOWN = 12
"""Tensors that are told."""


class Kind(NamedTuple):
    """What a tensor is, but for its values."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.shape} {str(self.dtype).removeprefix('torch.')}"


def checkpoints_in(run: Path) -> list[Path]:
    """The checkpoints of a run's folder, the oldest first."""
    found = ((match, path) for path in (run / "checkpoints").glob("step_*") if (match := NAMED.fullmatch(path.name)))
    return [path for _, path in sorted((int(match[1]), path) for match, path in found)]


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.removeprefix("step_"))


def save_checkpoint(run: Path, tensors: Mapping[str, Tensor], facts: Facts, world: World) -> Path:
    """Write a checkpoint. Raises SpecError where the disk has no room; older checkpoints are as they were."""
    place = run / "checkpoints" / f"step_{facts.step:08d}"
    beside = place.with_name(f".{place.name}")
    with as_one(), whole_or_not(run, place, beside):
        if world.first:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()
    with as_one(), whole_or_not(run, place, beside):
        write_tensors(beside, tensors, world)
    # each process lists its own: another machine may not see yet what this one wrote
    names = set[str]().union(*gathered({path.name for path in beside.glob("*.safetensors")}))
    with as_one(), whole_or_not(run, place, beside):
        if world.first:
            finish(beside, facts, sorted(names))
            shutil.rmtree(place, ignore_errors=True)
            beside.replace(place)
            flush_folder(place.parent)
    return place


@contextmanager
def whole_or_not(run: Path, place: Path, beside: Path) -> Iterator[None]:
    """Nothing stays of a checkpoint that the disk did not take. Raises SpecError then."""
    try:
        yield
    except (OSError, CheckpointException) as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise not_saved(run, place, error) from None


def write_tensors(folder: Path, tensors: Mapping[str, Tensor], world: World) -> None:
    """Every process writes its shards; where nothing is sharded, the first process writes all."""
    if any(isinstance(tensor, DTensor) for tensor in tensors.values()):
        writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
        dcp.save(dict(tensors), storage_writer=writer)
    elif world.first:
        write_flushed(folder / TENSORS, save({name: x.detach().cpu().contiguous() for name, x in tensors.items()}))


def finish(folder: Path, facts: Facts, names: list[str]) -> None:
    """The facts, with the checksums of all that the processes wrote. Raises SpecError where one wrote elsewhere."""
    missing = [name for name in names if not is_regular(folder / name)]
    if missing:
        raise SpecError(
            "shards that are not where the others are",
            written=str(folder),
            got=f"no {', '.join(missing)}",
            want="one folder for all processes",
            fix="--out on a disk that all machines share",
        )
    files = {name: checksum(folder / name) for name in names}
    data = facts.model_copy(update={"files": files}).model_dump(mode="json", by_alias=True)
    write_flushed(folder / STATE, json_text(data | {"checksum": digest(data)}))
    flush_folder(folder)


def digest(data: Any) -> str:
    """SHA-256 of plain data, in whatever order its keys are."""
    return sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def not_saved(run: Path, place: Path, error: BaseException) -> SpecError:
    """The error of a disk that takes no checkpoint."""
    last = checkpoints_in(run)
    return SpecError(
        f"cannot write checkpoint {place.name}",
        written=str(place),
        got=reason(error),
        want="room for a checkpoint",
        fix=f"make room; the same command then goes on from {last[-1].name}" if last else "make room, then begin again",
    )


def reason(error: BaseException) -> str:
    """Why a disk took nothing; torch gives the errors of all processes in one."""
    if isinstance(error, CheckpointException):
        error = next((inner for inner, _ in error.failures.values()), error)
    return (isinstance(error, OSError) and error.strerror) or str(error)


def read_facts(checkpoint: Path) -> Facts:
    """What a checkpoint says of itself, every file of it checked. Raises SpecError for a damaged one, and for none."""
    if not (checkpoint / STATE).exists() and not (checkpoint.is_dir() and NAMED.fullmatch(checkpoint.name)):
        last = [f"--resume {path}" for path in checkpoints_in(checkpoint)[-1:]]
        want = "a folder such as RUN/checkpoints/step_00000500"
        raise SpecError("no checkpoint", got=str(checkpoint), want=want, fix=last[0] if last else None)
    try:
        data = parsed(read_bytes(checkpoint / STATE, LARGEST))
        stated = data.pop("checksum")
    except (ValueError, LookupError, AttributeError, TypeError):
        raise damaged(checkpoint, f"{STATE} that cannot be read") from None
    if digest(data) != stated:
        raise damaged(checkpoint, f"another checksum of {STATE}")
    try:
        facts = made(Facts, data)
    except ValueError as error:
        raise damaged(checkpoint, f"{STATE} of another kind: {error}") from None
    wrong = [name for name, sum_ in facts.files.items() if not has_checksum(checkpoint / Path(name).name, sum_)]
    if wrong:
        raise damaged(checkpoint, f"another checksum of {', '.join(wrong)}")
    odd = sorted({path.name for path in checkpoint.glob("*.safetensors")} - facts.files.keys())
    if odd or not facts.files:
        raise damaged(checkpoint, f"{odd[0]}, of which {STATE} knows nothing" if odd else "no tensors")
    return facts


def has_checksum(path: Path, stated: str) -> bool:
    """Whether a file is there as it was written."""
    return is_regular(path) and checksum(path) == stated


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


def read_tensors(checkpoint: Path, make: Callable[[dict[str, Kind]], dict[str, Tensor]], *, whole: bool) -> None:
    """Read a checkpoint's tensors into those that `make` gives for what is there; sharded or whole.

    Raises SpecError for a tensor that is missing or of another shape or type; with `whole` for one too many as well.
    """
    found = kinds_in(checkpoint)
    wanted = make(found)
    check_kinds(checkpoint, wanted, found, whole=whole)
    try:
        if (checkpoint / TENSORS).exists() and not any(isinstance(x, DTensor) for x in wanted.values()):
            tensors = load_file(checkpoint / TENSORS)
            for name, tensor in wanted.items():
                tensor.copy_(tensors[name])
            return
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # one process reads shards too
            dcp.load(wanted, storage_reader=HuggingFaceStorageReader(str(checkpoint)))
    except (*DAMAGED, CheckpointException) as error:
        raise damaged(checkpoint, str(error)) from None


def check_kinds(checkpoint: Path, wanted: Mapping[str, Tensor], found: Mapping[str, Kind], *, whole: bool) -> None:
    """Raises SpecError with every tensor that differs: torch would stretch one of shape (1,) over all numbers."""
    places = {name: Kind(tuple(tensor.shape), tensor.dtype) for name, tensor in wanted.items()}
    names = [*places, *(name for name in found if whole and name not in places)]
    faults = [
        Fault(
            what="a checkpoint whose tensors do not fit",
            at=name,
            written=str(checkpoint),
            got=str(found.get(name, "nothing of that name")),
            want=str(places.get(name, "nothing of that name")),
            fix=f"--weights {checkpoint} and another --out: a new run that begins with its weights alone",
        )
        for name in names
        if found.get(name) != places.get(name)
    ]
    if faults:
        more = [Fault(what=f"and {len(faults) - SHOWN} more", written=str(checkpoint))]
        raise SpecError(faults if len(faults) <= SHOWN else faults[:SHOWN] + more)


def kinds_in(checkpoint: Path) -> dict[str, Kind]:
    """What every tensor of a checkpoint is, by name. Raises SpecError where its files do not say so."""
    try:
        entries = HuggingFaceStorageReader(str(checkpoint)).read_metadata().state_dict_metadata.items()
    except DAMAGED as error:
        raise damaged(checkpoint, str(error)) from None
    return {
        name: Kind(tuple(entry.size), entry.properties.dtype)
        for name, entry in entries
        if isinstance(entry, TensorStorageMetadata)
    }


def prune(run: Path, keep: int, best: int | None) -> None:
    """Remove all but the newest checkpoints and the best; one that is being read waits for the next time."""
    for path in checkpoints_in(run)[:-keep]:
        if step_of(path) != best:
            with alone(path / STATE) as unread:
                if unread:
                    gone = path.with_name(f".{path.name}")
                    os.replace(path, gone)
                    shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def held(checkpoint: Path) -> Iterator[Path]:
    """A checkpoint that stays while it is read; in place of a run's folder its last. Raises SpecError for none."""
    for _ in range(TRIES):
        found = checkpoints_in(checkpoint)
        path = found[-1] if found else checkpoint
        with shared(path / STATE) as there:
            if there or not found:
                yield path
                return
    raise damaged(path, f"no {STATE}")


def sweep(run: Path) -> None:
    """Remove what a killed process had half written."""
    for path in (run / "checkpoints").glob(".step_*"):
        shutil.rmtree(path, ignore_errors=True)
