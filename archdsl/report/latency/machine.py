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
from archdsl.report.latency.cases import CaseSizes
from archdsl.report.lowering_policy import MODES, PassChoices, PassesByMode, passes_by_mode
from archdsl.spec.files import read_text

SHIPPED = Path(__file__).with_name("machine.json")
CALIBRATE_COMMAND = "archdsl bench --calibrate"
SAMPLE_FIELDS = [*CaseSizes._fields, "microseconds"]
"""The numbers of a sample, in order."""
MAX_TABLE_BYTES = 10_000_000
"""Bytes of a table; the one that comes along has 40,000."""
NEIGHBOURS = 4
"""Samples between which a time is interpolated."""


class TimedCase(NamedTuple):
    """A case that was measured."""

    sizes: CaseSizes
    seconds: float


@dataclass(frozen=True)
class Machine:
    """What one machine did."""

    name: str
    device: str
    samples: Mapping[str, tuple[TimedCase, ...]]
    """By kind of case."""
    scale: float = 1.0
    """How much longer a case takes among others than alone."""
    empty: float = 0.0
    """Seconds of a network that does nothing: a case alone has them, a case among others has not."""
    pays: PassesByMode = field(default_factory=dict)
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

    def roof(self, sizes: CaseSizes) -> float:
        """Seconds below which no case of these sizes was seen."""
        macs, bytes_, least = self.ceilings
        return max(sizes.macs / macs if macs else 0.0, sizes.bytes / bytes_, least)

    def alone(self, kind: str, sizes: CaseSizes) -> float:
        """Seconds of a case by itself: as far above its base as the nearest samples of its kind, by 1 / distance^2.

        A kind that was never measured takes what the roof says.
        """
        near = sorted((dist(sizes.point, sample.sizes.point), sample) for sample in self.samples.get(kind, ()))[
            :NEIGHBOURS
        ]
        if not near:
            return self.roof(sizes)
        if near[0][0] == 0:
            return near[0][1].seconds
        weights = [away**-2 for away, _ in near]
        above = [log(sample.seconds / self.base(sample.sizes)) for _, sample in near]
        mean = fsum(weight * one for weight, one in zip(weights, above)) / fsum(weights)
        return max(self.roof(sizes), self.base(sizes) * exp(mean))

    def base(self, sizes: CaseSizes) -> float:
        """What grows about as time does: a call, and multiply-adds and bytes one after the other."""
        macs, bytes_, least = self.ceilings
        return least + (sizes.macs / macs if macs else 0.0) + sizes.bytes / bytes_

    def seconds(self, kind: str, sizes: CaseSizes) -> float:
        """Seconds of a case among others."""
        return self.scale * max(0.0, self.alone(kind, sizes) - self.empty)

    def text(self) -> str:
        """As a file: JSON, a sample or a choice on each line."""
        samples = {kind: [sample_row(one) for one in found] for kind, found in sorted(self.samples.items())}
        head = {"machine": self.name, "device": self.device, "scale": self.scale, "empty": self.empty}
        return json_lines({**head, "fields": SAMPLE_FIELDS, "pays": self.pays, "samples": samples}, deep=3) + "\n"


def json_lines(value: Any, deep: int, indent: str = "") -> str:
    """JSON; what a mapping has, or a list of lists, on lines of their own so many levels deep."""
    listed = isinstance(value, list) and all(isinstance(one, list) for one in value)
    if not deep or not value or not (listed or isinstance(value, Mapping)):
        return json.dumps(value)
    inner = f"{indent}  "
    if listed:
        rows = [json_lines(one, deep - 1, inner) for one in value]
    else:
        rows = [f"{json.dumps(key)}: {json_lines(one, deep - 1, inner)}" for key, one in value.items()]
    opened, closed = "[]" if listed else "{}"
    return f"{opened}\n{inner}" + f",\n{inner}".join(rows) + f"\n{indent}{closed}"


def sample_row(sample: TimedCase) -> list[float]:
    """A sample as numbers; microseconds to four figures."""
    return [*sample.sizes, float(f"{1e6 * sample.seconds:.4g}")]


