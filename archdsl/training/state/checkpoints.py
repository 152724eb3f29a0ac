"""Checkpoints on disk, written atomically: a folder of tensors and facts each.

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
from archdsl.training.processes import World, fail_together, gather_objects
from archdsl.training.state.locks import exclusive_lock, shared_lock
from archdsl.training.state.records import MAX_RECORD_BYTES, CheckpointFacts, parse_json, validated

TENSORS = "tensors.safetensors"
STATE = "state.json"
CHECKPOINT_NAME = re.compile(r"step_(\d{8,})")
TENSOR_ERRORS = (
    *(SafetensorError, ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError),
    *(OSError, RuntimeError, TypeError, ValueError),
)
"""What torch and safetensors raise for damaged tensor files."""
LOCK_TRIES = 100
"""Attempts to lock a run's last checkpoint while its trainer removes old ones."""
TENSORS_SHOWN = 12
"""Tensors listed in an error."""


class TensorSpec(NamedTuple):
    """Shape and type of a tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.shape} {str(self.dtype).removeprefix('torch.')}"


def checkpoints_in(run: Path) -> list[Path]:
    """The checkpoints of a run's folder, the oldest first."""
    found = (
        (match, path)
        for path in (run / "checkpoints").glob("step_*")
        if (match := CHECKPOINT_NAME.fullmatch(path.name))
    )
    return [path for _, path in sorted((int(match[1]), path) for match, path in found)]


def step_number(checkpoint: Path) -> int:
    """The step of a checkpoint."""
    return int(checkpoint.name.removeprefix("step_"))


def save_checkpoint(run: Path, tensors: Mapping[str, Tensor], facts: CheckpointFacts, world: World) -> Path:
    """Write a checkpoint. Raises SpecError where the disk is full; older checkpoints are untouched."""
    place = run / "checkpoints" / f"step_{facts.step:08d}"
    partial = place.with_name(f".{place.name}")
    with fail_together(), all_or_nothing(run, place, partial):
        if world.first:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
    with fail_together(), all_or_nothing(run, place, partial):
        write_tensors(partial, tensors, world)
    # each process lists its own files: another machine may not see them yet
    names = set[str]().union(*gather_objects({path.name for path in partial.glob("*.safetensors")}))
    with fail_together(), all_or_nothing(run, place, partial):
        if world.first:
            write_facts(partial, facts, sorted(names))
            shutil.rmtree(place, ignore_errors=True)
            partial.replace(place)
            flush_folder(place.parent)
    return place


@contextmanager
def all_or_nothing(run: Path, place: Path, partial: Path) -> Iterator[None]:
    """Remove a checkpoint that could not be written. Raises SpecError then."""
    try:
        yield
    except (OSError, CheckpointException) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise not_saved(run, place, error) from None


def write_tensors(folder: Path, tensors: Mapping[str, Tensor], world: World) -> None:
    """Every process writes its shards; without shards the first process writes all."""
    if any(isinstance(tensor, DTensor) for tensor in tensors.values()):
        writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
        dcp.save(dict(tensors), storage_writer=writer)
    elif world.first:
        write_flushed(folder / TENSORS, save({name: x.detach().cpu().contiguous() for name, x in tensors.items()}))


def write_facts(folder: Path, facts: CheckpointFacts, names: list[str]) -> None:
    """Write facts and checksums of all files. Raises SpecError where a process wrote to another folder."""
    missing = [name for name in names if not is_regular(folder / name)]
    if missing:
        raise SpecError(
            "shards of one checkpoint in different folders",
            written=str(folder),
            got=f"no {', '.join(missing)}",
            want="one folder for all processes",
            fix="choose an --out on a disk that all machines share",
        )
    files = {name: checksum(folder / name) for name in names}
    data = facts.model_copy(update={"files": files}).model_dump(mode="json", by_alias=True)
    write_flushed(folder / STATE, json_text(data | {"checksum": digest(data)}))
    flush_folder(folder)


def digest(data: Any) -> str:
    """SHA-256 of plain data, independent of the order of keys."""
    return sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def not_saved(run: Path, place: Path, error: BaseException) -> SpecError:
    """The error of a checkpoint that cannot be written."""
    last = checkpoints_in(run)
    return SpecError(
        f"cannot write checkpoint {place.name}",
        written=str(place),
        got=disk_error(error),
        want="room for a checkpoint",
        fix=f"make room; the same command then resumes from {last[-1].name}" if last else "make room, then start again",
    )


def disk_error(error: BaseException) -> str:
    """Why writing failed; torch collects the errors of all processes in one."""
    if isinstance(error, CheckpointException):
        error = next((inner for inner, _ in error.failures.values()), error)
    return (isinstance(error, OSError) and error.strerror) or str(error)


