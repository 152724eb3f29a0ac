"""Synthetic clips whose class is a motion: digits that drift over a still background.

Every clip is a function of (seed, index). No single frame tells the class: places are uniform on a torus, so that any
one frame of any class has the same distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.random_numbers import random_below

MOTION_DIRECTIONS = {"right": (0, 1), "down": (1, 0), "left": (0, -1), "up": (-1, 0)}
"""Name -> (rows, columns) per step."""

GLYPHS = (
    "111101101101111 010110010010111 111001111100111 111001011001111 101101111001001 "
    "111100111001111 111100111101111 111001010010010 111101111101111 111101111001111"
)
"""The ten digits, 3 wide and 5 high, row after row."""
DIGIT_BITMAPS = torch.tensor([[int(bit) for bit in glyph] for glyph in GLYPHS.split()]).view(10, 5, 3)
"""(10, 5, 3), 1 where there is ink."""
MOTION_FPS = 25
"""Frames per second of the clips as videos."""
PIXEL = 4
"""Side of one dot of a digit: digits are 12 wide and 20 high."""


class Scene(NamedTuple):
    """The content of a clip before it moves. Leading axis n in a batch."""

    ink: Tensor
    """(height, width), 1 where a digit is."""
    colour: Tensor
    """(3,) of the digits"""
    ground: Tensor
    """(3, height, width), still."""


@dataclass(frozen=True)
class MovingDigits:
    """`count` clips (3, frames, size, size) in [-1, 1] with the label direction x speed.

    `frozen` repeats the first frame, so that nothing moves: what a single frame can tell.
    """

    count: int
    seed: int
    frames: int = 16
    size: int = 64
    speeds: tuple[int, ...] = (1, 3)
    frozen: bool = False
    clip: str = "clip"
    """What the arch calls its clip."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of labels."""
        return tuple(f"{direction} at {speed} px per frame" for direction in MOTION_DIRECTIONS for speed in self.speeds)

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The clips of these indices and their labels.  (n, 3, frames, size, size), (n,)"""
        drawn = [self.draw(index) for index in indices]
        labels = torch.tensor([label for label, _ in drawn])
        scenes = Scene(*map(torch.stack, zip(*(scene for _, scene in drawn), strict=True)))
        return render(scenes, self.shifts(labels)), labels

    @property
    def multi_label(self) -> bool:
        """One label each."""
        return False

    def name(self, index: int) -> str:
        """Its place in the sequence."""
        return f"motion/{self.seed}/{index}"

    def labels(self, index: int) -> tuple[int, ...]:
        """Its class: classes take turns, so that every one is equally often there."""
        return (index % len(self.classes),)

    def identifier(self, index: int) -> str:
        """Its name, and what it shows beside its class."""
        return f"{self.name(index)} {self.labels(index)} {self.frozen}"

    def read(self, index: int, request: ClipRequest) -> Sample:
        """A clip as pixels; the request's seed changes nothing."""
        clips, labels = self.batch([index])
        pixels = (clips[0] * 127.5 + 127.5).round().to(torch.uint8)
        return Sample({self.clip: pixels}, labels[0], self.name(index), 0.0, (self.frames - 1) / MOTION_FPS)

    def draw(self, index: int) -> tuple[int, Scene]:
        """Label and scene of one clip."""
        # Not torch's generator: its Mersenne Twister keeps 32 bits of a seed (torch 2.13), so that seeds would meet.
        rng = Random(f"{self.seed} {index}")
        ink = torch.zeros(self.size, self.size)
        for _ in range(2):
            glyph = DIGIT_BITMAPS[random_below(10, rng)].repeat_interleave(PIXEL, 0).repeat_interleave(PIXEL, 1)
            rows = (torch.arange(glyph.shape[0]) + random_below(self.size, rng)) % self.size
            columns = (torch.arange(glyph.shape[1]) + random_below(self.size, rng)) % self.size
            ink[rows[:, None], columns] += glyph
        colour = 0.4 + 0.6 * torch.tensor([rng.random() for _ in range(3)])
        patches = torch.tensor([rng.random() for _ in range(3 * 8 * 8)]).view(1, 3, 8, 8)
        ground = interpolate(patches, size=(self.size, self.size))[0]
        return self.labels(index)[0], Scene(ink.clamp(max=1), colour, -1 + 0.8 * ground)

    def shifts(self, labels: Tensor) -> Tensor:
        """Displacement at each frame, in rows and columns.  (n,) -> (n, frames, 2)"""
        steps = torch.tensor([(r * speed, c * speed) for r, c in MOTION_DIRECTIONS.values() for speed in self.speeds])
        time = torch.zeros(self.frames, dtype=torch.long) if self.frozen else torch.arange(self.frames)
        return time[:, None] * steps[labels][:, None]


def render(scenes: Scene, shifts: Tensor) -> Tensor:
    """Render every frame, its ink shifted around the edges.  (n, frames, 2) -> (n, 3, frames, size, size)"""
    size = scenes.ink.shape[-1]
    place = torch.arange(size)
    rows = (place - shifts[..., 0, None]) % size
    columns = (place - shifts[..., 1, None]) % size
    clips = torch.arange(len(shifts))[:, None, None, None]
    ink = scenes.ink[clips, rows[..., :, None], columns[..., None, :]][:, None]
    return ink * scenes.colour[:, :, None, None, None] + (1 - ink) * scenes.ground[:, :, None]
