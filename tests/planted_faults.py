"""Faults planted in a copy of archdsl, each of which `archdsl test` must find: `python -m tests.planted_faults`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
EXAMPLES = 200
MOST_LINES = 15


class Planted(NamedTuple):
    """A line of a file made wrong, and a network that shows it."""

    name: str
    file: str
    right: str
    wrong: str
    net: str


FAULTS = (
    Planted(
        "windows at a stride are rounded up",
        "ops/window.py",
        "size = (n + front + back - reach + (s - 1 if self.ceil else 0)) // s + 1",
        "size = -(-(n + front + back - reach) // s) + 1",
        "resnet18",
    ),
    Planted(
        "parameters of a linear layer without its bias",
        "ops/linear.py",
        "params=weights + self.bias * self.out_features,",
        "params=weights,",
        "resnet18",
    ),
    Planted(
        "a grouped convolution that costs as much as a whole one",
        "ops/conv.py",
        "weights = self.out_channels * (x.c // self.groups) * prod(self.window(x))",
        "weights = self.out_channels * x.c * prod(self.window(x))",
        "mobilenet_v2",
    ),
    Planted(
        "fvcore's count of a batch norm without its shift",
        "ops/batch_norm.py",
        "fvcore_extra=x.elements * (1 + (self.affine and self.scale)),",
        "fvcore_extra=x.elements,",
        "tsm_r50",
    ),
    Planted(
        "a stream that forgets the frames before",
        "backend/runtime/stream.py",
        "self.after = (x[:, :, -self.frames :].clone(),)",
        "self.after = (torch.zeros_like(x[:, :, -self.frames :]),)",
        "movinet_a0_stream",
    ),
    Planted(
        "a lowering that drops a dilation",
        "backend/runtime/convolution/conv.py",
        "y = F.conv2d(frames_of(x), weight.squeeze(2), bias, stride, padding, dilation, self.groups)",
        "y = F.conv2d(frames_of(x), weight.squeeze(2), bias, stride, padding, 1, self.groups)",
        "slow_4x16_r50_ava",
    ),
    Planted(
        "clips of a batch mixed in a network without batch norms",
        "ops/pool.py",
        'return Layer(f"F.max_pool3d({{0}}, ',
        'return Layer(f"F.max_pool3d({{0}} + 0.01 * {{0}}.mean(0, keepdim=True), ',
        "alexnet",
    ),
    Planted(
        "a fold of norms that forgets eps",
        "backend/runtime/convolution/conv.py",
        "scale = torch.rsqrt(norm.running_var.double() + norm.eps)",
        "scale = torch.rsqrt(norm.running_var.double())",
        "resnet18",
    ),
    Planted(
        "a shift that passes no gradient",
        "backend/runtime/flows/motion.py",
        "return torch.cat([later(ahead), earlier(behind), stay], dim=1)",
        "return torch.cat([later(ahead), earlier(behind), stay], dim=1).detach()",
        "tsm_r50",
    ),
    Planted(
        "YAML that leaves a temporal stride out",
        "blocks/single_key.py",
        'return thing.model_dump(mode="json", exclude_defaults=True)',
        'return thing.model_dump(mode="json", exclude_defaults=True, exclude={"stride_t"})',
        "r3d_18",
    ),
    Planted(
        "sizes said to be refused that compile",
        "report/admission.py",
        "if fault is None:\n            values.append(n)",
        "if fault is None and n % 3:\n            values.append(n)",
        "resnet18",
    ),
    Planted(
        "shared weights counted twice",
        "compiler/plan.py",
        "costs[node.address] = cost._replace(params=0) if node.tied else cost",
        "costs[node.address] = cost",
        "slow_fusion",
    ),
    Planted(
        "less kept for backward than there is",
        "ops/conv.py",
        "return self.keeps_window(xs[0], self.even_pads(xs[0]) is not None)",
        "return Keeps()",
        "resnet18",
    ),
)


class Finding(NamedTuple):
    """What `archdsl test` said of a planted fault."""

    code: int
    output: str
    seconds: float

    @property
    def spec_lines(self) -> int:
        """The lines of the smallest spec."""
        match = re.search(r"^name: failure\n(?:.+\n)*", self.output, flags=re.MULTILINE)
        return len(match[0].splitlines()) if match else 0


def planted(fault: Planted, folder: Path) -> None:
    """A copy of the package with the fault in it. A line that is not there once fails."""
    shutil.copytree(ROOT / "archdsl", folder / "archdsl", ignore=shutil.ignore_patterns("__pycache__"))
    for shelf in ("zoo", "specs"):
        (folder / shelf).symlink_to(ROOT / shelf)
    path = folder / "archdsl" / fault.file
    text = path.read_text(encoding="utf-8")
    assert text.count(fault.right) >= 1, f"{fault.file} no longer has {fault.right!r}"
    path.write_text(text.replace(fault.right, fault.wrong), encoding="utf-8")


def finding(fault: Planted, examples: int = EXAMPLES, seed: int = 0) -> Finding:
    """What the command says in a copy that has the fault."""
    with TemporaryDirectory() as name:
        planted(fault, Path(name))
        command = [sys.executable, "-m", "archdsl", "test", fault.net, "--examples", f"{examples}", "--seed", f"{seed}"]
        started = time.monotonic()
        run = subprocess.run(
            command, cwd=name, env={**os.environ, "PYTHONPATH": name}, capture_output=True, text=True, check=False
        )
        return Finding(run.returncode, run.stdout + run.stderr, time.monotonic() - started)


def main() -> int:
    """Plant each fault and say what was found of it."""
    wanted = sys.argv[1:]
    missed = 0
    for fault in FAULTS:
        if wanted and not any(word in fault.name for word in wanted):
            continue
        found = finding(fault)
        ok = found.code == 1 and 0 < found.spec_lines <= MOST_LINES
        missed += not ok
        print(
            f"{'found' if ok else 'MISSED'}  {fault.name} ({found.seconds:.0f} s, {found.spec_lines} lines)", flush=True
        )
        print(found.output, flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
