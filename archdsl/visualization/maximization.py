"""Clips that a channel or a class answers to most, found by gradient ascent on the clip itself.

Variation over space and over time each has a weight, as in arXiv:1801.01415: the larger that over time, the slower what
is found. What is ascended is the target's gradient, brought to unit length, so that weights mean the same in any
network; variation is not descended but filtered away in one exact (proximal) step, stable whatever its weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from archdsl.language import Clip
from archdsl.language.recipes.clips import Values
from archdsl.training.data.transforms.normalisation import FRAMELESS, bounds_of, denormalised, normalise
from archdsl.visualization.frames import TINY, clip_frames, enlarged_frames, largest, stacked_again, unstacked
from archdsl.visualization.maps import shown_frames
from archdsl.visualization.request import Picture, Request, Section
from archdsl.visualization.sensitivity import no_gradient
from archdsl.visualization.velocity import velocity_of

RATE = 0.2
"""Length of a step, in parts of the range of a clip's numbers; it falls to 0 (half a cosine)."""
ENERGY = 0.05
"""Weight of the distance from the middle of the range: what nothing asks for fades."""
START_NOISE = 0.02
"""Standard deviation of the noise at the start, in parts of the range."""
JITTER = 8
"""A clip is shifted by up to 1 / JITTER of its sides before each step: so that no grid of strides shows."""
FREE_RANGE = (-2.0, 2.0)
"""Of clips whose numbers have no bounds."""


@dataclass(frozen=True)
class FreeClip:
    """The frames of one clip that are read, as numbers about 0, from -1/2 to 1/2 of its range."""

    clip: Clip
    values: Values
    frames: list[int]

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        """The least and the largest normalised number.  (c, 1, 1, 1)"""
        raw = bounds_of(self.clip, self.values)
        ends = [torch.full((self.clip.shape.c, 1, 1, 1), one) for one in raw or FREE_RANGE]
        low, high = (normalise(one, self.clip, self.values, stored=False) if raw else one for one in ends)
        return low, high

    def start(self, generator: torch.Generator) -> Tensor:
        """Noise.  (1, c, t, h, w)"""
        c, _, h, w = self.clip.shape
        return START_NOISE * torch.randn(1, c, len(self.frames), h, w, generator=generator)

    def normalised(self, x: Tensor) -> Tensor:
        """The clip as the network takes it; frames that nobody reads lie in the middle of the range."""
        low, high = (bound.to(x) for bound in self.bounds)
        whole = torch.zeros(*x.shape[:2], self.clip.frames, *x.shape[3:], device=x.device)
        whole = whole.index_copy(2, torch.tensor(self.frames, device=x.device), x)
        return (whole + 0.5) * (high - low) + low

    def smoothed(self, x: Tensor, energy: float, spatial: float, temporal: float) -> Tensor:
        """The clip y of least |y - x|^2 + energy |y|^2 + spatial (|dy/dh|^2 + |dy/dw|^2) + temporal |dy/dt|^2, exactly.

        Within frames by Fourier series (what leaves on the right comes in on the left, as the jitter has it), over time
        by cosines (nothing comes before the first frame).
        """
        framed = self.clip.modality not in FRAMELESS
        rows = unstacked(x[0], self.clip)
        t, h, w = rows.shape[1:]
        mirrored = torch.cat([rows, rows.flip(1)], 1)
        space = (variation(h)[:, None] + variation(w)) * framed
        weight = 1 + energy + spatial * space + temporal * variation(2 * t)[:, None, None]
        smooth = torch.fft.ifftn(torch.fft.fftn(mirrored, dim=(1, 2, 3)) / weight.to(x.device), dim=(1, 2, 3)).real
        return stacked_again(smooth[:, :t], self.clip, x.shape[2])[None]


def variation(count: int) -> Tensor:
    """The squared difference of neighbours in each wave along a closed line of `count` places."""
    return 4 * torch.sin(torch.arange(count) * pi / count) ** 2


