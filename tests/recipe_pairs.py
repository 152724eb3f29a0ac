"""Fields of a recipe that say how a step is computed, every two of them together, on one process and on two.

python -m tests.recipe_pairs -o docs/recipe_fields.md    all pairs and the page about them
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import combinations
from math import isclose
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.distributed.tensor import DTensor

import archdsl
from archdsl import ops
from archdsl.blocks import Basic, Block, Conv
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Edge, Pathway, Stage
from archdsl.training.processes import process_group
from tests.processes import told_by_two
from tests.trained import DATA, losses, short

FIELDS: dict[str, dict[str, Any]] = {
    "precision: bf16": {"precision": "bf16"},
    "precision: fp16": {"precision": "fp16"},
    "norms.split": {"norms__split": 2},
    "norms.sync": {"norms__sync": True},
    "norms.precise": {"norms__precise": 8},
    "channels_last": {"channels_last": True},
    "compiled": {"compiled": True},
    "--shard": {"shard": True},
    "checkpoint: stage": {"checkpoint": "stage"},
    "checkpoint: block": {"checkpoint": "block"},
    "accumulate": {"optimizer__accumulate": 2},
    "average": {"average": 0.5},
    "clip": {"optimizer__clip": 0.5},
    "lower: none": {"lower": "none"},
}
"""What is written in a table -> settings."""
NEUTRAL = ("channels_last", "compiled", "--shard", "checkpoint: stage", "checkpoint: block", "lower: none")
"""These change how a step is computed and not what it gives."""
TOLERANCES = {"precision: bf16": 0.05, "precision: fp16": 0.05}
STEPS = 3


class Gained(Block):
    """A learnt number times the map: FSDP has one number to divide."""

    def build(self, g: Any, x: str, channels: int = 0) -> str:
        return g.add("gain", ops.Gain(start=1.0), x)


def pair_arch() -> Arch:
    """Two towers of one set of weights that meet in a third stage; a gain; batch norms; dropout."""
    stem = dict(stem=Stage(Conv(channels=8, kernel=(1, 5, 5), stride=(1, 4, 4))))
    after = dict(res2=Stage(Basic(channels=8, stride=2), Gained()))
    first = Pathway(every=2, stages={**stem, **after})
    second = Pathway(every=2, start=1, tied_to="first", stages=stem)
    edge = Edge(source="second", target="first", after="stem")
    head = Classifier(reads=("first",), classes=8, dropout=0.1)
    return Arch(
        name="pairs", clip=Clip(frames=4, size=32), pathways=dict(first=first, second=second), edges=(edge,), head=head
    )


def all_pairs() -> list[tuple[str, ...]]:
    """Each field alone, and every two that can be written beside each other."""
    pairs = [pair for pair in combinations(FIELDS, 2) if not FIELDS[pair[0]].keys() & FIELDS[pair[1]].keys()]
    return [(), *((name,) for name in FIELDS), *pairs]


@contextmanager
def quick_compiler() -> Iterator[None]:
    """torch.compile without generated kernels: graphs, guards and autograd are what is tried here."""
    real = torch.compile
    torch.compile = functools.partial(real, backend="aot_eager")  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.compile = real
        torch._dynamo.reset()


def outcome(names: Iterable[str], out: Path, device: str = "cpu") -> dict[str, Any]:
    """What a run with these fields gives: losses, weights and their average in sums; or why it was refused, or fell."""
    settings = {key: value for name in names for key, value in FIELDS[name].items()}
    shard = settings.pop("shard", False)
    try:
        with quick_compiler(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            recipe = short(STEPS, **settings)
            done = archdsl.train(pair_arch(), recipe, DATA, out=out, device=device, quiet=True, shard=shard)
    except SpecError as error:
        late = "after a step: " if (out / "metrics.jsonl").exists() and losses(out) else ""
        return {"refused": late + str(error).splitlines()[0]}
    except Exception as error:  # noqa: BLE001  whatever it is, the table says so
        return {"fell": f"{type(error).__name__}: {error}"[:300]}
    kept = [x for x in done.network.state_dict().values() if x.is_floating_point()]
    weights = sum(float(abs(x.full_tensor() if isinstance(x, DTensor) else x).double().sum()) for x in kept)
    return {"losses": [*losses(out).values()], "weights": weights, "average": average_of(out), "figures": done.figures}


def average_of(out: Path) -> float:
    """The sum of the moving average that the last checkpoint keeps."""
    files = (out / "checkpoints" / f"step_{STEPS:08d}").glob("*.safetensors")
    tensors = {(file, name): x for file in files for name, x in load_file(file).items()}
    return sum(float(x.double().abs().sum()) for (_, name), x in tensors.items() if name.startswith("average."))


def outcomes(out: Path, rank: int, *chosen: str) -> dict[str, Any]:
    """Of several pairs, `a + b` each, one after the other in one process group."""
    with process_group("cpu"):
        return {pair: outcome(filter(None, pair.split(" + ")), out / str(i)) for i, pair in enumerate(chosen)}


def outcomes_on(processes: int, pairs: Iterable[tuple[str, ...]], out: Path) -> dict[str, Any]:
    """The outcomes on so many processes of the pairs, and of each field in them alone; those of two agree."""
    needed = [names for pair in pairs for names in ((), *((name,) for name in pair), pair)]
    chosen = [" + ".join(names) for names in dict.fromkeys(needed)]
    if processes == 1:
        return outcomes(out, 0, *chosen)
    first, second = told_by_two(outcomes, out, *chosen, timeout=2400)
    assert isinstance(first, dict), first
    assert isinstance(second, dict), second
    assert [*first] == [*second]
    assert all(first[pair].keys() == second[pair].keys() for pair in first)
    return first


def verdict(pair: tuple[str, ...], found: dict[str, Any]) -> str:
    """`same`: a step gives what it gives without those that are neutral. `both`: each changes it. Or why it is refused.

    Raises AssertionError for a pair that neither works nor is refused before the first step.
    """
    one = found[" + ".join(pair)]
    if "refused" in one:
        assert not one["refused"].startswith("after"), (pair, one)
        return one["refused"]
    assert "fell" not in one, (pair, one)
    assert len(one["losses"]) == STEPS, (pair, one)
    assert all(0 < loss < 10 for loss in one["losses"]), (pair, one)
    neutral = [name for name in pair if name in NEUTRAL]
    if neutral:
        rest = found[" + ".join(name for name in pair if name not in NEUTRAL)]
        near = max(TOLERANCES.get(name, 2e-3) for name in pair)
        assert all(isclose(a, b, rel_tol=near) for a, b in zip(sums(one), sums(rest))), (pair, one, rest)
        return "same"
    for name in pair:  # what changes nothing in this job alone need not change it beside another
        alone, others = found[name], found[" + ".join(other for other in pair if other != name)]
        assert sums(one) != sums(others) or sums(alone) == sums(found[""]), f"{name} is not read in {pair}"
    return "both"


def sums(one: dict[str, Any]) -> list[float]:
    """The numbers of an outcome that two runs are compared by."""
    return [*one["losses"], one["weights"], one["average"]]


ABOUT = """\
# Fields of a recipe together

