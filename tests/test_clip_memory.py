"""A memory of clips: what the next ones of a stream read, against attention over all of it; MeMViT's integers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

import archdsl
from archdsl.backend.passes import PASSES
from archdsl.backend.runtime.attention.clip_memory import MemoryAttention
from archdsl.blocks import ClassToken, Gru, Patches, PooledTransformer, Remembered
from archdsl.compiler.unread import trained_later
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip, Features, Pathway, Roi, Stage, TokenClassifier
from archdsl.recipes import recipe
from archdsl.training.network_setup import prepare_network
from archdsl.training.processes import World

COUNTS = {
    # facebookresearch/MeMViT configs/AVA, with and without MEMVIT.ENABLE
    ("memvit_16", 2): 42_230_624,
    ("memvit_16", 0): 42_090_848,
    ("memvit_24", 2): 59_443_136,
    ("memvit_24", 0): 59_170_112,
}
SQUEEZED: dict[str, Any] = {"kernel": (3, 3, 3), "stride": (2, 2, 2)}


@pytest.mark.parametrize(("name", "memories"), COUNTS)
def test_counts_are_those_of_the_originals(name: str, memories: int) -> None:
    assert archdsl.compile(archdsl.load(name, memories=memories)).params == COUNTS[name, memories]


def net(tokens: int = 1, **fields: Any) -> Arch:
    """Clips of 4 frames of 16 pixels in patches of 2 x 4 x 4: maps of 2 x 4 x 4."""
    stages = {"tokens": Stage(Patches(kernel=(2, 4, 4), channels=8), ClassToken(count=tokens))}
    stages["body"] = Stage(PooledTransformer(heads=2, pool_first=True, **fields))
    return Arch(
        name="net",
        clip=Clip(frames=4, size=16),
        pathways=dict(main=Pathway(stages=stages)),
        head=TokenClassifier(classes=3),
    )


def plain_net(**memory: Any) -> Arch:
    return net(kernel=None, memory=Remembered(**memory))


def streamed(network: Any, clips: list[Tensor]) -> list[Tensor]:
    state, outputs = None, []
    for clip in clips:
        y, state = network.step(clip, state)
        outputs.append(y)
    return outputs


def test_the_second_clip_attends_to_the_first() -> None:
    """Its attention is that over the tokens of both, linear layers and all."""
    torch.manual_seed(0)
    network, clips = archdsl.build(plain_net(clips=1)).double().eval(), torch.randn(2, 2, 3, 4, 16, 16).double()
    attend, normed, given = network.main.body[0].attend, [], []
    network.main.body[0].attend_norm.register_forward_hook(lambda part, xs, y: normed.append(y[:, 0, 0]))
    attend.out.register_forward_hook(lambda part, xs, y: given.append(xs[0][:, 0, 0]))
    first, second = streamed(network, [*clips])
    assert torch.equal(first, network(clips[0]))
    assert not torch.allclose(second, network(clips[1]))

    rows = {name: getattr(attend, name) for name in ("query", "key", "value")}
    read = {name: normed[1] if name == "query" else torch.cat(normed[:2], 1) for name in rows}
    q, k, v = (
        torch.nn.functional.linear(read[name], part.weight.flatten(1), part.bias).unflatten(2, (2, 4)).transpose(1, 2)
        for name, part in rows.items()
    )
    want = ((q @ k.mT / 2).softmax(3) @ v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(given[1], want)


def read_from(network: Any, clips: list[Tensor]) -> list[int]:
    """Which clips what the last one gives hangs on."""
    want = streamed(network, clips)[-1]
    changed = [[torch.randn_like(clip) if i == j else clip for j, clip in enumerate(clips)] for i in range(len(clips))]
    return [i for i, others in enumerate(changed) if not torch.equal(streamed(network, others)[-1], want)]


@pytest.mark.parametrize(
    ("memory", "read"),
    [
        ({"clips": 1}, [3, 4]),
        ({"clips": 2}, [2, 3, 4]),
        ({"clips": 1, "gap": 2}, [2, 4]),
        ({"clips": 2, "gap": 2}, [0, 2, 4]),
        ({"clips": 2, "gap": 3}, [1, 4]),
        ({"clips": 9}, [0, 1, 2, 3, 4]),
        ({"clips": 0}, [4]),
        ({"clips": 2, "read": False}, [4]),
    ],
)
@torch.no_grad()
def test_which_clips_are_read(memory: dict[str, Any], read: list[int]) -> None:
    network = archdsl.build(plain_net(**memory)).eval()
    assert read_from(network, [*torch.randn(5, 1, 3, 4, 16, 16)]) == read


@torch.no_grad()
def test_distances_to_remembered_keys_are_rows_of_their_own_tables() -> None:
    """By loops, for maps of 2 x 3 x 3 and a token that remember 1 x 2 x 2 and a token of each of two clips."""
    torch.manual_seed(0)
    attention = MemoryAttention(
        memory=(1, 2, 2), step=2, rows=(5, 5, 5), heads=1, channels=4, sizes=(2, 3, 3), queries=(2, 3, 3),
        keys=(2, 3, 3), beside=(1, 1), scale=0.5,
    )  # fmt: skip
    q, bias = torch.randn(1, 4, 1, 1, 19), torch.zeros(19, 10)
    for t, h, w in torch.cartesian_prod(*(torch.arange(n) for n in (2, 3, 3))).tolist():
        query = 1 + (t * 3 + h) * 3 + w
        for clip, y, x in torch.cartesian_prod(*(torch.arange(n) for n in (2, 2, 2))).tolist():
            tables = (attention.memory_t, attention.memory_h, attention.memory_w)
            at = (t + 2 * (1 - clip), int(h + (1 - y) * 1.5), int(w + (1 - x) * 1.5))
            rows = sum(table[i] for table, i in zip(tables, at))
            bias[query, clip * 5 + 1 + y * 2 + x] = q[0, :, 0, 0, query] @ rows
    torch.testing.assert_close(attention.memory_bias(q, 2)[0, 0], bias)


FULL = net(stride_kv=(1, 2, 2), relative=True, residual=True, pool_queries=True, memory=Remembered(clips=2, **SQUEEZED))


def test_a_memory_meets_what_every_network_does() -> None:
    """Torch agrees on shapes, parameters and counts, and YAML means the same."""
    archdsl.testing.check(FULL)
    plan = archdsl.compile(FULL)
    keys, small = 8 * (2 * 2 * 2 + 1), 8 * (1 * 1 * 1 + 1)
    assert plan.held == 2 * (keys + small)
    assert (plan.one_frame, plan.whole_clips) == (None, None)
    network, clip = archdsl.build(plan).eval(), torch.randn(2, 3, 4, 16, 16)
    torch.testing.assert_close(torch.fx.symbolic_trace(network)(clip), network(clip))


@pytest.mark.slow
@torch.no_grad()
def test_lowerings_stream_the_same() -> None:
    literal, clips = archdsl.build(FULL, "none").eval(), [*torch.randn(4, 2, 3, 4, 16, 16)]
    want = streamed(literal, clips)
    assert not torch.allclose(want[-1], literal(clips[-1]))
    names = [one.name for one in PASSES]
    for lower in ("auto", *([name] for name in names), names):
        network = archdsl.build(FULL, lower).eval()
        network.load_state_dict(literal.state_dict())
        for got, one in zip(streamed(network, clips), want, strict=True):
            torch.testing.assert_close(got, one, rtol=1e-4, atol=1e-5)
    frozen = streamed(archdsl.freeze(network), clips)
    torch.testing.assert_close(frozen[-1], want[-1], rtol=1e-4, atol=1e-5)


def test_a_clip_is_compressed_and_learnt_from_once() -> None:
    """With a gap of 1 the next clip trains what compresses; no gradient goes on to the clip before."""
    network, clips = archdsl.build(FULL), torch.randn(3, 1, 3, 4, 16, 16, requires_grad=True)
    streamed(network, [*clips])[-1].sum().backward()
    assert {name for name, weight in network.named_parameters() if weight.grad is None} == set()
    assert clips.grad is not None
    assert [bool(grad.any()) for grad in clips.grad] == [False, False, True]


def test_boxes_of_a_clip_attend_to_each_other_and_to_those_before() -> None:
    clips = {"rgb": Clip(frames=4, size=16), "boxes": Clip(modality="boxes", frames=3, size=1)}
    between = PooledTransformer(heads=2, kernel=None, pool_first=True, memory=Remembered(clips=1))
    pathways = {"main": Pathway(clip="rgb", stages={"tokens": Stage(Patches(kernel=(2, 4, 4), channels=8))})}
    arch = Arch(name="net", clips=clips, pathways=pathways, head=Roi(classes=2, blocks=(between,)))
    archdsl.testing.check(arch)
    network = archdsl.build(arch).eval()
    corners = torch.tensor([[0, 0, 8, 8], [4, 4, 12, 12], [2, 0, 16, 9]]).float().T[None, :, :, None, None]
    moved = corners.clone()
    moved[:, :, 2] += 1
    clip = torch.randn(1, 3, 4, 16, 16)
    alone, with_moved = (network({"rgb": clip, "boxes": boxes}) for boxes in (corners, moved))
    assert not torch.allclose(alone[:, :, 0], with_moved[:, :, 0])
    first, state = network.step({"rgb": clip, "boxes": corners})
    torch.testing.assert_close(first, alone)
    assert not torch.allclose(network.step({"rgb": clip, "boxes": moved}, state)[0], with_moved)


def test_a_state_of_other_clips_and_pieces_of_a_clip_are_refused() -> None:
    network = archdsl.build(plain_net(clips=1))
    _, state = network.step(torch.randn(2, 3, 4, 16, 16))
    with pytest.raises(ValueError, match="expected that of 1 clips, got 2"):
        network.step(torch.randn(1, 3, 4, 16, 16), state)
    with pytest.raises(ValueError, match="4"):
        network.step(torch.randn(1, 3, 2, 16, 16))


def test_processes_wait_for_no_gradients_but_those_of_a_clip_by_itself() -> None:
    """What only further clips train is no part of training: torch's DDP would refuse the second step."""
    plan = archdsl.compile(FULL)
    world = World(0, 1, torch.device("cpu"))
    network = prepare_network(archdsl.build(plan), plan, recipe("smoke"), world, recomputed=(), shard=False)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(network)
        for _ in range(2):
            wrapped(torch.randn(2, 3, 4, 16, 16)).sum().backward()
        del wrapped
    finally:
        dist.destroy_process_group()
    idle = {name for name, weight in network.named_parameters() if not weight.requires_grad}
    assert idle == trained_later(plan.graph) == {name for name, p in network.named_parameters() if p.grad is None}


