"""What counts cannot see, compared with the code that a model is taken from: epsilons, pools, orders, dropout, outputs.

The table is written by hand from the sources it names. Where pip can build an original, its scores with our weights are
compared (`pip install --no-deps torchvision==0.29.1 mmaction2==1.2.0 mmcv-lite==2.1.0 mmengine==0.10.7`).
"""

from __future__ import annotations

import re
import sys
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl import ops
from benchmarks.pytorchvideo_nets import weighted


class Unseen(NamedTuple):
    """Of a network: epsilon and momentum of its batch norms, its pools with a window, its dropouts, its activations."""

    norms: tuple[tuple[float, float], ...]
    pools: tuple[str, ...]
    dropouts: tuple[float, ...]
    acts: tuple[str, ...]


TORCH = ((1e-5, 0.1),)
"""torch's defaults; also PySlowFast's BN.EPSILON and BN.MOMENTUM, and Caffe2's momentum of 0.9."""
STEM = "max 133/122 same"
TF_CUBES = (
    "max 133/122 tf_same",
    "max 333/111 tf_same",
    "max 333/222 tf_same",
    "max 222/222 tf_same",
    "avg 200/111 valid",
)
UNSEEN = {
    # torchvision models/resnet.py, densenet.py, vgg.py, alexnet.py, squeezenet.py
    "resnet50": Unseen(TORCH, (STEM,), (), ("Relu",)),
    "densenet121": Unseen(TORCH, (STEM, "avg 122/122 valid"), (), ("Relu",)),
    "vgg16_bn": Unseen(TORCH, ("max 122/122 valid",), (0.5,), ("Relu",)),
    "alexnet": Unseen((), ("max 133/122 valid",), (0.5,), ("Relu",)),
    "squeezenet1_0": Unseen((), ("max 133/122 valid ceil",), (0.5,), ("Relu",)),
    # torchvision models/mobilenetv2.py, mobilenetv3.py; slim's mobilenet_v1.py: decay 0.9997, epsilon 0.001, keep 0.999
    "mobilenet_v1": Unseen(((1e-3, 3e-4),), (), (0.001,), ("Relu6",)),
    "mobilenet_v2": Unseen(TORCH, (), (0.2,), ("Relu6",)),
    "mobilenet_v3_large": Unseen(((1e-3, 0.01),), ("avg 100/111 same",), (0.2,), ("Hardsigmoid", "Hardswish", "Relu")),
    # torchvision models/googlenet.py, inception.py; slim's inception_utils.py: decay 0.9997, epsilon 0.001
    "googlenet": Unseen(
        ((1e-3, 0.1),), ("max 133/122 valid ceil", "max 133/111 same", "max 122/122 valid ceil"), (0.2,), ("Relu",)
    ),
    "inception_v3": Unseen(((1e-3, 0.1),), ("max 133/122 valid", "avg 133/111 same"), (0.5,), ("Relu",)),
    "inception_v1": Unseen(
        ((1e-3, 3e-4),), ("max 133/122 tf_same", "max 133/111 tf_same", "max 122/122 tf_same"), (0.2,), ("Relu",)
    ),
    # megvii-model/ShuffleNet-Series, ShuffleNetV1/network.py, ShuffleNetV2/network.py
    "shufflenet_v1_x1_0_g3": Unseen(TORCH, (STEM, "avg 133/122 same"), (), ("Relu",)),
    "shufflenet_v2_x1_0_authors": Unseen(TORCH, (STEM,), (), ("Relu",)),
    "shufflenet_v2_x2_0_authors": Unseen(TORCH, (STEM,), (0.2,), ("Relu",)),
    "shufflenet_v2_x2_0": Unseen(TORCH, (STEM,), (), ("Relu",)),
    # slim's nasnet.py: decay 0.9997, epsilon 0.001, mean over what lies on the map
    "nasnet_a_mobile": Unseen(
        ((1e-3, 3e-4),),
        ("max 133/122 tf_same", "avg 133/122 tf_same uncounted", "avg 133/111 tf_same uncounted"),
        (0.5,),
        ("Relu",),
    ),
    # gustavla/fractalnet, generation/globals.crox: Caffe's defaults, 0.999 and 1e-5
    "fractalnet_20": Unseen(((1e-5, 1e-3),), ("max 122/122 same",), (0.1, 0.2, 0.3, 0.4), ("Relu",)),
    # torchvision models/video/resnet.py, s3d.py; VMZ c2/lib/models/builder/video_model.py: epsilon 1e-3, momentum 0.9
    "r3d_18": Unseen(TORCH, (), (), ("Relu",)),
    "r2plus1d_18": Unseen(TORCH, (), (), ("Relu",)),
    "r2plus1d_18_vmz": Unseen(((1e-3, 0.1),), (), (), ("Relu",)),
    "r2plus1d_34_vmz": Unseen(((1e-3, 0.1),), (), (), ("Relu",)),
    "s3d": Unseen(
        ((1e-3, 1e-3),),
        (STEM, "max 333/111 same", "max 333/222 same", "max 222/222 same", "avg 277/111 valid"),
        (0.2,),
        ("Relu",),
    ),
    # slim's s3dg.py: decay 0.999, epsilon 0.001, keep 0.8; kinetics-i3d's i3d.py: Sonnet's 0.999 and 1e-3, keep 0.5
    "s3d_g": Unseen(
        ((1e-3, 1e-3),),
        TF_CUBES,
        (0.2,),
        ("Relu", "Sigmoid"),
    ),
    "i3d_inception_rgb": Unseen(
        ((1e-3, 1e-3),),
        TF_CUBES,
        (0.5,),
        ("Relu",),
    ),
    # PySlowFast slowfast/models/head_helper.py and stem_helper.py; DROPOUT_RATE 0.5
    "slow_8x8_r50": Unseen(TORCH, (STEM, "avg 077/111 valid"), (0.5,), ("Relu",)),
    "slowfast_4x16_r50": Unseen(TORCH, (STEM, "avg 077/111 valid"), (0.5,), ("Relu",)),
    "c2d_8x8_r50": Unseen(TORCH, (STEM, "max 211/211 valid", "avg 077/111 valid"), (0.5,), ("Relu",)),
    "x3d_s": Unseen(TORCH, ("avg 055/111 valid",), (0.5,), ("Relu", "Sigmoid", "Silu")),
    # mmaction2 mmaction/models/backbones/resnet3d_csn.py: eps 1e-3; PyTorchVideo models/csn.py: torch's
    "ircsn_r50": Unseen(((1e-3, 0.1),), (STEM,), (0.5,), ("Relu",)),
    "ircsn_r101": Unseen(TORCH, (STEM, "avg 077/111 valid"), (0.5,), ("Relu",)),
    # mmaction2 configs/_base_/models: dropout_ratio of tsn_r50, tsm_r50, tanet_r50, trn_r50, tin_r50
    "tsn_r50": Unseen(TORCH, (STEM,), (0.4,), ("Relu",)),
    "tsm_r50": Unseen(TORCH, (STEM,), (0.5,), ("Relu",)),
    "tanet_r50": Unseen(TORCH, (STEM,), (0.5,), ("Relu", "Sigmoid", "Softmax")),
    "trn_r50": Unseen(TORCH, (STEM,), (0.8,), ("Relu",)),
    # TSN's bn_inception: Caffe's pools, rounded up; means count the border
    "tsn_bn_inception": Unseen(
        TORCH, ("max 133/122 valid ceil", "avg 133/111 same", "max 133/111 same"), (0.8,), ("Relu",)
    ),
    # tensorflow/models official/projects/movinet: epsilon 1e-3, momentum 0.99, TensorFlow's pools count what is there
    "movinet_a0": Unseen(((1e-3, 0.01),), ("avg 133/122 tf_same uncounted",), (0.2,), ("Sigmoid", "Silu")),
    # Res2Net/Res2Net-PretrainedModels, res2net.py
    "res2net50_26w_4s": Unseen(TORCH, (STEM, "avg 133/111 same", "avg 133/122 same"), (), ("Relu",)),
}
ACTS = ("Relu", "Relu6", "Silu", "Hardswish", "Sigmoid", "Hardsigmoid", "Softmax", "LeakyRelu", "ScaledTanh")


