"""Cases and whole networks timed in turn on this machine, and the table that tells other networks' latency by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import dist, inf
from statistics import median
from time import perf_counter

import torch

from archdsl.backend.devices import device_of
from archdsl.catalog import load
from archdsl.compiler import Plan, compile
from archdsl.measuring.cases import EMPTY_CASE, Arena, forward_of_case, refresh
from archdsl.measuring.comparison import BenchSetup, clips_for, prepare_contestant
from archdsl.measuring.contestants import own_contestant, timed_step
from archdsl.measuring.machine import machine_name, synchronizer, watch_others
from archdsl.measuring.timer import Report, StepFunction, no_collection, seconds_of
from archdsl.ops import Affinity, Conv, Op
from archdsl.report.latency.cases import Case, CaseSizes, cases_of
from archdsl.report.latency.machine import Machine, TimedCase
from archdsl.report.latency.prediction import Latency
from archdsl.report.lowering_policy import PassChoices, PassesByMode

SAMPLED_NETWORKS = (
    *("fast_32x2_r50", "slow_4x16_r50_nl_embedded", "slowfast_4x16_r50_beta4", "slowfast_4x16_r50_beta16"),
    *("slowfast_16x8_r101_nl", "avslowfast_r50_8x8", "tpn_slow_r50", "i3d_32x2_r50", "i3d_inception_rgb", "s3d_g"),
    *("s3d_slim", "c3d", "r3d_18", "r2plus1d_34", "ipcsn_r152", "x2d", "x3d_l", "movinet_a2", "two_stream_fusion_sum"),
    *("tdn_r50", "tea_r50", "tanet_r50", "teinet_r50", "tin_r50", "stm_r50", "trn_r50_multiscale", "lrcn_caffenet"),
    *("vgg_m_2048", "squeezenet1_0", "inception_v3", "resnext50_32x4d", "seresnet50", "res2net50_26w_4s"),
    *("shufflenet_v1_x1_0_g3", "shufflenet_v2_x1_0", "mobileone_s0", "nasnet_a_mobile", "fractalnet_20"),
    *("i3d_32x2_r50_nl_dot", "tsm_r50_nl_embedded"),
)
"""Networks whose cases are sampled, unless others are named."""
WHOLE_NETWORKS = (
    *("mobilenet_v3_large", "densenet121", "movinet_a0", "tsm_mobilenet_v2", "ircsn_r50", "slow_4x16_r50"),
    *("c2d_8x8_r50", "r2plus1d_18"),
)
"""Networks that run whole: how much longer cases take among others than alone. Their cases are sampled too."""
CALIBRATION_NETWORKS = (*SAMPLED_NETWORKS, *WHOLE_NETWORKS)
RARE_NETWORKS = (
    *("flownet_s", "slowfast_4x16_r50_ttoc_sum", "slowfast_4x16_r50_time_diff", "slowfast_4x16_r50_gray"),
    *("slowfast_4x16_r50_half", "slow_4x16_r50_ava", "tsn_r50_max", "tsn_r50_topk", "tsn_r50_weighted"),
    *("tsm_r50_online", "movinet_a1_stream", "two_stream_fusion_max", "two_stream_fusion_bilinear", "bsn_tem"),
    *("i3d_32x2_r50_nl_concatenation", "repflow_r50_2d", "tal_net_rgb", "lenet5"),
)
"""Networks of which only those kinds of cases are sampled that no network above has."""
SMALL_CLIPS = (
    *(("x3d_l", {"crop": 192, "frames": 20}), ("x3d_l", {"crop": 128, "frames": 40}), ("x2d", {"size": 128})),
    *((name, {"size": 112}) for name in ("movinet_a2", "mobilenet_v3_large", "shufflenet_v2_x1_0", "ircsn_r50")),
    *((name, {"size": 112}) for name in ("i3d_32x2_r50", "tdn_r50", "resnext50_32x4d")),
    ("r2plus1d_34", {"size": 56}),
)
"""Clips at which networks are sampled too: small maps, where the cost of a call itself counts. None is of a page's."""
CASE_COUNT = 700
DENSITY: dict[type[Op], float] = {Conv: 1.5, Affinity: 3.0}
"""How many times nearer to each other cases that begin so are sampled than others: networks spend their time there."""
CALIBRATION_ROUNDS = 15
MAX_CASE_ELEMENTS = 4e7
"""Numbers that a sampled case reads or holds at most: larger ones would need memory that others lack."""
MAX_CASE_MACS = 1.2e10
"""Multiply-adds of a sampled case at most."""
BUSY_SHARE = 0.05
"""The share of processors from which on others are said to be busy."""
WATCH_SECONDS = 0.5
"""Seconds over which that share is watched."""
CaseOrName = Case | str
"""A case, or a network by name."""


