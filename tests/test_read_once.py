"""Nothing that was written is dropped in silence: doubled elements, blocks that are inserted nowhere."""

from __future__ import annotations

from typing import Any

import pytest

import archdsl
from archdsl.blocks import NonLocal
from archdsl.errors import SpecError
from archdsl.language import Localiser, SegmentDetector
from archdsl.recipes import recipe
from archdsl.rewrites import insert_nonlocal


@pytest.mark.parametrize(
    ("name", "parameters", "at"),
    [
        ("squeezenet1_0", {"pools": [4, 4]}, "pools"),
        ("tal_net", {"streams": ["rgb", "rgb"]}, "streams"),
        ("tal_net", {"scales": [1, 2, 1]}, "scales"),
        ("slow_8x8_r50_nl", {"after": {"res3": [0], "res4": [1, 1]}}, "after"),
    ],
)
def test_a_parameter_that_says_the_same_twice(name: str, parameters: dict[str, Any], at: str) -> None:
    with pytest.raises(SpecError) as caught:
        archdsl.load(name, **parameters)
    assert (caught.value.faults[0].at or "").startswith(at)
    assert caught.value.faults[0].fix


@pytest.mark.parametrize(
    "make",
    [
        lambda: Localiser(maps=("a", "a")),
        lambda: SegmentDetector(classes=3, scales=(2, 2)),
        lambda: archdsl.load("slowfast_tiny").head.but(reads=("slow", "slow")),
        lambda: recipe("smoke", lower=("views", "views")),
        lambda: insert_nonlocal(archdsl.load("slow_8x8_r50"), {"res4": (1, 1)}, block=NonLocal()),
    ],
)
def test_a_field_that_says_the_same_twice(make: Any) -> None:
    with pytest.raises(SpecError, match="the same twice in a list"):
        make()


@pytest.mark.parametrize("after", [{}, {"res4": []}, {"res3": [], "res4": []}])
def test_a_block_that_is_inserted_nowhere(after: Any) -> None:
    with pytest.raises(SpecError, match="a non-local block that is inserted nowhere\n  at      after\n"):
        archdsl.load("slow_8x8_r50_nl", after=after)
