"""What every transform has."""

from __future__ import annotations

from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.spec.base import Written


class Transform(Written):
    """What brings a source's map into the target's time and width. `build` sees both."""

    def summary(self) -> tuple[str, ...]:
        """Lines that tell of it in drawings; by default none: its ops do."""
        return ()

    def build(self, g: Builder, x: str, target: str) -> str:
        """Add ops that read `x`; give the address of the result."""
        raise SpecError(
            f"{type(self).__name__} has no build",
            written=self.written,
            want="a method that adds ops",
            fix="def build(self, g, x, target): ...",
        )
