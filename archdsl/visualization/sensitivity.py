"""What in a clip the target hangs on: occlusion, saliency, guided backpropagation, deconvolution."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.visualization.frames import clip_frames, enlarged_frames, largest, picture_grid, rounded, unstacked
from archdsl.visualization.maps import drawn_over, shown_frames
from archdsl.visualization.request import Picture, Request, Section, wanting_gradients
from archdsl.visualization.subject import ShownClip, Subject

WINDOW = 4
"""A window hides 1 / WINDOW of each axis."""
WINDOW_PLACES = (4, 5, 5)
"""Of the window along (t, h, w)."""
AT_ONCE = 8
"""Occluded clips in a batch."""
RELUS = (F.relu, F.relu_, F.relu6, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)


def occlusion_maps(request: Request) -> Section:
    """How much the target falls where a window of a clip is hidden (arXiv:1311.2901, 4.2), in space and in time."""
    subject = request.subject
    pictures, numbers = [], {}
    for seen in request.clips:
        title = request.target.title(subject, request.channel(seen))
        for name in subject.free:
            drops, heat = occlusion(request, seen, name)
            caption = f"{seen.name}: red where hiding lowers {title}"
            drawn = drawn_over(subject, name, seen.clips[name][0], heat, signed=True)
            pictures.append(Picture(f"{seen.name}_{name}", caption, drawn))
            numbers[f"{seen.name}/{name}"], numbers[f"{seen.name}/{name}/windows"] = heat, drops
    return Section(tuple(pictures), numbers)


def occlusion(request: Request, seen: ShownClip, name: str) -> tuple[Tensor, Tensor]:
    """(by how much the target falls with each window hidden, the mean over windows at each place).

    (places), (t, h, w)
    """
    subject, whole = request.subject, seen.clips[name]
    sides = [windows_along(length, places) for length, places in zip(whole.shape[2:], WINDOW_PLACES)]
    windows = [(t, h, w) for t in sides[0] for h in sides[1] for w in sides[2]]
    channel, scores = request.channel(seen), []

    def target_of(hidden: list[tuple[slice, slice, slice]]) -> Tensor:
        x = whole.repeat(len(hidden), 1, 1, 1, 1)
        for row, window in zip(x, hidden):
            row[(slice(None), *window)] = 0
        clips = {key: x if key == name else other.repeat(len(hidden), 1, 1, 1, 1) for key, other in seen.clips.items()}
        with torch.no_grad():
            return request.score(subject.values(clips, [request.target.at]), channel).cpu()

    with torch.no_grad():
        before = request.score(subject.values(seen.clips, [request.target.at]), channel).cpu()
    parts = [windows[i : i + AT_ONCE] for i in range(0, len(windows), AT_ONCE)]
    for part in request.track(parts, len(parts), f"occlusion of {seen.name}"):
        scores.append(before - target_of(part))
    drops = torch.cat(scores)
    heat, times = torch.zeros(whole.shape[2:]), torch.zeros(whole.shape[2:])
    for drop, window in zip(drops, windows):
        heat[window] += drop
        times[window] += 1
    return drops.view([len(side) for side in sides]), heat / times.clamp(min=1)


def windows_along(length: int, places: int) -> list[slice]:
    """Windows at equal distances along an axis, which they cover."""
    size = ceil(length / min(WINDOW, places))
    firsts = dict.fromkeys(torch.linspace(0, length - size, min(places, length)).round().int().tolist())
    return [slice(first, first + size) for first in firsts]


def saliency_maps(request: Request) -> Section:
    """The gradient of the target at every pixel (arXiv:1312.6034, 3): how strongly it acts, whatever its sign."""
    return gradient_pictures(request, "gradient", absolute=True)


def guided_maps(request: Request) -> Section:
    """Guided backpropagation (arXiv:1412.6806): gradients pass a ReLU where they and what went in are above 0."""
    return gradient_pictures(request, "guided")


def deconvolution_maps(request: Request) -> Section:
    """A deconvnet (arXiv:1311.2901, 2.1): gradients pass a ReLU where they are above 0, whatever went in."""
    return gradient_pictures(request, "deconv")


def gradient_pictures(request: Request, rule: str, *, absolute: bool = False) -> Section:
    """The gradient at each clip by a rule for ReLUs, as heat or in the clip's own colours."""
    subject = request.subject
    pictures, numbers = [], {}
    for seen in request.clips:
        title = request.target.title(subject, request.channel(seen))
        for name, gradient in input_gradients(request, seen, rule).items():
            x = seen.clips[name][0]
            if absolute:
                drawn = drawn_over(subject, name, x, gradient.abs().amax(0))
            else:
                drawn = beside_clip(subject, name, x, gradient)
            pictures.append(Picture(f"{seen.name}_{name}", f"{seen.name}: {title}", drawn))
            numbers[f"{seen.name}/{name}"] = gradient
    return Section(tuple(pictures), numbers)


