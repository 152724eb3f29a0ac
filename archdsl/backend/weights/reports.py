"""What `archdsl weights` does and says: whose a file is, and the same weights under our addresses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from archdsl.backend.network import build
from archdsl.backend.weights.adaptation import Ways, adapted
from archdsl.backend.weights.containers import Contents
from archdsl.backend.weights.files import METADATA, read_contents, read_weights
from archdsl.backend.weights.fit import COUNTER, check_names
from archdsl.backend.weights.recognition import Candidate, candidates
from archdsl.backend.weights.translation import exported, translated
from archdsl.catalog import load
from archdsl.catalog.dialects import Input, Naming, dialects, naming_named
from archdsl.compiler import compile
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.ops.batch_norm import BatchNorm
from archdsl.report.number_format import short
from archdsl.spec.files import write_out

SHOWN = 4
"""Names that are listed."""


@dataclass(frozen=True)
class FileOfWeights:
    """What a file is."""

    path: Path
    tensors: int
    numbers: int
    best: tuple[Candidate, ...]
    """The models that fit best, equally well."""
    matched: int
    """Names and shapes of the best one's network in the file, running statistics with them."""
    total: int
    extra: tuple[str, ...]
    """Names in the file without a counterpart."""
    missing: tuple[str, ...]
    """Addresses of the best one's network that the file lacks, or has in another shape."""
    contents: Contents
    """Where in the file they lie, beside what."""

    def record(self) -> dict[str, Any]:
        """As plain data."""
        named = {"dialect": self.best[0].title, "models": [one.model for one in self.best]} if self.best else {}
        rest = {"tensors": self.tensors, "numbers": self.numbers, "matched": self.matched, "of": self.total}
        lies = {"read": self.contents.read, "beside": self.contents.beside, "progress": self.contents.progress}
        lists = {"extra": self.extra, "missing": self.missing, **lies}
        return {"file": str(self.path), **named, **rest, **lists}

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.tensors} tensors, {short(self.numbers)} numbers"]
        lines += [f"  read     {self.contents}"] if str(self.contents) else []
        if not self.best:
            return "\n".join([*lines, f"  dialect  unknown: names such as {next(iter(self.contents.tensors))}"])
        naming, model = self.best[0].naming, self.best[0].model
        title = f" ({dialects()[naming.source].title})" if naming else ""
        others = [one.model for one in self.best[1:]]
        lines += [f"  dialect  {self.best[0].title}{title}"]
        lines += [f"  fits     {model}: {self.matched} of {self.total} names and shapes"]
        lines += [f"  as well  {', '.join(others)}"] if others else []
        lines += [f"  lacks    {some(self.missing)}"] if self.missing else []
        lines += [f"  extra    {some(self.extra)}"] if self.extra else []
        lines += [f"  expects  {naming.input}"] if naming and naming.input else []
        lines += [f"  note     {naming.note}"] if naming and naming.note else []
        return "\n".join([*lines, f"  use      archdsl weights convert {self.path} {model} -o {model}.safetensors"])


def some(names: tuple[str, ...]) -> str:
    """How many names, and the first of them."""
    return f"{len(names)}: {', '.join(names[:SHOWN])}" + (", ..." if len(names) > SHOWN else "")


def describe(path: Path) -> FileOfWeights:
    """What a file of weights is. Raises SpecError where it holds none."""
    contents = read_contents(path)
    found = contents.tensors
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    ranked = candidates(shapes)
    best = tuple(one for one in ranked if one[2:] == ranked[0][2:] and one.naming == ranked[0].naming)
    matched, total, extra = 0, 0, tuple(found)
    missing: tuple[str, ...] = ()
    if best:
        own = state_of(load(best[0].model))
        made = translated(found, own)
        fits = {name for name, x in own.items() if name in made.tensors and made.tensors[name].shape == x.shape}
        matched = len(fits)
        missing = tuple(name for name in own if name not in fits and not name.endswith(COUNTER))
        total, extra = len(own), (*made.extra, *(name for name in made.tensors if name not in own))
    numbers = sum(tensor.numel() for tensor in found.values())
    return FileOfWeights(path, len(found), numbers, best, matched, total, extra, missing, contents)


