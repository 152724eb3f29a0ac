"""The optimiser: parameter groups, schedule of the rate, treatment of batch norms."""

from __future__ import annotations

from math import cos, pi
from typing import Annotated, Any, Literal

from pydantic import Field

from archdsl.errors import SpecError
from archdsl.spec.base import Written, check_kind_reads
from archdsl.spec.scalars import Count, Positive, Real, Share, Whole


class ParameterGroup(Written):
    """Parameters selected by address, with a rate and decay of their own. The first matching group applies."""

    match: str = Field(min_length=1, description="addresses with * and ?, such as *.flow.* or head.*")
    rate: Annotated[Real, Field(ge=0)] = Field(1.0, description="multiplier of the learning rate; 0 freezes them")
    weight_decay: Annotated[Real, Field(ge=0)] | None = Field(None, description="in place of the optimiser's")


class LayerDecay(Written):
    """Rates that fall from the last layer to the first (arXiv:2106.08254): by `times` for each, once more before them.

    Layers are the parts whose addresses match, in order; what stands behind the last of them has the whole rate.
    """

    match: str = Field(min_length=1, description="addresses of the layers with * and ?, such as main.body.*")
    times: Annotated[Real, Field(gt=0, le=1)] = Field(description="multiplier from one layer to that before it")


class Optimizer(Written):
    """An optimiser of torch: gradient descent with momentum, or one that scales each step by past gradients."""

    kind: Literal["sgd", "adam", "adamw", "rmsprop", "adagrad"] = Field(
        "sgd", description="sgd, adam, adamw (decay apart from the gradient), rmsprop or adagrad"
    )
    rate: Positive = Field(description="learning rate at its highest")
    rate_batch: Count | None = Field(None, description="batch that the rate is stated for: scaled in proportion")
    momentum: Share = Field(0.9, description="of sgd and rmsprop")
    nesterov: bool = Field(True, description="of sgd")
    betas: tuple[Share, Share] = Field((0.9, 0.999), description="of adam and adamw")
    square_decay: Share = Field(0.99, description="of rmsprop: decay of the mean of squared gradients")
    eps: Positive = Field(1e-8, description="of all but sgd: what is added to the root that a step is divided by")
    weight_decay: Annotated[Real, Field(ge=0)] = Field(1e-4, description="of weights")
    decay_norms: bool = Field(False, description="whether norms and biases decay too")
    groups: tuple[ParameterGroup, ...] = Field((), description="parameters that differ, by address")
    layer_decay: LayerDecay | None = Field(None, description="rates that fall from the last layer to the first")
    clip: Positive | None = Field(None, description="gradient clipping: largest norm of all gradients together")
    accumulate: Count = Field(1, description="micro-batches per step (gradient accumulation)")

    def model_post_init(self, context: object, /) -> None:
        adams = ("adamw", "adam")
        readers = dict(momentum=("sgd", "rmsprop"), nesterov=("sgd",), betas=adams, square_decay=("rmsprop",))
        check_kind_reads(self, readers | dict(eps=(*adams, "rmsprop", "adagrad")))

    def rate_for(self, batch: int) -> float:
        """The highest rate for a batch of that many clips (arXiv:1706.02677: in proportion to the batch)."""
        return self.rate * batch / (self.rate_batch or batch)


class Schedule(Written):
    """How the rate changes: a warm-up in a line, then a half-period cosine, steps, a power, or nothing."""

    kind: Literal["cosine", "step", "poly", "constant"] = Field("cosine", description="cosine, step, poly or constant")
    warmup: Annotated[Real, Field(ge=0)] = Field(0.0, description="epochs (or steps, as the recipe counts) of warm-up")
    start: Share = Field(0.0, description="share of the rate at which the warm-up begins")
    end: Share = Field(0.0, description="share of the rate at the end of a cosine or a power")
    at: tuple[Positive, ...] = Field((), description="of step: epochs (or steps) after which the rate falls")
    times: Annotated[Real, Field(gt=0, lt=1)] = Field(0.1, description="of step: what the rate is multiplied by")
    power: Positive = Field(1.0, description="of poly")

    def model_post_init(self, context: object, /) -> None:
        check_kind_reads(self, dict(times=("step",), power=("poly",), end=("cosine", "poly")))
        if bool(self.at) != (self.kind == "step"):
            got = f"kind: {self.kind}, at: {list(self.at)}"
            raise SpecError("`at` goes with `kind: step`", got=got, want="kind: step, at: [...], or neither")
        if list(self.at) != sorted(set(self.at)):
            raise SpecError("`at` is not in ascending order", got=f"at: {list(self.at)}", want="an ascending list")

    def share_at(self, done: float, length: float) -> float:
        """The share of the highest rate when `done` of `length` epochs (or steps) are over."""
        if done >= self.warmup:
            return self.settled(done, length)
        goal = self.settled(self.warmup, length) if self.warmup < length else 1.0
        return self.start + (goal - self.start) * done / self.warmup

    def stretched(self, times: float) -> Schedule:
        """The schedule over a length that many times as long."""
        changes: dict[str, Any] = {"warmup": self.warmup * times, "at": tuple(at * times for at in self.at)}
        return self.but(**changes)

    def settled(self, done: float, length: float) -> float:
        """The share without the warm-up."""
        match self.kind:
            case "cosine":
                return self.end + (1 - self.end) * 0.5 * (1 + cos(pi * done / length))
            case "step":
                return self.times ** sum(done >= at for at in self.at)
            case "poly":
                return self.end + (1 - self.end) * (1 - done / length) ** self.power
            case _:
                return 1.0


class Norms(Written):
    """What becomes of batch norms in training."""

    freeze: Literal["none", "all", "all_but_first"] = Field(
        "none", description="none, all, or all_but_first (TSN's partial BN): statistics and weights are frozen"
    )
    sync: bool = Field(False, description="statistics over all processes (SyncBN)")
    split: Count = Field(1, description="parts of a process's batch with statistics of their own (sub-BN)")
    precise: Whole = Field(
        0, description="clips over which statistics are recomputed before each evaluation (precise BN)"
    )
    momentum: Annotated[Real, Field(gt=0, le=1)] | None = Field(None, description="in place of the arch's")

    def model_post_init(self, context: object, /) -> None:
        if self.sync and self.split > 1:
            raise SpecError(
                "statistics of parts and over processes at once",
                written=self.written,
                got=f"sync: true, split: {self.split}",
                want="`split`, statistics of each part of a process's batch, or `sync`, of all processes' batches",
                fix="split: 1",
            )
