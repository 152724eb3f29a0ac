"""Our networks beside other packages', with equal weights and clips, timed in turn in one process for each model.

python -m benchmarks.peers -o benchmarks/peers.md     everything; about an hour on two quiet cores
python -m benchmarks.peers --quick                    two rounds, nothing compiled, to see that it works
python -m benchmarks.peers --models x3d_s_ptv --keep  one model again, the others as they were measured before

Needs `pip install --no-deps pytorchvideo==0.1.5` and what it imports (fvcore, iopath, networkx, av, parameterized), and
for networks of attention what `benchmarks/attention_nets.py` says.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

import archdsl
from archdsl.measuring import (
    BenchSetup,
    Comparison,
    Contestant,
    ContestantTimes,
    bench_table,
    compare,
    geometric_mean,
    own_contestant,
    peak_alone,
    peak_of_command,
)
from archdsl.measuring.timer import Times
from archdsl.report.table.formats import to_md
from archdsl.report.table.sheet import Column, Row, Table
from benchmarks.attention_nets import ATTENTION_PEERS, AttentionPeer
from benchmarks.pytorchvideo_nets import PEERS, Peer

OURS, EAGER, LAST, COMPILED = "archdsl auto", "PyTorchVideo", "its channels_last_3d", "its channels_last_3d, compiled"
ATTENTION_COMPILED = "it, compiled"
INFER = {
    "slow_8x8_r50": 1.5,
    "slowfast_8x8_r50": 1.6,
    "r2plus1d_16x4_r50": 2.3,
    "x3d_s_ptv": 2.3,
    "x3d_m_ptv": 3.0,
    "ircsn_r101": 2.7,
}
"""Ratios to the untouched peer that are aimed at, forward of one clip."""
ATTENTION = {
    "mvit_v1_b_16x4": 1.55,
    "mvit_v2_s_16x4": 1.5,
    "video_swin_t": 2.1,
    "videomae_vit_b": 1.12,
    "timesformer_divided_8x32": 1.2,
    "hiera_b_16x224": 1.45,
}
"""The same, for networks of attention."""
TRAIN = {
    "x3d_s_ptv": 2.3,
    "r2plus1d_16x4_r50": 1.35,
    "slow_8x8_r50": 1.0,
    "slowfast_8x8_r50": 1.0,
    "ircsn_r101": 1.0,
}
"""The same, for a training step."""
MEAN = 2.1
TRAIN_BATCH = {"x3d_s_ptv": 2}
LIMIT = 3600
"""Seconds after which a model is given up."""
ATTENTION_LIMIT = 400
"""Seconds after which a model of attention is measured without its compiled form, which for some takes minutes."""


def channels_last(network: nn.Module) -> nn.Module:
    """What PyTorch's documentation tells a user to write."""
    return network.to(memory_format=torch.channels_last_3d)


def compiled(network: nn.Module) -> nn.Module:
    """Compiled with its weights frozen."""
    # without dynamic=False torch 2.13 meets sizes of several blocks in one code and fails for SlowFast and R(2+1)D
    return torch.compile(network, dynamic=False, options={"freezing": True})


def attention_sides(peer: AttentionPeer, compile_too: bool) -> list[Contestant]:
    """The original, and the same compiled."""
    eager = Contestant(peer.package, peer.make, peer.copy, feed=peer.feed)
    return [eager, replace(eager, name=ATTENTION_COMPILED, prepare=compiled)] if compile_too else [eager]


def convolution_sides(peer: Peer, compile_too: bool) -> list[Contestant]:
    """The untouched peer, and what its users can make of it."""

    def feed_last(clip: torch.Tensor) -> Any:
        packed = peer.feed(clip)
        parts = packed if isinstance(packed, list) else [packed]
        last = [part.contiguous(memory_format=torch.channels_last_3d) for part in parts]
        return last if len(last) > 1 else last[0]

    def feed(clip: torch.Tensor) -> Any:
        packed = peer.feed(clip)
        return list(packed) if isinstance(packed, list) else packed

    sides = [
        Contestant(EAGER, peer.make, peer.copy, feed=feed),
        Contestant(LAST, peer.make, peer.copy, channels_last, feed_last),
    ]
    if compile_too:
        last = lambda network: compiled(channels_last(network))  # noqa: E731
        sides.append(Contestant(COMPILED, peer.make, peer.copy, last, feed_last))
    return sides


