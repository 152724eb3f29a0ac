"""Built-in scenes with a caption each: `a three moves left fast`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archdsl.language import Clip
from archdsl.training.data.annotations.captioned_videos import (
    SPECIAL_WORDS,
    caption_ids,
    caption_targets,
    caption_words,
)
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.synthetic.scenes import Scenes
from archdsl.training.data.synthetic.truth import DIGIT_NAMES, MANNERS, WAYS

SCENE_WORDS = (*SPECIAL_WORDS, "a", "an", "and", "moves", *(way.split()[1] for way in WAYS.values()), *MANNERS.values())
CAPTION_WORDS = (*SCENE_WORDS, *DIGIT_NAMES)
"""The words of all captions."""


@dataclass(frozen=True)
class CaptionScenes(Scenes):
    """Scenes whose clips are those of the pictures and one of words."""

    word_clip: Mapping[str, Clip] = field(default_factory=dict)
    """Its name and itself."""

    def references(self, index: int) -> tuple[tuple[str, ...], ...]:
        """The one caption of a scene."""
        return (caption_words(self.truth(index).caption),)

    def read(self, index: int, request: ClipRequest) -> Sample:
        truth = self.truth(index)
        sample = self.sample(index, truth)
        ((name, clip),) = self.word_clip.items()
        places = {word: i for i, word in enumerate(self.classes)}
        given, wanted = caption_ids(caption_words(truth.caption), places, clip.frames)
        return sample._replace(
            frames=sample.frames | {name: given[None, :, None, None]}, targets=caption_targets(wanted)
        )
