"""The loop does what the recipe says."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import yaml
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn.functional import batch_norm, cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

import archdsl
from archdsl.backend.compilation import compile_alone
from archdsl.backend.devices import torch_reason
from archdsl.errors import SpecError
from archdsl.language.recipes.optimizer import Norms, Optimizer, ParameterGroup
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.norms import (
    CudaSyncNorm,
    PopulationStatistics,
    SplitNorm,
    SyncNorm,
    batch_norms,
    precise_statistics,
    set_norms,
    statistics_frozen,
    train_mode,
)
from archdsl.training.optimizer import MovingAverage, freeze_groups, make_optimizer, parameter_groups
from archdsl.training.precision import autocast_of
from archdsl.training.state.checkpoints import TensorSpec
from archdsl.training.state.snapshot import TrainState
from archdsl.training.tasks.class_losses import clip_losses
from tests.trained import DATA, GROUPS, entries, losses, short, small

QUIET = pytest.mark.filterwarnings("ignore")
"""torch's compiler warns of its own parts (torch 2.13)."""


def run(out: Path, arch: Any = None, recipe: Recipe | None = None, **options: Any) -> Any:
    return archdsl.train(arch or small(), recipe or short(), DATA, out=out, device="cpu", quiet=True, **options)


def test_a_run_leaves_a_folder(tmp_path):
    done = run(tmp_path, recipe=short(steps=4, log_every=2))
    assert done.step == 4
    assert not done.stopped
    assert archdsl.load(tmp_path / "arch.yaml") == small()
    assert yaml.safe_load((tmp_path / "recipe.yaml").read_text())["steps"] == 4
    about = json.loads((tmp_path / "run.json").read_text())
    assert about["torch"] == torch.__version__
    assert about["steps"] == 4
    assert "class Small" in (tmp_path / "network.py").read_text()
    assert list((tmp_path / "tensorboard").glob("events*"))
    assert [path.name for path in sorted((tmp_path / "checkpoints").iterdir())] == ["step_00000002", "step_00000004"]
    log = entries(tmp_path)
    assert [entry["step"] for entry in log] == [2, 4, 4]
    assert log[-1].keys() >= {"top1", "top5"}
    assert log[-1]["top1"] == done.figures["top1"]
    assert log[0].keys() == {"step", "epoch", "loss", "rate", "clips_per_s", "waiting", "mfu"}
    assert log[1]["rate"] == pytest.approx(short(steps=4).rate_at(3, done.count))


def test_equal_seeds_train_equal_networks(tmp_path):
    recipe = short(steps=3)
    a, b, c = run(tmp_path / "a", recipe=recipe), run(tmp_path / "b", recipe=recipe), None
    c = run(tmp_path / "c", recipe=recipe.but(seed=1))
    assert losses(tmp_path / "a") == losses(tmp_path / "b") != losses(tmp_path / "c")
    for one, other in zip(a.network.state_dict().values(), b.network.state_dict().values()):
        assert torch.equal(one, other)
    assert c.network is not a.network


