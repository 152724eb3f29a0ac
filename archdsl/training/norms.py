"""Batch norms in training: frozen, synchronised, split (sub-BN), or recomputed before tests (precise BN)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import batch_norm
from torch.nn.modules.batchnorm import _BatchNorm

from archdsl.errors import SpecError
from archdsl.language.recipes.optimizer import Norms
from archdsl.training.processes import sum_over_processes


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """The batch norms of a network, in the order they are written."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


def frozen_norms(network: nn.Module, norms: Norms) -> list[_BatchNorm]:
    """The batch norms whose statistics and weights a recipe freezes (TSN: all but the first)."""
    skipped = {"none": None, "all": 0, "all_but_first": 1}[norms.freeze]
    return [] if skipped is None else batch_norms(network)[skipped:]


def set_norms(network: nn.Module, norms: Norms, batch: int) -> None:
    """Apply the recipe's norms to a network; `batch` is the clips of a micro-batch."""
    if norms.momentum is not None:
        for norm in batch_norms(network):
            norm.momentum = norms.momentum
    for norm in frozen_norms(network, norms):
        norm.requires_grad_(False)
    if norms.sync and dist.is_initialized():
        on_cuda = any(weights.is_cuda for weights in network.parameters())
        replace_norms(network, CudaSyncNorm if on_cuda else SyncNorm, norms)
    if norms.split > 1:
        if batch % norms.split:
            raise SpecError(
                "batch not divisible by norms.split",
                at="recipe.norms.split",
                written=norms.written,
                got=f"{batch} clips per micro-batch, {norms.split} parts",
                want="a divisor of the micro-batch",
            )
        replace_norms(network, lambda: SplitNorm(norms.split), norms)


def replace_norms(network: nn.Module, make: Callable[[], ReplacementNorm], norms: Norms) -> None:
    """Replace each batch norm that is not frozen by a module with the same weights, statistics and address."""
    fixed = set(map(id, frozen_norms(network, norms)))
    for name, norm in list(network.named_modules()):
        if isinstance(norm, _BatchNorm) and id(norm) not in fixed:
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, make().like(norm))


def train_mode(network: nn.Module, norms: Norms) -> None:
    """Training mode; frozen norms stay in evaluation mode."""
    network.train()
    for norm in frozen_norms(network, norms):
        norm.eval()


class ReplacementNorm(_BatchNorm):
    """A batch norm that replaces another one."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def like(self, norm: _BatchNorm) -> ReplacementNorm:
        """With the tensors and settings of another norm."""
        for name in ("num_features", "eps", "momentum", "affine", "track_running_stats", "training"):
            setattr(self, name, getattr(norm, name))
        self._parameters, self._buffers = norm._parameters, norm._buffers
        return self

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002  torch's name
        assert input.ndim >= 2

    def update_running(self, mean: Tensor, var: Tensor) -> None:
        """Update the running statistics by those of a batch, in their own precision; `var` is not biased."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(var.to(self.running_var.dtype), share)


class SplitNorm(ReplacementNorm):
    """Each of several equal parts of the batch has statistics of its own (sub-BN, arXiv:1812.03982's 8 clips a GPU).

    The running statistics are those of the whole batch.
    """

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, ...) -> (n, c, ...)"""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        # at momentum 1 they become the part's own statistics, in fp32 whatever x is
        means, variances = self.running_mean.new_zeros(2, self.parts, x.shape[1])
        normal = [
            batch_norm(part, mean, var, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps)
            for part, mean, var in zip(x.chunk(self.parts), means, variances)
        ]
        with torch.no_grad():
            count = x.numel() / x.shape[1]
            within = variances.mean(0) * (count / self.parts - 1) / (count / self.parts)
            biased = within + means.var(0, correction=0)
            self.update_running(means.mean(0), biased * count / (count - 1))
        return torch.cat(normal)


def sum_with_gradient(x: Tensor) -> Tensor:
    """All-reduce sum of a tensor, differentiable."""
    total: Tensor = SumWithGradient.apply(x)  # type: ignore[no-untyped-call]  # torch's is untyped
    return total


class SumWithGradient(torch.autograd.Function):
    """All-reduce sum, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.contiguous().clone()
        dist.all_reduce(total)
        return total


