"""Second opinions on a plan's cost: fvcore's and torch's own counter on the built module, op class by op class."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archdsl.backend import build
from archdsl.compiler import Plan
from archdsl.graph import Node
from archdsl.ops import key_of
from archdsl.report.number_format import plural, shapes_text, whole
from archdsl.report.table.sheet import Column, Row, Table
from archdsl.testing.agreement import emptied, op_alone, random_clips, user_op_nodes


@dataclass(frozen=True)
class OpClass:
    """Ops of one kind, under the names that each counter has for them."""

    name: str
    fvcore: tuple[str, ...] = ()
    torch: tuple[str, ...] = ()
    reason: str = ""
    """Why macs, fvcore and torch differ here, where they do."""


NORM_REASON = "fvcore counts {} per element in eval mode, torch nothing; neither is a multiply-add of the network"
ELEMENT_PRODUCTS = "products of elements"
OP_CLASSES = (
    OpClass("convolutions", ("conv",), ("convolution",)),
    OpClass("linear layers", ("linear", "addmm"), ("addmm", "mm")),
    OpClass("matrix products", ("matmul", "bmm", "einsum"), ("bmm", "baddbmm")),
    OpClass(
        ELEMENT_PRODUCTS, reason="multiply-adds of the network that are no matrix product: neither counter sees them"
    ),
    OpClass("batch norms", ("batch_norm",), (), NORM_REASON.format("2 (1 without scale)")),
    OpClass("group norms", ("group_norm",), (), NORM_REASON.format("5 (4 without scale and shift)")),
    OpClass("layer norms", ("layer_norm",), (), NORM_REASON.format("5 (4 without scale and shift)")),
)
OTHER_OPS, USER_OPS = "other ops", "ops of your own"
OWN_REASON = "macs are what the op says it costs; torch and fvcore count the products in it that they see"
WITHOUT_FVCORE = "fvcore is not installed, so that its column is empty: pip install fvcore"


@dataclass(frozen=True)
class Opinion:
    """One class of ops as we and the others count it. None where a counter is not installed."""

    name: str
    nodes: int
    macs: int
    ours_as_fvcore: int
    fvcore: int | None
    torch: int
    """Half of its flops: torch counts 2 for each multiply-add."""
    reason: str

    @property
    def agrees(self) -> bool:
        """Whether macs are torch's, and our fvcore figure is fvcore's; nobody counts the rest but us."""
        return self.name in (USER_OPS, ELEMENT_PRODUCTS) or (
            self.macs == self.torch and self.fvcore in (None, self.ours_as_fvcore)
        )

    def record(self) -> dict[str, Any]:
        """By name."""
        return {**vars(self), "agrees": self.agrees}


def opinions(plan: Plan) -> tuple[Opinion, ...]:
    """Every class of ops that the plan has, or that a counter sees."""
    with torch.device("meta"):
        network = build(plan).eval()
    by_torch = torch_counts(network, random_clips(plan))
    real = emptied(network)  # torch 2.13 traces no convolution on meta
    by_fvcore = fvcore_counts(real, random_clips(plan, device="cpu")) if find_spec("fvcore") else None
    found = user_op_opinion(plan, by_torch, by_fvcore)
    for one in (*OP_CLASSES, OpClass(OTHER_OPS)):
        mine = [node.address for node in nodes_run(plan) if class_of(plan, node) == one.name]
        macs = sum(plan.costs[address].macs for address in mine)
        extra = sum(plan.costs[address].fvcore_extra for address in mine)
        theirs = picked(by_torch, one, lambda of: of.torch)
        fvcore = None if by_fvcore is None else picked(by_fvcore, one, lambda of: of.fvcore)
        opinion = Opinion(one.name, len(mine), macs, macs + extra, fvcore, theirs, "")
        if (one.name != OTHER_OPS and (mine or theirs or fvcore)) or not opinion.agrees:
            found.append(Opinion(**{**vars(opinion), "reason": reason_of(one, opinion)}))
    return tuple(found)


def nodes_run(plan: Plan) -> list[Node]:
    """The ops that the network runs: those that some output is made from."""
    return [node for node in plan.nodes if node.address in plan.alive]


def left_out_note(plan: Plan) -> str:
    """What the network does not run, in words; nothing where it runs all."""
    dead = [node.address for node in plan.nodes if node.address not in plan.alive]
    macs = sum(plan.costs[address].macs for address in dead)
    parts = ", ".join(dict.fromkeys(".".join(address.split(".")[:2]) for address in dead))
    told = f"{plural(len(dead), 'op')} of {parts} left out, which no output is made from and nobody runs"
    return f" {told}: `count` has {whole(macs)} macs more for them." if dead else ""


def user_op_opinion(plan: Plan, by_torch: dict[str, int], by_fvcore: dict[str, int] | None) -> list[Opinion]:
    """Ops of a person's own, each run alone; what the counters see in them is taken from their figures."""
    nodes = user_op_nodes(plan)
    torch_alone, fvcore_alone = Counter[str](), Counter[str]()
    for node in nodes:
        torch_alone.update(torch_counts(*op_alone(plan, node)))
        fvcore_alone.update(fvcore_counts(*op_alone(plan, node)) if by_fvcore is not None else {})
    for counts, own in ((by_torch, torch_alone), (by_fvcore or {}, fvcore_alone)):
        counts.update({name: counts[name] - count for name, count in own.items()})
    macs, as_fvcore = (plan.counted(nodes, convention) for convention in ("macs", "fvcore"))
    fvcore = None if by_fvcore is None else fvcore_alone.total()
    return [Opinion(USER_OPS, len(nodes), macs, as_fvcore, fvcore, torch_alone.total(), OWN_REASON)] if nodes else []


