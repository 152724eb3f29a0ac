"""Every model of the zoo: it is found by name, means the same in YAML, agrees with torch, and keeps its card's word."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
import torch
from forms import REPRESENTATIVES

import archdsl
from archdsl import ops
from archdsl.catalog import model, reference_of, zoo
from archdsl.compiler.unread import trained_later
from archdsl.language import Arch, Model
from archdsl.report.cost import figure_of
from archdsl.testing.agreement import fvcore_count, module_shapes, random_clips
from archdsl.testing.conformance import check_yaml_round_trip

MODELS = tuple(zoo())
every_model = pytest.mark.parametrize("one", MODELS, ids=[model.name for model in MODELS])


every_form = pytest.mark.parametrize(
    "one",
    [pytest.param(m, id=m.name, marks=[] if m.name in REPRESENTATIVES else pytest.mark.slow) for m in MODELS],
)
"""One member for each form in `make test`, and all of them in the slow set."""


def test_forms_tell_apart_what_is_more_than_numbers() -> None:
    """ResNet-101 and -152 differ from -50 in numbers alone, -18 in its blocks; non-local blocks in their kind."""
    assert {"resnet18", "resnet50", "resnet50_v1"} <= REPRESENTATIVES
    assert not {"resnet34", "resnet101", "resnet152"} & REPRESENTATIVES
    assert {f"tsm_r50_nl_{kind}" for kind in ("embedded", "dot", "gaussian")} <= REPRESENTATIVES
    assert {model.family for model in MODELS} == {m.family for m in MODELS if m.name in REPRESENTATIVES}


def test_names_are_unique_and_findable() -> None:
    assert [name for name, times in Counter(m.name for m in MODELS).items() if times > 1] == []
    assert all(model(m.name).arch().name == m.name for m in MODELS)


def test_cards_speak_of_models_that_exist() -> None:
    for one in MODELS:
        reference = reference_of(one)
        assert reference is None or (reference.paper and reference.title), one.name


@every_model
def test_claims_are_recomputed(one: Model) -> None:
    """A figure that ours does not round to carries its reason; one that it does needs none."""
    reference = reference_of(one)
    for claim in reference.claims if reference else ():
        if claim.figure in ("top1", "top5"):
            continue
        plan = archdsl.compile(one.arch(**claim.input))
        ours = figure_of(plan, claim.figure)
        met = abs(Decimal(ours) - claim.number) <= claim.half_unit
        assert met or claim.why, f"{claim.figure}: {claim.value} was printed ({claim.source}), ours is {ours:,}"
        assert not (met and claim.why), f"{claim.figure} {claim.value} is met by {ours:,} and needs no reason"


def test_parameters_without_norms_leave_out_scales_and_shifts() -> None:
    # resnet18: 2 for each channel that is normed: 64 of the stem, 2 blocks of two in each stage, three shortcuts
    channels = 64 + sum(4 * wide for wide in (64, 128, 256, 512)) + 128 + 256 + 512
    plan = archdsl.compile(archdsl.load("resnet18"))
    assert plan.params - plan.params_without_norms == 2 * channels
    assert figure_of(plan, "params-without-norms") == plan.params_without_norms


@every_model
def test_yaml_means_the_same(one: Model) -> None:
    check_yaml_round_trip(one.arch())


def ends(plan: archdsl.Plan, output: str) -> list[ops.Op]:
    """The last op of an output, and those it reads."""
    node = plan.graph.nodes[plan.graph.outputs[output]]
    return [node.op, *(plan.graph.nodes[read].op for read in node.reads)]


@every_form
def test_torch_agrees_on_shapes_and_parameters_and_gradients_flow(one: Model) -> None:
    plan = archdsl.compile(one.arch())
    with torch.device("meta"):
        network = archdsl.build(plan)
    assert sum(p.numel() for p in network.parameters()) == plan.params
    for address, got in module_shapes(network.eval(), plan).items():
        want = plan.tensor_shape(address) if address in plan.graph.nodes else plan.shapes[address].tensor
        assert got == want[: len(got)], address
        assert set(want[len(got) :]) <= {1}, address
    outputs = network.train()(random_clips(plan, batch=2))
    for name, output in outputs.items() if isinstance(outputs, dict) else [(*plan.outputs, outputs)]:
        chosen = any(isinstance(op, ops.SegmentProposals | ops.Proposals | ops.BestBoxes) for op in ends(plan, name))
        assert output.requires_grad != chosen, name  # where what was chosen lies is no function to learn from
        if output.requires_grad:
            output.sum().backward(retain_graph=True)
    assert {name for name, p in network.named_parameters() if p.grad is None} == trained_later(plan.graph)


def reduced(one: Model) -> Arch:
    """The model at the smallest of a few sizes that it accepts."""
    own = next(iter(one.arch().clips.values()))
    for size in (64, 112, 160, 224, None):
        for frames in (1, 4, 5, 6, 8, 10, 16, 20, 32, 40, None):
            if frames and frames > own.frames:
                continue
            try:
                arch = one.arch(**{k: v for k, v in (("size", size), ("frames", frames)) if v})
                archdsl.compile(arch)
            except archdsl.SpecError:
                continue
            return arch
    raise AssertionError(f"{one.name} accepts not even its own size")


@pytest.mark.slow
@every_model
def test_it_runs_forward_and_backward_and_fvcore_counts_the_same(one: Model) -> None:
    torch.manual_seed(0)
    plan = archdsl.compile(reduced(one))
    network = archdsl.build(plan).train()
    outputs = network(random_clips(plan, batch=2, device="cpu"))
    outputs = outputs if isinstance(outputs, dict) else {"scores": outputs}
    sum(output.square().mean() for output in outputs.values()).backward()
    assert all(torch.isfinite(output).all() for output in outputs.values())
    assert {name for name, p in network.named_parameters() if p.grad is None} == trained_later(plan.graph)
    assert fvcore_count(network, random_clips(plan, device="cpu")) == plan.count("fvcore")


ORACLE = {
    # reference implementation at 256: parameters, multiply-adds, fvcore 0.1.5 (PySlowFast's configurations)
    ("slow_8x8_r50", 256): (32_454_096, 54_520_840_192, 54_753_099_776),
    ("slow_4x16_r50", 256): (32_454_096, 27_262_058_496, 27_378_188_288),
    ("slowfast_4x16_r50", 224): (34_480_216, 27_638_665_216, 27_819_700_224),
    ("slowfast_4x16_r50", 256): (34_480_216, 36_101_963_776, 36_338_417_664),
    ("slowfast_8x8_r50", 224): (34_566_488, 50_308_583_424, 50_581_741_568),
    ("slowfast_8x8_r50", 256): (34_566_488, 65_711_652_864, 66_068_430_848),
    ("slowfast_8x8_r101", 256): (53_774_808, 106_513_842_176, 107_031_052_288),
    ("slowfast_16x8_r101", 256): (53_774_808, 213_023_997_952, 214_058_418_176),
    ("slowfast_8x8_r101_101_101", 256): (62_826_968, 125_908_303_872, 126_425_513_984),
}


@pytest.mark.parametrize(("name", "size"), ORACLE)
def test_slowfast_equals_pyslowfast_integer_for_integer(name: str, size: int) -> None:
    plan = archdsl.compile(archdsl.load(name, size=size))
    assert (plan.params, plan.macs, plan.count("fvcore")) == ORACLE[name, size]


def test_slowfast_with_174_classes_is_the_published_ssv2_network() -> None:
    # configs/SSv2/SLOWFAST_16x8_R50 with plain batch norm
    plan = archdsl.compile(archdsl.load("slowfast_8x8_r50", frames=128, classes=174))
    assert (plan.params, plan.macs, plan.count("fvcore")) == (34_045_558, 100_615_724_544, 101_162_040_832)
