"""What a step sends to the device: one tensor a batch, and nothing is read back or waited for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from test_frames_read import AUGMENTED
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from trained import short, small

import archdsl
from archdsl.language.recipes.clips import Augment
from archdsl.training import MovingDigits
from archdsl.training.batches import beside_the_step, train_batches, view_batches
from archdsl.training.data.clips import ClipRequest, Sample, Unreadable
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.tasks.classification import Classification

META = torch.device("meta")
"""Stands for a GPU: its tensors have no values, so that reading one raises."""


class Copies(TorchDispatchMode):
    """Counts operations that take values from the processor's memory to the device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        before = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        after = [x for x in tree_leaves(made) if isinstance(x, Tensor)]
        # numbers of no dimension are arguments of a kernel
        from_host = any(x.device.type == "cpu" and x.ndim for x in before)
        if from_host and any(x.device.type == "meta" for x in (*after, *before)):
            self.found[str(func)] += 1
        return made


class Made(TorchFunctionMode):
    """Counts tensors made on the device of Python numbers, indices among them: each is a copy too."""

    def __init__(self, copies: Copies) -> None:
        super().__init__()
        self.found = copies.found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        made = func(*args, **kwargs)
        if name in ("tensor", "as_tensor") and made.device.type == "meta":
            self.found[name] += 1
        if name in ("__getitem__", "__setitem__") and args[0].device.type == "meta":
            places = args[1] if isinstance(args[1], tuple) else (args[1],)
            self.found[f"{name} by a list"] += sum(isinstance(place, list) for place in places)
        return made


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Copies from the processor's memory to the device."""
    with Copies() as copies, Made(copies):
        yield copies.found


def test_copies_are_counted() -> None:
    with counted() as found:
        x = torch.ones(4, 3, device=META)
        x[0, 0] = 2.0
        x[1:3] *= 3
        assert not +found
        x += torch.tensor([1.0, 2.0, 3.0], device=META)
        x[[0, 2]].sum()
        x[0] = torch.ones(3)
        torch.ones(3).to(META)
    assert sum(found.values()) == 4


class SomeUnreadable(MovingDigits):
    def read(self, index: int, request: ClipRequest) -> Sample:
        if index % 4 == 1:
            raise Unreadable(self.name(index), "for the test")
        return super().read(index, request)


ALL = Augment(colour=0.4, rand_augment=3, erasing=1.0, mixup=0.5, cutmix=0.5)


@pytest.mark.parametrize("augment", [*AUGMENTED, ALL])
@pytest.mark.parametrize("kind", [MovingDigits, SomeUnreadable])
def test_a_batch_goes_to_the_device_by_one_copy(kind: type[MovingDigits], augment: Augment) -> None:
    videos, recipe = kind(16, 0, frames=4, size=40), short(batch=8).but(augment=augment)
    plan = archdsl.compile(small())
    with counted() as found:
        given = dict(task=Classification(plan, recipe), device=META, skips=SkippedVideos())
        batches = list(train_batches(videos, recipe, plan.arch.clips, start=0, steps=4, **given))
    assert {batch.clips.shape for batch in batches} == {(8, 3, 4, 32, 32)}
    assert sum(found.values()) == 4, found


def test_views_of_a_clip_go_to_the_device_once() -> None:
    videos, recipe = MovingDigits(4, 0, frames=4, size=40), short(views__crops=3)
    plan = archdsl.compile(small())
    with counted() as found:
        given = dict(task=Classification(plan, recipe), device=META, skips=SkippedVideos(), batch=6)
        batches = list(view_batches(videos, recipe, plan.arch.clips, **given))
    assert [len(batch.weights) for batch in batches] == [6, 6]
    assert sum(found.values()) == 2, found


@pytest.mark.gpu
def test_batches_made_beside_the_step_are_those_of_the_processor() -> None:
    videos, recipe = MovingDigits(16, 0, frames=4, size=40), short(batch=8).but(augment=ALL)
    plan, cuda = archdsl.compile(small()), torch.device("cuda", torch.cuda.current_device())
    given = dict(task=Classification(plan, recipe), skips=SkippedVideos(), start=0, steps=6)
    feeds = [
        beside_the_step(train_batches(videos, recipe, plan.arch.clips, device=device, workers=1, **given), device)
        for device in (torch.device("cpu"), cuda)
    ]
    busy = torch.rand(2000, 2000, device=cuda)
    for one, other in zip(*feeds, strict=True):
        busy = busy @ busy.softmax(1)  # a step that is not done when the next batch is asked for
        torch.testing.assert_close(other.clips.cpu(), one.clips, rtol=0, atol=2e-2)
        torch.testing.assert_close(other.targets.cpu(), one.targets)
