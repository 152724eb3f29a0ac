"""What is wrong in one of two processes ends both, with the same error, at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import pytest

from archdsl.errors import SpecError
from archdsl.training.processes import fail_together

ROOT = Path(__file__).parents[1]
SCRIPT = '''
import errno, os, sys
from pathlib import Path
import torch
import archdsl
import archdsl.training.state.checkpoints as checkpoints
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.synthetic.motion import MovingDigits
from archdsl.training.processes import process_group
from tests.trained import DATA, short, small

out, case, rank = Path(sys.argv[1]), sys.argv[2], int(os.environ["RANK"])
torch.set_num_threads(1)

class Holed(MovingDigits):
    """Nothing can be read in the second process."""
    def read(self, index, take):
        if rank == 1:
            raise Unreadable(self.name(index), "broken")
        return super().read(index, take)

def full(path, data):
    if rank == 0:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

holed = Holed(64, 0, frames=4, size=32)
data, recipe, shard = DATA, short(steps=8), False
try:
    if case.startswith("read"):
        data, shard = (holed, DATA[1]), case == "read, sharded"
    elif case == "save":
        checkpoints.write_flushed = full
    with process_group("cpu"):
        archdsl.train(small(), recipe, data, out=out / "run", device="cpu", quiet=True, shard=shard)
        archdsl.evaluate(out / "run", holed, device="cpu", quiet=True)
except archdsl.SpecError as error:
    (out / f"said.{rank}").write_text(str(error))
    sys.exit(2)
'''


def test_one_process_alone_has_its_own_error() -> None:
    with pytest.raises(SpecError, match="mine"), fail_together():
        raise SpecError("mine")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "what"),
    [
        ("read", "too many unreadable videos\n  got     4 of 64: "),
        ("read, sharded", "too many unreadable videos\n  got     4 of 64: "),
        ("save", "cannot write checkpoint step_00000002\n"),
        ("test", "too many unreadable videos\n  got     4 of 64: "),
    ],
)
def test_an_error_of_one_process_is_that_of_both(case: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    begun = perf_counter()
    command = [*program, str(tmp_path / "script.py"), str(tmp_path), case]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr[-2000:]
    first, second = ((tmp_path / f"said.{rank}").read_text() for rank in (0, 1))
    assert first == second
    assert first.startswith(what)
    assert perf_counter() - begun < 100
