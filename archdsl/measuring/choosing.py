"""Which lowerings pay on this machine: small networks with each and without it, in turn."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.backend.devices import device_of
from archdsl.backend.passes import PASSES
from archdsl.backend.passes.choice import chosen
from archdsl.catalog import load
from archdsl.compiler import Plan, compile
from archdsl.measuring.comparing import Setup, clips_for, made
from archdsl.measuring.machine import waiting
from archdsl.measuring.sides import own_side, step_of
from archdsl.measuring.tables import geometric_mean
from archdsl.measuring.timing import Step, Told, interleaved, timed

SMALL: tuple[tuple[str, dict[str, int]], ...] = (
    ("slowfast_4x16_r50", {"frames": 32}),
    ("x3d_xs", {}),
    ("r2plus1d_18", {"frames": 8, "size": 56}),
)
"""Networks, and clips small enough to run them often."""
FOR_ACCURACY = ("steady_norms",)
"""Passes that cost time and are taken for what they give: no clock decides on them."""
CLEAR = 1.03
"""How many times quicker one must be for the choice to change."""
ROUNDS = 5


def small() -> list[Plan]:
    """The networks that are lowered unless others are named."""
    return [compile(load(name, **clip)) for name, clip in SMALL]


def paying(
    plans: Sequence[Plan], device: str, rounds: int = ROUNDS, told: Told = lambda text: None
) -> dict[str, dict[str, bool]]:
    """{mode: {pass: whether it pays}}, one pass after the other on top of those before it that do."""
    pays: dict[str, dict[str, bool]] = {}
    for mode in ("infer", "train"):
        taken = list(chosen(train=mode == "train", device=device_of(device).type))
        found, setup = pays.setdefault(mode, {}), Setup(train=mode == "train", device=device)
        for name in (one.name for one in PASSES if one.name not in FOR_ACCURACY):
            told(f"{name}, {mode}")
            others = [other for other in taken if other != name]
            ratio = geometric_mean([quicker(plan, others, name, setup, rounds) for plan in plans])
            found[name] = name in taken if 1 / CLEAR < ratio < CLEAR else ratio >= CLEAR
            taken = [*others, name] if found[name] else others
    return pays


def quicker(plan: Plan, others: Sequence[str], name: str, setup: Setup, rounds: int) -> float:
    """How many times quicker a network is with a pass than without it."""
    clips, wait = clips_for(plan, setup), waiting(device_of(setup.device))
    steps: dict[str, Step] = {}
    for side, names in (("without", others), ("with", [*others, name])):
        own = own_side(plan, ",".join(names) or "none", train=setup.train, device=setup.device)
        network, _ = made(own, setup)
        steps[side] = step_of(own, network, clips, setup.train)
        timed(steps[side], wait)
    times = interleaved(steps, rounds, wait)
    return times["with"].ratio_of(times["without"])
