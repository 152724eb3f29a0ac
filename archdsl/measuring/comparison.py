"""Several networks of one plan, with equal weights and equal clips, timed in turn in one process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import nn

from archdsl.backend import build
from archdsl.backend.devices import device_of
from archdsl.backend.example_clips import random_clips
from archdsl.backend.precision import AUTOCAST_TYPES, autocast_to
from archdsl.compiler import Plan
from archdsl.measuring.contestants import (
    Contestant,
    error_of,
    loss_of,
    outputs_of,
    randomize_norms,
    timed_step,
    without_dropout,
)
from archdsl.measuring.machine import gemm_step, gigaflops, machine_name, synchronizer, watch_others
from archdsl.measuring.timer import Report, StepFunction, Times, seconds_of, timed_interleaved

YARDSTICK = "the machine's matrix product"


@dataclass(frozen=True)
class BenchSetup:
    """What is measured: clips in a batch, forward alone or a training step, where, how many rounds."""

    batch: int = 1
    train: bool = False
    device: str = "cpu"
    runs: int = 7
    precision: str = "fp32"
    """fp32, or torch.autocast to bf16 or fp16."""

    @property
    def autocast(self) -> torch.autocast:
        """The precision, as a context."""
        return autocast_to(self.precision, device_of(self.device))


@dataclass(frozen=True)
class ContestantTimes:
    """What one side took."""

    side: str
    times: Times
    made: float
    """Seconds to make and prepare it, the copying of weights left out."""
    first: float
    """Seconds of its first step: kernels are chosen, compilers compile."""
    error: float
    """Largest difference to the first side's outputs over their largest value; in training that of the loss."""


@dataclass(frozen=True)
class Comparison:
    """Sides of one plan; the first is what the others are compared with."""

    plan: Plan
    setup: BenchSetup
    sides: tuple[ContestantTimes, ...]
    machine: str
    yardstick: Times
    others: float | None
    """The share of the machine's processors that other processes had meanwhile; None where that is not known."""
    peaks: Mapping[str, int]
    """Side -> the most bytes it had in a process of its own; empty where that was not asked for."""

    @property
    def base(self) -> ContestantTimes:
        """What the others are compared with."""
        return self.sides[0]

    def ratio(self, side: ContestantTimes) -> float:
        """How many times quicker than the first side."""
        return side.times.ratio_of(self.base.times)

    def gigaflops(self, side: ContestantTimes) -> float:
        """GFLOP/s, 2 for each multiply-add of the literal network's forward; of 3 forwards in a training step."""
        passes = 3 if self.setup.train else 1
        return 2 * self.plan.macs * self.setup.batch * passes / side.times.median / 1e9

    def share(self, side: ContestantTimes) -> float:
        """Of what the machine's matrix product reached in the same rounds."""
        return self.gigaflops(side) / gigaflops(self.yardstick.median)

    def record(self) -> dict[str, Any]:
        """By name: seconds, bytes, GFLOP/s."""
        return {
            "name": self.plan.name,
            "input": {name: list(shape) for name, shape in self.plan.inputs.items()},
            "batch": self.setup.batch,
            "train": self.setup.train,
            "device": self.setup.device,
            "precision": self.setup.precision,
            "machine": self.machine,
            "machine_gflops": gigaflops(self.yardstick.median),
            "yardstick": self.yardstick.record(),
            "others": self.others,
            "sides": [self.side_record(side) for side in self.sides],
        }

    def side_record(self, side: ContestantTimes) -> dict[str, Any]:
        """One side by name."""
        return {
            "side": side.side,
            **side.times.record(),
            "made": side.made,
            "first": side.first,
            "error": side.error,
            "ratio": self.ratio(side),
            "ratio_of_least": self.base.times.least / side.times.least,
            "clips_per_second": self.setup.batch / side.times.median,
            "gflops": self.gigaflops(side),
            "share": self.share(side),
            "peak_bytes": self.peaks.get(side.side),
        }


def clips_for(plan: Plan, setup: BenchSetup) -> Any:
    """Random clips of the plan's sizes: a tensor, or a dict of several."""
    return random_clips(plan, setup.batch, device_of(setup.device))


def reference_network(plan: Plan) -> nn.Module:
    """Our literal network, its norms scattered: where every side has its weights from."""
    torch.manual_seed(0)
    network = build(plan)
    randomize_norms(network)
    return network


def prepare_contestant(side: Contestant, setup: BenchSetup, ours: nn.Module | None = None) -> tuple[nn.Module, float]:
    """A side's network, with our weights where they are given; and seconds, the copying of weights left out."""
    begun = perf_counter()
    network = side.make()
    taken = perf_counter() - begun
    if ours is not None:
        side.copy(ours, network)
    begun = perf_counter()
    without_dropout(network)
    network = side.prepare(network.to(setup.device).train(setup.train))
    return network, taken + perf_counter() - begun


def first_call(side: Contestant, network: nn.Module, clips: Any, setup: BenchSetup) -> tuple[Any, float]:
    """What a network says before any step (its loss in training), and seconds of that first call."""
    wait = synchronizer(device_of(setup.device))
    said: list[Any] = []
    with torch.set_grad_enabled(setup.train), torch.inference_mode(not setup.train), setup.autocast:
        taken = seconds_of(lambda: said.append(outputs_of(side, network, clips)), wait)
    outputs = said[0]
    return (loss_of(outputs).detach() if setup.train else outputs), taken


def compare(
    plan: Plan,
    sides: Sequence[Contestant],
    setup: BenchSetup,
    report: Report = lambda text: None,
    peaks: Mapping[str, int] | None = None,
) -> Comparison:
    """Make every side, give it equal weights, hold its outputs against the first one's, and time them all in turn."""
    device = device_of(setup.device)
    wait, ours = synchronizer(device), reference_network(plan)
    clips = clips_for(plan, setup)
    steps: dict[str, StepFunction] = {}
    facts: dict[str, tuple[float, float, float]] = {}
    base: Any = None
    for side in sides:
        report(f"making {side.name}")
        network, seconds = prepare_contestant(side, setup, ours)
        outputs, first = first_call(side, network, clips, setup)
        base = outputs if base is None else base
        facts[side.name] = seconds, first, error_of(outputs, base)
        steps[side.name] = timed_step(side, network, clips, setup.train, setup.precision)
    steps[YARDSTICK] = gemm_step(device, AUTOCAST_TYPES[setup.precision])
    for name, step in steps.items():
        report(f"warming {name}")
        seconds_of(step, wait)
    watched = watch_others()
    times = timed_interleaved(steps, setup.runs, wait, report)
    measured = (ContestantTimes(side.name, times[side.name], *facts[side.name]) for side in sides)
    return Comparison(plan, setup, tuple(measured), machine_name(device), times[YARDSTICK], watched(), peaks or {})