def said(pool: ops.MaxPool | ops.AvgPool) -> str:
    """A pool as the table writes it: kind, window, stride, padding."""
    kind = "max" if isinstance(pool, ops.MaxPool) else "avg"
    window, stride = ("".join(map(str, sizes)) for sizes in (pool.kernel, pool.stride))
    uncounted = isinstance(pool, ops.AvgPool) and not pool.count_pad
    return " ".join([kind, f"{window}/{stride}", str(pool.pad), *["ceil"] * pool.ceil, *["uncounted"] * uncounted])


def unseen(name: str) -> Unseen:
    """What a network of the zoo has of these."""
    found = [node.op for node in archdsl.compile(archdsl.load(name)).graph.nodes.values()]
    norms = sorted({(op.eps, op.momentum) for op in found if isinstance(op, ops.BatchNorm)})
    pools = dict.fromkeys(said(op) for op in found if isinstance(op, ops.MaxPool | ops.AvgPool))
    dropouts = sorted({op.p for op in found if isinstance(op, ops.Dropout)})
    acts = sorted({type(op).__name__ for op in found} & set(ACTS))
    return Unseen(tuple(norms), tuple(pools), tuple(dropouts), tuple(acts))


@pytest.mark.parametrize("name", UNSEEN)
def test_what_counts_do_not_show_is_as_in_the_source(name: str) -> None:
    assert unseen(name) == UNSEEN[name]


