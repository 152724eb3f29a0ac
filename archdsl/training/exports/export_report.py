"""What an export wrote, and how near that is to the network."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from archdsl.report.number_format import short

FORMS = {".onnx": "ONNX", ".pt2": "torch.export", ".safetensors": "weights", "": "folder"}
"""Suffix -> what is written."""
PROGRAMS = (".onnx", ".pt2")
MOST_DIFFERENCE = 1e-3
"""Share of the largest score beyond which a file is not the network."""
MOST_ROUNDED = 0.1
"""Of a program in 8 bits: engines round halves otherwise, and a step of a map is 1/255 of its range."""

TIMES_ROUNDING = 4
"""How many times what single precision itself rounds away a file may differ: it adds in another order."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """What was written."""

    output: str
    form: str
    model: str
    weights: str | None
    """Where they are from; None where they are as initialised."""
    bytes: int
    difference: float
    """The largest between what the file and the network give, as a share of the largest number of each output."""
    compared_with: str
    rounding: float = 0.0
    """Where that is large: what the network differs by from itself in double precision."""
    passes: tuple[str, ...] = ()
    frozen: bool = False
    batch: int | None = None
    """Clips that a program takes at once; None for any."""
    why_fixed: str = ""
    """Why not any, in torch's words."""
    notes: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.model} -> {self.output}: {self.form}, {short(self.bytes)}B"]
        lines += [f"  weights  {self.weights or 'as initialised (--weights FILE, or a run, brings others)'}"]
        if self.form in (FORMS[suffix] for suffix in PROGRAMS):
            lowered = ", ".join(self.passes) or "literal"
            lines += [f"  network  {lowered}{', frozen' if self.frozen else ''}"]
            why = f" (not any: {self.why_fixed})" if self.why_fixed else ""
            lines += [f"  clips    {self.batch or 'any number'} at once{why}"]
        lines += [f"  parity   {self.compared_with}: they differ by {self.difference:.1e} of the largest score at most"]
        said = f"{self.rounding:.1e} off in double precision: its scores have no more digits"
        lines += [f"  rounding the network itself is {said}"] if self.rounding else []
        return "\n".join([*lines, *(f"  note     {note}" for note in self.notes)])
