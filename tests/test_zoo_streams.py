"""Time fusion, C3D, two streams and segments: counts, shared weights, and outputs of a few lines of plain torch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archdsl
from archdsl.blocks import Conv
from archdsl.language import Arch, Classifier, Clip, Consensus, Edge, Pathway, Stage

COUNTS = {
    # name, overrides: parameters and multiply-adds
    ("c3d", 101): (78_409_573, 38_547_378_176),  # mmaction2's metafile: 78,409,573
    ("c3d", 487): (79_991_015, 38_548_959_232),  # Sports-1M
    ("c3d_ucf", 101): (17_444_965, 19_261_106_176),
    ("single_frame", 487): (60_276_583, 1_129_356_416),
    ("early_fusion", 487): (60_590_215, 2_043_907_328),
    ("late_fusion", 487): (98_025_319, 2_239_940_864),
    ("slow_fusion", 487): (61_880_263, 4_146_821_120),
    ("two_stream_vgg_m", 101): (181_335_594, 4_277_888_928),
    ("posec3d_slowonly", 60): (2_024_860, 15_630_858_240),  # mmaction2 1.2.0, as built from its configs
    ("posec3d_slowonly_gym", 99): (2_044_867, 15_630_878_208),
    ("tsn_r50", 400): (24_327_632, 32_703_643_648),
    ("tsn_bn_inception", 101): (10_373_765, 6_095_038_464),
    ("tsn_bn_inception_flow", 101): (10_395_717, 6_921_136_128),
}


@pytest.mark.parametrize(("name", "classes"), COUNTS)
def test_counts(name: str, classes: int) -> None:
    plan = archdsl.compile(archdsl.load(name, classes=classes))
    assert (plan.params, plan.macs) == COUNTS[name, classes]


def test_heatmaps_of_64_pixels_as_mmaction2_tests_them() -> None:
    plan = archdsl.compile(archdsl.load("posec3d_slowonly", size=64))
    assert (plan.macs, plan.count("fvcore")) == (20_415_805_440, 20_604_942_336)


def test_the_single_frame_net_by_hand() -> None:
    plan = archdsl.compile(archdsl.load("single_frame"))
    assert plan.shapes["main.conv5"] == (256, 1, 6, 6)
    assert plan.cost_of("main.conv1.0.conv").macs == 96 * 3 * 11 * 11 * 54 * 54


def test_slow_fusion_narrows_time_step_by_step() -> None:
    plan = archdsl.compile(archdsl.load("slow_fusion"))
    assert [plan.shapes[f"main.conv{i}"].t for i in (1, 2, 3)] == [4, 2, 1]


def test_tied_towers_count_once_as_parameters_and_twice_as_cost() -> None:
    plan = archdsl.compile(archdsl.load("late_fusion"))
    first, second = plan.cost_of("first.conv2"), plan.cost_of("second.conv2")
    assert (first.params, second.params) == (256 * 96 * 25 + 256, 0)
    assert first.macs == second.macs > 0


def convolved(network: nn.Module, x: Tensor, tower: str = "first") -> Tensor:
    """The five convolutions of Karpathy's net in plain torch, with the network's weights."""
    stages = network.get_submodule(tower)
    for name, stride, pad in (("conv1", 3, 0), ("conv2", 1, 2), ("conv3", 1, 1), ("conv4", 1, 1), ("conv5", 1, 1)):
        conv = stages.get_submodule(f"{name}.0.conv")
        x = F.relu(F.conv3d(x, conv.weight, conv.bias, (1, stride, stride), (0, pad, pad)))
        if name in ("conv1", "conv2"):
            x = F.local_response_norm(x, 5, alpha=5e-4, beta=0.5, k=2)
        if name in ("conv1", "conv2", "conv5"):
            x = F.max_pool3d(x, (1, 2, 2))
    return x


def test_late_fusion_is_one_tower_run_twice() -> None:
    torch.manual_seed(0)
    network = archdsl.build(archdsl.load("late_fusion", size=80)).eval()
    assert not any(key.startswith("second") for key in network.state_dict())
    clip = torch.randn(2, 3, 16, 80, 80)
    with torch.no_grad():
        x = torch.cat([convolved(network, clip[:, :, :1]), convolved(network, clip[:, :, 15:])], 1).flatten(1)
        for name in ("first.fc6.1.linear", "first.fc7.0.linear"):
            x = F.relu(network.get_submodule(name)(x))
        want = network.get_submodule("head.classifier")(x)
        torch.testing.assert_close(network(clip), want)


def plain_c3d() -> nn.Sequential:
    """C3D as its authors list it."""
    layers: list[nn.Module] = []
    c = 3
    for channels, times, pool in ((64, 1, (1, 2, 2)), (128, 1, 2), (256, 2, 2), (512, 2, 2), (512, 2, 2)):
        for _ in range(times):
            layers += [nn.Conv3d(c, channels, 3, padding=1), nn.ReLU()]
            c = channels
        layers.append(nn.MaxPool3d(pool, ceil_mode=len(layers) > 18))
    layers += [nn.Flatten(), nn.Linear(8192, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 101)]
    return nn.Sequential(*layers)


@pytest.mark.slow
def test_c3d_equals_plain_torch() -> None:
    torch.manual_seed(0)
    theirs, ours = plain_c3d().eval(), archdsl.build(archdsl.load("c3d")).eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    clip = torch.randn(1, 3, 16, 112, 112)
    with torch.no_grad():
        torch.testing.assert_close(ours(clip), theirs(clip))


def one_conv(clip: Clip, conv: Conv) -> Arch:
    stages = {"conv1": Stage(conv)}
    return Arch(name="one", clip=clip, pathways={"main": Pathway(stages=stages)}, head=Classifier(classes=2))


def test_a_kernel_over_all_frames_is_a_convolution_of_their_stack() -> None:
    conv = Conv(channels=4, kernel=(10, 3, 3), pad=(0, 1, 1))
    network = archdsl.build(one_conv(Clip(modality="flow", frames=10, size=8), conv)).eval()
    part = network.get_submodule("main.conv1.0.conv")
    flow = torch.randn(2, 2, 10, 8, 8)
    stack = F.conv2d(flow.flatten(1, 2), part.weight.flatten(1, 2), padding=1)
    torch.testing.assert_close(part(flow).squeeze(2), stack)


@pytest.mark.parametrize(
    ("over", "want"),
    [
        ("average", lambda scores: scores.mean(1)),
        ("max", lambda scores: scores.max(1).values),
        ("top", lambda scores: scores.sort(1, descending=True).values[:, :2].mean(1)),
        ("weighted", lambda scores: scores.mean(1)),  # it starts as the mean
    ],
)
def test_consensus_of_segments(over: str, want: object) -> None:
    head = Consensus(classes=3, over=over, k=2 if over == "top" else None)
    pathway = Pathway(segments=4, stages={"conv1": Stage(Conv(channels=5, kernel=(1, 3, 3)))})
    network = archdsl.build(Arch(name="c", clip=Clip(frames=8, size=6), pathways={"main": pathway}, head=head)).eval()
    clip = torch.randn(2, 3, 8, 6, 6)
    with torch.no_grad():
        frames = clip[:, :, 1::2].transpose(1, 2).flatten(0, 1)[:, :, None]
        features = network.get_submodule("main.conv1")(frames).mean((2, 3, 4))
        scores = network.get_submodule("head.classifier")(features).unflatten(0, (2, 4))
        torch.testing.assert_close(network(clip), want(scores))  # type: ignore[operator]


def test_k_goes_with_top() -> None:
    with pytest.raises(archdsl.SpecError, match="`k` goes with `top`"):
        Consensus(classes=3, over="top")


def test_a_flow_segment_is_five_frames_in_its_middle() -> None:
    plan = archdsl.compile(archdsl.load("tsn_bn_inception_flow"))
    assert plan.graph.nodes["main.frames"].op.frames(30)[:6] == (3, 4, 5, 6, 7, 13)
    assert plan.shapes["main.stem.0.conv"].t == 3
    assert plan.grids["main.stem.0.conv"].t.step == 10


def tied(**fields: object) -> Arch:
    """Two pathways, the second tied to the first."""
    first = Pathway(every=4, stages={"conv1": Stage(Conv(channels=4))})
    second = Pathway(
        **{"every": 4, "start": 2, "tied_to": "first", "stages": {"conv1": Stage(Conv(channels=4))}, **fields}
    )
    clip, edge = Clip(frames=4, size=8), Edge(source="second", target="first", after="conv1")
    pathways = {"first": first, "second": second}
    return Arch(name="t", clip=clip, pathways=pathways, edges=(edge,), head=Classifier(classes=2, reads=("first",)))


def fault_of(arch: Arch) -> str:
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.compile(arch)
    (fault,) = caught.value.faults
    return f"{fault.what}: {fault.got}, not {fault.want}"


def test_weights_that_cannot_be_shared_are_told() -> None:
    assert archdsl.compile(tied()).cost_of("second").params == 0
    wide = fault_of(tied(stages={"conv1": Stage(Conv(channels=8))}))
    assert wide.endswith("12 parameters for 3 channels, not 24 parameters for 3 channels")
    more = fault_of(tied(stages={"conv1": Stage(Conv(channels=4)), "conv2": Stage(Conv(channels=4))}))
    assert (
        more == "weights that cannot be shared with first.conv2.0.conv: no such part, not 16 parameters for 4 channels"
    )
    itself = fault_of(tied(tied_to="second"))
    assert itself.startswith("weights that cannot be shared with second.conv1.0.conv: tied itself")


def test_first_frames_and_snippets_need_what_they_refine() -> None:
    with pytest.raises(archdsl.SpecError, match="start without every"):
        Pathway(start=1, stages={"conv1": Stage(Conv(channels=4))})
    with pytest.raises(archdsl.SpecError, match="snippet without segments"):
        Pathway(snippet=5, stages={"conv1": Stage(Conv(channels=4))})


def two_maps(merge: str) -> Arch:
    """A flow map fused into an rgb map, and what is left classified."""
    clips = {"rgb": Clip(frames=2, size=6), "flow": Clip(modality="flow", frames=2, size=6)}
    stage = {"conv1": Stage(Conv(channels=4, norm="none", act="none"))}
    pathways = {"a": Pathway(clip="rgb", stages=stage), "b": Pathway(clip="flow", stages=stage)}
    edge = Edge(source="b", target="a", after="conv1", merge=merge)
    return Arch(name="m", clips=clips, pathways=pathways, edges=(edge,), head=Classifier(classes=2, reads=("a",)))


def test_maximum_and_bilinear_fusion() -> None:
    clips = {"rgb": torch.randn(2, 3, 2, 6, 6), "flow": torch.randn(2, 2, 2, 6, 6)}
    for merge in ("max", "bilinear"):
        network = archdsl.build(two_maps(merge)).eval()
        a, b = (network.get_submodule(f"{name}.conv1")(clips[clip]) for name, clip in (("a", "rgb"), ("b", "flow")))
        joined = (
            torch.maximum(a, b)
            if merge == "max"
            else torch.einsum("nathw,nbthw->nabt", a, b).flatten(1, 2)[..., None, None]
        )
        want = network.get_submodule("head.classifier")(joined.mean((2, 3, 4)))
        torch.testing.assert_close(network(clips), want)


def test_the_3d_fusion_of_two_streams_by_hand() -> None:
    plan = archdsl.compile(archdsl.load("two_stream_fusion_vgg16_3d"))
    assert plan.cost_of("spatial.fused").params == 512 * 1024 * 27 + 512
    assert plan.shapes["spatial.fused"] == (512, 1, 7, 7)
    assert plan.grids["spatial.frames"].t.start == 5, "the middle of ten flow frames"