def class_of(plan: Plan, node: Node) -> str:
    """The class of an op: by what it costs, of norms by their name."""
    cost = plan.costs[node.address]
    kinds = {"convolutions": cost.conv_macs, "linear layers": cost.linear_macs, "matrix products": cost.matmul_macs}
    name = f"{key_of(type(node.op)).replace('_', ' ')}s"
    known = {one.name for one in OP_CLASSES}
    if node.op.own:
        return USER_OPS
    if cost.macs and cost.fvcore_extra == -cost.macs:
        return ELEMENT_PRODUCTS
    return next((kind for kind, macs in kinds.items() if macs), name if name in known else OTHER_OPS)


def picked(counts: Mapping[str, int], one: OpClass, names: Callable[[OpClass], tuple[str, ...]]) -> int:
    """A counter's figure for a class; the last class has what no other takes."""
    known = {name for of in OP_CLASSES for name in names(of)}
    return sum(
        count for name, count in counts.items() if name in names(one) or (one.name == OTHER_OPS and name not in known)
    )


def reason_of(one: OpClass, opinion: Opinion) -> str:
    """Why the counters differ, or what is not explained."""
    if not opinion.agrees:
        return "not explained: this is a fault of ours or theirs"
    return one.reason


def torch_counts(network: nn.Module, clips: Any) -> dict[str, int]:
    """aten op -> multiply-adds."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(clips)
    return {
        str(op).removeprefix("aten."): flops // 2 for op, flops in counter.get_flop_counts().get("Global", {}).items()
    }


def fvcore_counts(network: nn.Module, clips: Any) -> dict[str, int]:
    """fvcore's name of an op -> its count, traced with real tensors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(network.eval(), (clips,))
        counts = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
    return {str(name): int(count) for name, count in counts.items()}


def opinions_table(plan: Plan) -> Table:
    """Ours beside fvcore's and torch's, with the reason of every difference."""
    found = opinions(plan)
    columns = (
        Column("op class"),
        Column("ops", right=True),
        Column("macs", right=True),
        Column("torch / 2", right=True),
        Column("ours as fvcore", right=True),
        Column("fvcore", right=True),
        Column("reason"),
    )
    rows = [Row(opinion_cells(one.name, one, one.reason), "" if one.agrees else "differs") for one in found]
    total = Opinion(
        "total",
        sum(one.nodes for one in found),
        sum(one.macs for one in found),
        sum(one.ours_as_fvcore for one in found),
        None if not found or found[0].fvcore is None else sum(one.fvcore or 0 for one in found),
        sum(one.torch for one in found),
        "",
    )
    verdict = "all agree" if all(one.agrees for one in found) else "they differ"
    rows.append(Row(opinion_cells("total", total, verdict), "total"))
    note = "torch counts 2 for each multiply-add; halved it counts what macs count."
    note = (note if find_spec("fvcore") else f"{note} {WITHOUT_FVCORE}.") + left_out_note(plan)
    return Table(
        f"{plan.name}: {shapes_text(plan.inputs)}", columns, tuple(rows), tuple(o.record() for o in found), note
    )


def opinion_cells(name: str, one: Opinion, reason: str) -> tuple[str, ...]:
    """The cells of one class."""
    fvcore = "" if one.fvcore is None else whole(one.fvcore)
    return (name, whole(one.nodes), whole(one.macs), whole(one.torch), whole(one.ours_as_fvcore), fvcore, reason)