JOINED = {
    # PySlowFast slowfast/models/head_helper.py and video_model_builder.py (FuseFastToSlow): Slow's before Fast's
    ("slowfast_4x16_r50", "head.join"): ("head.pool_slow", "head.pool_fast"),
    ("slowfast_4x16_r50", "edges.stem.fast_to_slow.merge"): ("slow.stem.1.pool", "edges.stem.fast_to_slow.act"),
    # torchvision models/googlenet.py: 1x1, 3x3, 5x5, pool
    ("googlenet", "main.mixed_3b.0.join"): tuple(
        f"main.mixed_3b.0.{branch}.act" for branch in ("b0.0", "b1.1", "b2.1", "b3.1")
    ),
    # megvii-model/ShuffleNet-Series, ShuffleNetV1/blocks.py: the pooled shortcut before the branch
    ("shufflenet_v1_x1_0_g3", "main.stage2.0.join"): ("main.stage2.0.shortcut.0.pool", "main.stage2.0.main.3.norm"),
    # torchvision models/densenet.py: what was there before what a layer adds
    ("densenet121", "rgb.dense1.0.beside"): ("rgb.stem.1.pool", "rgb.dense1.0.conv_b"),
    # torchvision models/squeezenet.py: 1x1 before 3x3
    ("squeezenet1_0", "rgb.fire2.0.beside"): ("rgb.fire2.0.expand_1x1_act", "rgb.fire2.0.expand_3x3_act"),
}


@pytest.mark.parametrize(("name", "address"), JOINED)
def test_what_is_joined_is_joined_in_the_order_of_the_source(name: str, address: str) -> None:
    node = archdsl.compile(archdsl.load(name)).graph.nodes[address]
    assert isinstance(node.op, ops.Concat)
    assert node.reads == JOINED[name, address]


def outcome(network: nn.Module, clip: Tensor) -> Tensor:
    with torch.no_grad():
        return network(clip)


def scatter(network: nn.Module) -> None:
    """Norms that do something, so that a missing or other one shows."""
    for norm in (m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)):
        for value in (norm.weight, norm.running_var):
            if value is not None:
                nn.init.uniform_(value, 0.02, 0.5)
        for value in (norm.bias, norm.running_mean):
            if value is not None:
                nn.init.normal_(value, std=0.1)


def copied(theirs: nn.Module, ours: nn.Module, taken: Tensor, clip: Tensor) -> None:
    """Their weights into ours, module by module in the order in which they run."""
    for theirs_part, ours_part in zip(weighted(theirs, taken), weighted(ours, clip), strict=True):
        copied_as_written(theirs_part, ours_part)


def copied_as_written(theirs: nn.Module, ours: nn.Module) -> None:
    """Their weights into ours, in the order in which modules are written: that of branches side by side."""
    values = zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict({key: value.reshape(mine.shape) for (key, mine), value in values})


def near(got: Tensor, want: Tensor) -> None:
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5 * float(want.abs().max()))


IMAGE_NETS = ("resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "densenet121", "vgg11_bn", "alexnet")
MORE_NETS = ("squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small")
BRANCHED = ("shufflenet_v2_x1_0", "googlenet", "inception_v3", "s3d")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", [*IMAGE_NETS, *MORE_NETS, *BRANCHED[:3]])
def test_scores_of_torchvisions_image_nets(torchvision: Any, name: str) -> None:
    torch.manual_seed(0)
    more = dict(aux_logits=False, transform_input=False) if name in ("googlenet", "inception_v3") else {}
    theirs = getattr(torchvision.models, name)(weights=None, **({"init_weights": False} | more if more else {})).eval()
    scatter(theirs)
    ours = archdsl.build(archdsl.load(name)).eval()
    image = torch.randn(2, *next(iter(archdsl.compile(archdsl.load(name)).inputs.values())))
    copied_as_written(theirs, ours) if name in BRANCHED else copied(theirs, ours, image[:, :, 0], image)
    near(outcome(ours, image), outcome(theirs, image[:, :, 0]))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["r3d_18", "mc3_18", "r2plus1d_18", "s3d"])
