"""Storages of tensors: who holds them, and how much lives."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class StoragePool:
    """Storages with their reference counts; how much lives, and the most that did."""

    sizes: list[int] = field(default_factory=list)
    holders: list[int] = field(default_factory=list)
    live: int = 0
    peak: int = 0
    """The most that lived since it was last read."""

    def new(self, size: int) -> int:
        """A storage with one holder."""
        self.sizes.append(size)
        self.holders.append(1)
        self.live += size
        self.peak = max(self.peak, self.live)
        return len(self.sizes) - 1

    def hold(self, storage: int) -> int:
        """One holder more."""
        self.holders[storage] += 1
        return storage

    def drop(self, storage: int) -> None:
        """One holder less; without holders it is freed."""
        self.holders[storage] -= 1
        if not self.holders[storage]:
            self.live -= self.sizes[storage]

    def passing(self, size: int) -> None:
        """Temporaries that are gone at once."""
        self.peak = max(self.peak, self.live + size)

    def read(self) -> int:
        """The peak, which begins anew."""
        peak, self.peak = self.peak, self.live
        return peak