Every two fields that say how a step is computed, in runs of {steps} steps of a small network with two pathways of one
set of weights, batch norms, dropout and a learnt number, on a CPU. `python -m tests.recipe_pairs -o
docs/recipe_fields.md` writes this page; a slow test holds it against the runs.

*same*: losses and weights are, within rounding, those of a run without the field that only changes how a step is
computed: {neutral}.
*both*: each of the two fields changes the result. A number: refused before the first step, for the reason below. The
diagonal shows each field alone.
"""


def page(found: dict[int, dict[str, Any]]) -> str:
    """The page, of the outcomes on one process and on two."""
    neutral = ", ".join(f"`{name}`" for name in NEUTRAL)
    parts = [ABOUT.format(steps=STEPS, neutral=neutral)]
    for processes, of in found.items():
        reasons: list[str] = []
        rows = [[name, *(cell(name, other, of, reasons) for other in FIELDS)] for name in FIELDS]
        head = ["", *(f"{i}" for i in range(1, len(FIELDS) + 1))]
        rows = [[f"{i} {row[0]}", *row[1:]] for i, row in enumerate(rows, 1)]
        table = [f"| {' | '.join(row)} |" for row in (head, [":---"] * len(head), *rows)]
        title = f"## {processes} process{'es' * (processes > 1)}"
        parts += [title, "\n".join(table), *(f"[{i}] {reason}" for i, reason in enumerate(reasons, 1))]
    return "\n\n".join([*(part.rstrip() for part in parts), ""])


def cell(name: str, other: str, found: dict[str, Any], reasons: list[str]) -> str:
    """What becomes of two fields; reasons are numbered."""
    pair = next((pair for pair in all_pairs() if set(pair) == {name, other}), None)
    if pair is None:
        return "–"
    said = verdict(pair, found)
    if said in ("same", "both"):
        return said if len(pair) > 1 else "works"
    if said not in reasons:
        reasons.append(said)
    return f"[{reasons.index(said) + 1}]"


def page_of_all(out: Path) -> str:
    """All pairs, on one process and on two."""
    return page({n: outcomes_on(n, all_pairs(), out / str(n)) for n in (1, 2)})


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("-o", "--output", required=True, help="the page")
    given = words.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        Path(given.output).write_text(page_of_all(Path(folder)), encoding="utf-8")