def user_table_file(device: str) -> Path:
    """Where the table of the user's machine lies, once there is one."""
    return cache_folder() / f"machine-{device}.json"


def cache_folder() -> Path:
    """The folder that the variable ARCHDSL_CACHE names, else the one among the user's caches."""
    return Path(os.environ.get("ARCHDSL_CACHE") or Path.home() / ".cache" / "archdsl")


def user_machine(device: str) -> Machine | None:
    """The table of the user's machine, where there is one. Raises SpecError where only an older archdsl wrote one."""
    if user_table_file(device).is_file():
        return read_machine(user_table_file(device))
    if (old := cache_folder() / "machine.json").is_file():
        raise SpecError(
            f"{old.name} of an older archdsl",
            at=str(old),
            want=f"a table for each device, here {user_table_file(device).name}",
            fix=f"delete it, then {calibrate_command(device)}",
        )
    return None


def shipped_machine(device: str) -> Machine | None:
    """The table that comes along, where it is of that device."""
    shipped = replace(read_machine(SHIPPED), shipped=True)
    return shipped if shipped.device == device else None


def known_machine(device: str) -> Machine:
    """The table of the user's machine where there is one, else the one that comes along. Raises SpecError for neither.

    What passes gain that were not measured on the user's machine is as in the one that comes along.
    """
    tables = tables_of(device)
    if not tables:
        raise SpecError(f"no table of {device}", got=f"no {user_table_file(device)}", fix=calibrate_command(device))
    return replace(tables[-1], pays={mode: merged_passes(tables, mode) for mode in MODES})


def passes_on(device: str, mode: str) -> PassChoices:
    """What passes gain on a device, as the table that comes along has it, and before it the user's."""
    return merged_passes(tables_of(device), mode)


def tables_of(device: str) -> list[Machine]:
    """The table that comes along and the user's, where they are of that device."""
    return [table for table in (shipped_machine(device), user_machine(device)) if table]


def merged_passes(tables: Sequence[Machine], mode: str) -> PassChoices:
    """What passes gain: a later table goes before an earlier one."""
    return {name: choice for table in tables for name, choice in table.pays.get(mode, {}).items()}


def calibrate_command(device: str) -> str:
    """The command that measures a device."""
    return CALIBRATE_COMMAND if device == "cpu" else f"{CALIBRATE_COMMAND} --device {device}"


def origin_of(machine: Machine) -> str:
    """Whose table it is."""
    other = f", which may not be this machine (`{calibrate_command(machine.device)}`)" if machine.shipped else ""
    return f"measured on {machine.name}{other}"


def read_machine(path: Path) -> Machine:
    """A table from its file. Raises SpecError where it cannot be read."""
    try:
        text = read_text(path, MAX_TABLE_BYTES)
    except SpecError as error:
        raise SpecError(replace(fault, fix=CALIBRATE_COMMAND) for fault in error.faults) from None
    try:
        return machine_from_json(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        got = f"{type(error).__name__}: {error}"
        raise SpecError(
            f"{path.name} is no table of a machine",
            at=str(path),
            got=got,
            want=f"what {CALIBRATE_COMMAND} writes",
            fix=CALIBRATE_COMMAND,
        ) from None


def machine_from_json(data: Any) -> Machine:
    """A table from its data."""
    if data["fields"] != SAMPLE_FIELDS:
        raise ValueError(f"fields {', '.join(map(str, data['fields']))}")
    samples = {kind: tuple(map(sample_from_row, rows)) for kind, rows in data["samples"].items()}
    if not any(samples.values()):
        raise ValueError("no samples")
    scale, empty, pays = float(data["scale"]), float(data["empty"]), passes_by_mode(data["pays"])
    return Machine(str(data["machine"]), str(data["device"]), samples, scale, empty, pays)


def sample_from_row(numbers: list[float]) -> TimedCase:
    """A sample from its numbers."""
    if (
        len(numbers) != len(SAMPLE_FIELDS)
        or not all(isfinite(n) for n in numbers)
        or min(*numbers[:6], numbers[-1]) <= 0
    ):
        raise ValueError(f"a sample {numbers}")
    return TimedCase(CaseSizes(*(int(n) for n in numbers[:-1])), numbers[-1] / 1e6)
