"""Reversible transformers: the originals' integers, the equations by hand, what leaves tells what entered."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import archdsl
from archdsl.blocks import Block, ClassToken, Conv, Patches, PooledTransformer, Reversible, Transformer
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage, TokenClassifier, repeat

COUNTS = {
    # (parameters, fvcore): facebookresearch/SlowFast, configs REV_MVIT_B_16x4_CONV; the rest as its README prints them
    "rev_mvit_b_16x4": (34_963_120, 63_847_667_712),
    "rev_mvit_b_image": (39_689_416, 8_674_319_616),
    "rev_vit_s16": (22_434_664, 4_584_195_072),
    "rev_vit_b16": (87_335_656, 17_491_986_432),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_original(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    assert (plan.params, plan.count("fvcore")) == COUNTS[name]


def net(*blocks: Block, tokens: int = 0) -> Arch:
    """4 frames of 16 x 16 pixels in patches of 4 x 4, with tokens beside them or none."""
    first = Patches(kernel=(2, 4, 4), channels=8)
    stages = {"tokens": Stage(first, *([ClassToken(count=tokens)] if tokens else ())), "body": Stage(*blocks)}
    head = TokenClassifier(classes=3) if tokens else Classifier(classes=3)
    return Arch(name="net", clip=Clip(frames=4, size=16), pathways=dict(main=Pathway(stages=stages)), head=head)


def tokens_of(network: torch.nn.Module, clip: Tensor) -> Tensor:
    """The patches of a clip.  -> (n, positions, 8)"""
    return network.get_submodule("main.tokens.0.conv")(clip).flatten(2).mT


def part(network: torch.nn.Module, name: str) -> Callable[[str, Tensor], Tensor]:
    """A layer of a block."""

    def of(layer: str, x: Tensor) -> Tensor:
        owner = network.get_submodule(f"{name}.{layer}")
        if x.shape[-1:] == owner.weight.shape and owner.weight.ndim == 1:
            return F.layer_norm(x, x.shape[-1:], owner.weight, owner.bias, 1e-6)
        return F.linear(x, owner.weight, owner.bias)

    return of


def scattered(network: torch.nn.Module) -> torch.nn.Module:
    """Weights far from where they start, so that every one is heard."""
    for p in network.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return network.eval()


@pytest.mark.parametrize("merge", ["concat", "sum", "average"])
def test_two_streams_by_hand(merge: str) -> None:
    """y1 = x1 + attention(x2), y2 = x2 + perceptron(y1), twice; and back from what leaves to what entered."""
    blocks = repeat(Transformer(heads=2), 2)
    network = scattered(archdsl.build(net(Reversible(blocks=blocks, merge=merge))))
    clip = torch.randn(2, 3, 4, 16, 16)

    def attention(i: int, x: Tensor) -> Tensor:
        of = part(network, f"main.body.0.{i}.attend")
        x = of("norm", x)
        q, k, v = (of(name, x).unflatten(-1, (2, 4)).transpose(1, 2) for name in ("query", "key", "value"))
        return of("out", F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    def perceptron(i: int, x: Tensor) -> Tensor:
        of = part(network, f"main.body.0.{i}.mlp")
        return of("down", F.gelu(of("up", of("norm", x))))

    with torch.no_grad():
        start = first = second = tokens_of(network, clip)
        for i in range(2):
            first = first + attention(i, second)
            second = second + perceptron(i, first)
        joined = {"concat": torch.cat([first, second], -1), "sum": first + second, "average": (first + second) / 2}
        want = part(network, "head")("classifier", joined[merge].mean(1))
        torch.testing.assert_close(network(clip), want, rtol=1e-4, atol=1e-4)
        for i in (1, 0):
            second = second - perceptron(i, first)
            first = first - attention(i, second)
        torch.testing.assert_close(first, start, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(second, start, rtol=1e-3, atol=1e-3)


def test_a_shortcut_is_pooled_as_queries_are() -> None:
    """With attention's last layer at 0 only the shortcut is left: projected, pooled and normalised as queries are."""
    block = PooledTransformer(heads=2, channels=16, stride=(1, 2, 2), shortcut="query")
    network = scattered(archdsl.build(net(block)))
    for name in ("attend.out", "mlp.down"):
        for p in network.get_submodule(f"main.body.0.{name}").parameters():
            torch.nn.init.zeros_(p)
    clip, of = torch.randn(2, 3, 4, 16, 16), part(network, "main.body.0")
    with torch.no_grad():
        x = (
            of("attend_project", tokens_of(network, clip))
            .mT.unflatten(1, (2, 8))
            .unflatten(-1, (2, 4, 4))
            .flatten(0, 1)
        )
        kernel = network.get_submodule("main.body.0.attend.query_pool").weight.reshape(8, 1, 3, 3, 3)
        x = F.conv3d(x, kernel, stride=(1, 2, 2), padding=1, groups=8).unflatten(0, (2, 2)).flatten(3).transpose(-1, -2)
        x = of("attend.query_norm", x).mean(2).flatten(1)
        torch.testing.assert_close(network(clip), part(network, "head")("classifier", x), rtol=1e-4, atol=1e-4)


POOLED = PooledTransformer(heads=2, kernel=(1, 3, 3), stride_kv=(1, 2, 2), relative=True, residual=True, drop_path=0.1)


@pytest.mark.parametrize(
    ("blocks", "tokens"),
    [
        ((Reversible(blocks=(POOLED,) * 2), POOLED.but(channels=16, stride=(1, 2, 2), shortcut="query")), 1),
        pytest.param((Reversible(blocks=(Transformer(heads=1, rotary=True), POOLED), merge="concat"),), 0),
    ],
)
def test_torch_agrees(blocks: tuple[Block, ...], tokens: int) -> None:
    """On shapes, parameters, counts and gradients; and YAML means the same."""
    archdsl.testing.check(net(*blocks, tokens=tokens))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (Conv(channels=8), "two streams through Conv"),
        (POOLED.but(stride=(1, 2, 2)), "two streams through a block that changes the map"),
        (POOLED.but(channels=16), "two streams through a block that changes the map"),
        (Transformer(heads=2, attend=["t", "hw"]), "two streams through a transformer of another form"),
        (Transformer(heads=2, norm_at="post"), "two streams through a transformer of another form"),
    ],
)
def test_what_cannot_be_two_streams(block: Block, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        archdsl.compile(net(Reversible(blocks=(block,))))
