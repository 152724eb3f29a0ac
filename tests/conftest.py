"""Settings of all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

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
