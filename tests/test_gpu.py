"""What only a GPU can show: `make gpu`, or pytest -m gpu."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

import archdsl
from archdsl.backend import build
from archdsl.backend.compilation import compile_stages
from archdsl.backend.passes import PASSES
from archdsl.backend.precision import autocast_to
from archdsl.language.recipes.optimizer import Norms
from archdsl.measuring.contestants import randomize_norms, tensors, without_dropout
from archdsl.report.memory.report import Memory, Setup
from archdsl.training.network_setup import prepare_network
from archdsl.training.norms import CudaSyncNorm, batch_norms, set_norms
from archdsl.training.processes import World
from archdsl.training.run import Run
from archdsl.training.state.checkpoints import checkpoints_in
from tests.recipe_pairs import FIELDS, outcome, sums
from tests.trained import DATA, losses, short, small

GPU = torch.device("cuda", 0)
CPU = torch.device("cpu")
NETWORKS = (
    ("slowfast_tiny", {}),
    ("x3d_xs", {}),
    ("r2plus1d_18", {"frames": 8, "size": 56}),
    ("tsm_r50", {"size": 64}),
    ("slow_8x8_r50_nl_embedded", {}),
    ("movinet_a0_stream", {"size": 64}),
    ("repflow_r50_2d", {"size": 64}),
    ("lrcn_caffenet", {}),
    ("bmn", {}),
)
"""One of each kind of op; small."""
LOWERINGS = {"literal": "none", "auto": "auto", "every pass": [one.name for one in PASSES]}

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use"),
    pytest.mark.filterwarnings("ignore"),  # torch's compiler, and NCCL, warn of their own parts (2.13)
]


@pytest.fixture(autouse=True)
def whole_fp32() -> Iterator[None]:
    """Convolutions in all digits of fp32, and the same kernels each time: what is compared is the network."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = before


def network_of(name: str, overrides: dict[str, int], lower: Any = "none") -> tuple[nn.Module, archdsl.Plan]:
    """A network on the CPU, its norms scattered, without dropout."""
    torch.manual_seed(0)
    plan = archdsl.compile(archdsl.load(name, **overrides))
    network = build(plan, lower)
    randomize_norms(network)
    without_dropout(network)
    return network, plan


def clips_on(plan: archdsl.Plan, device: torch.device, count: int = 2) -> Any:
    """Random clips, the same on each device."""
    torch.manual_seed(1)
    clips = {name: torch.randn(count, *shape).to(device) for name, shape in plan.inputs.items()}
    return clips if len(clips) > 1 else next(iter(clips.values()))


def distance(one: Any, other: Any) -> float:
    """The largest difference of two results over the largest value."""
    pairs = list(zip(tensors(one), tensors(other), strict=True))
    return max(float((a.cpu().float() - b.cpu().float()).abs().max() / b.abs().max().clamp(min=1e-6)) for a, b in pairs)


def total(outputs: Any) -> Tensor:
    """A loss that reads each output."""
    return torch.stack([x.float().square().mean() for x in tensors(outputs)]).sum()


def gradients(network: nn.Module) -> dict[str, Tensor]:
    """By address; whole, on the CPU."""
    found = {name: x.grad for name, x in network.named_parameters() if x.grad is not None}
    return {name: (x.full_tensor() if isinstance(x, DTensor) else x).detach().cpu() for name, x in found.items()}


def assert_near(one: dict[str, Tensor], other: dict[str, Tensor], near: float) -> None:
    """Gradients of one network, tensor by tensor in their own norm."""
    assert one.keys() == other.keys()
    scale = max(float(x.norm()) for x in other.values())
    for name, x in one.items():
        assert float((x - other[name]).norm()) <= near * (float(other[name].norm()) + 1e-3 * scale), name


