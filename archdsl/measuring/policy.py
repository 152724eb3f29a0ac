"""Which lowerings pay on this machine: small networks with each and without it, in turn."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.backend import emit
from archdsl.backend.devices import device_of
from archdsl.backend.passes import PASSES
from archdsl.catalog import load
from archdsl.compiler import Plan, compile
from archdsl.measuring.bounds import CLEAR_SPEEDUP, measure_bound, speedup, with_and_without
from archdsl.measuring.comparison import BenchSetup, clips_for, prepare_contestant
from archdsl.measuring.contestants import own_contestant, timed_step
from archdsl.measuring.tables import geometric_mean
from archdsl.measuring.timer import Report, StepFunction
from archdsl.report.latency.machine import shipped_machine
from archdsl.report.lowering_policy import MODES, PassChoice, PassChoices

SMALL_NETWORKS: tuple[tuple[str, dict[str, int]], ...] = (
    ("slowfast_4x16_r50", {"frames": 32}),
    ("x3d_xs", {}),
    ("r2plus1d_18", {"frames": 8, "size": 56}),
)
"""Networks, and clips small enough to run them often."""
FOR_ACCURACY = ("steady_norms",)
"""Passes that cost time and are taken for what they give: no clock decides on them."""
POLICY_ROUNDS = 5


def small_plans() -> list[Plan]:
    """The networks that are lowered unless others are named."""
    return [compile(load(name, **clip)) for name, clip in SMALL_NETWORKS]


def measure_passes(
    plans: Sequence[Plan], device: str, rounds: int = POLICY_ROUNDS, report: Report = lambda text: None
) -> dict[str, dict[str, PassChoice]]:
    """{mode: {pass: choice}}, one pass after the other on top of those before it that pay.

    It begins with what comes along, which a pass must clearly better or worsen.
    """
    pays: dict[str, dict[str, PassChoice]] = {}
    shipped = shipped_machine(device_of(device).type)
    for mode in MODES:
        taken = dict(shipped.pays[mode]) if shipped else {}
        setup = BenchSetup(train=mode == "train", device=device)
        for one in PASSES:
            if one.name in FOR_ACCURACY or (setup.train and not one.trains):
                continue
            report(f"{one.name}, {mode}")
            if one.bound:
                taken[one.name] = measure_bound(one, taken, setup, 2 * rounds, report)
            else:
                ratio = geometric_mean([network_speedup(plan, taken, one.name, setup, rounds) for plan in plans])
                taken[one.name] = (
                    taken.get(one.name, False) if 1 / CLEAR_SPEEDUP < ratio < CLEAR_SPEEDUP else ratio >= CLEAR_SPEEDUP
                )
        pays[mode] = {name: choice for name, choice in taken.items() if name not in FOR_ACCURACY}
    return pays


def network_speedup(plan: Plan, others: PassChoices, name: str, setup: BenchSetup, rounds: int) -> float:
    """How many times quicker a network is with a pass than without it: once, where the pass finds nothing there."""
    rows = with_and_without(name, others)
    if emit(plan, rows[0]) == emit(plan, rows[1]):
        return 1.0
    clips = clips_for(plan, setup)

    def step(row: PassChoices) -> StepFunction:
        own = own_contestant(plan, row, train=setup.train, device=setup.device)
        network, _ = prepare_contestant(own, setup)
        return timed_step(own, network, clips, setup.train)

    return speedup(step, rows, setup, rounds)