def test_accumulation_is_the_whole_batch(tmp_path):
    """Without batch norm, parts of a batch add up to it."""
    whole = run(tmp_path / "whole", small(GROUPS))
    parts = run(tmp_path / "parts", small(GROUPS), short(optimizer__accumulate=4))
    assert losses(tmp_path / "parts") == pytest.approx(losses(tmp_path / "whole"), rel=1e-5)
    for a, b in zip(whole.network.parameters(), parts.network.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("level", ["stage", "block"])
def test_running_again_changes_nothing(level, tmp_path):
    """Activation checkpointing: equal weights and running statistics, dropout too."""
    plain = run(tmp_path / "plain", small(dropout=0.5), short(steps=3))
    again = run(tmp_path / "again", small(dropout=0.5), short(steps=3, checkpoint=level))
    assert losses(tmp_path / "plain") == losses(tmp_path / "again")
    theirs = again.network.state_dict()
    for name, tensor in plain.network.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(tensor, theirs[name]), name


@pytest.mark.parametrize(
    ("changes", "near"),
    [
        ({"precision": "bf16"}, 0.05),
        pytest.param({"precision": "fp16"}, 0.05, marks=pytest.mark.slow),
        ({"channels_last": True}, 1e-3),
        ({"norms__sync": True}, 0),
        pytest.param({"compiled": True}, 1e-3, marks=[pytest.mark.slow, QUIET]),
    ],
)
def test_how_it_is_computed_changes_little(changes, near, tmp_path):
    run(tmp_path / "plain", recipe=short(steps=3))
    run(tmp_path / "other", recipe=short(steps=3, **changes))
    assert losses(tmp_path / "other") == pytest.approx(losses(tmp_path / "plain"), rel=near)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer__kind": "adamw", "optimizer__rate": 0.001},
        {"optimizer__clip": 0.01},
        {"norms__freeze": "all_but_first"},
        {"norms__split": 4},
        {"norms__precise": 32, "evaluate_every": 2},
        {"average": 0.5},
        {"smoothing": 0.1},
        {"optimizer__groups": ({"match": "main.*", "rate": 0},)},
    ],
    ids=str,
)
def test_what_the_recipe_says_makes_a_difference(changes, tmp_path):
    plain = run(tmp_path / "plain", recipe=short(steps=4))
    other = run(tmp_path / "other", recipe=short(steps=4, **changes))
    theirs = other.network.state_dict()
    same = [torch.equal(tensor, theirs[name]) for name, tensor in plain.network.state_dict().items()]
    averaged = plain.figures != other.figures or "average" in changes
    assert not all(same) or averaged


def test_a_wider_batch_has_the_rate_in_proportion():
    recipe = short(optimizer__rate_batch=16, schedule__warmup=0, schedule__kind="constant")
    assert recipe.rate_at(0, 100) == 0.05
    assert recipe.but(batch=64).rate_at(0, 100) == 0.4


def test_the_rate_is_pyslowfasts_to_the_last_digit():
    """Warm-up from 0.01 towards the cosine's value at its end (slowfast/utils/lr_policy.py), worked out by hand."""
    from archdsl.recipes import recipe

    made = recipe("slowfast_k400", batch=64, epochs=196)
    at = {epoch: made.rate_at(10 * epoch, 640) for epoch in (0, 17, 34, 98, 195)}
    assert at[0] == pytest.approx(0.01)
    assert at[34] == pytest.approx(0.0927571, abs=1e-6)  # 0.05 (1 + cos(pi 34 / 196))
    assert at[17] == pytest.approx((0.01 + at[34]) / 2)
    assert at[98] == pytest.approx(0.05)
    assert at[195] == pytest.approx(0.05 * (1 - 0.99987155), abs=1e-6)


def test_a_power_falls_to_its_end():
    recipe = short(steps=100, schedule__warmup=0, schedule__kind="poly", schedule__power=2, schedule__end=0.1)
    assert recipe.rate_at(50, 1) == pytest.approx(0.1 * (0.1 + 0.9 * 0.25))


def test_another_unit_stretches_the_schedule():
    made = archdsl.recipes.recipe("tsm_k400", steps=500)
    assert made.epochs is None
    assert made.schedule.at == (200, 400)
    assert made.rate_at(199, 9) == pytest.approx(0.02)
    assert made.rate_at(200, 9) == pytest.approx(0.002)
    assert archdsl.recipes.recipe("tsm_k400", epochs=45).schedule.at == (20, 40)


@pytest.mark.parametrize(("every", "tested"), [(None, [10]), (3, [3, 6, 9, 10]), (4.5, [5, 9, 10])])
def test_when_a_network_is_tested(every, tested):
    recipe = short(steps=10, evaluate_every=every)
    assert [step for step in range(1, 11) if recipe.evaluates_after(step, 99) or step == 10] == tested