def state_of(arch: Arch) -> dict[str, Tensor]:
    """Names, shapes and kinds of a network's tensors, without their numbers."""
    with torch.device("meta"):
        return build(arch).state_dict()


@dataclass(frozen=True)
class Conversion:
    """What was written."""

    source: str
    output: str
    model: str
    dialect: str
    tensors: int
    total: int
    extra: tuple[str, ...]
    filled: tuple[str, ...]
    adapted: dict[str, str]
    left_out: dict[str, str]
    remarks: tuple[str, ...]
    input: dict[str, Any] | None

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.source} -> {self.output}", f"  dialect  {self.dialect}"]
        lines += [f"  tensors  {self.tensors} of {self.total} of {self.model}"]
        lines += [f"  extra    {some(self.extra)}"] if self.extra else []
        lines += [f"  filled   {some(self.filled)}"] if self.filled else []
        lines += [f"  adapted  {name}: {what}" for name, what in self.adapted.items()]
        lines += [f"  left out {name}: {why}" for name, why in self.left_out.items()]
        lines += [f"  note     {remark}" for remark in self.remarks]
        return "\n".join([*lines, *([f"  expects  {Input(**self.input)}"] if self.input else [])])


def convert(
    arch: Arch,
    path: Path,
    output: Path,
    *,
    beside: Path | None = None,
    to: str | None = None,
    ways: Ways | None = None,
) -> Conversion:
    """Write a file's weights under an arch's addresses, or under another source's; gives what was done.

    With those of another file `beside` it, such as a probe's beside its encoder's. Raises SpecError where they are
    another network's.
    """
    own, found = state_of(arch), weights_together(path, beside)
    made = translated(found, own)
    tensors, notes = adapted(made.tensors, own, ways or Ways())
    left_out = head_faults(own, tensors)
    taken = {name: tensor for name, tensor in tensors.items() if name not in left_out}
    kept = {name: tensor for name, tensor in own.items() if name not in left_out}
    check_names(kept, {name: tuple(tensor.shape) for name, tensor in taken.items()}, str(path))
    expected = made.naming.input.model_dump(mode="json") if made.naming and made.naming.input else None
    dialect = made.naming.title if made.naming else "archdsl"
    about = {"model": arch.name, "dialect": dialect, "input": expected}
    written = exported(taken, naming_named(to)) if to else taken
    metadata = {"format": "pt", **({} if to else {METADATA: json.dumps(about)})}
    write_out(output, save({name: x.contiguous().clone() for name, x in written.items()}, metadata))
    return Conversion(
        source=str(path),
        output=str(output),
        model=arch.name,
        dialect=dialect,
        tensors=len(written),
        total=len(own),
        extra=made.extra,
        filled=made.filled,
        adapted=notes,
        left_out=left_out,
        remarks=remarks(arch, made.naming),
        input=expected,
    )


def weights_together(path: Path, beside: Path | None) -> dict[str, Tensor]:
    """The tensors of a file, and of another beside it. Raises SpecError for a name that both have."""
    found = read_weights(path)
    more = read_weights(beside) if beside else {}
    if both := sorted(found.keys() & more.keys()):
        got = f"{len(both)} names, such as {both[0]}"
        raise SpecError(
            "two files have the same weights", written=f"{path}, {beside}", got=got, want="names of one each"
        )
    return found | more


def head_faults(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> dict[str, str]:
    """Address in the head -> how many classes the file has there, where it is another number."""
    return {
        name: f"{len(found[name])} rows in the file, {len(tensor)} in the network"
        for name, tensor in own.items()
        if name.startswith("head.") and name in found and found[name].shape[:1] != tensor.shape[:1]
    }


def remarks(arch: Arch, naming: Naming | None) -> tuple[str, ...]:
    """What no file carries and differs: the epsilon of batch norms."""
    found = {node.op.eps for node in compile(arch).nodes if isinstance(node.op, BatchNorm)}
    said = [naming.note] if naming and naming.note else []
    if naming and naming.eps is not None and found - {naming.eps}:
        said.append(f"batch norms have eps {', '.join(map(str, sorted(found)))}; the weights expect {naming.eps}")
    return tuple(said)