def maximal_clips(request: Request) -> Section:
    """A clip for each temporal weight, from fast to slow."""
    subject = request.subject
    channel = request.channel(request.clips[0])
    title = request.target.title(subject, channel)
    pictures, numbers = [], {}
    for temporal in request.temporal:
        found, reached = maximized(request, channel, temporal)
        for name, x in found.items():
            clip, seen = subject.clips[name], shown_frames(subject, name)
            frames = clip_frames(x[0][:, seen], clip, subject.recipe.values)
            caption = f"{title} reaches {reached:.3g}; temporal weight {temporal:g}"
            key = f"{name}/temporal {temporal:g}"
            numbers[key] = denormalised(x[0].cpu(), clip, subject.recipe.values)
            if clip.modality in ("rgb", "gray", "rgb_diff") and frames.shape[1] > 1:
                speed = velocity_of(unstacked(x[0][:, seen].cpu(), clip))
                caption += f"; moves {said_of(speed)}"
                numbers[f"{key}/velocity"] = speed
            pictures.append(Picture(f"{name}_temporal_{temporal:g}", caption, enlarged_frames(frames)))
    return Section(tuple(pictures), numbers)


def said_of(velocity: Tensor) -> str:
    """`3.1 px left, 0.2 px down per frame`"""
    x, y = velocity.tolist()
    return f"{abs(x):.1f} px {'right' if x > 0 else 'left'}, {abs(y):.1f} px {'down' if y > 0 else 'up'} per frame"


def maximized(request: Request, channel: int, temporal: float) -> tuple[dict[str, Tensor], float]:
    """(the clips of a network that a channel answers to most, what it gives there), all found together.

    Raises SpecError where no gradient reaches any clip.
    """
    subject = request.subject
    free = {
        name: FreeClip(subject.clips[name], subject.recipe.values, shown_frames(subject, name)) for name in subject.free
    }
    generator = torch.Generator().manual_seed(request.seed)
    found = {name: one.start(generator).to(subject.device) for name, one in free.items()}
    fixed = {name: x for name, x in request.clips[0].clips.items() if name not in free}
    at = [request.target.at]
    steps = request.track(range(request.steps), request.steps, f"ascent, temporal weight {temporal:g}")
    for step in steps:
        rate = RATE * (1 + torch.cos(torch.tensor(pi * step / request.steps)).item()) / 2
        shifts = {name: shift_of(one, generator) for name, one in free.items()}
        leaves = {name: rolled(x, shifts[name]).requires_grad_() for name, x in found.items()}
        clips = fixed | {name: free[name].normalised(x) for name, x in leaves.items()}
        score = request.score(subject.values(clips, at), channel).sum()
        if not score.requires_grad:
            raise no_gradient(request)
        gradients = torch.autograd.grad(score, [*leaves.values()], allow_unused=True)
        for (name, x), gradient in zip(found.items(), gradients):
            if gradient is None:
                continue
            back = rolled(gradient, tuple(-shift for shift in shifts[name]))
            ascent = x + rate * of_unit_length(back)
            smooth = free[name].smoothed(ascent, rate * ENERGY, rate * request.spatial, rate * temporal)
            found[name] = smooth.clamp(-0.5, 0.5)
    clips = fixed | {name: free[name].normalised(x) for name, x in found.items()}
    with torch.no_grad():
        reached = float(request.score(subject.values(clips, at), channel))
    return {name: clips[name] for name in free}, reached


def of_unit_length(gradient: Tensor) -> Tensor:
    """A gradient of any size whose root mean square is 1; 0 stays 0."""
    relative = gradient / largest(gradient)
    return relative / relative.square().mean().sqrt().clamp(min=TINY)


def shift_of(one: FreeClip, generator: torch.Generator) -> tuple[int, int]:
    """How far a clip is shifted before a step, along (h, w); what is no picture is not."""
    if one.clip.modality in FRAMELESS:
        return 0, 0
    most = [side // JITTER for side in one.clip.shape[2:4]]
    down, right = (int(torch.randint(-n, n + 1, (), generator=generator)) for n in most)
    return down, right


def rolled(x: Tensor, shift: tuple[int, ...]) -> Tensor:
    """A clip shifted within its frames, around the edges."""
    return x.roll(shift, (3, 4)).detach()
