"""Maps over clips: activations, class activation maps, Grad-CAM."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.compiler.inner_values import value_at
from archdsl.errors import SpecError
from archdsl.visualization.frames import clip_frames, enlarged_frames, over, over_clip, picture_grid
from archdsl.visualization.request import Picture, Request, Section, gradient_at, layers_of, wanting_gradients
from archdsl.visualization.subject import ShownClip, Subject

COLUMNS = 4
"""Pictures side by side."""
SAME_GRADIENT = 1e-3
"""Relative difference of gradients that are the same."""


def shown_frames(subject: Subject, name: str) -> list[int]:
    """The frames of a clip that some pathway reads."""
    return list(subject.plan.frames_read.get(name, range(subject.clips[name].frames)))


def heat_over(subject: Subject, seen: ShownClip, at: str, *heats: Tensor, signed: bool = False) -> Tensor:
    """A clip and beside it maps over it, at the frames that are read.  each (t, h, w) -> (3, frames, height, width)"""
    name = subject.clip_under(at)
    grid, shape = subject.plan.grids[value_at(subject.plan, at)], subject.clips[name].shape[1:4]
    whole = [over_clip(heat.detach().cpu().float(), grid, shape) for heat in heats]
    return drawn_over(subject, name, seen.clips[name][0], *whole, signed=signed)


def drawn_over(subject: Subject, name: str, x: Tensor, *heats: Tensor, signed: bool = False) -> Tensor:
    """A clip and beside it what lies over every frame and pixel of it.  (c, t, h, w), each (t, h, w)"""
    frames, clip = shown_frames(subject, name), subject.clips[name]
    pictures = clip_frames(x[:, frames], clip, subject.recipe.values)
    parts = [pictures]
    for heat in heats:
        heat = heat[frames].cpu()
        if heat.shape != pictures.shape[1:]:
            heat = heat_of_sheet(heat, pictures) if pictures.shape[1] == 1 else heat_of_stacks(heat, pictures)
        parts.append(over(pictures, heat, signed=signed))
    return picture_grid([enlarged_frames(part) for part in parts], columns=min(len(parts), COLUMNS))


def heat_of_sheet(heat: Tensor, pictures: Tensor) -> Tensor:
    """Heat of what is no picture, as `sheet` lays it out: the same for all channels, time to the right."""
    rows = heat.permute(1, 2, 0).flatten(0, 1)
    return rows.repeat(pictures.shape[2] // len(rows), 1)[None]


def heat_of_stacks(heat: Tensor, pictures: Tensor) -> Tensor:
    """Heat of stacked frames: the same for all of a stack."""
    return heat.repeat_interleave(pictures.shape[1] // heat.shape[0], 0)


def check_map(request: Request, at: str) -> None:
    """Raise SpecError for a value that lies nowhere in space and time."""
    subject = request.subject
    if not subject.is_map(at):
        raise SpecError(
            "no map at this address",
            at=at,
            got=str(subject.plan.shapes[at]),
            want="a map of several places",
            fix=" ".join(f"--at {name}" for name in layers_of(request)) or None,
        )


def activation_maps(request: Request) -> Section:
    """The strongest channels of each layer over each clip, or the target's."""
    subject = request.subject
    pictures, numbers = [], {}
    for seen in request.clips:
        with torch.no_grad():
            values = subject.values(seen.clips, request.layers)
        for at in request.layers:
            check_map(request, at)
            value = subject.map_of(values[at], at)[0].cpu().float()
            strongest = value.clamp(min=0).mean((1, 2, 3)).topk(min(request.top, len(value))).indices.tolist()
            if at == request.target.at:
                strongest = [request.channel(seen)]
            maps = heat_over(subject, seen, at, *(value[channel].clamp(min=0) for channel in strongest))
            said = ", ".join(map(str, strongest))
            caption = f"{seen.name}: channels {said} of {at}"
            pictures.append(Picture(f"{seen.name}_{at}", caption, maps))
            numbers[f"{seen.name}/{at}/channels"] = torch.tensor(strongest)
            numbers[f"{seen.name}/{at}"] = value[strongest]
    return Section(tuple(pictures), numbers)


def gradient_maps(request: Request) -> Section:
    """Grad-CAM: the channels of a map, each times the mean gradient of the target at it (arXiv:1610.02391, 1 and 2)."""
    subject = request.subject
    pictures, numbers = [], {}
    for seen in request.clips:
        channel = request.channel(seen)
        for at, heat in zip(request.layers, gradcam(request, seen)):
            caption = f"{seen.name}: {request.target.title(subject, channel)}, by {at}"
            pictures.append(Picture(f"{seen.name}_{at}", caption, heat_over(subject, seen, at, heat)))
            numbers[f"{seen.name}/{at}"] = heat
    return Section(tuple(pictures), numbers)


