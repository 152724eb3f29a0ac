"""Texts beside clips as ids of tokens: of each clip its caption, or the names of all classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from archdsl.language import Clip
from archdsl.training.data.annotations.captioned_videos import OTHER, caption_vocabulary, caption_words
from archdsl.training.data.clips import ClipRequest, Sample, Videos

MARKS = 2
"""Ids that begin and end texts: the largest two of a vocabulary. 0 fills up."""


def text_ids(ids: Sequence[int], clip: Clip) -> Tensor:
    """A text between its two marks; a long one is cut.  (t,)"""
    found = torch.zeros(clip.frames, dtype=torch.long)
    marked = [clip.ids - 2, *ids[: max(clip.frames - MARKS, 0)], clip.ids - 1][-clip.frames :]
    found[: len(marked)] = torch.tensor(marked)
    return found


def ids_of_texts(texts: Sequence[str], words: Sequence[str], clip: Clip) -> Tensor:
    """Texts by the places of their words in a list.  (1, t, texts, 1)"""
    places = {word: i for i, word in enumerate(words)}
    rows = [text_ids([places.get(word, OTHER) for word in caption_words(text)], clip) for text in texts]
    return torch.stack(rows, 1)[None, :, :, None]


def class_vocabulary(classes: Sequence[str]) -> tuple[str, ...]:
    """The words of all names of classes."""
    return caption_vocabulary(map(caption_words, classes), 1)


@dataclass(frozen=True)
class TextVideos:
    """Videos with a caption each, which stands as a text in a clip of words."""

    videos: Videos
    words: Mapping[str, Clip]
    """Name of the clip of words, and itself."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the videos: of captions the list of words."""
        return self.videos.classes

    @property
    def multi_label(self) -> bool:
        """That of the videos."""
        return self.videos.multi_label

    def __len__(self) -> int:
        return len(self.videos)

    def name(self, index: int) -> str:
        """Name of a video."""
        return self.videos.name(index)

    def caption(self, index: int) -> tuple[str, ...]:
        """The caption of a test: the first."""
        found: Any = self.videos
        return tuple(found.references(index)[0])

    def read(self, index: int, request: ClipRequest) -> Sample:
        """A clip and its caption's ids, up to the end. Raises Unreadable."""
        sample = self.videos.read(index, request)
        ((name, clip),) = self.words.items()
        wanted = sample.targets["words"]
        texts = text_ids(wanted[wanted > 0].tolist(), clip)[None, :, None, None]
        return sample._replace(frames={**sample.frames, name: texts})


@dataclass(frozen=True)
class ClassTexts(TextVideos):
    """Videos with a class each; beside every clip stand the names of all classes."""

    def labels(self, index: int) -> tuple[int, ...]:
        """The classes of a video."""
        found: Any = self.videos
        return tuple(found.labels(index))

    def read(self, index: int, request: ClipRequest) -> Sample:
        """A clip and all names. Raises Unreadable."""
        sample = self.videos.read(index, request)
        ((name, clip),) = self.words.items()
        texts = ids_of_texts(self.classes, class_vocabulary(self.classes), clip)
        return sample._replace(frames={**sample.frames, name: texts})
