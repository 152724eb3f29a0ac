"""A table of what was measured on a machine: cases, and which passes pay there.

One comes along; `archdsl bench --calibrate` writes the user's, one for each device.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import dist, exp, fsum, isfinite, log
from pathlib import Path
from typing import Any, NamedTuple

from archdsl.errors import SpecError
from archdsl.report.latency.cases import Sizes
from archdsl.report.lowering_policy import MODES, Choices, Pays, pays_from
from archdsl.spec.files import read_text

SHIPPED = Path(__file__).with_name("machine.json")
AGAIN = "archdsl bench --calibrate"
FIELDS = [*Sizes._fields, "microseconds"]
"""The numbers of a sample, in order."""
LARGEST = 10_000_000
"""Bytes of a table; the one that comes along has 40,000."""
NEAREST = 4
"""Samples between which a time is interpolated."""


class Sample(NamedTuple):
    """A case that was measured."""

    sizes: Sizes
    seconds: float


@dataclass(frozen=True)
class Machine:
    """What one machine did."""

    name: str
    device: str
    samples: Mapping[str, tuple[Sample, ...]]
    """By kind of case."""
    scale: float = 1.0
    """How much longer a case takes among others than alone."""
    empty: float = 0.0
    """Seconds of a network that does nothing: a case alone has them, a case among others has not."""
    pays: Pays = field(default_factory=dict)
    """What passes gain there."""
    shipped: bool = False
    """Whether it came along: then it is of another machine."""

    @cached_property
    def ceilings(self) -> tuple[float, float, float]:
        """The most multiply-adds and bytes a second, and the fewest seconds of a case, that any sample reached."""
        every = [sample for samples in self.samples.values() for sample in samples]
        return (
            max(sample.sizes.macs / sample.seconds for sample in every),
            max(sample.sizes.bytes / sample.seconds for sample in every),
            min(sample.seconds for sample in every),
        )

    def roof(self, sizes: Sizes) -> float:
        """Seconds below which no case of these sizes was seen."""
        macs, bytes_, least = self.ceilings
        return max(sizes.macs / macs if macs else 0.0, sizes.bytes / bytes_, least)

    def alone(self, kind: str, sizes: Sizes) -> float:
        """Seconds of a case by itself: as far above its base as the nearest samples of its kind, by 1 / distance^2.

        A kind that was never measured takes what the roof says.
        """
        near = sorted((dist(sizes.point, sample.sizes.point), sample) for sample in self.samples.get(kind, ()))[
            :NEAREST
        ]
        if not near:
            return self.roof(sizes)
        if near[0][0] == 0:
            return near[0][1].seconds
        weights = [away**-2 for away, _ in near]
        above = [log(sample.seconds / self.base(sample.sizes)) for _, sample in near]
        mean = fsum(weight * one for weight, one in zip(weights, above)) / fsum(weights)
        return max(self.roof(sizes), self.base(sizes) * exp(mean))

    def base(self, sizes: Sizes) -> float:
        """What grows about as time does: a call, and multiply-adds and bytes one after the other."""
        macs, bytes_, least = self.ceilings
        return least + (sizes.macs / macs if macs else 0.0) + sizes.bytes / bytes_

    def seconds(self, kind: str, sizes: Sizes) -> float:
        """Seconds of a case among others."""
        return self.scale * max(0.0, self.alone(kind, sizes) - self.empty)

    def text(self) -> str:
        """As a file: JSON, a sample or a choice on each line."""
        samples = {kind: [row(one) for one in found] for kind, found in sorted(self.samples.items())}
        head = {"machine": self.name, "device": self.device, "scale": self.scale, "empty": self.empty}
        return lines({**head, "fields": FIELDS, "pays": self.pays, "samples": samples}, deep=3) + "\n"


def lines(value: Any, deep: int, indent: str = "") -> str:
    """JSON; what a mapping has, or a list of lists, on lines of their own so many levels deep."""
    listed = isinstance(value, list) and all(isinstance(one, list) for one in value)
    if not deep or not value or not (listed or isinstance(value, Mapping)):
        return json.dumps(value)
    inner = f"{indent}  "
    if listed:
        rows = [lines(one, deep - 1, inner) for one in value]
    else:
        rows = [f"{json.dumps(key)}: {lines(one, deep - 1, inner)}" for key, one in value.items()]
    opened, closed = "[]" if listed else "{}"
    return f"{opened}\n{inner}" + f",\n{inner}".join(rows) + f"\n{indent}{closed}"


def row(sample: Sample) -> list[float]:
    """A sample as numbers; microseconds to four figures."""
    return [*sample.sizes, float(f"{1e6 * sample.seconds:.4g}")]


def own_file(device: str) -> Path:
    """Where the table of the user's machine lies, once there is one."""
    return cache() / f"machine-{device}.json"


