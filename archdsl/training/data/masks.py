"""Masks of clips for masked pre-training: which parts an encoder reads, which a decoder fills in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from math import prod, sqrt
from pathlib import Path
from random import Random
from typing import Literal

import torch
from torch import Tensor

from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language.recipes.recipe import Recipe
from archdsl.ops import KeepUnits
from archdsl.ops import MaskTokens as MaskTokensOp
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.sources.discovery import entries_below, videos_for
from archdsl.training.data.sources.videos import Files, VideoEntry
from archdsl.training.data.synthetic.motion import MovingDigits
from archdsl.training.data.synthetic.scenes import Scenes

MaskKind = Literal["parts", "cells", "blocks"]
BLOCK_MASKS = ((8, 0.15), (2, 0.7))
"""(blocks, share of a frame's parts that each covers) of V-JEPA 2's two kinds of masks."""
ASPECTS = 0.75, 1.5
"""Least and largest height of a block over its width."""
MOST_TRIES = 200
"""Masks that are drawn until one leaves enough parts and covers enough."""


@dataclass(frozen=True)
class Masks:
    """The mask of a network: a clip of two channels, in which 1 says what is kept, and what is filled in."""

    clip: str
    size: tuple[int, int, int]
    """Parts along (t, h, w)."""
    kept: int
    filled: int
    kind: MaskKind
    channels: int = 2

    @classmethod
    def of(cls, plan: Plan, kind: MaskKind | None) -> Masks:
        """Those of a network that keeps parts and fills in others. Raises SpecError for any other."""
        keeps = [node for node in plan.nodes if isinstance(node.op, KeepUnits)]
        tokens = [node.op for node in plan.nodes if isinstance(node.op, MaskTokensOp)]
        if not keeps or len(tokens) != 1 or keeps[0].reads[1] not in plan.arch.clips:
            raise SpecError(
                f"{plan.name} is not trained by masks",
                at="head",
                written=plan.arch.head.written,
                got="no mask that is a clip" if tokens else "no mask_tokens",
                want="a stage of `keep`, which reads a clip of modality mask, and one of `mask_tokens`",
            )
        name = keeps[0].reads[1]
        shape, kept = plan.inputs[name], sum(keeps[0].op.counts)  # type: ignore[attr-defined]
        size = (shape[1], shape[2], shape[3])
        rest = kept + tokens[0].count == prod(size)
        return cls(name, size, kept, tokens[0].count, kind or ("parts" if rest else "cells"), shape[0])

    def check(self) -> None:
        """Raises SpecError where no such mask keeps and fills in as many parts as the network does."""
        t, h, w = self.size
        least = {
            "parts": self.kept + self.filled <= t * h * w,
            "cells": self.kept % t == 0 and self.filled == t * h * w // 2 and h % 2 == w % 2 == 0,
            "blocks": any(block_masks(self, Random(seed)) is not None for seed in range(4)),
        }
        if not least[self.kind]:
            want = {
                "parts": f"at most {t * h * w} parts together",
                "cells": "as many in each frame, and half of all parts filled in; even height and width",
                "blocks": "numbers that masks of blocks often leave and cover: a fifth and a half",
            }
            raise SpecError(
                f"no masks of kind {self.kind} for the network",
                at=f"clips.{self.clip}",
                got=f"{self.kept} kept and {self.filled} filled in, of {t} x {h} x {w}",
                want=want[self.kind],
            )

    def drawn(self, seed: str) -> Tensor:
        """A mask.  (channels, t, h, w)"""
        rng = Random(seed)
        kept, filled = DRAWN[self.kind](self, rng)
        mask = torch.zeros(self.channels, *self.size)
        mask[0], mask[1] = kept, filled
        return mask

    def beside(self, sample: Sample, index: int, request: ClipRequest) -> Sample:
        """A sample with a mask: in training a new one each time, in tests always the same."""
        seed = f"mask {request.seed}" if request.training else f"mask of test {index} {request.clip}"
        return sample._replace(frames={**sample.frames, self.clip: self.drawn(seed)})


def part_masks(masks: Masks, rng: Random) -> tuple[Tensor, Tensor]:
    """Parts at random, and the first of the others: all of them in VideoMAE and Hiera."""
    order = list(range(prod(masks.size)))
    rng.shuffle(order)
    return ones_at(masks.size, order[: masks.kept]), ones_at(masks.size, order[masks.kept :][: masks.filled])


def cell_masks(masks: Masks, rng: Random) -> tuple[Tensor, Tensor]:
    """Tubes, and two of each four neighbours, others from frame to frame (VideoMAE V2, arXiv:2303.16727)."""
    t, h, w = masks.size
    kept = ones_at((1, h, w), rng.sample(range(h * w), masks.kept // t)).expand(t, -1, -1)
    first, queue = rng.randrange(4), torch.tensor([1.0, 1, 0, 0])
    frames = [queue.roll(-(first + i + 1)).view(2, 2).repeat(h // 2, w // 2) for i in range(t)]
    return kept, torch.stack(frames)


def block_masks(masks: Masks, rng: Random) -> tuple[Tensor, Tensor] | None:
    """What blocks through all frames leave free, and what they cover, with the number of the kind of mask."""
    t, h, w = masks.size
    for _ in range(MOST_TRIES):
        kind = rng.randrange(len(BLOCK_MASKS))
        count, share = BLOCK_MASKS[kind]
        area, aspect = int(share * h * w), rng.uniform(*ASPECTS)
        rows = min(max(round(sqrt(area * aspect)), 1), h)
        columns = min(max(round(sqrt(area / aspect)), 1), w)
        covered = torch.zeros(h, w)
        for _ in range(count):
            top, left = rng.randint(0, h - rows), rng.randint(0, w - columns)
            covered[top : top + rows, left : left + columns] = 1
        over = int(covered.sum())
        if t * (h * w - over) >= masks.kept and t * over >= masks.filled:
            frames = covered.expand(t, -1, -1)
            return 1 - frames, frames * (kind + 1)
    return None


def certain_blocks(masks: Masks, rng: Random) -> tuple[Tensor, Tensor]:
    """The same, of a network that was checked: another try where one ran out."""
    while (found := block_masks(masks, rng)) is None:
        pass
    return found


DRAWN: dict[str, Callable[[Masks, Random], tuple[Tensor, Tensor]]] = {
    "parts": part_masks,
    "cells": cell_masks,
    "blocks": certain_blocks,
}
"""How a mask of each kind is drawn."""


def ones_at(size: tuple[int, int, int], places: list[int]) -> Tensor:
    """1 at some places of a map, 0 elsewhere.  (t, h, w)"""
    found = torch.zeros(prod(size))
    found[places] = 1
    return found.view(size)


@dataclass(frozen=True)
class MaskedDigits:
    """Built-in data that classification is trained on, with a mask beside each clip; labels are not read."""

    videos: MovingDigits | Scenes
    masks: Masks
    classes: tuple[str, ...] = ()
    multi_label: bool = False

    def __len__(self) -> int:
        return len(self.videos)

    def name(self, index: int) -> str:
        """Its place in the sequence."""
        return self.videos.name(index)

    def labels(self, index: int) -> tuple[int, ...]:
        """None."""
        return ()

    def identifier(self, index: int) -> str:
        """Its name, and what it shows."""
        return self.videos.identifier(index)

    def read(self, index: int, request: ClipRequest) -> Sample:
        """A clip and a mask."""
        sample = self.videos.read(index, request)
        return self.masks.beside(sample._replace(targets=torch.tensor(0)), index, request)


@dataclass(frozen=True)
class MaskedFiles(Files):
    """Videos with a mask beside each clip; their labels are not read."""

    masks: Masks = field(kw_only=True)

    def labels(self, index: int) -> tuple[int, ...]:
        return ()

    def label(self, entry: VideoEntry, request: ClipRequest, start: float, end: float) -> Tensor:
        return torch.tensor(0)

    def read(self, index: int, request: ClipRequest) -> Sample:
        return self.masks.beside(super().read(index, request), index, request)


def masked_files(data: str, split: str, plan: Plan, recipe: Recipe, masks: Masks) -> MaskedFiles:
    """All videos below a folder, or those of a list, whatever their labels. Raises SpecError where there are none."""
    clips = {name: clip for name, clip in plan.arch.clips.items() if name != masks.clip}
    arch = plan.arch.model_copy(update={"clips": clips})
    found = entries_below(Path(data), split)
    if found is not None:
        files = Files(found, (), clips, recipe.sampling)
    else:
        made = videos_for(data, split, arch, recipe)
        assert isinstance(made, Files)
        files = made
    own = {one.name: getattr(files, one.name) for one in fields(Files)}
    return MaskedFiles(**{**own, "classes": (), "multi_label": False}, masks=masks)
