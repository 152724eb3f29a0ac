"""What the smallest examples are made of: blocks that come before, values that types do not tell, and odd ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Data = dict[str, Any]
CLIP = {"frames": 8, "size": 32}
TEXT: Data = {"modality": "text", "frames": 8, "size": 1}
SKELETON: Data = {"modality": "skeleton", "frames": 8, "skeleton": "coco", "persons": 2}
CLIPS: Mapping[str, Data] = {
    **dict.fromkeys(("embed", "embedding", "end_token"), TEXT),
    **dict.fromkeys(("graph_block", "joint_norm", "graph_mix", "adaptive_graph_mix"), SKELETON),
    **dict.fromkeys(("channel_graph_mix", "joint_difference"), SKELETON),
}
"""Words that read another clip than pixels."""
CONV: Data = {"conv": {"channels": 24}}
POOLED: Data = {"adaptive_avg_pool": {"size": [0, 1, 1]}}
TOKENS: Data = {"patches": {"kernel": [1, 8, 8], "channels": 24}}
CLASSIFIER: Data = {"classifier": {"classes": 5}}
BEFORE: tuple[list[Any], ...] = (
    [],
    [CONV],
    ["global_pool"],
    [CONV, POOLED],
    [{"conv": {"channels": 8}}, POOLED],
    [TOKENS],
    [TOKENS, "class_token"],
    [TOKENS, "frame_rows"],
    ["gray"],
    [{"embed": {"channels": 24}}],
)
"""Blocks that may have to come before it: most take a clip as it is."""
NUMBERS = (2, 1, 8, 4, 24)
"""Values of whole numbers that must be given: the first that is taken."""
HEADS_TRIED: tuple[Data, ...] = (
    CLASSIFIER,
    {"class_token": {"classes": 5}},
    {"features": {}},
    {"dense": {"classes": 5}},
)
BY_TYPE: Mapping[tuple[str, str], Any] = {
    ("channels", "integer"): 24,
    ("classes", "integer"): 5,
    ("out_channels", "integer"): 24,
    ("channels", "array"): [0, 2],
    ("branches", "object"): {"one": CONV, "two": {"max_pool": {"kernel": [1, 3, 3]}}},
    ("pairs", "array"): [["separable_3", "now", "max_3", "now"]],
    ("leave", "array"): ["0"],
    ("heads", "object"): {"one": {"classifier": {"classes": 5, "reads": ["main"]}}},
    ("scales", "array"): [1, 2],
    ("bones", "array"): [[1, 0]],
    ("tubes", "array"): [{"kernel": [4, 8, 8], "stride": [4, 8, 8]}, {"kernel": [1, 4, 4], "stride": [2, 8, 8]}],
    ("kernels", "array"): [[4, 8, 8], [1, 4, 4]],
    ("steps", "array"): [[4, 8, 8], [2, 8, 8]],
    ("offsets", "array"): [[0, 0, 0], [1, 2, 2]],
}
"""Values of fields by name and type, where the type does not say enough."""
BY_WORD: Mapping[str, Data] = {
    "res2_bottleneck": {"channels": 32},
    "snippet_steps": {"length": 4},
    "embedding": {"vocabulary": 49408},
    "representation_flow": {"align": "first"},
    "cell": {"carried": False},
    "anchors": {"sides": [[[16, 16], [8, 16]]], "sizes": [[32, 32]], "steps": [[1, 1]]},
    "cell_boxes": {"rows": [1], "steps": [32]},
    "region_align": {"size": 2, "steps": [1]},
    "reversible": {"blocks": [{"transformer": {"heads": 2}}]},
}
"""Fields that cannot be at their defaults in so small a network."""


def first_states(states: int) -> Data:
    """Means of frames, and of all of them the first states of a recurrence that attends."""
    start = {"linear": {"out_features": 4 * states}, "reads": "clip"}
    return {"clip": {"mean": {"over": "thw"}}, "start": start, "means": {"mean": {"over": "hw"}, "reads": "input"}}


ASKED = ["terms", "start", "input", "input"]
BOXES: Data = {"boxes": {"anchors": {"sides": [[[16, 16]]], "sizes": [[1, 1]], "steps": [[32, 32]], "offset": 0.5}}}
"""A box in the middle of every frame."""
MOVED: Data = {**BOXES, "means": {"mean": {"over": "hw"}, "reads": "input"}, "shifts": {"linear": {"out_features": 4}}}
"""Such boxes, and how they are to be moved."""
BEST = ["chances", "boxes"]
STEPS: Mapping[str, tuple[Data, list[str]]] = {
    "own_time_conv": (
        {"means": {"mean": {"over": "hw"}}, "kernel": {"take_linspace": {"count": 3}}},
        ["input", "kernel"],
    ),
    "own_time_shift": ({"offsets": {"mean": {"over": "thw"}}}, ["input", "offsets"]),
    "gather": ({"pairs": {"affinity": {}, "reads": ["input", "input"]}}, ["pairs", "input"]),
    "roi_align": (
        {
            "means": {"mean": {"over": "hw"}},
            "boxes": {"linear": {"out_features": 4}},
            "frame": {"take_linspace": {"count": 1}, "reads": "input"},
        },
        ["frame", "boxes"],
    ),
    "place_pool": (
        {"means": {"mean": {"over": "hw"}}, "boxes": {"linear": {"out_features": 4}}},
        ["input", "boxes"],
    ),
    "soi_pool": ({"segments": {"linear": {"out_features": 2}}}, ["input", "segments"]),
    "warp": ({"flow": {"conv": {"out_channels": 2, "kernel": [1, 3, 3]}}}, ["input", "flow"]),
    "proposals": (
        {
            "scores": {"conv": {"out_channels": 9, "kernel": [1, 1, 1]}},
            "shifts": {"conv": {"out_channels": 36, "kernel": [1, 1, 1]}, "reads": "input"},
        },
        ["scores", "shifts", "input"],
    ),
    "max_unpool": (
        {"pooled": {"max_pool": {"kernel": [1, 2, 2], "stride": [1, 2, 2], "pad": "valid", "ceil": True}}},
        ["pooled", "input"],
    ),
    "end_token": ({"table": {"embedding": {"vocabulary": 49408, "channels": 24}}}, ["table", "input"]),
    "scaled_products": (
        {"clip": {"mean": {"over": "thw"}}, "texts": {"take_linspace": {"count": 1}, "reads": "input"}},
        ["clip", "texts"],
    ),
    "channel_graph_mix": (
        {
            "means": {"mean": {"over": "t"}},
            "difference": {"joint_difference": {}, "reads": ["means", "means"]},
        },
        ["input", "difference"],
    ),
    "joint_difference": ({"means": {"mean": {"over": "t"}}}, ["means", "means"]),
    "join_tokens": ({"tokens": {"queries": {}}}, ["tokens", "input"]),
    "token_rows": ({"tokens": {"queries": {"count": 2}}}, ["tokens"]),
    "attend_scan": ({**first_states(2), "terms": {"linear": {"out_features": 16}, "reads": "means"}}, ASKED),
    "attend_gru_scan": ({**first_states(1), "terms": {"linear": {"out_features": 12}, "reads": "means"}}, ASKED),
    "move_boxes": (MOVED, ["shifts", "boxes"]),
    "cell_boxes": (MOVED, ["shifts", "boxes"]),
    "best_boxes": ({**MOVED, "chances": {"take_channels": {"start": 0, "count": 2}, "reads": "shifts"}}, BEST),
    "region_align": (BOXES, ["boxes", "input"]),
    "region_max_pool": (BOXES, ["boxes", "input"]),
}
"""Of ops that read maps of several shapes: the steps that make these, and what the op reads."""


HIDDEN: list[Any] = [
    {"patches": {"kernel": [2, 16, 16], "channels": 24}},
    {"keep": {"count": 1}},
    {"mask_tokens": {"count": 3}},
]
"""Tokens of which a mask keeps one in four, and that are filled in again."""


def masked_spec(head: Data, **stages: Any) -> Data:
    """A spec of pixels and a mask."""
    return {
        "name": "example",
        "clips": {
            "rgb": {"frames": 4, "size": 32},
            "mask": {"modality": "mask", "frames": 2, "size": 2, "channels": 2},
        },
        "pathways": {"main": {"clip": "rgb", "stages": stages}},
        "head": head,
    }


def looked_at(transform: Data, merge: str, *read: Data) -> Data:
    """A spec of a clip and words, each of which, or what has read them all, looks at the clip."""
    head = {"classifier": {"classes": 5, "reads": ["words"]}} if read else {"next_word": {"reads": ["words"]}}
    return {
        "name": "example",
        "clips": {"video": CLIP, "text": {**TEXT, "vocabulary": 20}},
        "pathways": {
            "clip": {"clip": "video", "stages": {"seen": [CONV, POOLED]}},
            "words": {"clip": "text", "stages": {"embed": [{"embed": {"channels": 24}}, *read]}},
        },
        "edges": [
            {
                "source": "clip",
                "target": "words",
                "after": "seen",
                "into": "embed",
                "transform": transform,
                "merge": merge,
            }
        ],
        "head": head,
    }


WHOLE_SPECS: Mapping[str, Data] = {
    "hide": masked_spec({"masked_pixels": {}}, stage="hide", tokens=HIDDEN),
    "keep": masked_spec({"masked_pixels": {}}, stage=HIDDEN[:2], filled=HIDDEN[2]),
    "mask_tokens": masked_spec({"masked_pixels": {}}, stage=HIDDEN),
    "masked_pixels": masked_spec({"masked_pixels": {}}, stage=HIDDEN),
    "masked_features": masked_spec({"masked_features": {"channels": 8}}, stage=HIDDEN),
    "region_detector": {
        "name": "example",
        "clip": {"frames": 1, "size": 32},
        "pathways": {"main": {"stages": {"stage": {"conv": {"channels": 24, "stride": [1, 8, 8]}}}}},
        "head": {
            "region_detector": {
                "classes": 5,
                "sides": [[[16, 16]]],
                "candidates": 8,
                "count": 4,
                "given": 4,
                "size": 2,
                "region": ["flatten_space", {"linear": {"channels": 24}}],
            }
        },
    },
    "next_word": {
        "name": "example",
        "clip": {"modality": "text", "frames": 8, "size": 1, "vocabulary": 20},
        "pathways": {"main": {"stages": {"stage": {"embed": {"channels": 24}}}}},
        "head": {"next_word": {}},
    },
    "roi": {
        "name": "example",
        "clips": {"rgb": CLIP, "boxes": {"modality": "boxes", "frames": 2, "size": 1}},
        "pathways": {"main": {"clip": "rgb", "stages": {"stage": CONV}}},
        "head": {"roi": {"classes": 5}},
    },
    "attentive_lstm": looked_at({"attentive_lstm": {"hidden": 8, "keys": 8}}, "sum"),
    "attentive_gru": looked_at({"attentive_gru": {"hidden": 8, "keys": 8}}, "concat"),
    "glimpses": looked_at({"glimpses": {"channels": 8}}, "prepend", {"lstm": {"hidden": 8, "give": "last"}}),
    "similarity": {
        "name": "example",
        "clips": {"video": CLIP, "words": TEXT},
        "pathways": {
            "clip": {"clip": "video", "stages": {"embed": [{"conv": {"channels": 24}}, "global_pool"]}},
            "text": {"clip": "words", "stages": {"embed": [{"embed": {"channels": 24}}, "end_token"]}},
        },
        "head": "similarity",
    },
    "warp": {
        "name": "example",
        "clip": CLIP,
        "pathways": {
            "features": {"every": 4, "stages": {"res2": CONV}},
            "flow": {"pairs": 4, "stages": {"moves": {"conv": {"channels": 8}}}},
        },
        "edges": [
            {
                "source": "flow",
                "target": "features",
                "after": "moves",
                "into": "res2",
                "transform": "warp",
                "merge": "interleave",
            }
        ],
        "head": {"dense": {"classes": 5, "reads": ["features"]}},
    },
}
"""Words that stand in specs of their own kind."""
WITH_FIELD: Mapping[str, Data] = {
    "every": {"every": 2},
    "start": {"every": 2, "start": 1},
    "linspace": {"linspace": 4},
    "segments": {"segments": 4},
    "snippet": {"segments": 4, "snippet": 2},
    "pairs": {"pairs": 4},
    "width_ratio": {"width_ratio": "1/2"},
    "width_rounding": {"width_ratio": "1/5", "width_rounding": "nearest"},
}
"""Fields of a pathway, with those that they need beside them."""
TIED: Data = {
    "name": "example",
    "clip": CLIP,
    "pathways": {
        "left": {"every": 2, "stages": {"stage": CONV}},
        "right": {"every": 2, "start": 1, "tied_to": "left", "stages": {"stage": CONV}},
    },
    "head": CLASSIFIER,
}
REWRITES: Mapping[str, str] = {
    "causal": 'causal(load("slow_4x16_r50"))',
    "depthwise": 'depthwise(load("slow_4x16_r50"))',
    "factorize": 'factorize(load("r3d_18"))',
    "for_detection": 'for_detection(load("slowfast_4x16_r50"), classes=80)',
    "inflate": 'inflate(load("c2d_8x8_r50_nopool"), frames=8)',
    "insert_flow": 'insert_flow(load("tsn_r50"), after="res3")',
    "insert_nonlocal": 'insert_nonlocal(load("slow_4x16_r50"), after={"res4": (1, 3)})',
    "pool_in_time": 'pool_in_time(load("tsn_r50"), after="res2")',
    "separate": 'separate(load("i3d_8x8_r50"))',
    "shift_in_time": 'shift_in_time(load("tsn_r50"))',
    "together": 'together("both", few=load("slow_4x16_r50"), more=load("slow_8x8_r50"))',
    "with_adapters": 'with_adapters(load("vit_b16", frames=4), {"between": Adapter(channels=64)})',
    "with_lora": 'with_lora(load("vit_b16"), ["*.query", "*.value"], rank=8)',
    "with_key_frames": 'with_key_frames(load("resnet50", frames=8), every=4, flow=load("resnet18").pathways["rgb"])',
    "with_modules": 'with_modules(load("tsn_r50"), {"before": TimeShift()})',
    "with_temporal_kernels": 'with_temporal_kernels(load("slow_4x16_r50"), {"res4": (3, 1)})',
}
"""Each rewrite, applied."""
