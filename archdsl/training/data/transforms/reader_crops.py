"""What a reader does to a clip before it leaves for the device: unread frames are dropped, the rest cropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from archdsl.language import Clip
from archdsl.language.recipes.clips import Values
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.random_numbers import rng_for
from archdsl.training.data.transforms.crops import Size, training_crop
from archdsl.training.data.transforms.geometry import Cut, uncut
from archdsl.training.data.transforms.moves import move_boxes
from archdsl.training.data.transforms.noise import draw_erased
from archdsl.training.data.transforms.normalisation import FRAMELESS

FLOAT_BYTES = 4


@dataclass(frozen=True)
class ReaderCrop:
    """Crops clips for training, of the seeds of their requests; those of a test keep their frames whole."""

    recipe: Recipe
    clips: Mapping[str, Clip]
    frames_read: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Positions in each clip that are read; all where none are given."""

    def __call__(self, sample: Sample, request: ClipRequest) -> Sample:
        """The sample, with its crops and what is erased of it in training."""
        frames = {name: self.read_of(name, frames) for name, frames in sample.frames.items()}
        if not request.training:
            return sample._replace(frames=frames)
        sizes = {name: (x.shape[-2], x.shape[-1]) for name, x in frames.items()}
        cut_by = {name: moves_with(name, self.clips) for name in frames}
        cuts = {name: self.cut(other, sizes[other], request.seed) for name, other in cut_by.items()}
        cropped = {name: self.cropped(name, x, cuts[name]) if cut_by[name] == name else x for name, x in frames.items()}
        erased = {
            name: one._replace(noise=self.read_of(name, one.noise))
            for name, clip in self.clips.items()
            if clip.modality not in FRAMELESS
            and (one := draw_erased(clip.shape, self.recipe.augment.erasing, rng_for(request.seed, "erasing")))
        }
        resized = frozenset(name for name in cropped if self.resizes(name, frames[name], cuts[name]))
        return sample._replace(frames=cropped, cuts=cuts, erased=erased, resized=resized)

    def cropped(self, name: str, frames: Tensor, cut: Cut) -> Tensor:
        """The pixels that a crop reads, or the crop."""
        part, clip = cut.part(frames), self.clips[name]
        if not self.resizes(name, frames, cut):
            return part
        x = resize_frames(part, cut, clip)
        return x.round().to(part.dtype) if rounds(part, clip, self.recipe.values) else x

    def resizes(self, name: str, frames: Tensor, cut: Cut) -> bool:
        """Whether frames are resized here: those that are rounded, and those whose crop has fewer bytes as floats."""
        clip = self.clips[name]
        if rounds(frames, clip, self.recipe.values):
            return True
        if clip.modality in FRAMELESS or (clip.modality == "flow" and not frames.is_floating_point()):
            return False  # a device must know that such flow was stored as pixels
        rows, columns = cut
        pixels = (rows.high - rows.low) * (columns.high - columns.low) * frames.element_size()
        return FLOAT_BYTES * rows.out * columns.out < pixels

    def read_of(self, name: str, frames: Tensor) -> Tensor:
        """The frames that are read, of a whole clip; a clip that was decoded without the others stays."""
        read = self.frames_read.get(name)
        whole_clip = read and frames.shape[1] == self.clips[name].frames > len(read)
        return frames[:, list(read)] if read and whole_clip else frames

    def cut(self, name: str, size: Size, seed: int) -> Cut:
        """The crop of a clip whose frames are of a size; features stay whole."""
        clip = self.clips[name]
        if clip.modality in FRAMELESS:
            return uncut(size)
        # the same rng for each clip, so that flow is cropped like its video
        cut = training_crop(self.recipe.augment.crop, size, (clip.shape.h, clip.shape.w), rng_for(seed, "crop"))
        return cut.flipped() if rng_for(seed, "flip").random() < self.recipe.augment.flip else cut


def first_pictures(clips: Mapping[str, Clip]) -> str | None:
    """The first clip of pictures, with whose frames boxes and targets move; None where there is none."""
    return next((name for name, clip in clips.items() if clip.modality not in FRAMELESS), None)


def moves_with(name: str, clips: Mapping[str, Clip]) -> str:
    """The clip whose crop a clip follows: boxes follow the first pictures, all others themselves."""
    return (clips[name].modality == "boxes" and first_pictures(clips)) or name


def resize_frames(part: Tensor, cut: Cut, clip: Clip) -> Tensor:
    """The crop of the pixels that it reads; features stay whole. In a mirror image flow's x component changes sign."""
    if clip.modality == "boxes":
        return move_boxes(part[:, :, 0, 0].T, cut).T[:, :, None, None]
    if clip.modality in FRAMELESS:
        return part if clip.modality == "text" else part.float()
    x = cut.resized(part)
    if clip.modality == "flow" and cut.columns.mirrored:
        x[::2] = (0.0 if part.is_floating_point() else 255.0) - x[::2]
    return x


def rounds(part: Tensor, clip: Clip, values: Values) -> bool:
    """Whether resized pixels are rounded: they are bytes again."""
    return values.rounded and not part.is_floating_point() and clip.modality not in FRAMELESS
