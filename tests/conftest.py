"""Settings of all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Small nets are slower on several threads, the more so beside other tests: to be set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.filter_too_much]
settings.register_profile("archdsl", deadline=None, max_examples=40, suppress_health_check=SLOW_IS_FINE)
# a change is judged by examples that the next change meets too; what chance finds is found at home
settings.register_profile("ci", settings.get_profile("archdsl"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "archdsl")


@pytest.fixture(scope="session", autouse=True)
def nothing_cached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whoever runs the tests may have calibrated: neither is their table read, nor is anything put beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCHDSL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def torchvision() -> Any:
    """torchvision; its operators are declared first, so that its wheel for CUDA imports beside torch for CPUs."""
    import torch

    if "torchvision" not in sys.modules:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    found = pytest.importorskip("torchvision", reason="pip install --no-deps torchvision==0.29.1")
    if not hasattr(found, "models"):
        pytest.skip("a stand-in for torchvision is in its place: run this file alone")
    return found


@pytest.fixture(scope="session")
def mmaction(torchvision: Any) -> Any:
    """mmaction2's registry of models. Its wheel lacks one module, and others need transformers: stand-ins do."""
    reason = "pip install --no-deps mmaction2==1.2.0 mmcv-lite==2.1.0 mmengine==0.10.7 importlib_metadata"
    pytest.importorskip("mmengine", reason=reason)
    for name in ("drn", "drn.drn"):
        module = ModuleType(f"mmaction.models.localizers.{name}")
        module.DRN = type("DRN", (), {})  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module
    sys.modules["mmaction.models.multimodal"] = ModuleType("mmaction.models.multimodal")
    models = pytest.importorskip("mmaction.models", reason=reason)
    sys.modules["mmengine"].registry.init_default_scope("mmaction")
    return models
