"""Predicted memory beside measured: the most bytes of tensors that live during a step, and what is kept for backward.

python benchmarks/memory.py [NAME ...]          on the CPU every storage is tracked from its making to its end
python benchmarks/memory.py --device cuda ...   the allocator's own peak (its rounding and workspaces included)

The prediction in bf16 and fp16 is that of a GPU: on a CPU torch's autocast runs pools in float32.
"""

from __future__ import annotations

import argparse
import contextlib
import time
import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import archdsl
from archdsl.report.memory.report import Memory, Setup
from archdsl.training.network_setup import checkpoint_activations

CASES = (
    ("slowfast_tiny", {}, 4),
    ("slowfast_4x16_r50", {}, 1),
    ("resnet18", {"size": 112}, 4),
    ("resnet50", {"size": 112}, 4),
    ("vgg11", {"size": 64}, 4),
    ("alexnet", {}, 8),
    ("densenet121", {"size": 64}, 4),
    ("mobilenet_v2", {"size": 96}, 8),
    ("mobilenet_v3_large", {"size": 96}, 8),
    ("inception_v3", {"size": 107}, 4),
    ("i3d_inception_rgb", {"frames": 16, "size": 112}, 1),
    ("r2plus1d_18", {"frames": 8, "size": 56}, 2),
    ("x3d_s", {}, 1),
    ("ircsn_r50", {"frames": 8, "size": 96}, 1),
    ("s3d", {"frames": 16}, 1),
)


class Tracked(TorchDispatchMode):
    """Counts the bytes of every storage that an op makes, until it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.known: dict[int, Any] = {}

    def see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self.known:
            return
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)

        def gone(_: Any) -> None:
            self.live -= size
            del self.known[key]

        self.known[key] = weakref.ref(storage, gone)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch._C._current_graph_task_id() != -1:  # in backward, what autograd does in place without a dispatch mode
            if func is torch.ops.aten.add.Tensor and held_alone(args[0]):
                return args[0].add_(args[1])
            if func is torch.ops.aten.index_put.default:
                return torch.ops.aten.index_put_.default(*args)
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.see(leaf)
        return result


def held_alone(gradient: Tensor) -> bool:
    """Whether nobody but autograd holds a gradient, to which it then adds.

    In torch 2.13 three of the references to the tensor, and one to the storage, are those of this call.
    """
    return gradient._use_count() <= 4 and torch._C._storage_Use_Count(gradient.untyped_storage()._cdata) <= 2


class Step:
    """One network and what a step needs."""

    def __init__(self, plan: archdsl.Plan, setup: Setup, device: str) -> None:
        self.setup, self.device = setup, device
        self.dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[setup.precision]
        self.network = archdsl.build(plan).to(device).train(setup.training)
        for address in Memory(plan, setup).recomputed:
            checkpoint_activations(self.network.get_submodule(address))
        if not setup.training:
            self.network.to(self.dtype)
        clips = {name: torch.randn(setup.batch, *shape, device=device) for name, shape in plan.inputs.items()}
        clips = clips if setup.training else {name: clip.to(self.dtype) for name, clip in clips.items()}
        self.clips = clips if len(clips) > 1 else next(iter(clips.values()))
        kind = torch.optim.SGD if setup.optimizer == "sgd" else torch.optim.AdamW
        options = {"lr": 1e-3, "weight_decay": 1e-4, "fused": True}
        momentum = {"momentum": 0.9} if setup.optimizer == "sgd" else {}
        self.optimizer = kind(self.network.parameters(), **options, **momentum)  # type: ignore[arg-type]

    def __call__(self, tracked: Tracked | None = None) -> int:
        """One step. Gives what lived between forward and backward."""
        if not self.setup.training:
            with torch.no_grad():
                self.network(self.clips)
            return 0
        autocast = torch.autocast(self.device, self.dtype, enabled=self.setup.precision != "fp32")
        with autocast:
            outputs = self.network(self.clips)
        kept = tracked.live if tracked else torch.cuda.memory_allocated() if self.device == "cuda" else 0
        scores = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
        labels = [torch.zeros(s.shape[0], *s.shape[2:], dtype=torch.long, device=self.device) for s in scores]
        loss = sum(cross_entropy(s.float(), y) for s, y in zip(scores, labels))
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return kept


def measured(plan: archdsl.Plan, setup: Setup, device: str = "cpu") -> tuple[int, int]:
    """(most bytes that lived, bytes kept for backward) of a step; in training of the second one."""
    if device == "cuda":
        step = Step(plan, setup, device)
        step()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        kept = step() - before
        return torch.cuda.max_memory_allocated(), kept
    with Tracked() as tracked:
        step = Step(plan, setup, device)
        for tensor in (*step.network.parameters(), *step.network.buffers(), *tree_leaves(step.clips)):
            tracked.see(tensor)
        step()
        tracked.peak = before = tracked.live
        kept = step(tracked) - before
    return tracked.peak, kept


def cases(names: list[str]) -> Iterator[tuple[str, dict[str, int], int]]:
    known = {name: (name, overrides, batch) for name, overrides, batch in CASES}
    yield from (known.get(name, (name, {}, 1)) for name in names) if names else CASES


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("names", nargs="*")
    words.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    words.add_argument("--precision", default="fp32", choices=["fp32", "bf16", "fp16"])
    words.add_argument("--optimizer", default="sgd", choices=["sgd", "adamw"])
    words.add_argument("--checkpoint", default="none", help="stage, block, or memory such as 500MB")
    words.add_argument("--batch", type=int, help="instead of the case's own")
    given = words.parse_args()
    options = f"{given.device}, {given.precision}, {given.optimizer}, checkpoint {given.checkpoint}"
    print(f"torch {torch.__version__}, {options}")
    print(
        f"{'MB':28}{'batch':>6}{'':>7}{'predicted':>11}{'measured':>10}{'':>8}{'kept: predicted':>18}{'measured':>10}"
    )
    for name, overrides, batch in cases(given.names):
        plan = archdsl.compile(archdsl.load(name, **overrides))
        for training in (True, False):
            if given.checkpoint != "none" and not training:
                continue
            setup = Setup(given.batch or batch, training, given.precision, given.optimizer, given.checkpoint)
            memory, start = Memory(plan, setup), time.perf_counter()
            # too large for the device, or an op that the CPU lacks in half precision
            with contextlib.suppress(torch.OutOfMemoryError, NotImplementedError):
                peak, kept = measured(plan, setup, given.device)
                ratio = 100 * (memory.peak / peak - 1)
                figures = f"{memory.peak / 1e6:>11.1f}{peak / 1e6:>10.1f}{ratio:>+7.1f}%"
                saved = f"{memory.activations / 1e6:>18.1f}{kept / 1e6:>10.1f}" if training else f"{'':28}"
                label = "train" if training else "infer"
                print(
                    f"{name:28}{setup.batch:>6}{label:>7}{figures}{saved}{time.perf_counter() - start:>7.1f}s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
