"""Video Swin Transformer (arXiv:2106.13230): attention within windows of 8 x 7 x 7, which every second block shifts.

Stages double the channels and halve height and width by merging 2 x 2 patches; time is never pooled. Each head has a
table of numbers that are added to the products, one for each step from key to query. Parts of a map smaller than a
window are one window without shift, so that at 7 x 7 only time shifts. The recipes drop paths: `drop_path` 0.1 (T), 0.2
(S), 0.3 (B) for Kinetics-400.
"""

from typing import Literal

from archdsl.blocks import MergePatches, Norm, Patches, WindowTransformer
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, repeat, row_of
from archdsl.spec.scalars import Count, Share

LAYER = Norm(kind="layer")
STAGES = {
    "tiny": (96, (2, 2, 6, 2)),
    "small": (96, (2, 2, 18, 2)),
    "base": (128, (2, 2, 18, 2)),
    "large": (192, (2, 2, 18, 2)),
}
"""Channels of the first stage and blocks of each."""


def video_swin(
    name: str,
    variant: Literal["tiny", "small", "base", "large"] = "tiny",
    frames: Count = 32,
    size: Count = 224,
    window_t: Count = 8,
    drop_path: Share | None = None,
    fused: bool = False,
    classes: Count = 400,
) -> Arch:
    """Windows of `window_t` steps in time; a head has 32 channels."""
    channels, depths = row_of(STAGES, variant=variant)
    stages = {}
    for i, depth in enumerate(depths):
        first = MergePatches() if i else Patches(kernel=(2, 4, 4), channels=channels, norm=LAYER)
        block = WindowTransformer(heads=channels * 2**i // 32, window=(window_t, 7, 7), fused=fused)
        stages[f"stage{i + 1}"] = Stage(first, *repeat(block, depth))
    clip = Clip(frames=frames, size=size, fps=15)
    pathway, head = Pathway(drop_path=drop_path, stages=stages), Classifier(norm=LAYER, classes=classes)
    return Arch(name=name, clip=clip, pathways=dict(main=pathway), head=head)


models = (
    Model(name="video_swin_t", family=video_swin),
    Model(name="video_swin_s", family=video_swin, parameters=dict(variant="small")),
    Model(name="video_swin_b", family=video_swin, parameters=dict(variant="base")),
    Model(name="video_swin_l", family=video_swin, parameters=dict(variant="large")),
    Model(name="video_swin_t_16", family=video_swin, parameters=dict(frames=16)),
    Model(name="video_swin_b_w16_ssv2", family=video_swin, parameters=dict(variant="base", window_t=16, classes=174)),
)
