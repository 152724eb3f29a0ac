"""Networks of other packages with random weights, saved as their makers save them, beside the zoo's that read them.

`pip install --no-deps` of torchvision==0.29.1 pytorchvideo==0.1.5 timm==1.0.31 transformers==5.24.0 mmaction2==1.2.0
mmcv-lite==2.1.0 mmengine==0.10.7 hiera-transformer==0.1.4, and of what these import.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

import archdsl
from archdsl.language import Arch

Forward = Callable[[nn.Module, Tensor], Tensor]


def theirs_on_clip(network: nn.Module, clip: Tensor) -> Tensor:
    """Scores of a network that takes the clip."""
    return network(clip)


def theirs_on_image(network: nn.Module, clip: Tensor) -> Tensor:
    """Scores of a network of pictures, on the clip's one frame."""
    return network(clip[:, :, 0])


@dataclass(frozen=True)
class Original:
    """A network of another package, and the zoo's that it is."""

    ours: str
    package: str
    theirs: str
    make: Callable[[], nn.Module]
    forward: Forward = theirs_on_clip
    wrap: Callable[[dict[str, Tensor]], Any] = lambda state: state
    overrides: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)

    def arch(self) -> Arch:
        """The zoo's arch."""
        arch = archdsl.load(self.ours, **self.overrides)
        return archdsl.language.change_all(arch, self.changes.items()) if self.changes else arch


def torchvision() -> Any:
    """torchvision; its operators are declared first, so that its wheel for CUDA imports beside torch for CPUs."""
    if "torchvision" not in sys.modules:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        LIBRARIES.append(library)
    return import_module("torchvision")


LIBRARIES: list[Any] = []
"""Kept, or torch forgets what they define."""


def of_torchvision(name: str, **options: Any) -> Callable[[], nn.Module]:
    """A builder of torchvision."""

    def make() -> nn.Module:
        models = torchvision().models
        builder = getattr(models, name, None) or getattr(models.video, name)
        return builder(weights=None, **options)

    return make


def small_mvit(name: str) -> Callable[[], nn.Module]:
    """An MViT of torchvision for 8 frames of 88 pixels, which its builders do not give."""

    def make() -> nn.Module:
        module = torchvision().models.video.mvit
        made, sizes = module._mvit, dict(spatial_size=(88, 88), temporal_size=8)
        with patch.object(module, "_mvit", lambda **fields: made(**{**fields, **sizes})):
            network: nn.Module = getattr(module, name)(weights=None)
        return network

    return make


def mvit_of_pytorchvideo() -> nn.Module:
    """PyTorchVideo's MViT-B for 8 frames of 96 pixels; its norms behind pools add 1e-6, as its authors' do."""
    torchvision()
    config = import_module("pytorchvideo.models.hub.vision_transformers").mvit_video_base_config
    make = import_module("pytorchvideo.models.vision_transformers").create_multiscale_vision_transformers
    network: nn.Module = make(**{**config, "spatial_size": 96, "temporal_size": 8})
    for norm in network.modules():
        if isinstance(norm, nn.LayerNorm):
            norm.eps = 1e-6
    return network


def of_pytorchvideo(name: str, **options: Any) -> Callable[[], nn.Module]:
    """A builder of PyTorchVideo's hub, without the softmax at its end."""

    def make() -> nn.Module:
        torchvision()
        network: nn.Module = getattr(import_module("pytorchvideo.models.hub"), name)(pretrained=False, **options)
        for head in network.modules():
            if isinstance(getattr(head, "activation", None), nn.Softmax):
                head.activation = None  # type: ignore[assignment]
        return network

    return make


def every(*strides: int) -> Forward:
    """Scores on one in so many frames for each pathway."""

    def forward(network: nn.Module, clip: Tensor) -> Tensor:
        packed = [clip[:, :, ::stride].contiguous() for stride in strides]
        return network(packed if len(packed) > 1 else packed[0])

    return forward


