"""Settings of all tests."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.filter_too_much]
settings.register_profile("archdsl", deadline=None, max_examples=40, suppress_health_check=SLOW_IS_FINE)
# a change is judged by examples that the next change meets too; what chance finds is found at home
settings.register_profile("ci", settings.get_profile("archdsl"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "archdsl")
