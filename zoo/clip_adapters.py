"""CLIP's image tower for videos by few weights: AIM (arXiv:2302.03024) and ST-Adapter (arXiv:2206.13559).

Every frame is read by itself; adapters in the frozen tower carry what passes from frame to frame. ST-Adapter convolves
over time between two linear layers in front of the perceptron. AIM attends over time with the weights of the attention
over space, and has an adapter behind each attention and beside the perceptron.
"""

from typing import Literal

from archdsl.blocks import Adapter, FrameRows, FrameToken, LayerNorm, Mean, Positions
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage
from archdsl.rewrites import with_adapters
from archdsl.rewrites.adapters import AdapterPlace
from archdsl.spec.scalars import Count, Sizes
from archdsl.zoo import clip

Where = Literal["between", "both"]


def frames_by_clip(
    name: str, *, width: int, patch: int, frames: int, size: int, classes: int, mean_first: bool
) -> Arch:
    """CLIP's image tower, each frame by itself; the normalised class tokens' mean is classified."""
    mean, norm = Mean(over="t"), LayerNorm(eps=clip.EPS)
    end = Stage(FrameToken(), *((mean, norm) if mean_first else (norm, mean)))
    pathway = Pathway(stages={**clip.frame_stages(width, patch), "end": end})
    head = Classifier(classes=classes, pool="none", dropout=0.5)
    return Arch(name=name, clip=Clip(frames=frames, size=size), pathways=dict(main=pathway), head=head)


def st_adapter(
    name: str,
    width: Count = 768,
    patch: Count = 16,
    frames: Count = 8,
    size: Count = 224,
    classes: Count = 400,
    where: Where = "between",
    channels: Count = 384,
    kernel: Sizes = (3, 1, 1),
) -> Arch:
    """Adapters of `channels` channels in front of the perceptron, or of the attention too; class tokens pass by."""
    arch = frames_by_clip(name, width=width, patch=patch, frames=frames, size=size, classes=classes, mean_first=True)
    adapter = Adapter(channels=channels, kernel=kernel, act="none", tokens=1)
    places: tuple[AdapterPlace, ...] = ("between",) if where == "between" else ("before", "between")
    return with_adapters(arch, dict.fromkeys(places, adapter))


def aim(
    name: str,
    width: Count = 768,
    patch: Count = 16,
    frames: Count = 8,
    size: Count = 224,
    classes: Count = 400,
    time_adapters: Literal[1, 2] = 1,
    share: Literal[0.5, 1] = 0.5,
) -> Arch:
    """Adapters of a quarter of the channels; `share` is what that beside the perceptron is multiplied by."""
    arch = frames_by_clip(name, width=width, patch=patch, frames=frames, size=size, classes=classes, mean_first=False)
    plain, skipping = Adapter(channels=width // 4, skip=False), Adapter(channels=width // 4)
    adapters: dict[AdapterPlace, Adapter] = {
        "in_time": plain,
        "after": skipping,
        "beside": plain.but(scale=share),
    }
    arch = with_adapters(arch, adapters | ({"before_time": skipping} if time_adapters == 2 else {}))
    pathway = arch.pathways["main"]
    blocks = pathway.stages["tokens"].blocks
    rows = next(i for i, block in enumerate(blocks) if isinstance(block, FrameRows)) + 1
    tokens = Stage(*blocks[:rows], Positions(over="t", std=0), *blocks[rows:])
    made: Arch = arch.but(pathways={"main": pathway.but(stages={**pathway.stages, "tokens": tokens})})
    return made


L14 = dict(width=1024, patch=14)
SSV2 = dict(classes=174)

models = (
    Model(name="st_adapter_b16", family=st_adapter),
    Model(name="st_adapter_b16_16f", family=st_adapter, parameters=dict(frames=16)),
    Model(name="st_adapter_b16_32f", family=st_adapter, parameters=dict(frames=32)),
    Model(name="st_adapter_b16_ssv2", family=st_adapter, parameters=dict(where="both", **SSV2)),
    Model(name="st_adapter_l14", family=st_adapter, parameters=L14),
    Model(name="aim_b16", family=aim),
    Model(name="aim_b16_16f", family=aim, parameters=dict(frames=16)),
    Model(name="aim_b16_32f", family=aim, parameters=dict(frames=32)),
    Model(name="aim_b16_ssv2", family=aim, parameters=dict(time_adapters=2, share=1, **SSV2)),
    Model(name="aim_l14", family=aim, parameters=L14),
    Model(name="aim_l14_16f", family=aim, parameters=dict(frames=16, **L14)),
    Model(name="aim_l14_32f", family=aim, parameters=dict(frames=32, **L14)),
)
