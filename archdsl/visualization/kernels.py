"""The kernels of the first layers: what each channel looks for in the clip itself."""

from __future__ import annotations

from torch import Tensor

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.ops import Source
from archdsl.visualization.frames import enlarged_frames, flow_frames, largest, picture_grid, rounded, signed_colours
from archdsl.visualization.request import Picture, Request, Section
from archdsl.visualization.subject import Subject

MOST_KERNELS = 64
KERNEL_SIDE = 36
"""Pixels, at least."""


def first_kernels(request: Request) -> Section:
    """A picture of each first layer, a square for each of its channels."""
    subject = request.subject
    pictures, numbers = [], {}
    for address, weight in first_layers(subject):
        clip = subject.clips[subject.clip_under(address)]
        shown = [enlarged_frames(kernel_frames(one, clip), KERNEL_SIDE) for one in weight[:MOST_KERNELS]]
        kernel = "×".join(map(str, weight.shape[2:]))
        caption = f"{address}: {len(shown)} of {len(weight)} kernels of {kernel}"
        pictures.append(Picture(address, caption, picture_grid(shown, columns=8)))
        numbers[address] = weight
    if not pictures:
        want = "a convolution or patches as the first layer"
        raise SpecError("no kernels of the first layer", got=subject.plan.name, want=want)
    return Section(tuple(pictures), numbers)


def first_layers(subject: Subject) -> list[tuple[str, Tensor]]:
    """(address, kernels) of the convolutions that no other layer with weights stands before.  (out, in, t, h, w)"""
    weighted: set[str] = set()
    found = []
    for node in subject.plan.nodes:
        if isinstance(node.op, Source):
            continue
        own = node.op.weights(*[subject.plan.shapes[read] for read in node.reads])
        below = any(read in weighted for read in node.reads)
        if below or any(len(shape) > 1 for shape in own.values()):  # a norm is no layer of kernels
            weighted.add(node.address)
        if own and not below and not node.tied and len(own.get("weight", ())) == 5:
            found.append((node.address, subject.network.get_parameter(f"{node.address}.weight").detach().cpu().float()))
    return found


def kernel_frames(kernel: Tensor, clip: Clip) -> Tensor:
    """One kernel as it would be seen in its clip; 0 is grey, or white of one channel.  (in, t, h, w)"""
    channels = kernel.shape[0]
    if clip.modality in ("rgb", "rgb_diff") and channels % 3 == 0:
        rows = kernel.unflatten(0, (-1, 3)).permute(1, 2, 0, 3, 4).flatten(1, 2)
        return rounded(127.5 + 127.5 * rows / largest(rows))
    if clip.modality == "flow" and channels % 2 == 0:
        return flow_frames(kernel.unflatten(0, (-1, 2)).permute(1, 2, 0, 3, 4).flatten(1, 2))
    return signed_colours(kernel.mean(0))