def acoustic() -> nn.Module:
    """PyTorchVideo's network of sound, without the softmax at its end."""
    torchvision()
    network = import_module("pytorchvideo.models.resnet").create_acoustic_resnet()
    network.blocks[-1].activation = None
    return network


def of_mmaction(path: str, **options: Any) -> Callable[[], nn.Module]:
    """The model of one of mmaction2's configs. Its wheel lacks a module, and others need old transformers."""

    def make() -> nn.Module:
        torchvision()
        for name in ("drn", "drn.drn"):
            module = ModuleType(f"mmaction.models.localizers.{name}")
            module.DRN = type("DRN", (), {})  # type: ignore[attr-defined]
            sys.modules.setdefault(module.__name__, module)
        sys.modules.setdefault("mmaction.models.multimodal", ModuleType("mmaction.models.multimodal"))
        folder = import_module("mmaction.models").__path__[0]
        import_module("mmengine.registry").init_default_scope("mmaction")
        config = import_module("mmengine.config").Config.fromfile(f"{folder}/../.mim/configs/recognition/{path}").model
        config.pop("data_preprocessor", None)
        backbone = config.get("backbone", {})
        backbone.update(options)
        backbone.update({key: None for key in ("pretrained",) if key in backbone})
        backbone.update({key: False for key in ("pretrained2d",) if key in backbone})
        network: nn.Module = import_module("mmaction.registry").MODELS.build(config)
        return network

    return make


def theirs_by_head(stride: int = 1) -> Forward:
    """Scores of mmaction2's backbone and head on one in so many frames."""

    def forward(network: Any, clip: Tensor) -> Tensor:
        return network.cls_head(network.backbone(clip[:, :, ::stride]))

    return forward


def theirs_by_frames(network: Any, clip: Tensor) -> Tensor:
    """Scores of mmaction2's networks of segments; what their heads average is the scores of frames."""
    frames = clip.transpose(1, 2).flatten(0, 1)
    return network.cls_head(network.backbone(frames), clip.shape[2]).mean(0, keepdim=True)


def of_timm(name: str) -> Callable[[], nn.Module]:
    """A model of timm."""

    def make() -> nn.Module:
        torchvision()
        return import_module("timm").create_model(name, pretrained=False)

    return make


def of_transformers(name: str, task: str, **options: Any) -> Callable[[], nn.Module]:
    """A model of transformers by its default configuration."""

    def make() -> nn.Module:
        torchvision()
        package = import_module("transformers")
        network: nn.Module = getattr(package, f"{name}For{task}")(getattr(package, f"{name}Config")(**options))
        if isinstance(norm := getattr(network, "fc_norm", None), nn.LayerNorm):
            norm.eps = 1e-6  # transformers leaves it at 1e-5, the authors' code has 1e-6
        return network

    return make


def logits_on_image(network: Any, clip: Tensor) -> Tensor:
    """Scores of a network of transformers for pictures."""
    return network(clip[:, :, 0]).logits


def logits_on_frames(network: Any, clip: Tensor) -> Tensor:
    """Scores of a network of transformers for videos: frames before channels."""
    return network(clip.transpose(1, 2)).logits


def vjepa2(name: str) -> Callable[[], nn.Module]:
    """A network of transformers for 6 frames of 64 pixels; the probe's norms add 1e-5, as its authors' do."""

    def make() -> nn.Module:
        torchvision()
        package = import_module("transformers")
        config = package.VJEPA2Config(crop_size=64, frames_per_clip=6, num_labels=400, pred_num_hidden_layers=12)
        network: nn.Module = getattr(package, name)(config)
        for norm in getattr(network, "pooler", nn.Identity()).modules():
            if isinstance(norm, nn.LayerNorm):
                norm.eps = 1e-5
        return network

    return make


def encoded_frames(network: Any, clip: Tensor) -> Tensor:
    """The map of transformers' V-JEPA 2, its places in turn.  -> (n, c, places)"""
    return network(clip.transpose(1, 2), skip_predictor=True).last_hidden_state.mT


