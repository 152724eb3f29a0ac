"""Strategies of hypothesis over a network of one's own: its neighbours, its inputs, the networks of its family."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from archdsl.catalog import models_in
from archdsl.errors import SpecError
from archdsl.language import Arch, Model
from archdsl.report.admission import admits, with_clip_value
from archdsl.testing.ops import Chooser
from archdsl.testing.reduction import plan_if_legal
from archdsl.testing.variants import neighbour


@st.composite
def variants(draw: Any, arch: Arch) -> Arch:
    """The arch, or a legal neighbour: other frames, sizes, widths, depths, blocks, transforms; parts less or more."""
    return neighbour(arch, Chooser(draw))


@st.composite
def inputs(draw: Any, arch: Arch, most_clips: int = 3) -> tuple[Arch, Any]:
    """(the arch at frames and sizes that it admits, random clips for it), as a torch tensor, or several by name."""
    from archdsl.backend.example_clips import random_clips

    for axis in admits(arch).axes:
        if axis.values:
            n = draw(st.sampled_from(axis.values))
            plan = plan_if_legal(partial(with_clip_value, arch, axis.axis, axis.clips, n))
            arch = plan.arch if plan else arch
    plan = plan_if_legal(lambda: arch)
    assert plan, "what it admits compiles"
    return arch, random_clips(plan, batch=draw(st.integers(1, most_clips)), device="cpu")


@st.composite
def families(draw: Any, path: str | Path) -> Arch:
    """A network of a spec file's families: one of its models, parameters of another of the same family mixed in."""
    models = models_in(Path(path))
    one = draw(st.sampled_from(models))
    others = [model for model in models if model.family is one.family]
    given: dict[str, Any] = dict(one.parameters)
    for name in sorted({name for model in others for name in model.parameters}):
        values = [model.parameters[name] for model in others if name in model.parameters]
        if draw(st.booleans()):
            given[name] = draw(st.sampled_from(values))
    return draw(st.just(given).filter(lambda given: made_of(one, given) is not None).map(lambda g: made_of(one, g)))


def made_of(model: Model, parameters: dict[str, Any]) -> Arch | None:
    """The arch of a family with parameters; None where they contradict each other."""
    try:
        plan = plan_if_legal(lambda: model.model_copy(update={"parameters": parameters}).arch())
    except SpecError:
        return None
    return plan.arch if plan else None
