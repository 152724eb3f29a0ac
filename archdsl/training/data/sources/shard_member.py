"""A video inside a shard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from archdsl.errors import SpecError
from archdsl.spec.files import open_regular
from archdsl.training.data.clips import Unreadable

MAX_MEMBER_BYTES = 1 << 30
"""Bytes of a video in a shard, which is read into memory."""


@dataclass(frozen=True)
class ShardMember:
    """Position of a video's bytes in a shard."""

    file: Path
    start: int
    size: int
    fault: str = ""
    """Why there is no video."""

    def read(self, name: str) -> bytes:
        """The video in memory: no file is written under a name from the shard. Raises Unreadable."""
        if self.fault or not 0 < self.size <= MAX_MEMBER_BYTES:
            raise Unreadable(
                name, self.fault or (f"more than {MAX_MEMBER_BYTES} bytes" if self.size else "an empty file")
            )
        try:
            with open_regular(self.file) as file:
                file.seek(self.start)
                data = file.read(self.size)
        except SpecError as error:
            raise Unreadable(name, f"{self.file.name}: {error.faults[0].got}") from None
        if len(data) < self.size:
            raise Unreadable(name, f"{self.file.name} ends before it does")
        return data
