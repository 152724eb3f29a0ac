"""The ways to look into a network: a function each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from archdsl.errors import SpecError, did_you_mean
from archdsl.visualization.favourites import favourite_clips
from archdsl.visualization.feature_planes import feature_planes
from archdsl.visualization.kernels import first_kernels
from archdsl.visualization.maps import activation_maps, class_maps, gradient_maps
from archdsl.visualization.maximization import maximal_clips
from archdsl.visualization.request import Request, Section
from archdsl.visualization.sensitivity import deconvolution_maps, guided_maps, occlusion_maps, saliency_maps


class Method(NamedTuple):
    """A way to look into a network."""

    name: str
    show: Callable[[Request], Section]
    text: str
    """What it shows, in a line."""


VISUAL_METHODS = (
    Method("kernels", first_kernels, "The kernels of the first layers."),
    Method("activations", activation_maps, "Where in the clips the strongest channels of a layer are active."),
    Method("cam", class_maps, "Class activation maps: what each place of the last map adds to the class."),
    Method("gradcam", gradient_maps, "Grad-CAM: places of a layer whose channels raise the target."),
    Method("occlusion", occlusion_maps, "How much the target falls where a part of the clip is hidden for a while."),
    Method("saliency", saliency_maps, "How strongly each pixel acts on the target: the size of its gradient."),
    Method("guided", guided_maps, "Guided backpropagation: pixels that raise the target through active ReLUs."),
    Method("deconv", deconvolution_maps, "A deconvnet: pixels that raise the target, whichever ReLUs were active."),
    Method("maximization", maximal_clips, "Clips made by gradient ascent that the target answers to most."),
    Method("top", favourite_clips, "Clips of the data that the target answers to most."),
    Method("embedding", feature_planes, "Clips of the data in a plane, near where the network sees them alike."),
)
"""All of them, in the order of the page."""


def methods_named(names: Sequence[str]) -> tuple[Method, ...]:
    """Methods by name, all where none is named. Raises SpecError for names that there are not."""
    known = {one.name: one for one in VISUAL_METHODS}
    for name in names:
        if name not in known:
            fix = did_you_mean(name, known)
            raise SpecError(f"no method {name!r}", got=name, want=", ".join(known), fix=fix)
    return tuple(one for one in VISUAL_METHODS if one.name in names or not names)