def sides_of(plan: archdsl.Plan, train: bool, device: str, compile_too: bool) -> list[Contestant]:
    """The peer's forms, and ours."""
    peer = next(peer for peer in (*PEERS, *ATTENTION_PEERS) if peer.ours == plan.name)
    forms = attention_sides if isinstance(peer, AttentionPeer) else convolution_sides
    ours = {f"archdsl {lower}": own_contestant(plan, lower, train=train, device=device) for lower in ("none", "auto")}
    return [*forms(peer, compile_too and not train), *(replace(side, name=name) for name, side in ours.items())]


def one(given: argparse.Namespace) -> None:
    """One model in this process: its record as JSON, or with --only the memory of one side."""
    plan = archdsl.compile(archdsl.load(given.one))
    batch = TRAIN_BATCH.get(plan.name, 1) if given.train else 1
    setup = BenchSetup(batch, given.train, given.device, given.runs)
    sides = sides_of(plan, given.train, given.device, not given.no_compile)
    if given.only:
        print(json.dumps(peak_alone(plan, next(side for side in sides if side.name == given.only), setup)))
        return
    told = lambda text: print(f"  {plan.name}: {text}", file=sys.stderr, flush=True)  # noqa: E731
    peaks = {}
    for side in sides:
        if side.name not in (COMPILED, ATTENTION_COMPILED):  # its process holds the compiler as well
            told(f"memory of {side.name}")
            peaks[side.name] = peak_of_command([*command(given, plan.name, given.train), "--only", side.name])
    print(json.dumps(compare(plan, sides, setup, told, peaks).record()))


def command(given: argparse.Namespace, name: str, train: bool) -> list[str]:
    """This program for one model."""
    words = ["-W", "ignore", "-m", "benchmarks.peers", "--one", name, "--runs", str(given.runs)]
    words += ["--device", given.device]
    return words + ["--train"] * train + ["--no-compile"] * given.no_compile


def measure(given: argparse.Namespace, name: str, train: bool) -> dict[str, Any] | None:
    """A model's record, measured in a process of its own and kept in a file; None where it failed."""
    file = Path(given.folder) / f"{name}-{'train' if train else 'infer'}.json"
    if given.keep and name not in given.models:
        return json.loads(file.read_text()) if file.is_file() else None
    print(f"{name}, {'training step' if train else 'inference'}", file=sys.stderr, flush=True)
    try:
        done = output_of(command(given, name, train), name in ATTENTION and not given.no_compile)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"{name} failed: {error}", file=sys.stderr)
        return None
    record: dict[str, Any] = json.loads(done.strip().splitlines()[-1])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record))
    return record


def output_of(words: list[str], may_leave_out: bool) -> str:
    """What a process of this program prints; one that fails or takes too long may run again, with nothing compiled."""
    limit = ATTENTION_LIMIT if may_leave_out else LIMIT
    whole = [sys.executable, *words]
    try:
        return subprocess.run(whole, stdout=subprocess.PIPE, text=True, check=True, timeout=limit).stdout
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        if not may_leave_out:
            raise
        print(f"  {error}: once more, with nothing compiled", file=sys.stderr, flush=True)
    return output_of([*words, "--no-compile"], False)


def comparison(record: dict[str, Any]) -> Comparison:
    """A record as what it was made from."""
    sides = [
        ContestantTimes(side["side"], Times(tuple(side["rounds"])), side["made"], side["first"], side["error"])
        for side in record["sides"]
    ]
    peaks = {side["side"]: side["peak_bytes"] for side in record["sides"] if side["peak_bytes"]}
    runs, yardstick = len(sides[0].times.rounds), Times(tuple(record["yardstick"]["rounds"]))
    setup = BenchSetup(record["batch"], record["train"], record["device"], runs)
    plan = archdsl.compile(archdsl.load(record["name"]))
    return Comparison(plan, setup, tuple(sides), record["machine"], yardstick, record["others"], peaks)


def aims_table(found: list[Comparison], aims: dict[str, float], mean: float | None) -> Table:
    """What was aimed at beside what was measured."""
    titles = ("model", "aim", "ratio", "of least", "", "to channels_last_3d", "to compiled", "error", "memory")
    columns = tuple(Column(title, right=True) for title in (*titles, "its compile time", "our building"))
    rows = [Row(aim_cells(one, aims[one.plan.name])) for one in found]
    if found and mean:
        ratio = geometric_mean([one.ratio(side_of(one, OURS)) for one in found])
        least = geometric_mean([least_ratio(one, OURS, EAGER) for one in found])
        told = (f"geometric mean of {len(found)}", f"{mean:.2f}", f"{ratio:.2f}", f"{least:.2f}", verdict(ratio, mean))
        rows.append(Row((*told, *[""] * 6)))
    return Table("", columns, tuple(rows), ())


def side_of(one: Comparison, name: str) -> ContestantTimes:
    """A side by name."""
    return next(side for side in one.sides if side.side == name)