def gradcam(request: Request, seen: ShownClip) -> list[Tensor]:
    """The map of each layer.  (t, h, w)

    Raises SpecError for a layer that no gradient of the target reaches.
    """
    subject, target = request.subject, request.target
    values = subject.values(wanting_gradients(subject, seen), [*request.layers, target.at])
    score = request.score(values, request.channel(seen))
    return [gradcam_of(subject, at, values[at], reaching(request, at, score, values[at])) for at in request.layers]


def gradcam_of(subject: Subject, at: str, value: Tensor, gradient: Tensor) -> Tensor:
    """The channels of a map times the mean of their gradients, where that is above 0.  (t, h, w)"""
    value, gradient = (subject.map_of(x.detach(), at)[0].float() for x in (value, gradient))
    weights = gradient.mean((1, 2, 3))
    return torch.einsum("c,cthw->thw", weights, value).clamp(min=0)


def reaching(request: Request, at: str, score: Tensor, value: Tensor) -> Tensor:
    """The gradient of the target at the map of a layer. Raises SpecError where none reaches it."""
    subject = request.subject
    check_map(request, at)
    gradient = gradient_at(score, value)
    if gradient is not None and bool(subject.map_of(gradient, at).any()):
        return gradient
    raise SpecError(
        "no gradient reaches the map at this address",
        at=at,
        got=f"the target {request.target.at}",
        want="a map that the target is made from",
        fix=" ".join(f"--at {name}" for name in layers_of(request)) or None,
    )


def class_maps(request: Request) -> Section:
    """Class activation maps: the channels of the last map, each times its weight in the class (arXiv:1512.04150)."""
    subject = request.subject
    pictures, numbers = [], {}
    for seen in request.clips:
        channel = request.channel(seen)
        for at, (heat, weights) in zip(request.layers, cam(request, seen)):
            caption = f"{seen.name}: {request.target.title(subject, channel)}, by {at}; blue speaks against it"
            pictures.append(Picture(f"{seen.name}_{at}", caption, heat_over(subject, seen, at, heat, signed=True)))
            numbers[f"{seen.name}/{at}"], numbers[f"{seen.name}/{at}/weights"] = heat, weights
    return Section(tuple(pictures), numbers)


def cam(request: Request, seen: ShownClip) -> list[tuple[Tensor, Tensor]]:
    """(map, weights of its channels) of each layer: their means and the bias add up to the score.  (t, h, w), (c,)

    The weight of a channel is what the score gains where the channel grows by 1 everywhere. Raises SpecError where that
    hangs on the clip or on the place: where the head is not a mean and a linear layer.
    """
    subject, target = request.subject, request.target
    noise = seen._replace(clips={name: perturbed(subject, name, x) for name, x in seen.clips.items()})
    found = []
    for one in (seen, noise):
        values = subject.values(wanting_gradients(subject, one), [*request.layers, target.at])
        score = request.score(values, request.channel(seen))
        maps = [subject.map_of(values[at].detach(), at)[0].float() for at in request.layers]
        gradients = [reaching(request, at, score, values[at]) for at in request.layers]
        found.append((maps, [subject.map_of(x, at)[0] for x, at in zip(gradients, request.layers)]))
    (maps, gradients), (_, others) = found
    for at, gradient, other in zip(request.layers, gradients, others):
        alike = gradient.mean((1, 2, 3), keepdim=True)
        most = SAME_GRADIENT * gradient.abs().max()
        if (gradient - alike).abs().max() > most or (other - gradient).abs().max() > most:
            raise SpecError(
                "no class activation map of this network",
                at=at,
                got="a class that is no weighted mean of this map",
                want="a head that pools and is linear",
                fix="--method gradcam",
            )
    weights = [gradient.sum((1, 2, 3)) for gradient in gradients]
    return [(torch.einsum("c,cthw->thw", w, x), w) for w, x in zip(weights, maps)]


def perturbed(subject: Subject, name: str, x: Tensor) -> Tensor:
    """Another clip: noise, where a gradient can change it."""
    generator = torch.Generator(x.device).manual_seed(0)
    return torch.randn(x.shape, generator=generator, device=x.device) if name in subject.free else x
