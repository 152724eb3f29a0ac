"""Torch's opinion of a plan: shapes, parameters and fvcore's count of the built module."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.backend import build
from archdsl.compiler import Plan

CHANNELS_LAST = (nn.Linear, nn.LayerNorm)
"""Modules that torch wants the channels last for."""


def agrees(plan: Plan) -> None:
    """The built module has the plan's outputs, its shapes at every address, its parameters, and fvcore's count."""
    with torch.device("meta"):
        network = build(plan).eval()
    for address, got in shapes_met(network, plan).items():
        want = plan.tensor_shape(address) if address in plan.graph.nodes else tuple(plan.shapes[address])
        # a head leaves vectors: the plan of its scope keeps the axes of size 1
        want = want[: len(got)] if set(want[len(got) :]) <= {1} else want
        assert got == want, f"{plan.name} at {address or 'its end'}: torch gives {got}, the plan says {want}"
    params = sum(p.numel() for p in network.parameters())
    assert params == plan.params, f"{plan.name}: torch has {params:,} parameters, the plan says {plan.params:,}"
    if find_spec("fvcore"):
        # tracing needs real tensors (torch 2.13 cannot trace a convolution on the meta device)
        counted, ours = fvcore_count(network.to_empty(device="cpu"), clips_of(plan, device="cpu")), plan.count("fvcore")
        assert counted == ours, f"{plan.name}: fvcore counts {counted:,}, the plan says {ours:,}"


def clips_of(plan: Plan, batch: int = 1, device: str = "meta") -> Any:
    """What the network takes: random clips of the plan's sizes, one tensor or a dict of several."""
    clips = {name: torch.randn(batch, *shape, device=device) for name, shape in plan.inputs.items()}
    return clips if len(clips) > 1 else next(iter(clips.values()))


def shapes_met(network: nn.Module, plan: Plan) -> dict[str, tuple[int, ...]]:
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
        outputs = network(clips_of(plan, batch=2))
    for hook in hooks:
        hook.remove()
    named = outputs if isinstance(outputs, dict) else dict(zip(plan.outputs, [outputs]))
    return met | {plan.graph.outputs[name]: tuple(value.shape[1:]) for name, value in named.items()}


def fvcore_count(network: nn.Module, clips: Any) -> int:
    """fvcore's count in eval mode, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis

        analysis = (
            FlopCountAnalysis(network.eval(), (clips,)).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        )
        return int(analysis.total())
