"""Built-in data for any network and any task: scenes of digits, shown in every modality, with the task's own target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import pi

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, one_hot

from archdsl.language import Clip
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.luma import luma
from archdsl.training.data.modalities import lookahead, stacked_frames
from archdsl.training.data.synthetic.motion import MOTION_FPS
from archdsl.training.data.synthetic.truth import DIGIT_NAMES, MOTIONS, Truth, draw_truth
from archdsl.training.data.targets import Targets
from archdsl.training.data.transforms.normalisation import FRAMELESS

FRAME_SIZE = (64, 64)
"""(height, width) of scenes for networks without pictures."""
HEATMAP_SIGMA = 0.6
"""Of a joint's Gaussian, in pixels of the clip (arXiv:2104.13586)."""
PIXEL_KINDS = 11
"""What shows at a pixel: the ground, or one of ten numerals."""
QUESTION_WORDS = ("", "how", "does", "the", "move", *DIGIT_NAMES)
"""Of what is asked of a scene; the first stands behind the end."""
FEATURE_SEED = 5
"""Of the fixed directions that motions have among features."""


def motion_of_first(truth: Truth) -> Tensor:
    """The target of classification: how the first digit moves."""
    return truth.motions[0]


@dataclass(frozen=True)
class Scenes:
    """`count` scenes as the clips of an arch; a scene is a function of (seed, index).

    All digits of a scene move alike where `alike`, so that it has one class: then classes take turns, and no place in
    the middle frame tells one. `target` says what is true of a scene: a function of a module, since readers are
    processes.
    """

    count: int
    seed: int
    clips: Mapping[str, Clip]
    target: Callable[[Truth], Targets]
    classes: tuple[str, ...]
    digits: tuple[int, int] = (1, 3)
    """The fewest and the most digits of a scene."""
    alike: bool = False
    frames: int | None = None
    """Frames of a scene; by default as many as its longest clip shows."""
    frozen: bool = False
    """Whether every clip repeats one frame, the key frame if there is one: what a single frame can tell."""
    multi_label: bool = False

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """Its place in the sequence."""
        return f"scene/{self.seed}/{index}"

    def labels(self, index: int) -> tuple[int, ...]:
        """The class of scenes that have one."""
        return (index % len(MOTIONS),) if self.alike else ()

    def identifier(self, index: int) -> str:
        """Its name, and what it shows."""
        return f"{self.name(index)} {self.labels(index)} {self.digits} {self.target.__name__} {self.frozen}"

    def read(self, index: int, request: ClipRequest) -> Sample:
        """A scene; the request's seed changes nothing."""
        return self.sample(index, self.truth(index))

    def sample(self, index: int, truth: Truth) -> Sample:
        """What is true of a scene as the arch's clips, with the target."""
        frames = {name: self.shown(truth, clip) for name, clip in self.clips.items()}
        return Sample(frames, self.target(truth), self.name(index), 0.0, (truth.frames - 1) / MOTION_FPS)

    @property
    def keyed(self) -> bool:
        """Whether the middle frame is a key frame: places in it say nothing of motions."""
        return self.alike

    def truth(self, index: int) -> Truth:
        """Everything that is true of a scene."""
        pictures = [clip for clip in self.clips.values() if clip.modality not in FRAMELESS]
        height, width = pictures[0].shape[2:] if pictures else FRAME_SIZE
        needed = max(clip.frames + (lookahead(clip) if clip in pictures else 0) for clip in self.clips.values())
        frames = self.frames or needed
        return draw_truth(
            f"{self.seed} {index}",
            frames,
            height,
            width,
            digits=self.digits,
            motion=index % len(MOTIONS) if self.alike else None,
            key=frames // 2 if self.keyed else None,
        )

    def shown(self, truth: Truth, clip: Clip) -> Tensor:
        """A scene as one clip.  (c, t, h, w)"""
        made = SHOWN_AS[clip.modality](truth, clip, self.times(truth, clip))
        return made.contiguous()

    def times(self, truth: Truth, clip: Clip) -> Tensor:
        """The frame of the scene that each frame of a clip shows.  (t,)"""
        ahead = lookahead(clip) if clip.modality not in FRAMELESS else 0
        last = max(truth.frames - ahead - 1, 0)
        if self.frozen:
            return torch.full((clip.frames,), truth.frames // 2 if self.keyed else 0)
        return torch.linspace(0, last, clip.frames).floor().long()


def rgb_of(truth: Truth, clip: Clip, times: Tensor) -> Tensor:
    """Pixels, frames stacked as channels where the clip has more than three."""
    return torch.cat([truth.pictures[:, frames_after(truth, times, i)] for i in range(stacked_frames(clip))])


def gray_of(truth: Truth, clip: Clip, times: Tensor) -> Tensor:
    """Brightness of pixels."""
    parts = [truth.pictures[:, frames_after(truth, times, i)].float() for i in range(stacked_frames(clip))]
    return torch.cat([luma(part, 0).round().to(torch.uint8) for part in parts])


def difference_of(truth: Truth, clip: Clip, times: Tensor) -> Tensor:
    """Differences of pixels to the next frame."""
    pixels = truth.pictures.float()
    seen = [pixels[:, frames_after(truth, times, i)] for i in range(stacked_frames(clip) + 1)]
    return torch.cat([after - before for before, after in pairwise(seen)])


def flow_of(truth: Truth, clip: Clip, times: Tensor) -> Tensor:
    """Exact flow (x, y) to the next frame; a third channel is its length (LRCN's flow pictures)."""
    found = torch.cat([truth.flow[:, frames_after(truth, times, i)] for i in range(stacked_frames(clip))])
    return torch.cat([found, found[:2].norm(dim=0, keepdim=True)]) if clip.shape.c % 2 else found


def heatmaps_of(truth: Truth, clip: Clip, times: Tensor) -> Tensor:
    """A Gaussian at the centre of each digit, in the channel of its numeral; the largest where several meet."""
    channels, frames, height, width = clip.shape
    corners = truth.boxes[times]
    x, y = ((corners[..., :2] + corners[..., 2:]) / 2).unbind(2)
    columns, rows = bumps(x * width / truth.width, width), bumps(y * height / truth.height, height)
    maps = torch.zeros(channels, frames, height, width)
    for i, joint in enumerate((truth.classes % channels).tolist()):
        maps[joint] = maps[joint].maximum(rows[:, i, :, None] * columns[:, i, None, :])
    return maps


def bumps(centres: Tensor, pixels: int) -> Tensor:
    """Gaussians along an axis, 1 at their centres.  (...) -> (..., pixels)"""
    away = torch.arange(pixels) + 0.5 - centres[..., None]
    return (-0.5 * (away / HEATMAP_SIGMA) ** 2).exp()


def audio_of(truth: Truth, clip: Clip, times: Tensor) -> Tensor:
    """Loudness of each band over time: a motion sounds in bands of its own while it lasts.  (1, t, 1, bands)"""
    bands = clip.shape.w
    owner = torch.arange(bands) * len(MOTIONS) // bands
    return (4 * truth.tones[times][:, owner] - 2)[None, :, None, :]


def boxes_of(truth: Truth, clip: Clip, times: Tensor) -> Tensor:
    """Boxes of the digits in the middle frame, filled up with zeros.  (4, boxes, 1, 1)"""
    boxes = truth.boxes[truth.frames // 2][: clip.frames]
    return torch.cat([boxes, boxes.new_zeros(clip.frames - len(boxes), 4)]).T[:, :, None, None]


def features_of(truth: Truth, clip: Clip, times: Tensor) -> Tensor:
    """A direction among the channels for each motion while it lasts; of one channel whether the clip goes on (LRCN).

    (c, t, 1, 1); of a map in each cell, by its share of it, a direction for the ground and for each numeral.
    """
    if clip.shape.c == 1:
        return (torch.arange(clip.frames) > 0).float().view(1, -1, 1, 1)
    if clip.shape.h * clip.shape.w == 1:
        return (truth.tones[times] @ feature_directions(clip.shape.c)).T[:, :, None, None]
    shown = one_hot(truth.digit_map[times], PIXEL_KINDS).permute(3, 0, 1, 2).float()
    shares = adaptive_avg_pool2d(shown, (clip.shape.h, clip.shape.w))
    return torch.einsum("kthw,kc->cthw", shares, feature_directions(clip.shape.c, PIXEL_KINDS))


def skeleton_of(truth: Truth, clip: Clip, times: Tensor) -> Tensor:
    """A digit's box for a person: joints on an ellipse in it, x and y from -1 to 1, and 1; absent persons are 0.

    (3, t, joints, persons)
    """
    channels, frames, joints, persons = clip.shape
    boxes = truth.boxes[times][:, :persons] / torch.tensor([truth.width, truth.height] * 2) * 2 - 1
    angles = torch.arange(joints) * (2 * pi / joints)
    ring = torch.stack([angles.cos(), angles.sin()])
    middle, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    places = middle[..., None] + half[..., None] * ring
    found = torch.zeros(3, frames, joints, persons)
    found[:2, :, :, : boxes.shape[1]] = places.permute(2, 0, 3, 1)
    found[2, :, :, : boxes.shape[1]] = 1
    return found[:channels]


def question_of(truth: Truth, clip: Clip, times: Tensor) -> Tensor:
    """`how does the three move`: ids of its words, 0 behind the end; an id beyond the vocabulary is its last.

    (1, t, texts, 1)
    """
    words = ("how", "does", "the", DIGIT_NAMES[truth.digits[0].digit], "move")[: clip.frames]
    ids = torch.zeros(clip.frames, dtype=torch.long)
    ids[: len(words)] = torch.tensor([QUESTION_WORDS.index(word) for word in words])
    return ids.clamp(max=clip.ids - 1)[None, :, None, None].expand(clip.shape)


SHOWN_AS = {
    "rgb": rgb_of,
    "gray": gray_of,
    "rgb_diff": difference_of,
    "flow": flow_of,
    "heatmaps": heatmaps_of,
    "audio": audio_of,
    "boxes": boxes_of,
    "features": features_of,
    "skeleton": skeleton_of,
    "text": question_of,
}
"""How a scene is shown in each modality."""


@lru_cache(maxsize=4)
def feature_directions(channels: int, many: int = len(MOTIONS)) -> Tensor:
    """Fixed directions, by default one for each motion.  (many, channels)"""
    return torch.randn(many, channels, generator=torch.Generator().manual_seed(FEATURE_SEED))


def frames_after(truth: Truth, times: Tensor, frames: int) -> Tensor:
    """Frames some frames later, none beyond the last."""
    return (times + frames).clamp(max=truth.frames - 1)
