"""Examples of fields and parts that no block, op, transform or head shows: of specs, recipes, tasks and cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archdsl.report.explanation.example_data import CLASSIFIER, CLIP, CONV, SKELETON, TIED, TOKENS, Data


def one_stage(stage: Any = CONV, clip: Data = CLIP, **more: Any) -> Data:
    """A spec of one stage."""
    pathways = {"main": {"stages": {"stage": stage}}}
    return {"name": "example", "clip": clip, **more, "pathways": pathways, "head": CLASSIFIER}


LEFT_AND_RIGHT: Data = {side: {"stages": {"stage": CONV}} for side in ("left", "right")}
EDGE: Data = {"source": "left", "target": "right", "after": "stage", "merge": "sum", "merged": True}
TWO_PATHWAYS: Data = {"name": "example", "clip": CLIP, "pathways": LEFT_AND_RIGHT, "edges": [EDGE], "head": CLASSIFIER}
DRAWN_BLOCK: Data = one_stage(
    {"own": {"channels": 24}},
    blocks={
        "own": {
            "fields": {"channels": None},
            "steps": {
                "wide": {"conv": {"out_channels": "$channels", "kernel": [1, 3, 3]}},
                "act": {"relu": {}},
            },
        }
    },
)
TURNED: Data = one_stage([TOKENS, {"transformer": {"heads": 2, "rotary": {"over": ["h", "w"]}}}])
LOW_RANK: Data = {
    **one_stage([TOKENS, {"transformer": {"heads": 2}}]),
    "lora": {"at": ["*.query", "*.value"], "rank": 2},
}
THREE_JOINTS: Data = one_stage(
    {"graph_block": {"channels": 24}},
    clip={**SKELETON, "skeleton": {"joints": 3, "bones": [[1, 0], [2, 0]], "centre": 0}},
)
SQUEEZED: Data = one_stage(
    {"bottleneck": {"channels": 32, "se": {"ratio": "1/4", "multiple": 8, "gate": "hardsigmoid"}}}
)
ATTENDED: Data = one_stage([TOKENS, {"transformer": {"heads": 2, "attend": [{"over": "t", "linear": True}, "hw"]}}])
TUBE: Data = {"kernel": [4, 8, 8], "stride": [4, 8, 8], "offset": [0, 4, 4]}
TUBES: Data = {**one_stage({"tubes": {"channels": 24, "tubes": [TUBE]}}), "head": {"class_token": {"classes": 5}}}
REMEMBERING: Data = one_stage(
    [TOKENS, {"pooled_transformer": {"heads": 2, "pool_first": True, "memory": {"clips": 2, "read": True}}}]
)
STEEP: Data = {"conv": {"channels": 24, "stride": [1, 2, 2]}}
LEVELLED: Data = {
    "name": "example",
    "clip": CLIP,
    "pathways": {"main": {"stages": {"res2": STEEP, "res3": STEEP}}},
    "pyramid": {"levels": {"p2": "main.res2", "p3": "main.res3"}, "channels": 8},
    "head": {"classifier": {"classes": 5, "reads": ["p2", "p3"]}},
}
SPECS: Mapping[str, Data] = {
    **dict.fromkeys(("remembered", "read"), REMEMBERING),
    **dict.fromkeys(("pyramid", "levels"), LEVELLED),
    **dict.fromkeys(("arch", "clip", "pathway", "stage"), one_stage()),
    **dict.fromkeys(("edge", "merged"), TWO_PATHWAYS),
    **dict.fromkeys(("drawing", "step", "op"), DRAWN_BLOCK),
    **dict.fromkeys(("skeleton", "joints", "bones", "centre"), THREE_JOINTS),
    **dict.fromkeys(("squeeze_excite", "ratio", "multiple", "gate"), SQUEEZED),
    **dict.fromkeys(("attend", "linear"), ATTENDED),
    "lora": LOW_RANK,
    "norm": one_stage({"conv": {"channels": 24, "norm": {"kind": "batch", "eps": 0.001}}}),
    "pixel": one_stage(clip={**CLIP, "pixel": "1/2"}),
    "tied_to": TIED,
    "tube": TUBES,
    "turned": TURNED,
    "parameters": {"name": "example", "extends": "slow_4x16_r50", "parameters": {"depth": 101}},
}
"""Of parts of a spec, and fields of theirs."""
CARD: Data = {
    "paper": "arXiv:1234.56789",
    "title": "My Net",
    "notes": ["The authors' code pads the stem; the paper does not say so. This is the code."],
    "models": {
        "my_net_8x8_r50": {
            "where": "Table 2",
            "claims": [
                {
                    "figure": "macs",
                    "value": "65.7G",
                    "source": "arXiv:1234.56789, Table 2",
                    "input": {"size": 256},
                    "why": "the table leaves the head out",
                }
            ],
            "weights": [
                {"file": "MY_NET.pyth", "dialect": "pytorchvideo/slow", "dataset": "Kinetics-400", "accuracy": "72.4"}
            ],
        }
    },
}
CARD_PARTS = ("reference", "claim", "published_weights")
RECIPES: Mapping[str, Data] = {
    "recipe": {"name": "mine", "epochs": 30, "batch": 64, "optimizer": {"rate": 0.1}},
    "optimizer": {"optimizer": {"kind": "adamw", "rate": 0.001, "weight_decay": 0.05}},
    "parameter_group": {"optimizer.groups": [{"match": "head.*", "rate": 10, "weight_decay": 0}]},
    "layer_decay": {"optimizer.layer_decay": {"match": "main.body.*", "times": 0.75}},
    "schedule": {"schedule": {"kind": "step", "at": [100, 130], "times": 0.1}},
    "norms": {"norms": {"freeze": "all"}},
    "sampling": {"sampling": {"kind": "dense", "every": 2}},
    "augment": {"augment": {"crop": "resized", "flip": 0.5, "erasing": 0.25}},
    "jitter": {"augment.crop": {"jitter": {"short_side": [256, 320], "inverse": True}}},
    "corners": {"augment.crop": {"corners": {"scales": [1, 0.875, 0.75], "places": 13}}},
    "resized": {"augment.crop": {"resized": {"area": [0.4, 1], "aspect": [0.75, 1.33]}}},
    "middle": {"augment.crop": {"middle": {"short_side": 256}}},
    "values": {"values": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}},
    "views": {"views": {"clips": 10, "crops": 3, "short_side": 256}},
}
"""Of the parts of a recipe: a whole one, or what is set in one."""
RECIPE_FIELDS: Mapping[str, Data] = {
    "epochs": {"steps": None, "epochs": 30},
    "steps": {"steps": 300},
    "batch": {"batch": 32},
    "hardware": {"hardware": "8 GPUs of 8 clips"},
    "source": {"source": "arXiv:1812.03982, section 4.1"},
    "task": {"task": {"classification": {"class_weights": "balanced"}}},
    "evaluate_every": {"evaluate_every": 50},
    "best_by": {"best_by": "mean_class"},
    "patience": {"evaluate_every": 10, "patience": 3},
    "rate": {"optimizer.rate": 0.05},
    "rate_batch": {"optimizer.rate_batch": 64},
    "betas": {"optimizer": {"kind": "adamw", "rate": 0.001, "betas": [0.9, 0.95]}},
    "square_decay": {"optimizer": {"kind": "rmsprop", "rate": 0.01, "square_decay": 0.9}},
    "groups": {"optimizer.groups": [{"match": "head.*", "rate": 10}]},
    "clip": {"optimizer.clip": 40},
    "match": {"optimizer.groups": [{"match": "head.*", "rate": 10}]},
    "at": {"schedule": {"kind": "step", "at": [100, 130]}},
    "times": {"schedule": {"kind": "step", "at": [100, 130], "times": 0.1}},
    "power": {"schedule": {"kind": "poly", "power": 0.9}},
    "short_side": {"augment.crop": {"jitter": {"short_side": [256, 320]}}},
    "inverse": {"augment.crop": {"jitter": {"inverse": True}}},
    "scales": {"augment.crop": {"corners": {"scales": [1, 0.875]}}},
    "apart": {"augment.crop": {"corners": {"apart": 2}}},
    "places": {"augment.crop": {"corners": {"places": 13}}},
    "area": {"augment.crop": {"resized": {"area": [0.4, 1]}}},
    "aspect": {"augment.crop": {"resized": {"aspect": [0.75, 1.33]}}},
    "fps": {"sampling.fps": 25},
    "snippet": {"sampling": {"kind": "segments", "snippet": 2}},
}
"""Of fields of a recipe that have no default, or need others beside them."""
OPTIONS: Mapping[str, Any] = {
    "class_weights": "balanced",
    "draw": "classes",
    "teacher": {"run": "runs/large"},
}
"""Values of fields of a task whose defaults say little."""