@contextmanager
def no_waiting() -> Iterator[None]:
    """The host may not wait for the GPU."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("lower", LOWERINGS)
@pytest.mark.parametrize(("name", "overrides"), NETWORKS)
def test_forward_is_that_of_a_cpu(name: str, overrides: dict[str, int], lower: str) -> None:
    network, plan = network_of(name, overrides, LOWERINGS[lower])
    with torch.inference_mode():
        there = network.eval()(clips_on(plan, CPU))
        assert distance(network.to(GPU)(clips_on(plan, GPU)), there) < 1e-3


@pytest.mark.parametrize(("name", "overrides"), NETWORKS)
def test_backward_is_that_of_a_cpu_and_nothing_waits(name: str, overrides: dict[str, int]) -> None:
    network, plan = network_of(name, overrides)
    twin, clips = deepcopy(network).to(GPU), clips_on(plan, GPU)
    total(network(clips_on(plan, CPU))).backward()
    total(twin(clips)).backward()  # the first call loads kernels, which may wait
    twin.zero_grad()
    with no_waiting():
        total(twin(clips)).backward()
    assert_near(gradients(twin), gradients(network), 0.02)


@pytest.mark.parametrize(("name", "overrides"), NETWORKS)
def test_bf16_stays_near_fp32(name: str, overrides: dict[str, int]) -> None:
    network, plan = network_of(name, overrides)
    network, clips = network.to(GPU).eval(), clips_on(plan, GPU)
    with torch.inference_mode():
        whole = network(clips)
        with autocast_to("bf16", GPU), no_waiting():
            half = network(clips)
    assert distance(half, whole) < 0.1


@pytest.mark.parametrize("name", ["slowfast_tiny", "tsm_r50"])
def test_a_forward_is_captured_as_a_graph(name: str) -> None:
    """CUDA graphs allow no copy from the host."""
    network, plan = network_of(name, {"size": 64})
    network, clips = network.to(GPU).eval(), clips_on(plan, GPU)
    with torch.inference_mode():
        expected = network(clips)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = network(clips)
        graph.replay()
    assert distance(captured, expected) < 1e-5


@pytest.mark.parametrize("training", [False, True])
def test_compiled_stages_give_the_same(training: bool) -> None:
    network, plan = network_of("slowfast_tiny", {})
    plain = network.to(GPU).train(training)
    compiled, clips = compile_stages(deepcopy(plain), plan), clips_on(plan, GPU)
    total(plain(clips)).backward()
    total(compiled(clips)).backward()
    assert_near(gradients(compiled), gradients(plain), 0.02)
    torch._dynamo.reset()


def test_a_resumed_run_is_the_unbroken_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second half of a run, once more from its middle."""
    recipe = short(steps=4, precision="bf16", average=0.5, optimizer__kind="adamw", optimizer__rate=0.001)
    archdsl.train(small(), recipe, DATA, out=tmp_path, device="cuda", quiet=True)
    expected, seen, real = losses(tmp_path), [], Run.record_step
    shutil.rmtree(checkpoints_in(tmp_path)[-1])
    monkeypatch.setattr(Run, "record_step", lambda run, *given: seen.append(run.step) or real(run, *given))
    archdsl.train(small(), recipe, DATA, out=tmp_path, device="cuda", quiet=True)
    assert seen == [2, 3]
    assert losses(tmp_path) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_the_recipe_works_as_on_a_cpu(name: str, tmp_path: Path) -> None:
    """The first loss, from weights that are the same on both."""
    here, there = (outcome([name], tmp_path / device, device) for device in ("cuda", "cpu"))
    assert sums(here)[0] == pytest.approx(sums(there)[0], rel=0.05)
    assert all(0 < loss < 10 for loss in here["losses"])


@contextmanager
def group_of_one() -> Iterator[World]:
    """NCCL and gloo, with this process alone."""
    dist.init_process_group("cpu:gloo,cuda:nccl", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield World(0, 1, GPU)
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("changes", [{}, {"channels_last": True}, {"compiled": True}, {"checkpoint": "stage"}], ids=str)
def test_ddp_and_shards_of_one_are_the_network(changes: dict[str, Any]) -> None:
    """Gradients of a process group of one, under DDP and under FSDP."""
    network, plan = network_of("slowfast_tiny", {})
    clips, recipe = clips_on(plan, GPU), short(**changes)
    plain = deepcopy(network).to(GPU)
    total(plain(clips)).backward()
    stages = ("slow.res2", "fast.res2") if "checkpoint" in changes else ()
    with group_of_one() as world:
        for shard in (False, True):
            made = prepare_network(deepcopy(network), plan, recipe, world, recomputed=stages, shard=shard)
            total((made if shard else DistributedDataParallel(made, device_ids=[0]))(clips)).backward()
            assert_near(gradients(made), gradients(plain), 0.02)
    torch._dynamo.reset()


def test_synchronised_norms_are_torchs() -> None:
    network, plan = network_of("slowfast_tiny", {})
    plain, clips = deepcopy(network).to(GPU), clips_on(plan, GPU)
    with group_of_one():
        synced = network.to(GPU)
        set_norms(synced, Norms(sync=True), 2)
        assert {type(norm) for norm in batch_norms(synced)} == {CudaSyncNorm}
        with autocast_to("bf16", GPU):
            assert distance(synced(clips), plain(clips)) < 0.05
    for ours, theirs in zip(batch_norms(synced), batch_norms(plain)):
        torch.testing.assert_close(ours.running_var, theirs.running_var, rtol=0.05, atol=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_peak_memory_is_as_predicted(precision: str) -> None:
    """Of a step; kernels' workspaces and the allocator's rounding come on top of what is predicted."""
    network, plan = network_of("slowfast_8x8_r50", {"size": 112})
    network, clips = network.to(GPU), clips_on(plan, GPU, 4)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6, momentum=0.9)
    for _ in range(2):
        torch.cuda.reset_peak_memory_stats(GPU)
        with autocast_to(precision, GPU):
            loss = total(network(clips))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    told = Memory(plan, Setup(batch=4, precision=precision)).peak
    assert 0.9 < torch.cuda.max_memory_allocated(GPU) / told < 1.5
