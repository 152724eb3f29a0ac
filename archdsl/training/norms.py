"""Batch norms in training: held fixed, over all processes, over parts of a batch, or measured anew."""

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
from archdsl.training.distributed import added


def norms_in(network: nn.Module) -> list[_BatchNorm]:
    """The batch norms of a network, in the order they are written."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


def frozen(network: nn.Module, norms: Norms) -> list[_BatchNorm]:
    """The batch norms that a recipe holds fixed: statistics and weights (TSN holds all but the first)."""
    skipped = {"none": None, "all": 0, "all_but_first": 1}[norms.freeze]
    return [] if skipped is None else norms_in(network)[skipped:]


def set_norms(network: nn.Module, norms: Norms, batch: int) -> None:
    """Make a network's batch norms what the recipe says; `batch` clips go through at once in a process."""
    if norms.momentum is not None:
        for norm in norms_in(network):
            norm.momentum = norms.momentum
    for norm in frozen(network, norms):
        norm.requires_grad_(False)
    if norms.sync and dist.is_initialized():
        replace_norms(network, TogetherNorm, norms)
    if norms.split > 1:
        if batch % norms.split:
            raise SpecError(
                "a batch that norms.split does not divide",
                at="recipe.norms.split",
                written=norms.written,
                got=f"{batch} clips at once, {norms.split} parts",
                want="a divisor of the clips that go through at once",
            )
        replace_norms(network, lambda: SplitNorm(norms.split), norms)


def replace_norms(network: nn.Module, make: Callable[[], CopiedNorm], norms: Norms) -> None:
    """Each batch norm that learns becomes another module with the same weights, statistics and address."""
    held = set(map(id, frozen(network, norms)))
    for name, norm in list(network.named_modules()):
        if isinstance(norm, _BatchNorm) and id(norm) not in held:
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, make().like(norm))


def train_mode(network: nn.Module, norms: Norms) -> None:
    """Training mode; norms that are held fixed stay in evaluation mode."""
    network.train()
    for norm in frozen(network, norms):
        norm.eval()


class CopiedNorm(_BatchNorm):
    """A batch norm that takes the place of another."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def like(self, norm: _BatchNorm) -> CopiedNorm:
        """With the tensors and settings of another norm."""
        for name in ("num_features", "eps", "momentum", "affine", "track_running_stats", "training"):
            setattr(self, name, getattr(norm, name))
        self._parameters, self._buffers = norm._parameters, norm._buffers
        return self

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002  torch's name
        assert input.ndim >= 2

    def keep(self, mean: Tensor, var: Tensor, count: float) -> None:
        """Take a batch's statistics into the running ones. `var` is biased; the running one is not."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.detach(), share)
        self.running_var.lerp_(var.detach() * (count / max(count - 1, 1)), share)

    def scaled(self, x: Tensor) -> Tensor:
        """Normalised values times the weights, plus the biases."""
        shape = (1, -1, *[1] * (x.ndim - 2))
        x = x if self.weight is None else x * self.weight.view(shape)
        return x if self.bias is None else x + self.bias.view(shape)


class SplitNorm(CopiedNorm):
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
        n, c, *sizes = x.shape
        split = x.reshape(self.parts, n // self.parts, c, *sizes).transpose(0, 1).reshape(-1, self.parts * c, *sizes)
        normal = batch_norm(split, None, None, training=True, eps=self.eps)
        with torch.no_grad():
            axes = [0, *range(2, x.ndim)]
            self.keep(x.mean(axes), x.var(axes, correction=0), x.numel() / c)
        joined = normal.reshape(n // self.parts, self.parts, c, *sizes).transpose(0, 1).reshape(x.shape)
        return self.scaled(joined)


def summed(x: Tensor) -> Tensor:
    """The sum of a tensor over all processes, with its gradient."""
    total: Tensor = Summed.apply(x)  # type: ignore[no-untyped-call]  # torch's is untyped
    return total


class Summed(torch.autograd.Function):
    """The sum over processes; so is its gradient."""

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


class TogetherNorm(CopiedNorm):
    """Statistics over the batches of all processes. As nn.SyncBatchNorm, which is for CUDA alone (torch 2.13)."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, ...) -> (n, c, ...)"""
        if not self.training:
            return super().forward(x)
        axes = [0, *range(2, x.ndim)]
        shape = (1, -1, *[1] * (x.ndim - 2))
        values = x.float()
        count = values.new_tensor([x.numel() / x.shape[1]])
        sums = summed(torch.cat((values.sum(axes), count)))
        mean = sums[:-1] / sums[-1]
        centred = values - mean.view(shape)
        var = summed(centred.square().sum(axes)) / sums[-1]
        with torch.no_grad():
            self.keep(mean, var, float(sums[-1]))
        return self.scaled((centred * (var + self.eps).rsqrt().view(shape)).to(x.dtype))


@contextmanager
def still(network: nn.Module) -> Iterator[None]:
    """Running statistics stay as they are: a forward that is run again must not count twice."""
    momenta = [(norm, norm.momentum) for norm in norms_in(network)]
    for norm, _ in momenta:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in momenta:
            norm.momentum = momentum


@contextmanager
def measured(network: nn.Module, norms: Norms) -> Iterator[None]:
    """Running statistics become those of all that goes through within, in every process (precise BN).

    The mean and the population variance over batches (arXiv:2105.07576, appendix; fvcore's `update_bn_stats`).
    """
    held = set(map(id, frozen(network, norms)))
    populations = [
        Population(norm) for norm in norms_in(network) if id(norm) not in held and norm.running_mean is not None
    ]
    train_mode(network, norms)
    hooks = [population.norm.register_forward_pre_hook(population.see) for population in populations]
    try:
        # a compiled stage does not call hooks that came after it (torch 2.13)
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for hook in hooks:
            hook.remove()
    for population in populations:
        population.take()


class Population:
    """What has gone through one batch norm: count, sum and sum of squares of each channel."""

    def __init__(self, norm: _BatchNorm) -> None:
        assert norm.running_mean is not None
        self.norm = norm
        self.sums = torch.zeros(2, len(norm.running_mean), device=norm.running_mean.device, dtype=torch.double)
        self.count = self.sums.new_zeros(1)

    def see(self, norm: nn.Module, inputs: tuple[Tensor]) -> None:
        """One more batch.  (n, c, ...)"""
        x = inputs[0].float()
        var, mean = torch.var_mean(x, [0, *range(2, x.ndim)], correction=0)
        mean, count = mean.double(), x.numel() // x.shape[1]
        self.sums += count * torch.stack((mean, var.double() + mean.square()))
        self.count += count

    def take(self) -> None:
        """The statistics of all processes become the norm's; those of a norm that nothing went through stay."""
        added(self.sums)
        if added(self.count) > 0:
            mean, square = self.sums / self.count
            assert self.norm.running_mean is not None
            assert self.norm.running_var is not None
            self.norm.running_mean.copy_(mean)
            self.norm.running_var.copy_((square - mean.square()).clamp(min=0))
