"""Ctrl-C while a command is being imported, or runs, ends it without a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from archdsl.cli import EXIT_INTERRUPTED

ROOT = Path(__file__).parent.parent
SCRIPT = """
import signal, sys
from archdsl.cli import main
signal.signal(signal.SIGVTALRM, lambda *_: signal.raise_signal(signal.SIGINT))
signal.setitimer(signal.ITIMER_VIRTUAL, {seconds})
sys.exit(main(["count", "slowfast_tiny", "slow_4x16_r50"]))
"""


def interrupted(seconds: float) -> tuple[int, str]:
    """(exit code, stderr) of a command that is interrupted after so much of its own time."""
    script = SCRIPT.format(seconds=seconds)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.06, 0.12])
def test_ctrl_c_as_the_command_is_imported(seconds: float) -> None:
    assert interrupted(seconds) == (EXIT_INTERRUPTED, "")


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [i / 100 for i in range(1, 41)])
def test_ctrl_c_at_any_time(seconds: float) -> None:
    code, said = interrupted(seconds)
    assert code in (0, EXIT_INTERRUPTED)
    assert said == ""


def test_the_command_imports_nothing_before_it_can_be_interrupted() -> None:
    script = "import sys; before = set(sys.modules); import archdsl.cli; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert [name for name in done.stdout.split() if name.startswith(("archdsl", "pydantic", "yaml"))] == [
        "archdsl",
        "archdsl.cli",
    ]
