"""Texts beside clips: ids of tokens as a modality, towers that meet in a cosine, what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import archdsl
from archdsl import ops
from archdsl.backend import build_graph
from archdsl.backend.example_clips import random_inputs
from archdsl.blocks import EndToken
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip, Edge, Features, Pathway, Similarity, Stage, change
from archdsl.ops import Shape
from archdsl.testing import check, graph_of
from archdsl.zoo import clip as clip_family

COUNTS = {
    # params, and macs of the image tower and of a text; transformers 5.24.0 CLIPModel, projections left out
    "clip_vit_b32": (151_277_313, 4_408_418_304 + 393_216, 2_979_508_224 + 262_144),
    "clip_vit_b16": (149_620_737, 17_563_060_224 + 393_216, 2_979_508_224 + 262_144),
    "clip_vit_l14": (427_616_513, 81_011_982_336 + 786_432, 6_649_251_840 + 589_824),
    # transformers 5.24.0 XCLIPModel: the image tower without post-norm and projection
    "xclip_b32": (196_585_729, 35_793_027_072, 2_979_508_224 + 262_144),
    "xclip_b16": (194_929_153, 141_073_514_496, 2_979_508_224 + 262_144),
    "xclip_b16_16f": (194_933_249, 282_149_388_288, 2_979_508_224 + 262_144),
    "xclip_l14": (575_673_601, 650_113_449_984, 6_649_251_840 + 589_824),
    "xclip_l14_336_16f": (576_007_425, 3_059_890_520_064, 6_649_251_840 + 589_824),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_the_originals(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    macs = [
        plan.counted([node for node in plan.nodes if node.address.split(".")[0] == pathway], "macs")
        for pathway in (next(iter(plan.arch.pathways)), "text")
    ]
    assert (plan.params, *macs) == COUNTS[name]


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("clip_vit_l14_336", 427_944_193),
        ("clip4clip_b32", 151_277_313),
        ("clip4clip_b32_lstm", 153_417_985 - 39_424),  # theirs has a table of positions that nothing reads
        ("clip4clip_b32_transformer", 163_926_273),
    ],
)
def test_parameters_of_the_originals(name: str, params: int) -> None:
    assert archdsl.compile(archdsl.load(name)).params == params


def small(**fields: Any) -> Arch:
    """X-CLIP of two frames of 32 pixels and three texts of six tokens, its blocks cut to one."""
    arch = archdsl.load("xclip_b32", size=32, frames=2, tokens=6, texts=3, **fields)
    arch = change(arch, "clips.words.vocabulary", 1000)
    for pathway in ("frames", "text"):
        own = arch.pathways[pathway]
        stages = {**own.stages, "body": Stage(own.stages["body"].blocks[0])}
        arch = arch.but(pathways={**arch.pathways, pathway: own.but(stages=stages)})
    return arch


def test_a_net_of_video_and_texts_agrees_with_torch() -> None:
    plan = check(small())
    assert (plan.inputs["words"], dict(plan.outputs)["scores"]) == (Shape(1, 6, 3, 1), (3,))


def test_a_text_is_read_up_to_its_end_and_no_text_reads_another() -> None:
    """What stands behind the largest id changes nothing, and another text beside it neither."""
    arch = archdsl.load("clip_vit_b32", size=32, tokens=5, texts=2)
    text, words = arch.pathways["text"], arch.clips["words"].but(vocabulary=1000)
    body = {**text.stages, "body": Stage(text.stages["body"].blocks[0])}
    arch = Arch(name="text", clips={"words": words}, pathways={"text": text.but(stages=body)}, head=Features())
    network = archdsl.build(arch).eval()
    ids = torch.tensor([[5, 6, 900, 1, 2], [7, 900, 3, 3, 3]]).T[None, None, :, :, None]
    other = ids.clone()
    other[0, 0, 3:, 0, 0] = 4
    other[0, 0, 0, 1, 0] = 8
    with torch.no_grad():
        first, second = (network(x)[0, :, 0, :, 0] for x in (ids, other))
    torch.testing.assert_close(first[:, 0], second[:, 0])
    assert float((first[:, 1] - second[:, 1]).abs().max()) > 1e-3


def test_scores_are_cosines_times_a_learnt_scale() -> None:
    clip, texts = torch.tensor([3.0, 4.0]), torch.tensor([[0.6, 0.8], [0.8, -0.6]])
    network = build_graph(graph_of(ops.ScaledProducts(), (Shape(2, 1, 1, 1), Shape(2, 1, 2, 1))))
    got = network({"x0": clip.view(1, 2, 1, 1, 1) / 5, "x1": texts.T.reshape(1, 2, 1, 2, 1)})
    torch.testing.assert_close(got.flatten(), torch.tensor([1.0, 0.0]) / 0.07, atol=1e-5, rtol=1e-5)
    assert float(network.op.weight.detach()) == pytest.approx(math.log(1 / 0.07))


def test_the_message_of_a_frame_stands_beside_its_row_for_one_attention() -> None:
    """In one block a later frame changes an earlier one, though each attends to itself and a message alone."""
    network = archdsl.build(small()).eval()
    rows = torch.randn(1, 768, 2, 2, 1)
    moved = rows.clone()
    moved[:, :, 1] += 1
    with torch.no_grad():
        ends = [network.frames.body[0](one) for one in (rows, moved)]
    assert ends[0].shape == rows.shape
    assert float((ends[0] - ends[1])[:, :, 0].abs().max()) > 1e-4


WORDS = {"video": torch.zeros(1, 3, 2, 32, 32), "words": torch.ones(1, 1, 6, 3, 1, dtype=torch.long)}


@pytest.mark.parametrize(
    ("words", "error", "got"),
    [
        (torch.zeros(1, 1, 6, 3, 1), TypeError, "got torch.float32"),
        (torch.full((1, 1, 6, 3, 1), 1000), ValueError, "got ids from 1000 to 1000"),
        (torch.full((1, 1, 6, 3, 1), -1), ValueError, "got ids from -1 to -1"),
        (torch.ones(1, 1, 7, 3, 1, dtype=torch.long), ValueError, r"got \(1, 1, 7, 3, 1\)"),
    ],
)
def test_what_are_no_ids_is_refused(words: torch.Tensor, error: type[Exception], got: str) -> None:
    network = archdsl.build(small())
    with pytest.raises(
        error, match=rf"words: expected whole numbers \(n, 1, 6, 3, 1\), ids of tokens from 0 to 999, {got}"
    ):
        network({**WORDS, "words": words})


def test_ids_stay_whole_where_the_network_is_half() -> None:
    network = archdsl.build(small()).eval().to(torch.bfloat16)
    scores = network({"video": WORDS["video"].bfloat16(), "words": WORDS["words"].int()})["scores"]
    assert (scores.dtype, bool(scores.isfinite().all())) == (torch.bfloat16, True)


def test_random_clips_of_texts_are_ids() -> None:
    arch = small().but(
        clips={**small().clips, "words": Clip(modality="text", frames=6, height=3, width=1, vocabulary=5)}
    )
    plan = archdsl.compile(arch)
    words = random_inputs(plan.graph, 2)["words"]
    assert (words.dtype, tuple(words.shape), int(words.max()) < 5) == (torch.int64, (2, 1, 6, 3, 1), True)
    assert plan.params == archdsl.compile(small()).params - (1000 - 5) * 512


def test_a_table_of_positions_longer_than_the_map() -> None:
    whole, part = (graph_of(ops.Positions(over=("t",), entries=n), (Shape(4, n and 3, 1, 1),)) for n in (3, 7))
    long, short = build_graph(part), build_graph(whole)
    short.load_state_dict({"op.t": long.state_dict()["op.t"][:3]})
    x = torch.randn(2, 4, 3, 1, 1)
    assert long.op.t.shape == (7, 4)
    torch.testing.assert_close(long(x), short(x))


def test_the_end_of_what_is_no_text_is_refused() -> None:
    pathways = {"main": Pathway(stages={"end": Stage(EndToken())})}
    with pytest.raises(SpecError) as caught:
        archdsl.compile(Arch(name="net", clip=Clip(frames=4, size=8), pathways=pathways, head=Features()))
    assert "the end of what is no text" in str(caught.value)
    assert "mean: {over: t}" in str(caught.value)


def test_frames_and_size_leave_texts_alone() -> None:
    arch = archdsl.load("clip4clip_b32", frames=4, size=64)
    assert (arch.clips["video"].shape, arch.clips["words"].shape) == ((3, 4, 64, 64), (1, 32, 1, 1))
    assert clip_family.LONGEST_TEXT == 77


def test_texts_read_the_video_by_an_edge() -> None:
    """Without the edge a text's vector is the same beside every clip."""
    arch = small()
    (edge,) = arch.edges
    assert isinstance(edge, Edge)
    given = random_inputs(archdsl.compile(arch).graph)
    other = {**given, "video": given["video"] + 1}
    with torch.no_grad():
        for edges, moved in ((arch.edges, True), ((), False)):
            head = Similarity(reads=("clip", "text"))
            network = archdsl.build(arch.but(edges=edges, head=head)).eval()
            texts = [network(clips)["texts"] for clips in (given, other)]
            assert bool((texts[0] - texts[1]).abs().max() > 1e-5) == moved