def least_ratio(one: Comparison, side: str, base: str) -> float:
    """The ratio of the quickest rounds."""
    return side_of(one, base).times.least / side_of(one, side).times.least


def compiled_side(one: Comparison) -> ContestantTimes | None:
    """The peer compiled, where it was."""
    return next((side for side in one.sides if side.side in (COMPILED, ATTENTION_COMPILED)), None)


def verdict(ratio: float, aim: float) -> str:
    """Reached, or by how much not."""
    return "reached" if ratio >= aim else f"{100 * (1 - ratio / aim):.0f}% short"


def aim_cells(one: Comparison, aim: float) -> tuple[str, ...]:
    """One model's row."""
    ours, eager, quick = side_of(one, OURS), one.base.side, compiled_side(one)
    last = [side for side in one.sides if side.side == LAST]
    return (
        one.plan.name,
        f"{aim:.2f}",
        f"{one.ratio(ours):.2f}",
        f"{least_ratio(one, OURS, eager):.2f}",
        verdict(one.ratio(ours), aim),
        *(f"{ours.times.ratio_of(side.times):.2f}" if side else "" for side in (last[0] if last else None, quick)),
        f"{ours.error:.1e}",
        f"{one.peaks[OURS] / one.peaks[eager]:.2f}" if OURS in one.peaks else "",
        f"{quick.first:.0f} s" if quick else "",
        f"{ours.made:.1f} s",
    )


PARTS = (
    (False, INFER, "Inference"),
    (False, ATTENTION, "Inference, networks of attention"),
    (True, TRAIN, "Training step"),
)
ABOUT = """\
# Beside other packages

`make benchmarks/peers.md` writes this page. PyTorchVideo 0.1.5 from PyPI, its builders untouched but for three things:
the softmax at their end is left out, numpy's integers in X3D's pool are made Python's, without which torch.compile
fails, and norms of MViT add 1e-6 to variances, as ours. Networks of attention are also torchvision's 0.29.1,
transformers' 5.24.0 and hiera-transformer's 0.1.4, this one without its softmax. Weights are ours, norms scattered
first; clips are random and at the published size. All sides run in turn, in one process for each model, each round
opened by another side. Ours chooses its frames from the raw clip within the time that is measured; the peer's are
packed beforehand. Memory is the most resident in a process of its own, torch included.

*ratio* is the median over rounds of the peer's seconds over ours, *of least* that of the quickest rounds, *to ...* the
same against the peer in another form. Figures in seconds are worth no more than the machine was quiet: below stands
which share of its processors others had.
"""


def page(records: list[dict[str, Any]], lines: list[str]) -> str:
    """The page: aims, then every figure."""
    found = [comparison(record) for record in records]
    parts = [ABOUT]
    for train, aims, title in PARTS:
        these = [one for one in found if one.setup.train is train and one.plan.name in aims]
        if not these:
            continue
        mean = MEAN if aims is INFER and len(these) == len(INFER) else None
        parts += [f"## {title}\n", to_md(aims_table(these, aims, mean)), "Every side:\n", to_md(bench_table(these))]
        shares = ", ".join(f"{one.plan.name} {100 * (one.others or 0):.0f}%" for one in these)
        parts.append(f"Processors that others had: {shares}.\n")
    return "\n".join([*parts, *lines])


def arguments() -> argparse.Namespace:
    """What was asked."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("-o", "--output", help="the page; by default it is printed")
    words.add_argument("--models", nargs="*", default=[], metavar="NAME", help=", ".join({**INFER, **ATTENTION}))
    words.add_argument("--quick", action="store_true", help="two rounds, nothing compiled")
    words.add_argument("--keep", action="store_true", help="models that are not named stay as they were measured")
    words.add_argument("--folder", default="out/peers", help="where records are kept (out/peers)")
    words.add_argument("--runs", type=int, default=9)
    words.add_argument("--device", default="cpu")
    words.add_argument("--no-compile", action="store_true")
    for name in ("--one", "--only"):
        words.add_argument(name, help=argparse.SUPPRESS)
    words.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.quick:
        given.runs, given.no_compile = 2, True
    return given


def main() -> None:
    given = arguments()
    if given.one:
        one(given)
        return
    records, failed = [], []
    for train, aims, _ in PARTS:
        for name in aims:
            if given.models and name not in given.models and not given.keep:
                continue
            record = measure(given, name, train)
            if record is None:
                failed.append(f"Not measured: {name}, {'training step' if train else 'inference'}.\n")
            else:
                records.append(record)
    text = page(records, failed)
    if given.output:
        Path(given.output).write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
