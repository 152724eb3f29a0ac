"""A network prepared for training: memory format, activation checkpointing, compilation, DDP or FSDP."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from archdsl.backend.compilation import compile_alone, compiled_modules
from archdsl.backend.network import kernels_channels_last
from archdsl.compiler import Plan
from archdsl.compiler.module_tree import constructed_modules
from archdsl.compiler.unread import trained_later
from archdsl.errors import SpecError
from archdsl.language.recipes.recipe import Recipe
from archdsl.report.memory.recompute import modules_to_recompute
from archdsl.report.number_format import plural
from archdsl.training.norms import set_norms, statistics_frozen
from archdsl.training.optimizer import freeze_groups
from archdsl.training.processes import World


def prepare_network(
    network: nn.Module, plan: Plan, recipe: Recipe, world: World, *, recomputed: Iterable[str], shard: bool
) -> nn.Module:
    """The network on its device, with norms, frozen parameters, memory format, checkpointing, shards, compilation."""
    network.to(world.device)
    freeze_groups(network, recipe.optimizer.groups)
    for name in trained_later(plan.graph):  # torch's DDP waits for the gradient of every other one
        network.get_parameter(name).requires_grad_(False)
    set_norms(network, recipe.norms, recipe.batch // world.size // recipe.optimizer.accumulate)
    recomputed = constructed_modules(plan.graph, recomputed)
    stages = constructed_modules(plan.graph, modules_to_recompute(plan, "stage"))
    modules = [network.get_submodule(address) for address in stages]
    if recipe.channels_last:
        to_channels_last(network, modules)
    if recipe.compiled:
        for address in compiled_modules(stages, recomputed):
            compile_alone(network.get_submodule(address))
    for address in recomputed:
        checkpoint_activations(network.get_submodule(address))
    if shard:
        shard_weights(network, modules)
    return network


def to_channels_last(network: nn.Module, stages: Iterable[nn.Module]) -> None:
    """Maps in torch.channels_last_3d where a stage begins, and convolution kernels likewise."""
    for module in stages:
        module.register_forward_pre_hook(maps_in_channels_last)
    kernels_channels_last(network)


def maps_in_channels_last(module: nn.Module, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What a module is called with, in torch.channels_last_3d."""
    return tuple(x.contiguous(memory_format=torch.channels_last_3d) if x.ndim == 5 else x for x in maps)


def shard_weights(network: nn.Module, stages: Iterable[nn.Module]) -> None:
    """Shard every stage, then what is left. Raises SpecError for parameters without an axis to divide."""
    whole = [name for name, weights in network.named_parameters() if weights.ndim == 0]
    if whole:
        raise SpecError(
            "a parameter without axes cannot be sharded",
            at=whole[0],
            got=f"{plural(len(whole), 'parameter')} of shape ()",
            want="parameters of shape (1,) or more axes",
            fix="without --shard, or nn.Parameter(torch.zeros(1)) in the op",
        )
    for weights in network.parameters():
        weights.data = weights.data.contiguous()  # torch 2.13 shards no others
    for module in stages:
        fully_shard(module)
    fully_shard(network, reshard_after_forward=True)  # so that weights are shards whenever they are read


def checkpoint_activations(module: nn.Module) -> None:
    """Keep only a module's input for backward and recompute its forward there; its address stays."""
    contexts = lambda: (nullcontext(), statistics_frozen(module))  # noqa: E731  torch asks for a function
    module.forward = partial(checkpoint, module.forward, use_reentrant=False, context_fn=contexts)


def data_parallel(network: nn.Module, world: World) -> nn.Module:
    """The network to call in training: wrapped in DDP where there are several processes and no shards."""
    if world.size == 1 or isinstance(network, FSDPModule) or not any(p.requires_grad for p in network.parameters()):
        return network
    devices = [world.device.index] if world.device.type == "cuda" else None
    return DistributedDataParallel(network, device_ids=devices)


@contextmanager
def gradient_sync(wrapped: nn.Module, last: bool) -> Iterator[None]:
    """Gradients are all-reduced only in the last micro-batch."""
    silent: AbstractContextManager[None] = nullcontext()
    if isinstance(wrapped, DistributedDataParallel) and not last:
        silent = wrapped.no_sync()
    with silent, warnings.catch_warnings():
        if isinstance(wrapped, FSDPModule):
            wrapped.set_requires_gradient_sync(last)
            # torch 2.13 warns of scores that are views; neither emitted code nor the loop changes them in place
            warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view")
        yield


def broadcast_buffers(network: nn.Module) -> None:
    """Broadcast the first process's running statistics, with which all test and save."""
    if dist.is_initialized():
        for buffer in network.buffers():
            dist.broadcast(buffer, 0)
