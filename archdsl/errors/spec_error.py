"""What is said when a spec cannot be: one fault, or all faults of a spec at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong: what, where in the spec, which line wrote it, what was met, what was needed, a mend."""

    what: str
    at: str | None = None
    written: str | None = None
    got: str | None = None
    want: str | None = None
    fix: str | None = None

    def __str__(self) -> str:
        rows = (("at", self.at), ("written", self.written), ("got", self.got), ("want", self.want), ("fix", self.fix))
        return "\n".join([self.what, *(f"  {name:<7} {value}" for name, value in rows if value)])

    def placed(self, at: str | None, written: str | None) -> Fault:
        """The same fault with an address and a line, where it had none."""
        return replace(self, at=self.at or at, written=self.written or written)

    def under(self, at: str | None) -> Fault:
        """The same fault, its address continued upwards."""
        return replace(self, at=".".join(filter(None, (at, self.at))) or None)


class SpecError(ValueError):
    """A person wrote something that cannot be. Carries every fault found, in the order of the spec.

    It is a ValueError so that pydantic collects it beside its own findings.
    """

    faults: tuple[Fault, ...]

    def __init__(
        self,
        what: str | Iterable[Fault],
        *,
        at: str | None = None,
        written: str | None = None,
        got: str | None = None,
        want: str | None = None,
        fix: str | None = None,
    ) -> None:
        if isinstance(what, str):
            what = (Fault(what=what, at=at, written=written, got=got, want=want, fix=fix),)
        self.faults = tuple(what)
        super().__init__("\n\n".join(map(str, self.faults)))

    def placed(self, at: str | None = None, written: str | None = None) -> SpecError:
        """The same error, its faults given an address and a line where they had none."""
        return SpecError(fault.placed(at, written) for fault in self.faults)

    def under(self, at: str | None) -> SpecError:
        """The same error, its faults' addresses continued upwards."""
        return SpecError(fault.under(at) for fault in self.faults)


def printable(text: str) -> str:
    """The text with escapes for control characters, which a terminal would obey, and for bytes that are not UTF-8."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else escaped(c) for c in text)


def escaped(character: str) -> str:
    """A character as Python spells it; a byte of a name that is not UTF-8 (PEP 383) as that byte."""
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else repr(character)[1:-1]


def excerpt(text: str) -> str:
    """What was met, as far as it helps."""
    return text if len(text) <= 80 else text[:77] + "..."