def beside_clip(subject: Subject, name: str, x: Tensor, gradient: Tensor) -> Tensor:
    """A clip and its gradient, whose colours say which pixels should be brighter, grey where none."""
    frames, clip = shown_frames(subject, name), subject.clips[name]
    pictures = clip_frames(x[:, frames], clip, subject.recipe.values)
    return picture_grid([enlarged_frames(pictures), enlarged_frames(signed_frames(gradient[:, frames], clip, subject))])


def signed_frames(x: Tensor, clip: Clip, subject: Subject) -> Tensor:
    """Numbers of either sign in the clip's own colours, grey at 0.  (c, t, h, w)"""
    rows = unstacked(x, clip)
    if clip.modality in ("rgb", "rgb_diff", "gray") and rows.shape[0] in (1, 3):
        return rounded(127.5 + 127.5 * rows / largest(rows)).expand(3, *rows.shape[1:])
    return clip_frames(x, clip, subject.recipe.values)


def input_gradients(request: Request, seen: ShownClip, rule: str = "gradient") -> dict[str, Tensor]:
    """The gradient of the target at each clip that has one, by a rule for ReLUs.  (c, t, h, w)

    Raises SpecError where none has one, and for rules of ReLUs in a network without.
    """
    subject, clips = request.subject, wanting_gradients(request.subject, seen)
    relus = Relus(rule)
    with relus:
        values = subject.values(clips, [request.target.at])
    score = request.score(values, request.channel(seen))
    if rule != "gradient" and not relus.met:
        want = "a network with ReLUs"
        got = f"{subject.plan.name} has none before the target"
        raise SpecError("a rule for ReLUs", at=request.target.at, got=got, want=want, fix="--method saliency")
    if not score.requires_grad:
        raise no_gradient(request)
    leaves = [name for name in subject.free if clips[name].requires_grad]
    found = torch.autograd.grad(score.sum(), [clips[name] for name in leaves], allow_unused=True)
    return {name: gradient[0].cpu().float() for name, gradient in zip(leaves, found) if gradient is not None}


def no_gradient(request: Request) -> SpecError:
    """What is raised for a target that no clip changes smoothly."""
    subject = request.subject
    return SpecError(
        "a target without a gradient",
        at=request.target.at,
        got="nothing that a clip changes smoothly",
        want="a value before it",
        fix=f"--at {subject.layers[0]} --channel 0" if subject.layers else None,
    )


class Relus(TorchFunctionMode):
    """Within it ReLUs pass gradients by a rule; whether any was met."""

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule, self.met = rule, False

    def __torch_function__(
        self, call: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.rule == "gradient" or call not in RELUS:
            return call(*args, **(kwargs or {}))
        self.met = True
        return RuledRelu.apply(args[0], self.rule == "guided", call is F.relu6)  # type: ignore[no-untyped-call]


class RuledRelu(torch.autograd.Function):
    """A ReLU through which only what is above 0 goes back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, guided: bool, six: bool) -> Tensor:
        ctx.guided, y = guided, x.clamp(0, 6) if six else x.clamp(min=0)
        ctx.save_for_backward(x)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        gradient = gradient.clamp(min=0)
        return (gradient * (x > 0) if ctx.guided else gradient), None, None
