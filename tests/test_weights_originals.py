"""Weights of other packages' networks, saved as they save them and read by the command: equal scores."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.originals import ORIGINALS, Original, compare

INSTALL = {
    "torchvision": "torchvision==0.29.1",
    "pytorchvideo": "pytorchvideo==0.1.5",
    "timm": "timm==1.0.31 torchvision==0.29.1",
    "transformers": "transformers==5.24.0 huggingface_hub tokenizers safetensors httpx",
    "hiera": "hiera-transformer==0.1.4 timm==1.0.31 torchvision==0.29.1",
    "mmaction2": "mmaction2==1.2.0 mmcv-lite==2.1.0 mmengine==0.10.7 importlib_metadata torchvision==0.29.1",
}
MODULES = {"mmaction2": "mmengine"}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("original", ORIGINALS, ids=lambda one: f"{one.package}-{one.theirs}")
def test_scores_equal(original: Original, tmp_path: Path) -> None:
    module = MODULES.get(original.package, original.package)
    if not find_spec(module):  # not imported here: torchvision's wheel wants its operators declared first
        pytest.skip(f"pip install --no-deps {INSTALL[original.package]}")
    made = compare(original, str(tmp_path))
    assert made.difference <= 1e-5
