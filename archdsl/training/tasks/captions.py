"""Captions of videos: the next word after each, learnt with what was written before it, tested by writing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip
from archdsl.language.recipes.recipe import Recipe
from archdsl.spec.files import write_whole
from archdsl.spec.scalars import Count
from archdsl.training.data.annotations.captioned_videos import (
    END,
    SPECIAL_WORDS,
    WORD_FILE,
    Captioned,
    CaptionedVideos,
    caption_vocabulary,
    captions_in,
    video_files,
)
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.modalities import check_modalities
from archdsl.training.data.reader.backends import decoder_named
from archdsl.training.data.snippets import snippets_of
from archdsl.training.data.sources.manifests import list_text
from archdsl.training.data.sources.one_video import one_video
from archdsl.training.data.sources.videos import Action, Files, VideoEntry
from archdsl.training.data.synthetic.caption_scenes import CAPTION_WORDS, CaptionScenes
from archdsl.training.data.synthetic.files import encode_mp4
from archdsl.training.data.synthetic.motion import MOTION_FPS
from archdsl.training.data.synthetic.truth import Truth
from archdsl.training.data.targets import Targets
from archdsl.training.evaluation.caption_scores import CaptionScores, CaptionText
from archdsl.training.evaluation.prediction import ViewOutput
from archdsl.training.evaluation.scores import check_finite
from archdsl.training.tasks.base import Outputs, Task, TaskOptions


def caption_known(truth: Truth) -> Targets:
    """Scenes of captions say their targets themselves."""
    return {}


class CaptioningOptions(TaskOptions):
    """Which words are learnt, and how captions are written."""

    least: Count = Field(1, description="how often a word must be there in the captions that are learnt from")
    beam: Count = Field(1, description="captions that are followed at once when one is written; 1: the best next word")


def text_clip(plan: Plan, complaint: str, fits: bool, beside: str) -> str:
    """The name of the one clip of words. Raises SpecError where there is not one, or `fits` is false."""
    words = [name for name, clip in plan.arch.clips.items() if clip.modality == "text"]
    if len(words) != 1 or not fits:
        raise SpecError(
            f"{plan.name} {complaint}",
            at="head",
            written=plan.arch.head.written,
            got=f"{len(words)} clips of text, {', '.join(plan.outputs)}",
            want=f"one clip of text, and {beside}",
        )
    return words[0]


class Captioning(Task):
    """Targets are `words`, the next word at each position, (t,), -1 behind the end.

    The network reads pictures and a clip of words, those before each position. In a test it writes its own: `outputs`
    are the ids of what it wrote, (n, t).
    """

    name = "captioning"
    options_kind: ClassVar[type[TaskOptions]] = CaptioningOptions

    def __init__(self, plan: Plan, recipe: Recipe, options: Any = None) -> None:
        super().__init__(plan, recipe, options)
        self.words = self.clip_of_words(plan)

    @staticmethod
    def clip_of_words(plan: Plan) -> str:
        """The name of the one clip of words. Raises SpecError for a network that does not write."""
        return text_clip(plan, "does not write", len(plan.outputs) == 1, "the scores of the next word")

    @classmethod
    def default_recipe(cls, arch: Arch, *, built_in: bool) -> str:
        return "smoke_captions" if built_in else "lrcn_captions"

    @property
    def word_clip(self) -> Clip:
        """The clip of words."""
        return self.plan.arch.clips[self.words]

    @property
    def pictures(self) -> Mapping[str, Clip]:
        """All other clips."""
        return {name: clip for name, clip in self.plan.arch.clips.items() if name != self.words}

    # data

    def caption_scenes(self, data: str, split: str) -> CaptionScenes:
        """Built-in scenes of one digit; words that the network has beyond theirs are not there."""
        scenes = self.scenes(data, split, caption_known, CAPTION_WORDS, digits=(1, 1))
        own = {"clips": self.pictures, "word_clip": {self.words: self.word_clip}}
        return CaptionScenes(**vars(scenes) | own)

    def built_in(self, data: str, split: str) -> Videos:
        return self.caption_scenes(data, split)

    def files(self, data: str, split: str) -> Videos:
        """A folder of captions and videos: see `captions_in`. Words are those of words.txt, else of what is learnt."""
        check_modalities(self.pictures)
        root = Path(data)
        found, paths = captions_in(root, split), video_files(root)
        if (root / WORD_FILE).is_file():
            known = tuple(line.strip() for line in list_text(root / WORD_FILE).splitlines() if line.strip())
            words = (*SPECIAL_WORDS, *(word for word in known if word not in SPECIAL_WORDS))
        else:
            learnt = found if split == "train" else captions_in(root, "train")
            words = caption_vocabulary((one for video in learnt for one in video.captions), self.options.least)
        entries, named = [], []
        for one in found:
            path = paths.get(one.video)
            entries.append(VideoEntry(path or root / one.video, one.video, (Action(0),)))
            named.append(one if path or one.fault else Captioned(one.video, one.captions, "no video of that name"))
        return self.captioned(tuple(entries), tuple(named), words)

    def captioned(
        self, entries: tuple[VideoEntry, ...], found: tuple[Captioned, ...], words: tuple[str, ...]
    ) -> Videos:
        """Files with captions."""
        files = Files(
            entries,
            (),
            self.pictures,
            self.recipe.sampling,
            decoder=decoder_named(None),
            snippets=snippets_of(self.plan.arch, self.recipe.sampling),
        )
        places = {word: i for i, word in enumerate(words)}
        return CaptionedVideos(files, found, words, self.words, self.word_clip.frames, places=places)

    def write_built_in(self, out: Path, counts: Mapping[str, int]) -> Iterator[Path]:
        """SPLIT.csv of videos and captions, and the videos."""
        for split, count in counts.items():
            scenes, lines = self.caption_scenes(f"motion:{count}", split), ["video,caption"]
            (out / split).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                truth, path = scenes.truth(index), out / split / f"{split}{index:06d}.mp4"
                write_whole(path, encode_mp4(truth.pictures, MOTION_FPS))
                lines.append(f"{path.stem},{truth.caption}")
                yield path
            write_whole(out / f"{split}.csv", "".join(f"{line}\n" for line in lines))

    def check_classes(self, classes: tuple[str, ...], *, of_run: bool = False, learnt: bool = False) -> None:
        vocabulary = next(iter(self.plan.outputs.values()))[0]
        if vocabulary < len(classes):
            raise SpecError(
                f"{self.plan.name} has fewer words than {'its run' if of_run else 'the captions'}",
                at=f"clips.{self.words}.vocabulary",
                written=self.plan.arch.written,
                got=f"{vocabulary} words",
                want=f"{len(classes)}, or more",
                fix=None if learnt else f"--set clips.{self.words}.vocabulary={len(classes)}",
            )

    def blank(self, videos: Videos) -> Targets:
        return {"words": torch.full((self.word_clip.frames,), -1)}

    def target_bytes(self) -> int:
        return 8 * self.word_clip.frames

    # loss

    def amounts(self, batch: Batch) -> Tensor:
        """Words, the end among them."""
        return (batch.targets["words"] >= 0).sum(1).float()

    def loss(self, outputs: Outputs, batch: Batch, totals: Tensor) -> Tensor:
        """Cross-entropy of the next word, the mean over all words of the step."""
        scores = self.scores_in(outputs).float()
        return cross_entropy(scores, batch.targets["words"], ignore_index=-1, reduction="none").sum(1) / totals

    def scores_in(self, outputs: Outputs) -> Tensor:
        """The scores of the next word.  (n, vocabulary, t)"""
        return outputs if isinstance(outputs, Tensor) else next(iter(outputs.values()))

    # evaluation

    def outputs(self, network: nn.Module, clips: Any) -> Tensor:
        """Captions, word after word: of each clip the likeliest of `beam` that are followed at once.  (n, t)"""
        beam, t = self.options.beam, self.word_clip.frames
        many = {name: x.repeat_interleave(beam, 0) for name, x in clips.items() if name != self.words}
        n = len(next(iter(many.values()))) // beam
        device = next(iter(many.values())).device
        given = torch.full((n * beam, t), END, device=device)
        said = torch.full((n * beam, t), END, device=device)
        chances = torch.full((n, beam), -torch.inf, device=device)
        chances[:, 0] = 0
        done = torch.zeros(n * beam, dtype=torch.bool, device=device)
        for i in range(t):
            scores = self.scores_in(network(many | {self.words: given[:, None, :, None, None]}))[:, :, i].float()
            check_finite({f"clip {j}": one for j, one in enumerate(scores)})
            logs = scores.log_softmax(1)
            logs[done] = -torch.inf
            logs[done, END] = 0
            vocabulary = logs.shape[1]
            chances, best = (chances[:, :, None] + logs.view(n, beam, -1)).flatten(1).topk(beam, dim=1)
            rows = (torch.arange(n, device=device)[:, None] * beam + best // vocabulary).flatten()
            word = (best % vocabulary).flatten()
            given, said, done = given[rows], said[rows], done[rows] | (word == END)
            said[:, i] = word
            if i + 1 < t:
                given[:, i + 1] = word
            if done.all():
                break
        return said[::beam]

    def said(self, outputs: Outputs) -> list[tuple[int, ...]]:
        """The ids of each caption, up to its end."""
        assert isinstance(outputs, Tensor)
        rows = [row.tolist() for row in outputs.cpu()]
        return [tuple(row[: row.index(END)] if END in row else row) for row in rows]

    def judged(self, said: tuple[int, ...], target: Targets) -> tuple[int, ...]:
        return said

    def joined(self, one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
        """The first view's."""
        return one

    def results(self, found: Mapping[int, tuple[int, ...]], videos: Videos, skipped: tuple[str, ...]) -> CaptionScores:
        assert isinstance(videos, CaptionedVideos | CaptionScenes)
        captions = tuple(written_words(ids, videos.classes) for ids in found.values())
        references = tuple(videos.references(i) for i in found)
        return CaptionScores(tuple(map(videos.name, found)), captions, references, skipped=skipped)

    # predictions

    def check_inputs(self) -> None:
        check_modalities(self.pictures)

    def alone(self, path: Path) -> tuple[Recipe, Videos]:
        """The video, with a caption that is not read."""
        recipe, files = one_video(path, self.plan.arch.but(clips=self.plan.arch.clips), self.recipe)
        entry = files.entries[0]
        return recipe, self.captioned((entry,), (Captioned(str(path), ((),)),), SPECIAL_WORDS)

    def class_names(self, names: Sequence[str] | None) -> tuple[str, ...]:
        return tuple(names or SPECIAL_WORDS)

    def prediction(self, path: Path, views: Sequence[ViewOutput], names: tuple[str, ...], top: int) -> CaptionText:
        first = views[:: self.recipe.views.crops]
        windows = [(view.start, view.end, " ".join(written_words(view.said, names))) for view in first]
        return CaptionText(path, tuple(windows))


def written_words(ids: Sequence[int], words: Sequence[str]) -> tuple[str, ...]:
    """A caption's words; an id beyond the list is a word that is not in it."""
    return tuple(words[i] if i < len(words) else SPECIAL_WORDS[1] for i in ids)