def cache() -> Path:
    """The folder that the variable ARCHDSL_CACHE names, else the one among the user's caches."""
    return Path(os.environ.get("ARCHDSL_CACHE") or Path.home() / ".cache" / "archdsl")


def own_machine(device: str) -> Machine | None:
    """The table of the user's machine, where there is one. Raises SpecError where only an older archdsl wrote one."""
    if own_file(device).is_file():
        return machine_of(own_file(device))
    if (old := cache() / "machine.json").is_file():
        raise SpecError(
            f"{old.name} of an older archdsl",
            at=str(old),
            want=f"a table for each device, here {own_file(device).name}",
            fix=f"delete it, then {again(device)}",
        )
    return None


def shipped_machine(device: str) -> Machine | None:
    """The table that comes along, where it is of that device."""
    shipped = replace(machine_of(SHIPPED), shipped=True)
    return shipped if shipped.device == device else None


def known_machine(device: str) -> Machine:
    """The table of the user's machine where there is one, else the one that comes along. Raises SpecError for neither.

    What passes gain that were not measured on the user's machine is as in the one that comes along.
    """
    tables = tables_of(device)
    if not tables:
        raise SpecError(f"no table of {device}", got=f"no {own_file(device)}", fix=again(device))
    return replace(tables[-1], pays={mode: choices_in(tables, mode) for mode in MODES})


def choices_on(device: str, mode: str) -> Choices:
    """What passes gain on a device, as the table that comes along has it, and before it the user's."""
    return choices_in(tables_of(device), mode)


def tables_of(device: str) -> list[Machine]:
    """The table that comes along and the user's, where they are of that device."""
    return [table for table in (shipped_machine(device), own_machine(device)) if table]


def choices_in(tables: Sequence[Machine], mode: str) -> Choices:
    """What passes gain: a later table goes before an earlier one."""
    return {name: choice for table in tables for name, choice in table.pays.get(mode, {}).items()}


def again(device: str) -> str:
    """The command that measures a device."""
    return AGAIN if device == "cpu" else f"{AGAIN} --device {device}"


def told_of(machine: Machine) -> str:
    """Whose table it is."""
    other = f", which may not be this machine (`{again(machine.device)}`)" if machine.shipped else ""
    return f"measured on {machine.name}{other}"


def machine_of(path: Path) -> Machine:
    """A table from its file. Raises SpecError where it cannot be read."""
    try:
        text = read_text(path, LARGEST)
    except SpecError as error:
        raise SpecError(replace(fault, fix=AGAIN) for fault in error.faults) from None
    try:
        return read(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        got = f"{type(error).__name__}: {error}"
        raise SpecError(
            f"{path.name} is no table of a machine", at=str(path), got=got, want=f"what {AGAIN} writes", fix=AGAIN
        ) from None


def read(data: Any) -> Machine:
    """A table from its data."""
    if data["fields"] != FIELDS:
        raise ValueError(f"fields {', '.join(map(str, data['fields']))}")
    samples = {kind: tuple(map(sample, rows)) for kind, rows in data["samples"].items()}
    if not any(samples.values()):
        raise ValueError("no samples")
    scale, empty, pays = float(data["scale"]), float(data["empty"]), pays_from(data["pays"])
    return Machine(str(data["machine"]), str(data["device"]), samples, scale, empty, pays)


def sample(numbers: list[float]) -> Sample:
    """A sample from its numbers."""
    if len(numbers) != len(FIELDS) or not all(isfinite(n) for n in numbers) or min(*numbers[:6], numbers[-1]) <= 0:
        raise ValueError(f"a sample {numbers}")
    return Sample(Sizes(*(int(n) for n in numbers[:-1])), numbers[-1] / 1e6)
