"""What a built network must do beside running: every way in which torch takes a module apart or wraps it."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path
from time import process_time
from typing import Any

import pytest
import torch
from torch import nn

import archdsl
from archdsl.blocks import Bottleneck, Conv, Norm
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage


@pytest.fixture(scope="module")
def tiny() -> nn.Module:
    torch.manual_seed(0)
    return archdsl.build(archdsl.load("slowfast_tiny")).eval()


@pytest.fixture(scope="module")
def clip() -> torch.Tensor:
    return torch.randn(2, 3, 16, 64, 64, generator=torch.Generator().manual_seed(1))


def test_it_takes_the_raw_clip(tiny: nn.Module, clip: torch.Tensor) -> None:
    assert tiny(clip).shape == (2, 8)


def test_state_dict_keys_are_the_addresses(tiny: nn.Module) -> None:
    plan = archdsl.compile(archdsl.load("slowfast_tiny"))
    owners = {key.rpartition(".")[0] for key in tiny.state_dict()}
    assert owners == {node.address for node in plan.nodes if plan.costs[node.address].params}
    assert sum(p.numel() for p in tiny.parameters()) == plan.params


def test_every_stage_and_block_is_really_called(tiny: nn.Module, clip: torch.Tensor) -> None:
    plan = archdsl.compile(archdsl.load("slowfast_tiny"))
    called = set()
    for address, scope in plan.scopes.items():
        if not scope.container:
            tiny.get_submodule(address).register_forward_hook(lambda *_, address=address: called.add(address))
    tiny(clip)
    assert called == {address for address, scope in plan.scopes.items() if not scope.container}


def test_deepcopy_and_state_dict_round_trip(tiny: nn.Module, clip: torch.Tensor, tmp_path: Path) -> None:
    twin = archdsl.build(archdsl.load("slowfast_tiny")).eval()
    assert not torch.equal(twin(clip), tiny(clip))
    torch.save(tiny.state_dict(), tmp_path / "weights.pt")
    twin.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(twin(clip), tiny(clip))
    assert torch.equal(copy.deepcopy(tiny)(clip), tiny(clip))


def test_it_is_built_on_the_meta_device() -> None:
    with torch.device("meta"):
        network = archdsl.build(archdsl.load("slowfast_8x8_r50"))
    assert network(torch.empty(1, 3, 64, 224, 224, device="meta")).shape == (1, 400)


def test_autocast_stays_near(tiny: nn.Module, clip: torch.Tensor) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        half = tiny(clip)
    assert half.dtype == torch.bfloat16
    whole = tiny(clip).detach()
    near = float((half.float() - whole).abs().max())
    assert near < float((whole[0] - whole[1]).abs().max()) / 4, "as far off as another clip"
    assert near < 0.002


def test_export_gives_the_same(tiny: nn.Module, clip: torch.Tensor) -> None:
    exported = torch.export.export(tiny, (clip,))
    torch.testing.assert_close(exported.module()(clip), tiny(clip))


def test_dynamo_traces_it_whole(tiny: nn.Module, clip: torch.Tensor) -> None:
    # the eager backend shows that the graph is one piece, without the minutes of code generation
    traced = torch.compile(tiny, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(clip), tiny(clip))


@torch.no_grad()
def test_dynamo_traces_it_within_other_code(clip: torch.Tensor) -> None:
    class Scores(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, clip: torch.Tensor) -> torch.Tensor:
            return self.network(clip).softmax(-1)

    scores = Scores(archdsl.build(archdsl.load("slowfast_tiny")).eval())
    want = scores(clip)
    traced = torch.compile(scores, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(clip), want)
    scores.network.get_submodule("slow.res2").compile(backend="eager", fullgraph=True)
    torch.testing.assert_close(scores(clip), want)


def test_its_classes_are_found_where_they_say(clip: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    network = archdsl.build(archdsl.load("slowfast_tiny")).eval()
    assert inspect.getsource(type(network)).startswith("class SlowfastTiny(nn.Module):")
    pickled = pickle.dumps(network)
    monkeypatch.delitem(sys.modules, type(network).__module__)  # as in another process
    assert torch.equal(pickle.loads(pickled)(clip), network(clip))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # inductor 2.13 imports torch's own old code
def test_inductor_gives_the_same(tiny: nn.Module, clip: torch.Tensor) -> None:
    with torch.inference_mode():
        torch.testing.assert_close(torch.compile(tiny)(clip), tiny(clip), rtol=1e-4, atol=1e-5)


def test_ddp_wraps_it(clip: torch.Tensor, tmp_path: Path) -> None:
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    try:
        network = archdsl.build(archdsl.load("slowfast_tiny"))
        wrapped = nn.parallel.DistributedDataParallel(network)
        wrapped(clip).square().mean().backward()
        assert all(p.grad is not None for p in network.parameters())
    finally:
        dist.destroy_process_group()


def test_the_wrong_clip_is_refused_in_words(tiny: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"clip: expected torch.float32 \(n, 3, 16, 64, 64\), got \(2, 3, 8, 64, 64\)"):
        tiny(torch.zeros(2, 3, 8, 64, 64))


def test_several_clips_come_as_a_dict() -> None:
    arch = archdsl.load("slowfast_4x16_r50_flow", size=224)
    with torch.device("meta"):
        network = archdsl.build(arch)
        clips = {"rgb": torch.empty(1, 3, 64, 224, 224), "flow": torch.empty(1, 2, 64, 224, 224)}
    assert network(clips).shape == (1, 400)


@pytest.mark.parametrize("name", ["tensor", "f", "basic", "torch", "nn", "Tensor"])
def test_a_network_may_have_any_name(name: str) -> None:
    arch = archdsl.load("slowfast_tiny").but(name=name)
    with torch.device("meta"):
        assert archdsl.build(arch)(torch.empty(1, 3, 16, 64, 64, device="meta")).shape == (1, 8)


def test_zero_gamma_and_msra_are_in_the_source(tiny: nn.Module) -> None:
    last = [m for name, m in tiny.named_modules() if name.endswith("norm_c")]
    assert [bool((m.weight == 0).all()) for m in last] == [True] * 6
    stem = tiny.get_submodule("slow.stem.0.conv").weight
    fan_out = stem.shape[0] * stem[0, 0].numel()
    assert stem.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)


NAMES = ["slowfast_tiny", "slowfast_4x16_r50", "slowfast_4x16_r50_bidirectional", "slowfast_4x16_r50_half"]


@pytest.mark.parametrize("name", NAMES)
def test_the_emitted_file_stands_alone_and_is_what_runs(name: str, tmp_path: Path) -> None:
    plan = archdsl.compile(archdsl.load(name, classes=5))
    source = archdsl.emit(plan)
    (tmp_path / "net.py").write_text(source)
    assert {line for line in source.splitlines() if line.startswith(("import", "from"))} <= {
        "import torch",
        "import torch.nn.functional as F",
        "from torch import Tensor, nn",
    }
    spec = importlib.util.spec_from_file_location("net", tmp_path / "net.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with torch.device("meta"):
        built = archdsl.build(plan)
        alone = getattr(module, type(built).__name__)()
    assert [(k, v.shape) for k, v in alone.state_dict().items()] == [
        (k, v.shape) for k, v in built.state_dict().items()
    ]
    assert archdsl.emit(plan) == source


@pytest.mark.parametrize("name", NAMES)
def test_emitted_source_is_formatted(name: str, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(archdsl.emit(archdsl.compile(archdsl.load(name))))
    ruff = [sys.executable, "-m", "ruff"]
    done = subprocess.run(
        [*ruff, "format", "--isolated", "--diff", "--line-length", "120", str(file)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    done = subprocess.run(
        [*ruff, "check", "--isolated", "--line-length", "120", str(file)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


# What it is given

TWO = {"rgb": (2, 3, 4, 8, 8), "flow": (2, 2, 4, 8, 8)}
"""Two clips, and what is given for them."""


def two_streams() -> archdsl.Arch:
    stage = {"one": archdsl.Stage(Conv(channels=4))}
    clips = {"rgb": archdsl.Clip(frames=4, size=8), "flow": archdsl.Clip(modality="flow", frames=4, size=8)}
    pathways = {"a": archdsl.Pathway(clip="rgb", stages=stage), "b": archdsl.Pathway(clip="flow", stages=stage)}
    return archdsl.Arch(name="two", clips=clips, pathways=pathways, head=Classifier(classes=5))


@pytest.mark.parametrize("form", ["none", "auto", "frozen"])
@pytest.mark.parametrize(
    ("change", "error", "got"),
    [
        (lambda x: x[0], ValueError, "(3, 16, 64, 64)"),
        (lambda x: x[:, :, :8], ValueError, "(2, 3, 8, 64, 64)"),
        (lambda x: x[..., :63], ValueError, "(2, 3, 16, 64, 63)"),
        (lambda x: x.repeat(1, 1, 1, 2, 2), ValueError, "(2, 3, 16, 128, 128)"),
        (lambda x: x.transpose(1, 2), ValueError, "(2, 16, 3, 64, 64)"),
        (lambda x: x.half(), TypeError, "torch.float16"),
        (lambda x: x.double(), TypeError, "torch.float64"),
        (lambda x: x.byte(), TypeError, "torch.uint8"),
        (lambda x: x.numpy(), TypeError, "ndarray"),
        (lambda x: [x, x], TypeError, "list"),
        (lambda x: {"clip": x}, TypeError, "dict"),
        (lambda x: None, TypeError, "NoneType"),
    ],
)
def test_a_clip_it_was_not_built_for_is_refused(
    form: str, change: Any, error: type[Exception], got: str, clip: torch.Tensor
) -> None:
    network = archdsl.build(archdsl.load("slowfast_tiny"), "none" if form == "none" else "auto").eval()
    network = archdsl.freeze(network) if form == "frozen" else network
    with pytest.raises(error, match=re.escape(f"clip: expected torch.float32 (n, 3, 16, 64, 64), got {got}")):
        network(change(clip))


def test_half_precision_and_autocast_take_what_they_can_run(tiny: nn.Module, clip: torch.Tensor) -> None:
    twin = copy.deepcopy(tiny).to(torch.bfloat16)
    assert twin(clip.bfloat16()).dtype == torch.bfloat16
    with pytest.raises(TypeError, match=r"expected torch\.bfloat16"):
        twin(clip)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert tiny(clip.bfloat16()).dtype == torch.bfloat16
        with pytest.raises(TypeError, match=r"expected torch\.float32 .* got torch\.float64"):
            tiny(clip.double())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: x["rgb"], TypeError, "expected a dict of clips rgb, flow, got Tensor"),
        (lambda x: list(x.values()), TypeError, "expected a dict of clips rgb, flow, got list"),
        (lambda x: {"rgb": x["rgb"]}, ValueError, "expected clips rgb, flow, got rgb"),
        (lambda x: x | {"audio": x["rgb"]}, ValueError, "expected clips rgb, flow, got rgb, flow, audio"),
        (
            lambda x: {"rgb": x["flow"], "flow": x["rgb"]},
            ValueError,
            "rgb: expected torch.float32 (n, 3, 4, 8, 8), got",
        ),
        (
            lambda x: x | {"flow": x["flow"][:1]},
            ValueError,
            "expected as many of each of the clips rgb, flow, got 2, 1",
        ),
    ],
)
def test_clips_by_their_names_or_one_error(change: Any, error: type[Exception], message: str) -> None:
    network, clips = archdsl.build(two_streams()).eval(), {name: torch.randn(shape) for name, shape in TWO.items()}
    with pytest.raises(error, match=re.escape(message)):
        network(change(clips))
    assert torch.equal(network(dict(reversed(clips.items()))), network(clips)), "their order is free"


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("form", ["none", pytest.param("auto", marks=pytest.mark.slow), "frozen"])
@torch.no_grad()
def test_every_tracer_takes_it(form: str, clip: torch.Tensor) -> None:
    def made() -> nn.Module:
        torch.manual_seed(0)
        network = archdsl.build(archdsl.load("slowfast_tiny"), "none" if form == "none" else "auto").eval()
        return archdsl.freeze(network) if form == "frozen" else network

    seen, several = made(), ({0: torch.export.Dim("n", max=8)},)
    want = seen(clip)
    torch.testing.assert_close(torch.jit.trace(made(), clip)(clip), want)
    torch.testing.assert_close(torch.fx.symbolic_trace(seen)(clip), want, rtol=1e-4, atol=1e-5)
    exported = torch.export.export(made(), (clip,), dynamic_shapes=several).module()
    torch.testing.assert_close(exported(torch.cat([clip, clip]))[:2], want, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.compile(made(), backend="eager", fullgraph=True)(clip), want, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_several_clips_are_traced() -> None:
    network, clips = archdsl.build(two_streams()).eval(), {name: torch.randn(shape) for name, shape in TWO.items()}
    torch.testing.assert_close(torch.fx.symbolic_trace(network)(clips), network(clips))
    torch.testing.assert_close(torch.export.export(network, (clips,)).module()(clips), network(clips))


@pytest.mark.slow
def test_emission_grows_linearly() -> None:
    """Four times the ops take at most five times the time of this process."""

    def seconds(stages: int) -> float:
        names = [f"res{i}" for i in range(stages)]
        stage = archdsl.Stage(*[Bottleneck(channels=16)] * 4)
        pathways = {name: archdsl.Pathway(stages=dict.fromkeys(names, stage)) for name in ("slow", "fast")}
        edge = archdsl.Edge(source="fast", target="slow", after=tuple(names), merge="sum")
        clip = archdsl.Clip(frames=8, size=16)
        arch = archdsl.Arch(name="long", clip=clip, pathways=pathways, edges=(edge,), head=Classifier(classes=5))
        plan, times = archdsl.compile(arch), []
        for _ in range(3):
            start = process_time()
            archdsl.emit(plan)
            times.append(process_time() - start)
        return min(times)

    seconds(1)
    assert seconds(80) <= 5 * seconds(20)


@pytest.mark.parametrize("norm", [Norm(), Norm(kind="group", groups=2)], ids=["batch", "group"])
@pytest.mark.parametrize(("frames", "height"), [(2, 1), (1, 3), (2, 3)])
def test_gradients_of_a_norm_before_the_mean_of_one_column(frames: int, height: int, norm: Norm) -> None:
    """torch 2.13 on a CPU has wrong ones for a batch norm whose gradient is laid out as keepdim leaves it."""
    conv = Conv(channels=4, kernel=(1, 1, 1), norm=norm, act="none")
    pathways = dict(main=Pathway(stages=dict(stem=Stage(conv))))
    clip = Clip(frames=frames, height=height, width=1)
    net = archdsl.build(Arch(name="net", clip=clip, pathways=pathways, head=Classifier(classes=2))).double().eval()
    x = torch.randn(2, 3, frames, height, 1, dtype=torch.float64)
    bias = net.get_parameter("main.stem.0.norm.bias")

    def loss(value: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(net, {"main.stem.0.norm.bias": value}, (x,)).square().sum()

    assert torch.autograd.gradcheck(loss, (bias.detach().requires_grad_(),))
