"""A lowered network gives what the literal one gives, from the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_zoo import reduced
from torch import Tensor, nn

import archdsl
from archdsl.backend import freeze
from archdsl.catalog import zoo
from archdsl.compiler import Plan
from archdsl.language import Model
from archdsl.testing.agreement import clips_of

MODELS = tuple(zoo())
SAMPLE = [m for m in MODELS if m.name in ("slowfast_tiny", "x3d_xs", "movinet_a0_stream", "r2plus1d_18", "tsm_r50")]


def scattered(network: nn.Module) -> nn.Module:
    """The network with norms that do something, and nothing drawn by chance in training."""
    for part in network.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            for value in (part.weight, part.running_var):
                if value is not None:
                    nn.init.uniform_(value, 0.5, 1.5)
            for value in (part.bias, part.running_mean):
                if value is not None:
                    nn.init.normal_(value, std=0.1)
    return network


def both(plan: Plan, lower: Any = "auto", *, train: bool = False, dtype: torch.dtype = torch.float32) -> Any:
    """(literal, lowered) of equal weights."""
    torch.manual_seed(0)
    literal = scattered(archdsl.build(plan)).to(dtype)
    lowered = scattered(archdsl.build(plan, lower, train=train)).to(dtype)
    lowered.load_state_dict(literal.state_dict())
    return literal, lowered


def outputs(network: nn.Module, clips: Any) -> Tensor:
    """All that a network gives, in one row."""
    given = network(clips)
    return torch.cat([y.flatten() for y in (given.values() if isinstance(given, dict) else [given])])


def apart(got: Tensor, want: Tensor) -> float:
    """The largest difference as a share of the largest element."""
    return float((got - want).abs().max() / want.abs().max().clamp(min=1e-6))


def gives_the_same(plan: Plan) -> None:
    """Lowered, then frozen, for inference."""
    literal, lowered = both(plan)
    clips = clips_of(plan, batch=2, device="cpu")
    with torch.inference_mode():
        want = outputs(literal.eval(), clips)
        assert apart(outputs(lowered.eval(), clips), want) <= 1e-5
        freeze(lowered)
        assert apart(outputs(lowered, clips), want) <= 1e-5
        assert apart(outputs(lowered, clips), want) <= 1e-5


def learns_the_same(plan: Plan, lower: Any = "auto") -> None:
    """Loss, gradients and running statistics of a step in training, in double precision."""
    literal, lowered = both(plan, lower, train=True, dtype=torch.float64)
    clips = clips_of(plan, batch=2, device="cpu")
    clips = {k: v.double() for k, v in clips.items()} if isinstance(clips, dict) else clips.double()
    for network in (literal, lowered):
        torch.manual_seed(1)
        outputs(network.train(), clips).square().sum().backward()
    mine = dict(lowered.named_parameters())
    want, got = [], []
    for name, weight in literal.named_parameters():
        assert (weight.grad is None) == (mine[name].grad is None), name
        if weight.grad is not None:
            want.append(weight.grad.flatten())
            got.append(mine[name].grad.flatten())
    assert torch.cat(got).sub(torch.cat(want)).norm() <= 1e-10 * torch.cat(want).norm()
    for (name, buffer), other in zip(literal.named_buffers(), lowered.buffers(), strict=True):
        torch.testing.assert_close(other, buffer, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("one", MODELS, ids=[model.name for model in MODELS])
def test_the_whole_zoo_gives_the_same(one: Model) -> None:
    plan = archdsl.compile(reduced(one))
    gives_the_same(plan)
    learns_the_same(plan)