def read_facts(checkpoint: Path) -> CheckpointFacts:
    """The facts of a checkpoint, after all checksums are verified. Raises SpecError for a damaged or missing one."""
    if not (checkpoint / STATE).exists() and not (checkpoint.is_dir() and CHECKPOINT_NAME.fullmatch(checkpoint.name)):
        last = [f"--resume {path}" for path in checkpoints_in(checkpoint)[-1:]]
        want = "a folder such as RUN/checkpoints/step_00000500"
        raise SpecError("no checkpoint", got=str(checkpoint), want=want, fix=last[0] if last else None)
    try:
        data = parse_json(read_bytes(checkpoint / STATE, MAX_RECORD_BYTES))
        stated = data.pop("checksum")
    except (ValueError, LookupError, AttributeError, TypeError):
        raise damaged_checkpoint(checkpoint, f"{STATE} cannot be parsed") from None
    if digest(data) != stated:
        raise damaged_checkpoint(checkpoint, f"wrong checksum of {STATE}")
    try:
        facts = validated(CheckpointFacts, data)
    except ValueError as error:
        raise damaged_checkpoint(checkpoint, f"invalid {STATE}: {error}") from None
    if CHECKPOINT_NAME.fullmatch(checkpoint.name) and step_number(checkpoint) != facts.step:
        raise damaged_checkpoint(checkpoint, f"the checkpoint of step {facts.step} under another name")
    wrong = [name for name, sum_ in facts.files.items() if not has_checksum(checkpoint / Path(name).name, sum_)]
    if wrong:
        raise damaged_checkpoint(checkpoint, f"wrong checksum of {', '.join(wrong)}")
    odd = sorted({path.name for path in checkpoint.glob("*.safetensors")} - facts.files.keys())
    if odd or not facts.files:
        raise damaged_checkpoint(checkpoint, f"{odd[0]}, which {STATE} does not list" if odd else "no tensors")
    return facts


def has_checksum(path: Path, stated: str) -> bool:
    """Whether a file is as it was written."""
    return is_regular(path) and checksum(path) == stated


def damaged_checkpoint(checkpoint: Path, got: str) -> SpecError:
    """The error of a damaged checkpoint; the fix is the one before it."""
    run = checkpoint.parent.parent
    before = [path for path in checkpoints_in(run) if path.name < checkpoint.name]
    return SpecError(
        f"damaged checkpoint: {checkpoint.name}",
        written=str(checkpoint),
        got=got,
        want="the files as they were written",
        fix=f"--resume {before[-1]}" if before else f"remove {checkpoint} to start again",
    )


def read_tensors(checkpoint: Path, make: Callable[[dict[str, TensorSpec]], dict[str, Tensor]], *, whole: bool) -> None:
    """Read a checkpoint's tensors, sharded or whole, into those that `make` returns for the specs found.

    Raises SpecError for a missing tensor and for another shape or type; with `whole` for unexpected ones too.
    """
    found = tensor_specs(checkpoint)
    wanted = make(found)
    check_tensor_specs(checkpoint, wanted, found, whole=whole)
    try:
        if (checkpoint / TENSORS).exists() and not any(isinstance(x, DTensor) for x in wanted.values()):
            tensors = load_file(checkpoint / TENSORS)
            for name, tensor in wanted.items():
                tensor.copy_(tensors[name])
            return
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="torch.distributed is disabled"
            )  # a single process reads shards too
            dcp.load(wanted, storage_reader=HuggingFaceStorageReader(str(checkpoint)))
    except (*TENSOR_ERRORS, CheckpointException) as error:
        raise damaged_checkpoint(checkpoint, str(error)) from None


def check_tensor_specs(
    checkpoint: Path, wanted: Mapping[str, Tensor], found: Mapping[str, TensorSpec], *, whole: bool
) -> None:
    """Raises SpecError with every tensor that differs: torch would broadcast one of shape (1,)."""
    places = {name: TensorSpec(tuple(tensor.shape), tensor.dtype) for name, tensor in wanted.items()}
    names = [*places, *(name for name in found if whole and name not in places)]
    faults = [
        Fault(
            what="checkpoint tensors do not match the network",
            at=name,
            written=str(checkpoint),
            got=str(found.get(name, "missing")),
            want=str(places.get(name, "missing")),
            fix=f"--weights {checkpoint} and another --out: a new run that starts from its weights alone",
        )
        for name in names
        if found.get(name) != places.get(name)
    ]
    if faults:
        more = [Fault(what=f"and {len(faults) - TENSORS_SHOWN} more", written=str(checkpoint))]
        raise SpecError(faults if len(faults) <= TENSORS_SHOWN else faults[:TENSORS_SHOWN] + more)


def tensor_specs(checkpoint: Path) -> dict[str, TensorSpec]:
    """Shape and type of every tensor of a checkpoint. Raises SpecError for damaged files."""
    try:
        entries = HuggingFaceStorageReader(str(checkpoint)).read_metadata().state_dict_metadata.items()
    except TENSOR_ERRORS as error:
        raise damaged_checkpoint(checkpoint, str(error)) from None
    return {
        name: TensorSpec(tuple(entry.size), entry.properties.dtype)
        for name, entry in entries
        if isinstance(entry, TensorStorageMetadata)
    }


def prune(run: Path, keep: int, best: int | None) -> None:
    """Remove all but the newest checkpoints and the best; one that is being read is removed the next time."""
    for path in checkpoints_in(run)[:-keep]:
        if step_number(path) != best:
            with exclusive_lock(path / STATE) as unread:
                if unread:
                    gone = path.with_name(f".{path.name}")
                    os.replace(path, gone)
                    shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def locked_checkpoint(checkpoint: Path) -> Iterator[Path]:
    """Lock a checkpoint, or the last one of a run's folder, while it is read. Raises SpecError where there is none."""
    for _ in range(LOCK_TRIES):
        found = checkpoints_in(checkpoint)
        path = found[-1] if found else checkpoint
        with shared_lock(path / STATE) as there:
            if there or not found:
                yield path
                return
    raise damaged_checkpoint(path, f"no {STATE}")


def remove_partial(run: Path) -> None:
    """Remove checkpoints that a killed process left half written."""
    for path in (run / "checkpoints").glob(".step_*"):
        shutil.rmtree(path, ignore_errors=True)
