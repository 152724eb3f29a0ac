"""Digits that stand, move and stop on a still background, and everything that is true of them, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from archdsl.training.data.random_numbers import random_below
from archdsl.training.data.synthetic.motion import DIGIT_BITMAPS, MOTION_DIRECTIONS, MOTION_FPS

SPEEDS = (1, 3)
"""Pixels per frame."""
MOTIONS = tuple((direction, speed) for direction in MOTION_DIRECTIONS for speed in SPEEDS)
"""Direction and speed of each class of motion."""
MOTION_NAMES = tuple(f"{direction} at {speed} px per frame" for direction, speed in MOTIONS)
DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MANNERS = {1: "slowly", 3: "fast"}
WAYS = {"right": "moves right", "left": "moves left", "up": "moves up", "down": "moves down"}
SOUND_RATE = 8000
"""Samples per second of the sound."""


class Digit(NamedTuple):
    """A digit and its one movement: it stands, moves from frame `first` to frame `last`, and stands again."""

    digit: int
    motion: int
    """Class of its motion: an index of MOTIONS."""
    row: int
    column: int
    """Of its top left corner before it moves."""
    first: int
    last: int
    colour: tuple[float, float, float]
    """From 0 to 1."""

    @property
    def velocity(self) -> tuple[int, int]:
        """(rows, columns) per frame while it moves."""
        direction, speed = MOTIONS[self.motion]
        down, right = MOTION_DIRECTIONS[direction]
        return down * speed, right * speed


@dataclass(frozen=True)
class Truth:
    """A scene: digits in front of a ground, the last one nearest, over `frames` frames of (height, width)."""

    digits: tuple[Digit, ...]
    frames: int
    height: int
    width: int
    seed: str

    @property
    def dot(self) -> int:
        """Side of one dot of a digit: digits are 3 dots wide and 5 high."""
        return dot_of(self.height, self.width)

    @cached_property
    def places(self) -> Tensor:
        """Row and column of every digit at every frame, and at one more.  (frames + 1, digits, 2)"""
        time = torch.arange(self.frames + 1)
        moved = torch.stack([time.clamp(one.first, one.last) - one.first for one in self.digits], dim=1)
        start = torch.tensor([(one.row, one.column) for one in self.digits])
        return start + moved[..., None] * torch.tensor([one.velocity for one in self.digits])

    @property
    def boxes(self) -> Tensor:
        """x1, y1, x2, y2 in pixels of every digit at every frame.  (frames, digits, 4)"""
        top, left = self.places[:-1, :, 0], self.places[:-1, :, 1]
        return torch.stack([left, top, left + 3 * self.dot, top + 5 * self.dot], dim=2).float()

    @property
    def classes(self) -> Tensor:
        """Which digit each is.  (digits,)"""
        return torch.tensor([one.digit for one in self.digits])

    @property
    def motions(self) -> Tensor:
        """How each moves.  (digits,)"""
        return torch.tensor([one.motion for one in self.digits])

    @property
    def moving(self) -> Tensor:
        """Whether each is moving, from each frame to the next.  (frames, digits)"""
        return (self.places[1:] != self.places[:-1]).any(2)

    @cached_property
    def owners(self) -> Tensor:
        """Which digit shows at each pixel, by its index from 1 on; 0 where the ground does.  (frames, height, width)"""
        owners = torch.zeros(self.frames, self.height, self.width, dtype=torch.long)
        for i, one in enumerate(self.digits):
            glyph = DIGIT_BITMAPS[one.digit].repeat_interleave(self.dot, 0).repeat_interleave(self.dot, 1).bool()
            for owner, (row, column) in zip(owners, self.places[:, i].tolist()):
                owner[row : row + glyph.shape[0], column : column + glyph.shape[1]][glyph] = i + 1
        return owners

    @property
    def digit_map(self) -> Tensor:
        """Class of every pixel: 0 the ground, then the digits from 1 on.  (frames, height, width)"""
        return torch.cat([torch.zeros(1, dtype=torch.long), self.classes + 1])[self.owners]

    @property
    def motion_map(self) -> Tensor:
        """Class of every pixel: 0 what stands, then the motions from 1 on.  (frames, height, width)"""
        known = torch.cat([torch.zeros(self.frames, 1, dtype=torch.long), (self.motions + 1) * self.moving], dim=1)
        return known.gather(1, self.owners.flatten(1)).view_as(self.owners)

    @property
    def flow(self) -> Tensor:
        """Where each pixel moves until the next frame, (x, y) in pixels.  (2, frames, height, width)"""
        steps = (self.places[1:] - self.places[:-1]).flip(2).float()  # rows, columns -> x, y
        steps = torch.cat([torch.zeros(self.frames, 1, 2), steps], dim=1)
        rows = torch.arange(self.frames)[:, None, None]
        return steps[rows, self.owners].permute(3, 0, 1, 2)

    @property
    def actions(self) -> list[tuple[int, int, int]]:
        """(motion, first frame, last frame) of every movement, by its start."""
        return sorted(((one.motion, one.first, one.last) for one in self.digits), key=lambda action: action[1:])

    @property
    def caption(self) -> str:
        """`a three moves left fast and a nine moves up slowly`"""
        said = []
        for one in self.digits:
            direction, speed = MOTIONS[one.motion]
            article = "an" if one.digit == 8 else "a"
            said.append(f"{article} {DIGIT_NAMES[one.digit]} {WAYS[direction]} {MANNERS[speed]}")
        return " and ".join(said)

    @property
    def tones(self) -> Tensor:
        """Which motions sound at each frame: each has a tone while it lasts.  (frames, motions)"""
        tones = torch.zeros(self.frames, len(MOTIONS))
        for i, one in enumerate(self.digits):
            tones[self.moving[:, i], one.motion] = 1
        return tones

    @property
    def sound(self) -> Tensor:
        """A wave from -1 to 1 at SOUND_RATE: a tone for each motion while it lasts.  (samples,)"""
        per_frame = SOUND_RATE // MOTION_FPS
        time = torch.arange(self.frames * per_frame, dtype=torch.float64) / SOUND_RATE
        pitches = 220 * 2 ** (torch.arange(len(MOTIONS), dtype=torch.float64) / 3)
        waves = torch.sin(2 * torch.pi * pitches * time[:, None]) * self.tones.repeat_interleave(per_frame, 0)
        return (waves.sum(1) / len(self.digits)).float()

    @cached_property
    def pictures(self) -> Tensor:
        """The frames as pixels.  (3, frames, height, width) uint8"""
        colours = torch.tensor([one.colour for one in self.digits])
        rng = Random(f"{self.seed} ground")
        patches = torch.tensor([rng.random() for _ in range(3 * 8 * 8)]).view(1, 3, 8, 8)
        ground = 0.4 * interpolate(patches, size=(self.height, self.width))[0]
        inked = torch.cat([torch.zeros(1, 3), colours])[self.owners].permute(3, 0, 1, 2)
        pictures = torch.where(self.owners > 0, inked, ground[:, None])
        return (pictures * 255).round().to(torch.uint8)


def dot_of(height: int, width: int) -> int:
    """Side of one dot of a digit in frames of a size."""
    return max(1, min(height // 16, width // 16))


def draw_truth(
    seed: str,
    frames: int,
    height: int,
    width: int,
    *,
    digits: tuple[int, int],
    motion: int | None = None,
    key: int | None = None,
) -> Truth:
    """A scene of some digits, from the fewest to the most of `digits`; all have `motion` where it is given.

    A movement lasts as long as the digit stays in the frame, within the clip, at most: so its end is exact too. Where
    there is a `key` frame, digits may be anywhere in it, however they move: nothing of that frame tells a motion.
    """
    rng = Random(seed)
    dot = dot_of(height, width)
    found = []
    for _ in range(digits[0] + random_below(digits[1] - digits[0] + 1, rng)):
        digit = random_below(10, rng)
        chosen = random_below(len(MOTIONS), rng) if motion is None else motion
        rooms = (height - 5 * dot, width - 3 * dot)
        course = drawn_course(chosen, frames, rooms, rng) if key is None else course_by(key, chosen, frames, rooms, rng)
        colour = (0.7 + 0.3 * rng.random(), 0.7 + 0.3 * rng.random(), 0.7 + 0.3 * rng.random())
        found.append(Digit(digit, chosen, *course, colour))
    return Truth(tuple(found), frames, height, width, seed)


class Course(NamedTuple):
    """Where a digit stands before it moves, and from when to when it does."""

    row: int
    column: int
    first: int
    last: int


def along_axis(motion: int) -> tuple[int, int, int]:
    """(axis: 0 for rows, 1 for columns; 1 ahead or -1 back; pixels per frame) of a motion."""
    direction, speed = MOTIONS[motion]
    down, right = MOTION_DIRECTIONS[direction]
    return (0, down, speed) if down else (1, right, speed)


def drawn_course(motion: int, frames: int, rooms: tuple[int, int], rng: Random) -> Course:
    """A course that lasts from half as long as it can to as long, at some time of the clip."""
    axis, sign, speed = along_axis(motion)
    longest = min(frames, rooms[axis] // speed)
    length = longest - random_below(longest // 2 + 1, rng)
    first = random_below(max(frames - length, 0) + 1, rng)
    place = [random_below(room + 1, rng) for room in rooms]
    along = random_below(rooms[axis] - length * speed + 1, rng)
    place[axis] = along if sign > 0 else along + length * speed
    return Course(place[0], place[1], first, first + length)


def course_by(key: int, motion: int, frames: int, rooms: tuple[int, int], rng: Random) -> Course:
    """The longest course by a place that is drawn first: that of frame `key`."""
    axis, sign, speed = along_axis(motion)
    place = [random_below(room + 1, rng) for room in rooms]
    behind, ahead = (place[axis], rooms[axis] - place[axis])[::sign]
    before, after = min(key, behind // speed), min(frames - key, ahead // speed)
    place[axis] -= sign * speed * before
    return Course(place[0], place[1], key - before, key + after)