class SyncNorm(ReplacementNorm):
    """Statistics over the batches of all processes, on a CPU: nn.SyncBatchNorm is for GPUs alone (torch 2.13)."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, ...) -> (n, c, ...)"""
        if not self.training:
            return super().forward(x)
        axes = [0, *range(2, x.ndim)]
        shape = (1, -1, *[1] * (x.ndim - 2))
        values = x.float()
        count = values.new_tensor([x.numel() / x.shape[1]])
        sums = sum_with_gradient(torch.cat((values.sum(axes), count)))
        mean, count = sums[:-1] / sums[-1], sums[-1].detach()
        centred = values - mean.view(shape)
        var = sum_with_gradient(centred.square().sum(axes)) / count
        with torch.no_grad():
            self.update_running(mean, var * count / (count - 1).clamp(min=1))
        scale = (var + self.eps).rsqrt()
        scale = scale if self.weight is None else scale * self.weight
        y = centred * scale.view(shape)
        return (y if self.bias is None else y + self.bias.view(shape)).to(x.dtype)


class CudaSyncNorm(ReplacementNorm, nn.SyncBatchNorm):
    """Statistics over the batches of all processes, on GPUs: torch's kernels, one gather forward and one backward."""

    process_group = None
    """All processes."""


@contextmanager
def statistics_frozen(network: nn.Module) -> Iterator[None]:
    """Running statistics do not change: a recomputed forward must not count twice."""
    momenta = [(norm, norm.momentum) for norm in batch_norms(network)]
    for norm, _ in momenta:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in momenta:
            norm.momentum = momentum


@contextmanager
def precise_statistics(network: nn.Module, norms: Norms) -> Iterator[None]:
    """Running statistics become those of all batches run within, over all processes (precise BN).

    The mean and the population variance over batches (arXiv:2105.07576, appendix; fvcore's `update_bn_stats`).
    """
    fixed = set(map(id, frozen_norms(network, norms)))
    populations = [
        PopulationStatistics(norm)
        for norm in batch_norms(network)
        if id(norm) not in fixed and norm.running_mean is not None
    ]
    train_mode(network, norms)
    hooks = [population.norm.register_forward_pre_hook(population.add_batch) for population in populations]
    try:
        # a compiled stage ignores hooks registered later (torch 2.13)
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for hook in hooks:
            hook.remove()
    for population in populations:
        population.write()


class PopulationStatistics:
    """Count, sum and sum of squares of each channel of one batch norm's input."""

    def __init__(self, norm: _BatchNorm) -> None:
        assert norm.running_mean is not None
        self.norm = norm
        self.sums = torch.zeros(2, len(norm.running_mean), device=norm.running_mean.device, dtype=torch.double)
        self.count = self.sums.new_zeros(1)

    def add_batch(self, norm: nn.Module, inputs: tuple[Tensor]) -> None:
        """Add a batch.  (n, c, ...)"""
        x = inputs[0].float()
        var, mean = torch.var_mean(x, [0, *range(2, x.ndim)], correction=0)
        mean, count = mean.double(), x.numel() // x.shape[1]
        self.sums += count * torch.stack((mean, var.double() + mean.square()))
        self.count += count

    def write(self) -> None:
        """Write the statistics of all processes into the norm; an unused norm keeps its own."""
        sum_over_processes(self.sums)
        if sum_over_processes(self.count) > 0:
            mean, square = self.sums / self.count
            assert self.norm.running_mean is not None
            assert self.norm.running_var is not None
            self.norm.running_mean.copy_(mean)
            self.norm.running_var.copy_((square - mean.square()).clamp(min=0))