def test_epochs_count_videos():
    recipe = Recipe(epochs=2, batch=8, optimizer=Optimizer(rate=0.1), evaluate_every=1)
    assert recipe.steps_for(20) == 5
    assert [step for step in range(1, 6) if recipe.evaluates_after(step, 20)] == [3, 5]


def network(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    return archdsl.build(small(**options))


def settings(optimizer: Optimizer) -> dict[str, tuple[float, float]]:
    """Address -> (multiple of the rate, decay)."""
    made = network()
    names = {id(weights): name for name, weights in made.named_parameters()}
    freeze_groups(made, optimizer.groups)
    return {
        names[id(weights)]: (group["times"], group["weight_decay"])
        for group in parameter_groups(made, optimizer)
        for weights in group["params"]
    }


def test_norms_and_biases_do_not_decay():
    found = settings(Optimizer(rate=0.1, weight_decay=0.01))
    assert found["main.stem.0.conv.weight"] == (1, 0.01)
    assert found["main.stem.0.norm.weight"] == found["head.classifier.bias"] == (1, 0)
    assert set(settings(Optimizer(rate=0.1, weight_decay=0.01, decay_norms=True)).values()) == {(1, 0.01)}


def test_the_first_group_that_matches_counts():
    bias = ParameterGroup(match="head.*.bias", rate=10, weight_decay=0.5)
    groups = (bias, ParameterGroup(match="head.*", rate=5), ParameterGroup(match="*.stem.*", rate=0))
    found = settings(Optimizer(rate=0.1, weight_decay=0.01, groups=groups))
    assert found["head.classifier.bias"] == (10, 0.5)
    assert found["head.classifier.weight"] == (5, 0.01)
    assert not any(".stem." in name for name in found)
    assert found["main.res2.0.conv_a.weight"] == (1, 0.01)


def test_a_group_that_matches_nothing_is_told():
    with pytest.raises(SpecError, match=r"a group that matches no parameter: 'haed\.\*'"):
        freeze_groups(network(), (ParameterGroup(match="haed.*"),))


def test_a_network_without_gradients_in_a_group_keeps_it(tmp_path):
    done = run(tmp_path, recipe=short(steps=2, optimizer__groups=({"match": "main.*", "rate": 0},)))
    torch.manual_seed(0)
    assert not any(weights.requires_grad for name, weights in done.network.named_parameters() if "main" in name)


@pytest.mark.parametrize("norms", [{}, {"norms__freeze": "all"}], ids=str)
def test_nothing_to_train_is_told(norms, tmp_path):
    with pytest.raises(SpecError) as caught:
        run(tmp_path, recipe=short(optimizer__groups=({"match": "*", "rate": 0},), **norms))
    (fault,) = caught.value.faults
    assert fault.what == "no parameters to train"
    assert (fault.at, fault.got) == ("recipe.optimizer.groups", "14 parameters, all of them frozen")
    assert fault.fix == "groups: []"


def steps_by_hand(kind: str, weights: Tensor, gradients: list[Tensor], decay: float) -> Tensor:
    """Two steps of rate 0.1, as the papers have them."""
    first = second = torch.zeros_like(weights)
    for i, g in enumerate(gradients, 1):
        if kind == "adamw":
            weights = weights * (1 - 0.1 * decay)
        else:
            g = g + decay * weights
        if kind in ("adam", "adamw"):
            first, second = 0.8 * first + 0.2 * g, 0.9 * second + 0.1 * g**2
            step = first / (1 - 0.8**i) / ((second / (1 - 0.9**i)).sqrt() + 1e-3)
        elif kind == "rmsprop":
            second = 0.95 * second + 0.05 * g**2
            step = first = 0.5 * first + g / (second.sqrt() + 1e-3)
        elif kind == "adagrad":
            second = second + g**2
            step = g / (second.sqrt() + 1e-3)
        else:
            first = 0.5 * first + g if i > 1 else g
            step = g + 0.5 * first if kind == "nesterov" else first
        weights = weights - 0.1 * step
    return weights


@pytest.mark.parametrize("kind", ["sgd", "nesterov", "adam", "adamw", "rmsprop", "adagrad"])
def test_optimisers_by_hand(kind):
    fields = {"adam": dict(betas=(0.8, 0.9)), "adamw": dict(betas=(0.8, 0.9)), "rmsprop": dict(square_decay=0.95)}
    settings = fields.get(kind, {}) | (dict(momentum=0.5) if kind in ("sgd", "nesterov", "rmsprop") else {})
    settings |= dict(nesterov=kind == "nesterov") if kind in ("sgd", "nesterov") else dict(eps=1e-3)
    wanted = Optimizer(kind="sgd" if kind == "nesterov" else kind, rate=0.1, weight_decay=0.3, **settings)
    layer = nn.Linear(4, 2, bias=False)
    gradients = [torch.randn(2, 4), torch.randn(2, 4)]
    by_hand = steps_by_hand(kind, layer.weight.detach().clone(), gradients, 0.3)
    optimizer = make_optimizer(layer, wanted)
    for gradient in gradients:
        layer.weight.grad = gradient.clone()
        optimizer.step()
    torch.testing.assert_close(layer.weight.detach(), by_hand)


def test_sgd_without_momentum_is_plain():
    plain = make_optimizer(network(), Optimizer(rate=0.1, momentum=0.0))
    assert isinstance(plain, torch.optim.SGD)
    assert not plain.defaults["nesterov"]


def test_frozen_norms_keep_statistics_and_weights():
    made = network()
    norms = batch_norms(made)
    for freeze, held in (("none", []), ("all", norms), ("all_but_first", norms[1:])):
        fresh = network()
        set_norms(fresh, Norms(freeze=freeze), 8)
        train_mode(fresh, Norms(freeze=freeze))
        assert sum(not norm.training for norm in batch_norms(fresh)) == len(held)
        assert sum(not norm.weight.requires_grad for norm in batch_norms(fresh)) == len(held)


def test_parts_have_statistics_of_their_own():
    """Two parts of two clips: as two batch norms, each on its part; running statistics are the whole batch's."""
    torch.manual_seed(0)
    x = torch.randn(4, 3, 2, 5, 5) * 3 + 1
    plain, split = nn.BatchNorm3d(3), SplitNorm(2)
    nn.init.normal_(plain.weight)
    nn.init.normal_(plain.bias)
    split.like(plain.train())
    parts = [batch_norm(part, None, None, plain.weight, plain.bias, training=True) for part in x.split(2)]
    torch.testing.assert_close(split(x), torch.cat(parts))
    torch.testing.assert_close(split.running_var, 0.9 + 0.1 * x.transpose(0, 1).flatten(1).var(1))
    torch.testing.assert_close(split.running_mean, 0.1 * x.mean((0, 2, 3, 4)))
    split.eval()
    plain.eval()
    assert torch.equal(split(x), plain(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_parts_in_half_precision_give_half_precision(dtype):
    """Running statistics stay fp32, and are those of nn.BatchNorm3d on the same numbers."""
    plain, split = nn.BatchNorm3d(3).train(), SplitNorm(2).like(nn.BatchNorm3d(3).train())
    x = torch.randn(4, 3, 2, 5, 5).to(dtype).contiguous(memory_format=torch.channels_last_3d)
    plain(x)
    y = split(x)
    assert y.dtype == dtype
    assert y.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(split.running_mean, plain.running_mean)
    torch.testing.assert_close(split.running_var, plain.running_var)


def test_synchronised_norms_are_torchs_of_one_process():
    """In the type of what they read; without a read by the host, for which a GPU would be waited for."""
    torch.manual_seed(0)
    plain, synced = nn.BatchNorm3d(3).train(), SyncNorm().like(nn.BatchNorm3d(3).train())
    nn.init.normal_(plain.weight)
    synced.load_state_dict(plain.state_dict())
    with one_process():
        for dtype, near in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2)):
            x = torch.randn(4, 3, 2, 5, 5).to(dtype)
            with no_reads_by_the_host():
                y = synced(x)
            assert y.dtype == dtype
            torch.testing.assert_close(y, plain(x), rtol=near, atol=near)
            torch.testing.assert_close(synced.running_var, plain.running_var)
    assert isinstance(CudaSyncNorm().like(nn.BatchNorm3d(3)), nn.SyncBatchNorm)


@contextmanager
def one_process():
    """A process group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def no_reads_by_the_host():
    """Nothing within reads a number of a tensor."""

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, call, types, args=(), kwargs=None):
            assert "_local_scalar_dense" not in str(call)
            return call(*args, **(kwargs or {}))

    with Watch():
        yield


def test_stages_are_compiled_one_by_one():
    """Ten chains of one code, in training and in evaluation: torch would give up at the ninth."""
    graphs = []

    def backend(graph, example):
        graphs.append(graph)
        return graph.forward

    stages = [nn.Sequential(nn.Linear(size, size), nn.Dropout()) for size in range(2, 12)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", partial(torch.compile, backend=backend))
        for stage in stages:
            compile_alone(stage)
    for stage in stages:
        for training in (True, False):
            stage.train(training)(torch.ones(2, stage[0].in_features))
    assert len(graphs) == 20
    torch._dynamo.reset()


def test_adamw_counts_steps_where_it_would_without_a_checkpoint():
    """On the CPU; of one number too."""
    layer = nn.Linear(1, 1, device="meta")
    state = TrainState(layer, make_optimizer(layer, Optimizer(kind="adamw", rate=0.1)), GradScaler("cpu"), None)
    shapes = {"weight": (1, 1), "bias": (1,)}
    kept = {f"optimizer.{name}.{slot}": shape for name, shape in shapes.items() for slot in ("exp_avg", "exp_avg_sq")}
    kept |= {f"optimizer.{name}.step": () for name in shapes}
    places = state.destinations({name: TensorSpec(shape, torch.float32) for name, shape in kept.items()})
    assert {name: str(places[name].device) for name in kept} == {
        name: "cpu" if name.endswith("step") else "meta" for name in kept
    }


def test_parts_must_be_equal():
    with pytest.raises(SpecError, match=r"batch not divisible by norms\.split"):
        set_norms(network(), Norms(split=3), 8)


class ThreeNorms(nn.Module):
    """Three batch norms, one behind the other."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.third = (nn.BatchNorm3d(2) for _ in range(3))
        for norm in (self.first, self.second):
            nn.init.normal_(norm.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.third(self.second(self.first(x)).relu())


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precise_statistics_are_fvcores(precision):
    """Batches whose means differ: what the mean of their variances leaves out."""
    from fvcore.nn.precise_bn import update_bn_stats

    theirs, made = ThreeNorms().train(), ThreeNorms()
    batches = torch.randn(6, 4, 2, 1, 3, 3) + torch.arange(6).view(6, 1, 1, 1, 1, 1)
    with autocast_of(short(precision=precision), torch.device("cpu")):
        update_bn_stats(theirs, batches, 6)
        with precise_statistics(made, Norms(precise=24)):
            for batch in batches:
                made(batch)
    for ours, norm in zip(batch_norms(made), batch_norms(theirs)):
        torch.testing.assert_close(ours.running_mean, norm.running_mean)
        torch.testing.assert_close(ours.running_var, norm.running_var)
        assert ours.momentum == 0.1


def test_precise_statistics_leave_frozen_norms_alone():
    made = ThreeNorms()
    norms = Norms(precise=24, freeze="all_but_first", split=2)
    set_norms(made, norms, 4)
    with precise_statistics(made, norms):
        made(torch.randn(4, 2, 1, 3, 3) + 3)
    assert made.first.running_mean.min() > 2
    assert made.second.running_mean.tolist() == [0, 0]


def test_precise_statistics_are_taken_in_the_precision_and_parts_of_training(tmp_path, monkeypatch):
    seen, real = [], PopulationStatistics.add_batch

    def see(population: PopulationStatistics, norm: nn.Module, inputs: Any) -> None:
        seen.append((inputs[0].dtype, len(inputs[0])))
        real(population, norm, inputs)

    monkeypatch.setattr(PopulationStatistics, "add_batch", see)
    run(tmp_path, recipe=short(steps=1, precision="bf16", norms__precise=8, optimizer__accumulate=2))
    assert seen[0] == (torch.bfloat16, 4)


def test_still_norms_do_not_follow():
    norm = nn.BatchNorm3d(2)
    with statistics_frozen(norm):
        norm(torch.randn(2, 2, 1, 3, 3))
    assert norm.running_mean.tolist() == [0, 0]
    assert norm.momentum == 0.1


def test_the_average_by_hand():
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 1.0)
    average = MovingAverage(layer, 0.75)
    nn.init.constant_(layer.weight, 5.0)
    average.update()
    average.swap()
    assert layer.weight.item() == 2.0  # 0.75 * 1 + 0.25 * 5
    average.swap()
    assert layer.weight.item() == 5.0
    assert average.weights["weight"].item() == 2.0


def test_losses_by_hand():
    scores, labels = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    expected = torch.log(torch.tensor([1 + torch.e**-2, 1 + torch.e**1]))
    torch.testing.assert_close(clip_losses(scores, labels, short()), expected)
    several = torch.tensor([[1.0, 0.0]])
    expected = torch.log1p(torch.exp(torch.tensor([-2.0, 0.0]))).mean()
    torch.testing.assert_close(clip_losses(scores[:1], several, short(loss="binary")), expected[None])
    smooth = clip_losses(scores, labels, short(smoothing=0.2))
    torch.testing.assert_close(smooth, cross_entropy(scores, torch.tensor([[0.9, 0.1]] * 2), reduction="none"))


def test_a_smoothed_binary_loss_by_hand():
    """Every label moves towards one half, which is where a yes and a no are spread evenly; several heads are summed."""
    scores, labels = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[1.0, 0.0, 1.0]])
    p = torch.sigmoid(scores)
    spread = torch.tensor([[0.85, 0.15, 0.85]])
    want = -(spread * p.log() + (1 - spread) * (1 - p).log()).mean(1)
    smoothed = short(loss="binary", smoothing=0.3)
    torch.testing.assert_close(clip_losses(scores, labels, smoothed), want)


@pytest.mark.parametrize(
    ("arch", "recipe", "data", "what"),
    [
        (small(), short(batch=9, optimizer__accumulate=1), "nowhere", "nowhere"),
        (archdsl.load("x3d_m"), short(), "motion", "x3d_m has another number of classes than the videos"),
    ],
)
def test_what_does_not_fit_is_told(arch, recipe, data, what, tmp_path):
    with pytest.raises(SpecError, match=what):
        archdsl.train(arch, recipe, data, out=tmp_path, device="cpu", quiet=True)


@pytest.mark.parametrize(("letters", "told"), [(0, False), (1, True), (120, True), (121, False)])
def test_what_torch_says_of_a_device_where_it_is_short(letters, told):
    said = "x" * letters + "\nand more"
    assert torch_reason(said) == ("x" * letters if told else f"torch {torch.__version__} is built without it")


def test_a_device_that_is_not_there(tmp_path):
    with pytest.raises(SpecError, match="no device 'warp'"):
        archdsl.train(small(), short(), "motion", out=tmp_path, device="warp")
