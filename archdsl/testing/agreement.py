"""Torch's opinion of a plan: shapes, parameters and fvcore's count of the built module."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.backend import build, build_graph
from archdsl.backend.example_clips import random_clips as random_clips
from archdsl.backend.example_clips import random_inputs
from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.graph import Node
from archdsl.testing.single import graph_of

CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.RMSNorm, nn.Embedding)
"""Modules that torch wants the channels last for."""


def check_agreement(plan: Plan) -> None:
    """The built module has the plan's outputs, its shapes at every address, its parameters, and fvcore's count."""
    try:
        with torch.device("meta"):
            network = build(plan).eval()
    except SpecError as error:
        raise AssertionError(f"{plan.name} does not build\n\n{error}") from None
    for address, got in module_shapes(network, plan).items():
        want = plan.tensor_shape(address) if address in plan.graph.nodes else plan.shapes[address].tensor
        # a head leaves vectors: the plan of its scope keeps the axes of size 1
        want = want[: len(got)] if set(want[len(got) :]) <= {1} else want
        assert got == want, f"{plan.name} at {address or 'its end'}: torch gives {got}, the plan says {want}"
    for node in user_op_nodes(plan):
        sees_no_later(plan, node)
    params = sum(p.numel() for p in network.parameters())
    assert params == plan.params, f"{plan.name}: torch has {params:,} parameters, the plan says {plan.params:,}"
    if find_spec("fvcore"):
        # tracing needs real tensors (torch 2.13 cannot trace a convolution on the meta device)
        counted, ours = (
            fvcore_count(emptied(network), random_clips(plan, device="cpu")),
            plan.count("fvcore"),
        )
        for node in user_op_nodes(plan):  # what they cost is theirs to say
            counted -= fvcore_count(*op_alone(plan, node))
            ours -= plan.counted([node], "fvcore")
        assert counted == ours, f"{plan.name}: fvcore counts {counted:,}, the plan says {ours:,}"


def user_op_nodes(plan: Plan) -> list[Node]:
    """Ops of a person's own that some output is made from."""
    return [node for node in plan.nodes if node.op.own and node.address in plan.alive]


def sees_no_later(plan: Plan, node: Node) -> None:
    """An op that says so gives for the first frames of a clip what it gives for them within the whole clip."""
    op, xs = node.op, [plan.graph.shapes[read] for read in node.reads]
    frames, says = {x.t for x in xs}, op.each_frame or op.causality == "past" or (op.stateful and op.in_order)
    if not says or len(frames) > 1 or frames == {1} or plan.graph.shapes[node.address].t not in frames:
        return
    first = xs[0].t // 2
    whole, clip = op_alone(plan, node)
    part = build_graph(graph_of(op, tuple(x._replace(t=first) for x in xs))).eval()
    part.load_state_dict(whole.state_dict())
    with torch.no_grad():
        cut = {name: x[:, :, :first] for name, x in clip.items()} if isinstance(clip, dict) else clip[:, :, :first]
        same = torch.allclose(part(cut), whole(clip)[:, :, :first], rtol=1e-4, atol=1e-5)
    assert same, f"{node.address}: {type(op).__name__} says that it sees no later frame, and torch's does"


def op_alone(plan: Plan, node: Node) -> tuple[nn.Module, Any]:
    """One op as a network, and maps that it reads."""
    xs = tuple(plan.graph.shapes[read] for read in node.reads)
    graph = graph_of(node.op, xs)
    return build_graph(graph).eval(), random_inputs(graph)


def module_shapes(network: nn.Module, plan: Plan) -> dict[str, tuple[int, ...]]:
    """Address -> shape without the batch axis, of every module with one result, and of the network's outputs."""
    met: dict[str, tuple[int, ...]] = {}

    def note(address: str) -> Any:
        def hook(module: nn.Module, args: Any, result: Any) -> None:
            if isinstance(result, Tensor):
                result = result.movedim(-1, 1) if isinstance(module, CHANNELS_LAST) else result
                met.setdefault(address, tuple(result.shape[1:]))

        return hook

    hooks = [m.register_forward_hook(note(address)) for address, m in network.named_modules() if address in plan.shapes]
    with torch.no_grad():
        outputs = network(random_clips(plan, batch=2))
    for hook in hooks:
        hook.remove()
    named = outputs if isinstance(outputs, dict) else dict(zip(plan.outputs, [outputs]))
    return met | {plan.graph.outputs[name]: tuple(value.shape[1:]) for name, value in named.items()}


def emptied(network: nn.Module) -> nn.Module:
    """A network of the meta device on the CPU, with weights of no value; which frames it reads stays valid."""
    real = network.to_empty(device="cpu")
    for buffer in real.buffers():
        buffer.zero_()
    return real


def fvcore_count(network: nn.Module, clips: Any) -> int:
    """fvcore's count in eval mode, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        analysis = (
            FlopCountAnalysis(network.eval(), (clips,)).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        )
        return int(analysis.total())