def test_scores_of_torchvisions_video_nets(torchvision: Any, name: str) -> None:
    torch.manual_seed(0)
    theirs = getattr(torchvision.models.video, name)(weights=None).eval()
    scatter(theirs)
    size = 224 if name == "s3d" else 112
    ours = archdsl.build(archdsl.load(name, frames=16, size=size)).eval()
    clip = torch.randn(1, 3, 16, size, size)
    copied_as_written(theirs, ours) if name in BRANCHED else copied(theirs, ours, clip, clip)
    near(outcome(ours, clip), outcome(theirs, clip))


class Scores(nn.Module):
    """mmaction2's backbone and head, without its data preprocessor. What the head averages is the scores of frames."""

    def __init__(self, registry: Any, backbone: dict[str, Any], head: dict[str, Any], segments: int = 1) -> None:
        super().__init__()
        self.backbone, self.head = registry.build(backbone), registry.build(head)
        self.segments = segments

    def forward(self, clip: Tensor) -> Tensor:
        if self.segments == 1:
            return self.head(self.backbone(clip))
        frames = clip.transpose(1, 2).flatten(0, 1)
        return self.head(self.backbone(frames), self.segments)


def resnet_2d(kind: str, **fields: Any) -> dict[str, Any]:
    return dict(type=kind, depth=50, norm_eval=False, pretrained=None, **fields)


SEGMENTED = {
    "tsn_r50": (resnet_2d("ResNet"), dict(type="TSNHead", dropout_ratio=0.4)),
    "tsm_r50": (resnet_2d("ResNetTSM", num_segments=8, shift_div=8), dict(type="TSMHead", num_segments=8)),
    "tanet_r50": (resnet_2d("TANet", num_segments=8), dict(type="TSMHead", num_segments=8)),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", SEGMENTED)
def test_scores_of_mmaction2s_segment_nets(mmaction: Any, name: str) -> None:
    torch.manual_seed(0)
    backbone, head = SEGMENTED[name]
    head = head | dict(num_classes=400, in_channels=2048)
    theirs = Scores(sys.modules["mmaction.registry"].MODELS, backbone, head, 8)
    scatter(theirs.eval())
    arch = archdsl.load(name, frames=8, size=112 if name != "tanet_r50" else 224)
    ours = archdsl.build(arch).eval()
    clip = torch.randn(1, *next(iter(archdsl.compile(arch).inputs.values())))
    copied(theirs, ours, clip, clip)
    near(outcome(ours, clip), outcome(theirs, clip).mean(0, keepdim=True))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_scores_of_mmaction2s_csn(mmaction: Any) -> None:
    torch.manual_seed(0)
    backbone = dict(
        type="ResNet3dCSN", depth=50, bottleneck_mode="ir", with_pool2=False, pretrained2d=False, pretrained=None
    )
    head = dict(type="I3DHead", num_classes=400, in_channels=2048)
    theirs = Scores(sys.modules["mmaction.registry"].MODELS, backbone, head).eval()
    scatter(theirs)
    ours = archdsl.build(archdsl.load("ircsn_r50", frames=16, size=112)).eval()
    clip = torch.randn(1, 3, 16, 112, 112)
    copied(theirs, ours, clip[:, :, ::2], clip)
    near(outcome(ours, clip), outcome(theirs, clip[:, :, ::2]))


POSE = dict(
    type="ResNet3dSlowOnly",
    depth=50,
    pretrained=None,
    in_channels=17,
    base_channels=32,
    num_stages=3,
    out_indices=(2,),
    conv1_stride_s=1,
    pool1_stride_s=1,
    inflate=(0, 1, 1),
    spatial_strides=(2, 2, 2),
    temporal_strides=(1, 1, 2),
    dilations=(1, 1, 1),
)
"""The backbone of mmaction2's configs/skeleton/posec3d, but for its stage_blocks."""


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("name", "blocks", "classes"), [("posec3d_slowonly", (4, 6, 3), 60), ("posec3d_slowonly_k400", (3, 4, 6), 400)]
)
def test_scores_of_mmaction2s_posec3d(mmaction: Any, name: str, blocks: tuple[int, ...], classes: int) -> None:
    torch.manual_seed(0)
    head = dict(type="I3DHead", num_classes=classes, in_channels=512)
    theirs = Scores(sys.modules["mmaction.registry"].MODELS, POSE | dict(stage_blocks=blocks), head).eval()
    scatter(theirs)
    ours = archdsl.build(archdsl.load(name, frames=8)).eval()
    clip = torch.rand(1, 17, 8, 56, 56)
    copied(theirs, ours, clip, clip)
    near(outcome(ours, clip), outcome(theirs, clip))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_mmaction2s_slowfast_classifier_reads_fast_before_slow(mmaction: Any) -> None:
    """What the card says: rolled by the 2048 channels of Slow its columns are ours."""
    head = dict(type="SlowFastHead", in_channels=2304, num_classes=400, spatial_type="avg", dropout_ratio=0.5)
    theirs = sys.modules["mmaction.registry"].MODELS.build(head).eval()
    slow, fast = torch.randn(1, 2048, 4, 7, 7), torch.randn(1, 256, 32, 7, 7)
    means = torch.cat([x.mean((2, 3, 4)) for x in (slow, fast)], dim=1)
    near(means @ theirs.fc_cls.weight.roll(2048, dims=1).T + theirs.fc_cls.bias, outcome(theirs, (slow, fast)))


