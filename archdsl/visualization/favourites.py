"""The clips of a data set that a channel or a class answers to most (arXiv:1311.2901, figure 2)."""

from __future__ import annotations

import torch

from archdsl.training.data.clips import Unreadable
from archdsl.visualization.frames import clip_frames, enlarged_frames
from archdsl.visualization.maps import heat_over, shown_frames
from archdsl.visualization.request import Picture, Request, Section
from archdsl.visualization.subject import pictures_clip, seen


def favourite_clips(request: Request) -> Section:
    """The clips that answer most, the strongest first; of a map where in them."""
    subject, target = request.subject, request.target
    channel = request.channel(request.clips[0])
    kind = "max" if subject.is_map(target.at) else "mean"
    strengths = torch.stack([values[f"{kind} {target.at}"][channel] for _, values in request.survey])
    names = {request.data.name(index): index for index in range(min(request.count, len(request.data)))}
    pictures = []
    for place, row in enumerate(strengths.topk(min(request.top, len(strengths))).indices.tolist(), 1):
        one = request.survey[row][0]
        try:
            again = seen(subject, request.data, names[one.name], one.name, subject.recipe)
        except Unreadable:
            continue
        name = pictures_clip(subject)
        if subject.is_map(target.at):
            with torch.no_grad():
                value = subject.map_of(subject.values(again.clips, [target.at])[target.at], target.at)
            drawn = heat_over(subject, again, target.at, value[0, channel].clamp(min=0))
        else:
            x = again.clips[name][0][:, shown_frames(subject, name)]
            drawn = enlarged_frames(clip_frames(x, subject.clips[name], subject.recipe.values))
        label = f", {one.label}" if one.label else ""
        pictures.append(Picture(f"{place}_{one.name}", f"{strengths[row]:.3g}: {one.name}{label}", drawn))
    title = target.title(subject, channel)
    text = f"{title}: the strongest of {len(strengths)} clips, whose mean is {strengths.mean():.3g}."
    return Section(tuple(pictures), {"strengths": strengths}, text)
