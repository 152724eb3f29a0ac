"""What brings a source's map into the target's time and width, on an edge or where pathways meet."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, SerializeAsAny, WithJsonSchema

from archdsl.blocks.single_key import keyed, kinds_by_key, unkeyed
from archdsl.language.transforms.attention import (
    AttentiveGru,
    AttentiveLstm,
    CrossAttention,
    CrossTransformer,
    Glimpses,
)
from archdsl.language.transforms.base import Transform
from archdsl.language.transforms.frames import TimeConv, TimeDeconv, TimeRepeat, TimeSample, TimeToChannels
from archdsl.language.transforms.maps import CropTo, Fit, ResizeTo, Through, Warp

TRANSFORMS: tuple[type[Transform], ...] = (
    TimeConv,
    TimeDeconv,
    TimeToChannels,
    TimeSample,
    TimeRepeat,
    ResizeTo,
    CropTo,
    Through,
    Fit,
    Warp,
    AttentiveLstm,
    AttentiveGru,
    Glimpses,
    CrossAttention,
    CrossTransformer,
)
TRANSFORMS_BY_KEY = kinds_by_key(TRANSFORMS)


def unfolded(data: Any) -> Any:
    """One transform or a list of them, by name or made."""
    items = data if isinstance(data, list | tuple) else [data]
    return tuple(unkeyed(item, TRANSFORMS_BY_KEY, "transform") for item in items)


def folded(transforms: tuple[Transform, ...]) -> Any:
    """The inverse: one transform stands alone."""
    items = [keyed(transform, TRANSFORMS_BY_KEY, "transform") for transform in transforms]
    return items[0] if len(items) == 1 else items


Transforms = Annotated[
    tuple[SerializeAsAny[Transform], ...],
    BeforeValidator(unfolded),
    PlainSerializer(folded),
    WithJsonSchema({"x-archdsl": "Transforms"}),
]

__all__ = [
    "TRANSFORMS",
    "TRANSFORMS_BY_KEY",
    "AttentiveGru",
    "AttentiveLstm",
    "CropTo",
    "CrossAttention",
    "CrossTransformer",
    "Fit",
    "Glimpses",
    "ResizeTo",
    "Through",
    "TimeConv",
    "TimeDeconv",
    "TimeRepeat",
    "TimeSample",
    "TimeToChannels",
    "Transform",
    "Transforms",
    "Warp",
]