def test_a_drawing_says_what_is_remembered() -> None:
    kept = Remembered(clips=2, gap=2)
    lines = [PooledTransformer(heads=2, pool_first=True, memory=one).summary(8) for one in (kept, kept.but(read=False))]
    assert ["memory of 2 clips" in one for one in lines] == [True, False]


def test_what_cannot_be_remembered() -> None:
    with pytest.raises(SpecError, match="a memory of what linear layers give"):
        PooledTransformer(heads=2, memory=Remembered())
    block = PooledTransformer(heads=2, pool_first=True, memory=Remembered(**SQUEEZED))
    stages = {"tokens": Stage(Patches(kernel=(2, 4, 4), channels=8)), "body": Stage(block)}
    with pytest.raises(SpecError, match="a compressed memory of a map without tokens beside it"):
        archdsl.compile(net().but(pathways={"main": Pathway(stages=stages)}, head=Features()))


def test_what_holds_frames_cannot_remember_clips() -> None:
    stages = {"tokens": Stage(Patches(kernel=(2, 4, 4), channels=8), Gru(hidden=8), ClassToken())}
    stages |= {"body": plain_net().pathways["main"].stages["body"]}
    plan = archdsl.compile(net().but(pathways={"main": Pathway(stages=stages)}))
    assert plan.whole_clips == "main.tokens.1.scan holds frames where others remember clips"
    assert not hasattr(archdsl.build(plan), "step")
