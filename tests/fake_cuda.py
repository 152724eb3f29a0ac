"""Networks on fake CUDA tensors: what a GPU would be asked to do, on a torch without CUDA.

A device guard that does nothing (`data/cuda_guard.cpp`) lets a CPU build of torch push fake CUDA tensors through
modules and through CUDA autocast, forward only: tensors hold no numbers, but their devices and types are checked at
every call.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archdsl import Plan
from archdsl.backend import build
from archdsl.backend.passes import Lower

CUDA = torch.device("cuda", 0)
READS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "_unique2", "repeat_interleave.Tensor", "equal")
"""Calls of aten that wait for a GPU, since the host reads what comes of them."""


def compiler() -> str | None:
    """A C++ compiler, where there is one."""
    return shutil.which("g++") or shutil.which("clang++")


def load_guard(folder: Path) -> None:
    """Compile the device guard and load it into this process."""
    root, library = Path(torch.__file__).parent, folder / "cuda_guard.so"
    options = ["-O1", "-shared", "-fPIC", "-std=c++20", f"-I{root / 'include'}", f"-L{root / 'lib'}", "-lc10"]
    source = Path(__file__).parent / "data" / "cuda_guard.cpp"
    subprocess.run([str(compiler()), str(source), *options, "-o", str(library)], check=True, timeout=120)
    ctypes.CDLL(str(library))


class Traffic(TorchDispatchMode):
    """Counts what passes between host and GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        made = call(*args, **(kwargs or {}))
        name = str(call).removeprefix("aten.")
        read, written = device_types((args, kwargs)), device_types(made)
        if name.startswith(READS) and "cuda" in read:
            self.counts["reads by the host"] += 1
        elif "cpu" in read and "cuda" in written and "_to_copy" in name:
            self.counts["copies to the GPU"] += 1
        elif "cuda" in read and written == {"cpu"}:
            self.counts["copies to the host"] += 1
        elif any(x.device.type == "cpu" and x.ndim for x in tensors_of((args, kwargs))) and "cuda" in read:
            self.counts["operands on the host"] += 1
        return made


def tensors_of(values: Any) -> list[Tensor]:
    """The tensors in nested values."""
    return [x for x in tree_leaves(values) if isinstance(x, Tensor)]


def device_types(values: Any) -> set[str]:
    """The kinds of devices that they are on."""
    return {x.device.type for x in tensors_of(values)}


def on_cuda(network: nn.Module) -> nn.Module:
    """The network moved as `to` would: what is neither parameter nor buffer stays. `to` itself refuses fakes (2.13)."""
    moved: dict[Tensor, Tensor] = {}
    for module in network.modules():
        for kept in (module._parameters, module._buffers):
            for name, x in kept.items():
                if x is not None:
                    there = x.detach().to(CUDA)
                    kept[name] = moved.setdefault(x, nn.Parameter(there) if isinstance(x, nn.Parameter) else there)
    return network


@contextmanager
def autocast_to_bf16() -> Iterator[None]:
    """CUDA's autocast; `torch.autocast` disables it where there is no CUDA."""
    torch.set_autocast_enabled("cuda", True)
    torch.set_autocast_dtype("cuda", torch.bfloat16)
    try:
        yield
    finally:
        torch.set_autocast_enabled("cuda", False)
        torch.clear_autocast_cache()


def traffic(plan: Plan, lower: Lower = "none", *, train: bool) -> dict[str, int]:
    """What passes between host and GPU in a forward under autocast to bf16. Raises where tensors are elsewhere."""
    with FakeTensorMode():
        with mock.patch.object(nn.init, "trunc_normal_", lambda weights, **options: weights):  # it reads what it drew
            network = on_cuda(build(plan, lower)).train(train)
        clips = {name: torch.empty(2, *shape, device=CUDA) for name, shape in plan.inputs.items()}
        with torch.set_grad_enabled(train), autocast_to_bf16(), Traffic() as seen:
            made = network(clips if len(clips) > 1 else next(iter(clips.values())))
        assert {str(x.device) for x in tensors_of(made)} == {"cuda:0"}
    return dict(seen.counts)
