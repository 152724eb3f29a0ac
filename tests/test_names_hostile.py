"""Every name that is accepted builds and runs: hostile ones in all positions, in every kind of network."""

from __future__ import annotations

import builtins
import keyword
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import archdsl
from archdsl.backend import PASSES, runtime
from archdsl.blocks.names import NAME
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.testing.agreement import check_agreement

MODES = ("plain", "causal", "keys")
LOWERED: list[Any] = ["none", "auto", [one.name for one in PASSES]]


@cache
def hostile() -> list[str]:
    """Words of Python, its builtins, what torch's modules have, and every name that emitted code uses."""
    words = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *dir(torch.nn.Module())}
    for mode in MODES:
        for lower in LOWERED:
            words |= set(re.findall(r"\w+", archdsl.emit(archdsl.compile(arch(mode, {})), lower)))
    for file in Path(runtime.__path__[0]).glob("*.py"):
        words |= set(re.findall(r"\w+", file.read_text(encoding="utf-8")))
    return sorted({word.lower() for word in words if re.fullmatch(NAME, word.lower())})


POSITIONS = ("network", "clip", "pathway", "more", "stage", "last", "drawn", "step", "then", "branch", "edge", "head")


def arch(mode: str, names: dict[str, str]) -> Arch:
    """A network in which every position has a name; those that are not given have plain ones."""
    n = {position: f"my_{position}" for position in POSITIONS} | names
    conv: dict[str, Any] = {"conv": {"channels": 4}}
    drawn = {"steps": {n["step"]: {"conv": {"out_channels": 4, "kernel": [1, 1, 1]}}, n["then"]: {"relu": {}}}}
    branches = {"branches": {"branches": {n["branch"]: conv, "b": []}}}
    stages = {n["stage"]: [{n["drawn"]: {}}, branches], n["last"]: conv}
    pathways: dict[str, Any] = {n["pathway"]: {"stages": stages, "every": 2}}
    edges: list[Any] = []
    if mode == "keys":
        flow = {"stages": {n["last"]: {"conv": {"channels": 4}}}, "pairs": 2}
        pathways[n["more"]] = flow
        edge = {"source": n["more"], "target": n["pathway"], "after": n["last"], "name": n["edge"]}
        edges = [{**edge, "transform": {"warp": {}}, "merge": "interleave"}]
        head: dict[str, Any] = {"dense": {"classes": 3, "reads": [n["pathway"]]}}
    else:
        wide = {"conv": {"channels": 3, "kernel": [3, 1, 1]}}
        pathways[n["more"]] = {"every": 2, "stages": {n["last"]: [conv, wide]}}
        edge = {"source": n["more"], "target": n["pathway"], "after": n["last"], "name": n["edge"]}
        edges = [{**edge, "transform": {"time_conv": {}}}]
        one = {"classifier": {"classes": 3, "reads": [n["pathway"]]}}
        head = {"several": {"heads": {n["head"]: one, "other": one}, "merge": "sum"}}
    return Arch(
        name=n["network"],
        clips={n["clip"]: {"frames": 4, "size": 8}},
        blocks={n["drawn"]: drawn},
        pathways=pathways,
        edges=edges,
        head=head,
        causal=mode == "causal",
    )


def builds_and_runs(mode: str, names: dict[str, str]) -> None:
    """Accepted or refused with an error of ours; what is accepted runs and streams in every form."""
    try:
        plan = archdsl.compile(arch(mode, names))
    except SpecError:
        return
    clip = torch.randn(2, 3, 4, 8, 8)
    torch.manual_seed(0)
    literal = archdsl.build(plan).eval()
    with torch.no_grad():
        want = literal(clip)
        for lower in LOWERED[1:]:
            network: Any = archdsl.build(plan, lower).eval()
            network.load_state_dict(literal.state_dict())
            torch.testing.assert_close(network(clip), want, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(archdsl.freeze(network)(clip), want, rtol=1e-4, atol=1e-5)
            if plan.one_frame or plan.schedule:
                frames = clip if plan.schedule else clip[:, :, ::2]
                torch.testing.assert_close(network.step(frames)[0], want, rtol=1e-4, atol=1e-5)
    assert archdsl.draw(plan)
    assert archdsl.table(plan)


@settings(max_examples=10)
@given(st.sampled_from(MODES), st.data())
def test_names_drawn_from_a_hostile_list(mode: str, data: st.DataObject) -> None:
    some = data.draw(st.lists(st.sampled_from(POSITIONS), min_size=1, max_size=4, unique=True))
    builds_and_runs(mode, {position: data.draw(st.sampled_from(hostile())) for position in some})


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("position", POSITIONS)
def test_every_hostile_name_in_every_position(mode: str, position: str) -> None:
    for name in hostile():
        builds_and_runs(mode, {position: name})


ACCEPTED = {
    "network": ["none", "true", "exception", "value_error", "tensor", "f", "module"],
    "clip": ["held", "frames", "clips", "torch", "self", "forward", "pair", "int"],
    "pathway": ["step", "streaming", "key_frame", "current_frame", "frames", "torch", "self", "warp", "input", "tuple"],
    "stage": ["frames", "half", "double", "type", "head", "edges", "self", "conv", "match"],
    "branch": ["half", "float"],
    "edge": ["double"],
    "head": ["half"],
    "step": ["half", "torch", "frames", "x", "self"],
    "drawn": ["none", "value_error", "module"],
}


@pytest.mark.slow
@pytest.mark.parametrize(("position", "name"), [(at, name) for at, names in ACCEPTED.items() for name in names])
def test_each_name_that_only_looks_taken(position: str, name: str) -> None:
    look_taken({position: name})


@pytest.mark.parametrize("i", range(max(map(len, ACCEPTED.values()))))
def test_names_that_only_look_taken(i: int) -> None:
    """One in each position, all of them at once."""
    look_taken({position: names[i % len(names)] for position, names in ACCEPTED.items()})


def look_taken(names: dict[str, str]) -> None:
    """An arch with these names compiles, and does in every mode what it does with others."""
    for mode in MODES:
        archdsl.compile(arch(mode, names))  # accepted
        builds_and_runs(mode, names)
    if {"none", "forward", "frames", "half"} & set(names.values()):
        check_agreement(archdsl.compile(arch("causal", names)))
