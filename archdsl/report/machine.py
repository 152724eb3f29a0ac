"""A table of cases that were measured on a machine: one comes along, `archdsl bench --calibrate` writes the user's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import dist, exp, fsum, isfinite, log
from pathlib import Path
from typing import Any, NamedTuple

from archdsl.errors import SpecError
from archdsl.report.cases import Sizes

SHIPPED = Path(__file__).with_name("machine.json")
AGAIN = "archdsl bench --calibrate"
FIELDS = [*Sizes._fields, "microseconds"]
"""The numbers of a sample, in order."""
NEAREST = 4
"""Samples between which a time is interpolated."""

Pays = Mapping[str, Mapping[str, Mapping[str, bool]]]
"""{device: {mode: {pass: whether it pays}}}"""


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
    """Passes that were measured there."""
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
        """As a file: JSON, a sample on each line."""
        head = {"machine": self.name, "device": self.device, "scale": self.scale, "empty": self.empty}
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in (*head.items(), ("fields", FIELDS))]
        kinds = [
            f"    {json.dumps(kind)}: [\n" + ",\n".join(f"      {json.dumps(row(one))}" for one in found) + "\n    ]"
            for kind, found in sorted(self.samples.items())
        ]
        pays = f"  {json.dumps('pays')}: {json.dumps(self.pays)}"
        return "\n".join(["{", *lines, '  "samples": {', ",\n".join(kinds), "  },", pays, "}", ""])


def row(sample: Sample) -> list[float]:
    """A sample as numbers; microseconds to four figures."""
    return [*sample.sizes, float(f"{1e6 * sample.seconds:.4g}")]


def own_file() -> Path:
    """Where the table of the user's machine lies, once there is one."""
    return cache() / "machine.json"


def cache() -> Path:
    """The folder that the variable ARCHDSL_CACHE names, else the one among the user's caches."""
    return Path(os.environ.get("ARCHDSL_CACHE") or Path.home() / ".cache" / "archdsl")


def own_machine() -> Machine | None:
    """The table of the user's machine, where there is one."""
    return machine_of(own_file()) if own_file().is_file() else None


def known_machine() -> Machine:
    """The table of the user's machine where there is one, else the one that comes along."""
    return own_machine() or replace(machine_of(SHIPPED), shipped=True)


def told_of(machine: Machine) -> str:
    """Whose table it is."""
    return f"measured on {machine.name}" + (f", which may not be this machine (`{AGAIN}`)" if machine.shipped else "")


def machine_of(path: Path) -> Machine:
    """A table from its file. Raises SpecError where it cannot be read."""
    try:
        return read(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SpecError(f"cannot read {path}", got=error.strerror or str(error), fix=AGAIN) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
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
    pays = {device: {mode: dict(found) for mode, found in modes.items()} for device, modes in data["pays"].items()}
    return Machine(str(data["machine"]), str(data["device"]), samples, float(data["scale"]), float(data["empty"]), pays)


def sample(numbers: list[float]) -> Sample:
    """A sample from its numbers."""
    if len(numbers) != len(FIELDS) or not all(isfinite(n) for n in numbers) or min(*numbers[:6], numbers[-1]) <= 0:
        raise ValueError(f"a sample {numbers}")
    return Sample(Sizes(*(int(n) for n in numbers[:-1])), numbers[-1] / 1e6)