@dataclass
class TimedRounds:
    """Seconds of a step, a figure for each round, and the share of processors that others had meanwhile."""

    rounds: list[tuple[float, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The median of rounds in which others were quiet; of all where these are fewer than three."""
        quiet = [taken for taken, share in self.rounds if share < BUSY_SHARE]
        return median(quiet if len(quiet) >= 3 else [taken for taken, _ in self.rounds])


def calibration_cases(taken: PassChoices) -> list[Case]:
    """The cases that are measured unless networks are named."""
    small = [load(name, **clip) for name, clip in SMALL_CLIPS]
    often, rare = (
        [case for arch in arches for _, case in cases_of(compile(arch), taken)]
        for arches in ([*map(load, CALIBRATION_NETWORKS), *small], map(load, RARE_NETWORKS))
    )
    kinds = {case.kind for case in often}
    return spread_cases([*often, *(case for case in rare if case.kind not in kinds)], CASE_COUNT)


def spread_cases(cases: Iterable[Case], most: int) -> list[Case]:
    """So many of the cases that none is far from one of its kind: each time the one that is farthest from those.

    Convolutions, and sums over pairs, lie nearer to each other.
    """
    known: dict[tuple[str, CaseSizes], Case] = {}
    for case in cases:
        if case.macs <= MAX_CASE_MACS and case.weights + sum(x.elements for x in case.reads) <= MAX_CASE_ELEMENTS:
            known.setdefault((case.kind, case.sizes()), case)
    points = {key: key[1].point for key in known}
    counts = {key: DENSITY.get(type(case.ops[0]), 1.0) if case.ops else 1.0 for key, case in known.items()}
    away = dict.fromkeys(known, inf)
    taken: list[Case] = []
    while away and len(taken) < most:
        chosen = max(away, key=lambda key: away[key] * counts[key])
        taken.append(known[chosen])
        del away[chosen]
        for key in away:
            if key[0] == chosen[0]:
                away[key] = min(away[key], dist(points[key], points[chosen]))
    return taken


def timed_in_turn(
    steps: Mapping[CaseOrName, tuple[StepFunction, StepFunction]],
    rounds: int,
    wait: StepFunction,
    report: Report = lambda text: None,
) -> dict[CaseOrName, TimedRounds]:
    """Every step once in each round, what goes before it not counted; who else is busy is watched all along."""
    found = {key: TimedRounds() for key in steps}
    with no_collection():
        for done in range(rounds):
            report(f"round {done + 1} of {rounds}")
            watched, begun, since = watch_others(), perf_counter(), list[tuple[CaseOrName, float]]()
            for at, (key, (before, step)) in enumerate(steps.items(), start=1):
                before()
                since.append((key, seconds_of(step, wait)))
                if perf_counter() - begun > WATCH_SECONDS or at == len(steps):
                    share = watched() or 0.0
                    for one, taken in since:
                        found[one].rounds.append((taken, share))
                    watched, begun, since = watch_others(), perf_counter(), []
    return found


def network_step(plan: Plan, device: str, taken: PassChoices) -> StepFunction:
    """A network's forward as it is report: lowered, frozen, one clip."""
    setup, side = BenchSetup(device=device), own_contestant(plan, taken, train=False, device=device)
    network, _ = prepare_contestant(side, setup)
    return timed_step(side, network, clips_for(plan, setup), train=False)


def do_nothing() -> None:
    """What goes before a network."""


def measure_cases(
    cases: Sequence[Case],
    plans: Sequence[Plan],
    device: str,
    taken: PassChoices,
    rounds: int = CALIBRATION_ROUNDS,
    report: Report = lambda text: None,
) -> dict[CaseOrName, TimedRounds]:
    """Cases, and networks by name, lowered by the passes taken, in turn."""
    torch.manual_seed(0)
    where, steps = device_of(device), dict[CaseOrName, tuple[StepFunction, StepFunction]]()
    arena, wait = Arena(int(MAX_CASE_ELEMENTS), where), synchronizer(where)
    for at, case in enumerate([*cases, EMPTY_CASE]):
        report(f"{at} of {len(cases)} cases made")
        xs = arena.maps(case)
        steps[case] = refresh(xs), forward_of_case(case, xs, taken)
    for plan in plans:
        report(f"making {plan.name}")
        steps[plan.name] = do_nothing, network_step(plan, device, taken)
    for key, (_, step) in steps.items():
        report(f"warming {key.kind if isinstance(key, Case) else key}")
        seconds_of(step, wait)
    return timed_in_turn(steps, rounds, wait, report)


def machine_table(
    cases: Sequence[Case],
    plans: Sequence[Plan],
    times: Mapping[CaseOrName, TimedRounds],
    device: str,
    pays: PassesByMode,
) -> Machine:
    """The table: seconds of each case alone, how much longer whole networks take than their cases, and what pays."""
    samples: dict[str, list[TimedCase]] = {}
    for case in cases:
        samples.setdefault(case.kind, []).append(TimedCase(case.sizes(), times[case].seconds))
    where = device_of(device)
    table = {kind: tuple(found) for kind, found in samples.items()}
    alone = Machine(machine_name(where), where.type, table, empty=times[EMPTY_CASE].seconds, pays=pays)
    ratios = [times[plan.name].seconds / Latency(plan, alone).seconds for plan in plans]
    return replace(alone, scale=median(ratios) if ratios else 1.0)