def scores_of_probe(network: Any, clip: Tensor) -> Tensor:
    """Scores of transformers' V-JEPA 2, whose predictor is not asked."""
    features = network.vjepa2.get_vision_features(clip.transpose(1, 2))
    return network.classifier(network.pooler(features))


def model_state(state: dict[str, Tensor]) -> Any:
    """As PyTorchVideo and PySlowFast save."""
    return {"model_state": state}


def with_meta(state: dict[str, Tensor]) -> Any:
    """As mmaction2 saves."""
    return {"meta": {"mmaction_version": "0.24.0", "CLASSES": ["a"]}, "state_dict": state}


def hiera(**sizes: Any) -> Callable[[], nn.Module]:
    """A network of Hiera's authors for clips, without the softmax at its end."""

    def make() -> nn.Module:
        torchvision()
        video = dict(q_stride=(1, 2, 2), mask_unit_size=(1, 8, 8), patch_kernel=(3, 7, 7), patch_stride=(2, 4, 4))
        network: nn.Module = import_module("hiera").Hiera(
            **video, **sizes, patch_padding=(1, 3, 3), num_classes=400, sep_pos_embed=True
        )
        network.head.act_func = nn.Identity()  # type: ignore[union-attr, assignment]
        return network

    return make


CUBES = ("r3d_18", "mc3_18", "r2plus1d_18")
PICTURES = (
    *("resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "vgg11", "vgg11_bn", "alexnet"),
    *("squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"),
    *("densenet121", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x2_0"),
)
PLAIN = dict(aux_logits=False, transform_input=False, init_weights=False)
TORCHVISION = (
    *(Original(n, "torchvision", n, of_torchvision(n), overrides=dict(frames=8, size=112)) for n in CUBES),
    Original("s3d", "torchvision", "s3d", of_torchvision("s3d"), overrides=dict(frames=16, size=224)),
    *(Original(n, "torchvision", n, of_torchvision(n), theirs_on_image) for n in PICTURES),
    *(
        Original(n, "torchvision", n, of_torchvision(n, **PLAIN), theirs_on_image)
        for n in ("googlenet", "inception_v3")
    ),
    Original("video_swin_t", "torchvision", "swin3d_t", of_torchvision("swin3d_t"), overrides=dict(frames=8, size=112)),
    *(
        Original(f"{n}_16x4", "torchvision", n, small_mvit(n), overrides=dict(frames=8, size=88))
        for n in ("mvit_v1_b", "mvit_v2_s")
    ),
    Original("vit_b16", "torchvision", "vit_b_16", of_torchvision("vit_b_16"), theirs_on_image),
)
HUB = (
    ("slow_8x8_r50", "slow_r50", 8),
    ("slowfast_8x8_r50", "slowfast_r50", 8, 2),
    ("slowfast_8x8_r101_101_101", "slowfast_r101", 8, 2),
    ("c2d_8x8_r50", "c2d_r50", 8),
    ("i3d_8x8_r50", "i3d_r50", 8),
    ("ircsn_r101", "csn_r101", 2),
    ("r2plus1d_16x4_r50", "r2plus1d_r50", 4),
    ("x3d_xs_ptv", "x3d_xs", 12),
    ("x3d_s_ptv", "x3d_s", 6),
    ("x3d_m_ptv", "x3d_m", 5),
)
"""(ours, theirs, one in so many frames of each pathway)."""
PYTORCHVIDEO = (
    *(
        Original(
            ours,
            "pytorchvideo",
            theirs,
            of_pytorchvideo(theirs),
            every(*strides),
            model_state,
            {} if ours.startswith("x3d") else dict(frames=64, size=224),
        )
        for ours, theirs, *strides in HUB
    ),
    Original(
        "mvit_v1_b_16x4",
        "pytorchvideo",
        "mvit_base_16x4",
        mvit_of_pytorchvideo,
        wrap=model_state,
        overrides=dict(frames=8, size=96),
    ),
    Original("acoustic_r50", "pytorchvideo", "create_acoustic_resnet", acoustic, wrap=model_state),
)
OF_SEGMENTS = """
tsn_r50 tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x8-100e_kinetics400-rgb.py 112
tsm_r50 tsm/tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_kinetics400-rgb.py 112
tsm_r50_nl_dot tsm/tsm_imagenet-pretrained-r50-nl-dot-product_8xb16-1x1x8-50e_kinetics400-rgb.py 224
tsm_r50_nl_embedded tsm/tsm_imagenet-pretrained-r50-nl-embedded-gaussian_8xb16-1x1x8-50e_kinetics400-rgb.py 224
tsm_mobilenet_v2 tsm/tsm_imagenet-pretrained-mobilenetv2_8xb16-1x1x8-100e_kinetics400-rgb.py 224
tanet_r50 tanet/tanet_imagenet-pretrained-r50_8xb8-dense-1x1x8-100e_kinetics400-rgb.py 224
"""
"""Ours, mmaction2's config, size: eight frames."""
OF_CLIPS = """
slow_4x16_r50 slowonly/slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb.py 16 64 224
ircsn_r50 csn/ircsn_ig65m-pretrained-r50-bnfrozen_8xb12-32x2x1-58e_kinetics400-rgb.py 2 16 112
ircsn_r152 csn/ircsn_r152_32x2x1-180e_kinetics400-rgb.py 2 16 112
ipcsn_r152 csn/ipcsn_r152_32x2x1-180e_kinetics400-rgb.py 2 16 112
x3d_s x3d/x3d_s_13x6x1_facebook-kinetics400-rgb.py 6 78 182
i3d_32x2_r50 i3d/i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb.py 2 64 224
uniformer_s uniformer/uniformer-small_imagenet1k-pre_16x4x1_kinetics400-rgb.py 1 4 64
i3d_32x2_r50_nl_dot i3d/i3d_imagenet-pretrained-r50-nl-dot-product_8xb8-32x2x1-100e_kinetics400-rgb.py 2 64 224
"""
"""Ours, mmaction2's config, one in so many frames, frames, size."""
VIDEOMAE = "videomae/vit-base-p16_videomae-k400-pre_16x4x1_kinetics-400.py"
MVIT = "mvit/mvit-small-p244_32xb16-16x4x1-200e_kinetics400-rgb.py"
SWIN = "swin/swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb.py"
SLOWFAST = "slowfast/slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb.py"
BARE = {"edges.*.transform.norm": "none", "edges.*.transform.act": "none"}
"""mmaction2's lateral convolutions have neither norm nor activation."""
MMACTION2 = (
    *(
        Original(
            ours, "mmaction2", path, of_mmaction(path), theirs_by_frames, with_meta, dict(frames=8, size=int(size))
        )
        for ours, path, size in map(str.split, OF_SEGMENTS.strip().splitlines())
    ),
    *(
        Original(
            ours,
            "mmaction2",
            path,
            of_mmaction(path),
            theirs_by_head(int(stride)),
            with_meta,
            dict(frames=int(frames), size=int(size)),
        )
        for ours, path, stride, frames, size in map(str.split, OF_CLIPS.strip().splitlines())
    ),
    Original(
        "slowfast_4x16_r50",
        "mmaction2",
        SLOWFAST,
        of_mmaction(SLOWFAST),
        theirs_by_head(2),
        with_meta,
        dict(frames=64, size=224),
        BARE,
    ),
    Original(
        "videomae_vit_b",
        "mmaction2",
        VIDEOMAE,
        of_mmaction(VIDEOMAE, img_size=64, num_frames=4),
        theirs_by_head(),
        with_meta,
        dict(frames=4, size=64),
    ),
    Original(
        "video_swin_t",
        "mmaction2",
        SWIN,
        of_mmaction(SWIN),
        theirs_by_head(),
        with_meta,
        dict(frames=8, size=112),
    ),
    Original(
        "mvit_v2_s_16x4",
        "mmaction2",
        MVIT,
        of_mmaction(MVIT, spatial_size=96, temporal_size=8),
        theirs_by_head(),
        with_meta,
        dict(frames=8, size=96),
    ),
)
TIMM = tuple(
    Original(ours, "timm", theirs, of_timm(theirs), theirs_on_image)
    for ours, theirs in (
        ("resnet18", "resnet18"),
        ("resnet50", "resnet50"),
        ("densenet121", "densenet121"),
        ("mobilenet_v2", "mobilenetv2_100"),
        ("vit_s16", "vit_small_patch16_224"),
        ("vit_b16", "vit_base_patch16_224"),
    )
)
TRANSFORMERS = (
    Original(
        "vit_b16",
        "transformers",
        "ViTForImageClassification",
        of_transformers("ViT", "ImageClassification", num_labels=1000, layer_norm_eps=1e-6),
        logits_on_image,
    ),
    Original(
        "videomae_vit_s",
        "transformers",
        "VideoMAEForVideoClassification",
        of_transformers(
            "VideoMAE",
            "VideoClassification",
            num_labels=400,
            hidden_size=384,
            num_attention_heads=6,
            intermediate_size=1536,
            layer_norm_eps=1e-6,
        ),
        logits_on_frames,
    ),
    Original(
        "timesformer_divided_8x32",
        "transformers",
        "TimesformerForVideoClassification",
        of_transformers("Timesformer", "VideoClassification", num_labels=400),
        logits_on_frames,
    ),
    Original(
        "vivit_b16x2_joint",
        "transformers",
        "VivitForVideoClassification",
        of_transformers("Vivit", "VideoClassification", num_labels=400, num_frames=4, image_size=64),
        logits_on_frames,
        overrides=dict(frames=4, size=64),
    ),
)
VJEPA2 = tuple(
    Original(ours, "transformers", theirs, vjepa2(theirs), forward, overrides=dict(frames=6, size=64))
    for ours, theirs, forward in (
        ("vjepa2_vitl", "VJEPA2Model", encoded_frames),
        ("vjepa2_vitl_k400", "VJEPA2ForVideoClassification", scores_of_probe),
    )
)
HIERA = Original(
    "hiera_t_16x224",
    "hiera",
    "hiera_tiny_16x224",
    hiera(stages=(1, 2, 7, 2), input_size=(4, 64, 64)),
    wrap=model_state,
    overrides=dict(frames=4, size=64),
)
ORIGINALS = (*TORCHVISION, *PYTORCHVIDEO, *MMACTION2, *TIMM, *TRANSFORMERS, *VJEPA2, HIERA)


def scatter(network: nn.Module) -> None:
    """Random norms, statistics and what begins at 0, so that a missing or exchanged one shows."""
    for weight in (p for p in network.parameters() if p.ndim > 1 and not p.any()):
        nn.init.normal_(weight, std=0.02)
    for norm in (m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm | nn.LayerNorm)):
        for name in ("weight", "running_var"):
            if getattr(norm, name, None) is not None:
                nn.init.uniform_(getattr(norm, name), 0.3, 0.9)
        for name in ("bias", "running_mean"):
            if getattr(norm, name, None) is not None:
                nn.init.normal_(getattr(norm, name), std=0.1)


@dataclass(frozen=True)
class Comparison:
    """An original's scores beside ours with its weights."""

    original: Original
    tensors: int
    dialect: str
    difference: float
    """The largest difference, as a share of the largest score."""


def compare(original: Original, folder: str) -> Comparison:
    """Save an original, read it by the command, and compare scores on a random clip."""
    weights = import_module("archdsl.backend.weights")
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = original.make().eval()
        scatter(theirs)
        torch.save(original.wrap(theirs.state_dict()), f"{folder}/theirs.pth")
        arch = original.arch()
        made = weights.convert(arch, f"{folder}/theirs.pth", f"{folder}/ours.safetensors")
        ours = archdsl.build(arch, weights=f"{folder}/ours.safetensors").eval()
        clip = torch.randn(1, *next(iter(archdsl.compile(arch).inputs.values())))
        with torch.no_grad():
            got, want = ours(clip), original.forward(theirs, clip)
    difference = float((got - want.reshape(got.shape)).abs().max() / want.abs().max())
    return Comparison(original, made.tensors, made.dialect, difference)