UNIFORMER = {
    r"patch_embed(\d).proj": r"main.stage\1.0.conv",
    r"patch_embed(\d).norm": r"main.stage\1.0.norm",
    r"blocks(\d).(\d+).pos_embed": (1, "conv"),
    r"blocks(\d).(\d+).norm1": (2, "{first}.norm"),
    r"blocks(\d).(\d+).conv1": (2, "local.enter"),
    r"blocks(\d).(\d+).conv2": (2, "local.out"),
    r"blocks(\d).(\d+).attn": (2, "local.depthwise"),
    r"blocks(\d).(\d+).attn.proj": (2, "attend.out"),
    r"blocks(\d).(\d+).norm2": (2, "mlp.norm"),
    r"blocks(\d).(\d+).mlp.fc1": (2, "mlp.up"),
    r"blocks(\d).(\d+).mlp.fc2": (2, "mlp.down"),
    r"norm": "main.norm.0.norm",
}


def uniformers_name(module: str) -> str:
    """A module of mmaction2's UniFormer under our name; each of its blocks is two of ours."""
    pattern, new = next((old, new) for old, new in UNIFORMER.items() if re.fullmatch(old, module))
    if isinstance(new, str):
        return re.sub(pattern, new, module)
    stage, block = re.findall(r"\d+", module)[:2]
    place, rest = new
    first = "local" if stage in "12" else "attend"
    return f"main.stage{stage}.{2 * int(block) + place}.{rest.format(first=first)}"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_features_of_mmaction2s_uniformer(mmaction: Any) -> None:
    torch.manual_seed(0)
    theirs = sys.modules["mmaction.registry"].MODELS.build(dict(type="UniFormer", depth=[3, 4, 8, 3])).eval()
    scatter(theirs)
    arch = archdsl.load("uniformer_s", frames=4, size=64, classes=400)
    ours = archdsl.build(arch).eval()
    state: dict[str, Tensor] = {}
    for key, value in theirs.state_dict().items():
        module, _, kind = key.rpartition(".")
        parts = ("query", "key", "value") if module.endswith("qkv") else ("",)
        for part, one in zip(parts, value.chunk(len(parts)) if value.ndim else (value,)):
            name = (
                uniformers_name(module.replace("qkv", "proj")).replace("out", part) if part else uniformers_name(module)
            )
            state[f"{name}.{kind}"] = one
    mine = {key: value for key, value in ours.state_dict().items() if not key.startswith("head.")}
    assert sorted(mine) == sorted(state)
    ours.load_state_dict({key: value.reshape(mine[key].shape) for key, value in state.items()}, strict=False)
    seen: list[Tensor] = []
    ours.get_submodule("main.norm").register_forward_hook(lambda module, read, given: seen.append(given))
    clip = torch.randn(1, 3, 4, 64, 64)
    outcome(ours, clip)
    near(seen[0], outcome(theirs, clip))
