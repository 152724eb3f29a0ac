"""PyTorchVideo 0.1.5's own builders, the zoo's names for them, and our weights in their networks.

Their package imports torchvision, which they call for detection heads only: a stand-in is enough here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

import archdsl

STAND_INS = ("torchvision", "torchvision.ops", "torchvision.transforms")


def hub(name: str) -> Callable[..., nn.Module]:
    """A builder of pytorchvideo.models.hub."""
    if "torchvision" not in sys.modules:
        for stand_in in STAND_INS:
            module = ModuleType(stand_in)
            module.__dict__.update(__spec__=ModuleSpec(stand_in, None), __path__=[], RoIAlign=object)
            sys.modules[stand_in] = module
            parent, _, leaf = stand_in.rpartition(".")
            if parent:
                setattr(sys.modules[parent], leaf, module)
    builder: Callable[..., nn.Module] = getattr(import_module("pytorchvideo.models.hub"), name)
    return builder


@dataclass(frozen=True)
class Peer:
    """A builder, the model of our zoo that is the same network, and what it takes of the raw clip."""

    ours: str
    hub: str
    options: dict[str, Any]
    every: tuple[int, ...]
    """One in so many frames of the raw clip, for each pathway."""

    def make(self) -> nn.Module:
        """The untouched network, without the softmax at its end."""
        network = hub(self.hub)(**self.options)
        for pool in (m for m in network.modules() if isinstance(m, nn.AvgPool3d)):
            # X3D's builder leaves numpy's integers here, which torch.compile takes for tensors
            pool.kernel_size = tuple(int(k) for k in pool.kernel_size)  # type: ignore[union-attr]
        return network

    def feed(self, clip: Tensor) -> Any:
        """The frames of each pathway, as their data loader packs them."""
        packed = [clip[:, :, ::every].contiguous() for every in self.every]
        return packed if len(packed) > 1 else packed[0]

    def copy(self, ours: nn.Module, theirs: nn.Module) -> None:
        """Our weights into their network: by name for (Slow)Fast, else in the order in which modules run."""
        if self.hub in ("slow_r50", "slowfast_r50"):
            copy_slowfast(ours, theirs, alone=self.hub == "slow_r50")
        else:
            copy_as_they_run(ours, theirs, self)


def copy_slowfast(ours: nn.Module, theirs: nn.Module, *, alone: bool) -> None:
    """Every weight under the name that PyTorchVideo has for it."""
    theirs.load_state_dict({key_of_slowfast(key, alone=alone): value for key, value in ours.state_dict().items()})


def copy_as_they_run(ours: nn.Module, theirs: nn.Module, peer: Peer) -> None:
    """Every module's weights into the module that runs in its place."""
    clip = torch.zeros(1, *next(iter(archdsl.compile(archdsl.load(peer.ours)).inputs.values())))
    pairs = list(zip(weighted(ours, clip), weighted(theirs, peer.feed(clip)), strict=True))
    for own, other in pairs:
        values = zip(other.state_dict().items(), own.state_dict().values(), strict=True)
        other.load_state_dict({key: value.reshape(there.shape) for (key, there), value in values})


def weighted(network: nn.Module, clip: Tensor) -> list[nn.Module]:
    """Modules that have weights, in the order in which they run; a shortcut after the rest of its block."""
    ran: list[tuple[str, nn.Module]] = []
    inner = [(k, m) for k, m in network.named_modules() if not list(m.children()) and list(m.parameters())]
    hooks = [m.register_forward_hook(lambda m, i, o, k=k: ran.append((k, m))) for k, m in inner]  # type: ignore[misc]
    network.eval()  # running in training would move the statistics that are to be copied
    with torch.no_grad():
        network(clip)
    for hook in hooks:
        hook.remove()
    done: list[nn.Module] = []
    held: list[tuple[str, nn.Module]] = []
    for name, module in ran:
        block, is_shortcut, _ = name.partition(".branch1")
        if is_shortcut:
            held.append((f"{block}.", module))
            continue
        while held and not name.startswith(held[0][0]):
            done.append(held.pop(0)[1])
        done.append(module)
    return done + [module for _, module in held]


PARTS = {"shortcut": "branch1_conv", "shortcut_norm": "branch1_norm"}
STEM_AND_STAGES = ("stem", "res2", "res3", "res4", "res5")


def key_of_slowfast(key: str, *, alone: bool) -> str:
    """Our address of a SlowFast (or Slow) weight as PyTorchVideo names it."""
    first, second, *rest, leaf = key.split(".")
    if first == "head":
        return f"blocks.{5 if alone else 6}.proj.{leaf}"
    block = STEM_AND_STAGES.index(second)
    if first == "edges":
        part = "conv_fast_to_slow" if rest[-1] == "conv" else "norm"
        return f"blocks.{block}.multipathway_fusion.{part}.{leaf}"
    lane = "" if alone else f"multipathway_blocks.{('slow', 'fast').index(first)}."
    index, part = rest
    if block == 0:
        return f"blocks.0.{lane}{part}.{leaf}"
    return f"blocks.{block}.{lane}res_blocks.{index}.{PARTS.get(part, f'branch2.{part}')}.{leaf}"


SOFTMAX_OFF = dict(head_activation=None)
PEERS = (
    Peer("slow_8x8_r50", "slow_r50", {}, (8,)),
    Peer("slowfast_8x8_r50", "slowfast_r50", {}, (8, 2)),
    Peer("r2plus1d_16x4_r50", "r2plus1d_r50", SOFTMAX_OFF, (4,)),
    Peer("x3d_s_ptv", "x3d_s", SOFTMAX_OFF, (6,)),
    Peer("x3d_m_ptv", "x3d_m", SOFTMAX_OFF, (5,)),
    Peer("ircsn_r101", "csn_r101", SOFTMAX_OFF, (2,)),
)
"""What is compared, at the published clips."""
