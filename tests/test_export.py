"""Networks leave as files for others, and what these give is what torch gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_zoo import MODELS, reduced
from torch import Tensor, nn

import archdsl
from archdsl.backend import freeze
from archdsl.backend.export.parity import largest_difference, rounding
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Model
from archdsl.training.exports.export import Exportable
from archdsl.training.exports.export_report import Export
from tests.trained import short, small

ONNX_LACKS = {
    "googlenet_aux": "adaptive_avg_pool3d from 14 to 4 elements: windows that overlap unevenly",
}
"""Models of the zoo with the op that stands in the way."""

TINY = """
name: tiny
clip: {frames: 4, size: 16}
pathways: {rgb: {stages: {res: {bottleneck: {channels: 8, stride: 2}}}}}
head: {classifier: {classes: 3}}
"""
TWO_CLIPS = """
name: two_clips
clips: {rgb: {frames: 4, size: 16}, flow: {modality: flow, frames: 4, size: 16}}
pathways:
  a: {clip: rgb, stages: {res: {conv: {channels: 8}}}}
  b: {clip: flow, stages: {res: {conv: {channels: 8}}}}
head: {classifier: {classes: 3}}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> archdsl.Arch:
    (tmp_path / "tiny.yaml").write_text(TINY)
    return archdsl.load(tmp_path / "tiny.yaml")


def scattered_weights(arch: archdsl.Arch, path: Path) -> Any:
    """A network with statistics of its own, its weights at a path."""
    torch.manual_seed(0)
    network = archdsl.build(arch).eval()
    for buffer in network.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    torch.save(network.state_dict(), path)
    return network


@pytest.mark.parametrize("frozen", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_program_of_torch_takes_any_number_of_clips(frozen: bool, tiny: archdsl.Arch, tmp_path: Path) -> None:
    network, clips = scattered_weights(tiny, tmp_path / "w.pth"), torch.rand(3, 3, 4, 16, 16)
    report = archdsl.export(tiny, tmp_path / "net.pt2", weights=tmp_path / "w.pth", frozen=frozen)
    extra = {"archdsl.json": ""}
    program = torch.export.load(tmp_path / "net.pt2", extra_files=extra)
    torch.testing.assert_close(program.module()(clips), network(clips), rtol=1e-5, atol=1e-6)
    assert json.loads(extra["archdsl.json"])["clips"] == {"clip": [3, 4, 16, 16]}
    assert (report.batch, report.frozen, report.difference < 1e-5) == (None, frozen, True)
    assert ("fusion" in report.passes) == frozen


@pytest.mark.slow
def test_a_program_for_a_number_of_clips_takes_no_other(tiny: archdsl.Arch, tmp_path: Path) -> None:
    assert archdsl.export(tiny, tmp_path / "net.pt2", batch=3).batch == 3
    with pytest.raises(Exception, match=r"batch|size|shape"):
        torch.export.load(tmp_path / "net.pt2").module()(torch.rand(2, 3, 4, 16, 16))


def test_a_folder_loads_back_as_a_network(tiny: archdsl.Arch, tmp_path: Path) -> None:
    network, clip = scattered_weights(tiny, tmp_path / "w.pth"), torch.rand(2, 3, 4, 16, 16)
    out = tmp_path / "out"
    report = archdsl.export(tiny, out, weights=tmp_path / "w.pth", recipe="smoke")
    assert report.difference == 0
    again = archdsl.build(archdsl.load(out), weights=out).eval()
    assert torch.equal(again(clip), network(clip))
    config = json.loads((out / "config.json").read_text())
    assert (config["model_type"], config["num_frames"], config["image_size"]) == ("archdsl", 4, 16)
    pixels = json.loads((out / "preprocessor_config.json").read_text())
    assert (pixels["crop_size"], pixels["image_mean"]) == ({"height": 16, "width": 16}, [0.5, 0.5, 0.5])
    space: dict[str, Any] = {}
    exec((out / "network.py").read_text(), space)
    alone = space["Tiny"]().eval()
    alone.load_state_dict(load_file(out / "model.safetensors"))
    assert torch.equal(alone(clip), network(clip))
    assert archdsl.export(out, tmp_path / "w.safetensors").difference == 0  # a folder is exported as a run is


def test_a_run_leaves_with_its_classes_and_is_tested_as_it_was(tmp_path: Path, capsys: Any) -> None:
    archdsl.train(small(), short(2), "motion:16", out=tmp_path / "run", device="cpu", quiet=True)
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["form"] == "folder"
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["num_labels"], config["label2id"][config["id2label"]["7"]]) == (8, 7)
    before, after = (
        archdsl.evaluate(tmp_path / name, "motion:16", device="cpu", quiet=True) for name in ("run", "out")
    )
    assert torch.equal(before.scores, after.scores)
    assert archdsl.export(tmp_path / "run", tmp_path / "w.safetensors").difference == 0
    named = archdsl.evaluate(small(), "motion:16", recipe=short(2), weights=tmp_path / "w.safetensors", quiet=True)
    assert torch.equal(named.scores, before.scores)
    (tmp_path / "out" / "recipe.yaml").unlink()
    with pytest.raises(SpecError, match="no recipe"):
        archdsl.evaluate(tmp_path / "out", "motion:16", quiet=True)


def test_weights_leave_under_the_names_of_others(tmp_path: Path) -> None:
    arch = archdsl.load("resnet18", size=32, classes=5)
    network = scattered_weights(arch, tmp_path / "w.pth")
    report = archdsl.export(arch, tmp_path / "tv.safetensors", weights=tmp_path / "w.pth", to="torchvision/resnet")
    named = load_file(tmp_path / "tv.safetensors")
    assert torch.equal(named["layer1.0.bn1.running_var"], network.state_dict()["rgb.res2.0.norm_a.running_var"])
    assert (report.difference, named["fc.weight"].shape) == (0, (5, 512))
    with pytest.raises(SpecError, match="torchvision/s3d has no name for tensors of resnet18"):
        archdsl.export(arch, tmp_path / "tv.safetensors", to="torchvision/s3d")


@pytest.mark.parametrize(
    ("output", "options", "error"),
    [
        ("net.pth", {}, "no form of that suffix"),
        ("net.safetensors", {"frozen": True}, "--frozen is of .onnx and .pt2"),
        ("folder", {"batch": 2}, "--batch is of .onnx and .pt2"),
        ("net.onnx", {"to": "torchvision/resnet"}, "--to is of .safetensors"),
    ],
)
def test_options_that_a_form_has_no_use_for_are_refused(
    output: str, options: dict[str, Any], error: str, tiny: archdsl.Arch, tmp_path: Path
) -> None:
    with pytest.raises(SpecError) as caught:
        archdsl.export(tiny, tmp_path / output, **options)
    (fault,) = caught.value.faults
    assert fault.what == error
    assert fault.fix
    assert fault.fix.startswith("-o ")
    assert not (tmp_path / output).exists()


class Cancelling(nn.Module):
    """A sum whose digits cancel: single precision keeps few of them, or none."""

    def __init__(self, large: float) -> None:
        super().__init__()
        self.large = nn.Parameter(torch.tensor(large))

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.large) - self.large


def test_what_single_precision_rounds_away_is_no_fault_of_a_file(tiny: archdsl.Arch, tmp_path: Path) -> None:
    clip = torch.rand(2, 3, generator=torch.Generator().manual_seed(0))
    small, large = (rounding(Cancelling(size), clip, ["scores"]) for size in (1.0, 1e6))
    assert small < 1e-6 < 1e-3 < large < 0.1
    plan = archdsl.compile(tiny)
    made = Exportable(plan, archdsl.build(plan), None, None, None, ())
    (tmp_path / "net.onnx").touch()
    given = dict(compared_with="onnxruntime beside torch", difference=0.02)
    assert "  rounding the network itself is 1.0e-02 off" in str(
        made.written(tmp_path / "net.onnx", rounding=0.01, **given)
    )
    for off in (0.0, 0.004):
        with pytest.raises(SpecError, match="something else than the network"):
            made.written(tmp_path / "net.onnx", rounding=off, **given)


def test_outputs_of_other_shapes_are_no_parity() -> None:
    with pytest.raises(SpecError, match="another shape"):
        largest_difference({"scores": torch.zeros(1, 2)}, {"scores": torch.zeros(2, 2)})
    assert largest_difference({"scores": torch.tensor([[1.0, 3.0]])}, {"scores": torch.tensor([[1.0, 4.0]])}) == 0.25


def needs_onnx() -> None:
    for package in ("onnxruntime", "onnxscript"):
        pytest.importorskip(package, reason=f"{package} is not installed: make test-all installs it")


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("text", [TINY, TWO_CLIPS], ids=["tiny", "two_clips"])
def test_onnxruntime_runs_any_number_of_clips(text: str, frozen: bool, tmp_path: Path) -> None:
    needs_onnx()
    import onnxruntime

    (tmp_path / "net.yaml").write_text(text)
    arch = archdsl.load(tmp_path / "net.yaml")
    network = scattered_weights(arch, tmp_path / "w.pth")
    report = archdsl.export(arch, tmp_path / "net.onnx", weights=tmp_path / "w.pth", frozen=frozen)
    assert (report.batch, report.difference < 1e-5) == (None, True)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    clips = {name: torch.rand(5, *clip.shape) for name, clip in arch.clips.items()}
    (scores,) = session.run(["scores"], {name: clip.numpy() for name, clip in clips.items()})
    wanted = network(clips if len(clips) > 1 else clips["clip"])
    torch.testing.assert_close(torch.from_numpy(scores), wanted.detach(), rtol=1e-4, atol=1e-5)
    assert json.loads(session.get_modelmeta().custom_metadata_map["archdsl"])["model"] == arch.name


@pytest.mark.slow
def test_a_graph_that_no_optimiser_made_small_runs(tiny: archdsl.Arch, tmp_path: Path) -> None:
    needs_onnx()
    from archdsl.backend.export.onnx_file import OnnxFile, run_onnx
    from archdsl.backend.export.program import traced_program

    network, clips = scattered_weights(tiny, tmp_path / "w.pth"), torch.rand(2, 3, 4, 16, 16)
    OnnxFile(traced_program(network, clips), ["clip"], ["scores"], {}, small=False).write(tmp_path / "net.onnx")
    (scores,) = run_onnx(tmp_path / "net.onnx", clips)
    torch.testing.assert_close(scores, network(clips).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_program_in_8_bits_says_what_that_costs(tmp_path: Path) -> None:
    needs_onnx()
    import onnx

    archdsl.train(small(), short(4), "motion:32", out=tmp_path / "run", device="cpu", quiet=True)
    report = archdsl.export(tmp_path / "run", tmp_path / "net.onnx", int8="motion:16")
    assert (report.batch, 0 < report.difference < 0.1) == (None, True)
    (note,) = report.notes
    assert note.startswith("int8 on 16 videos of motion:16: top1 ")
    steps = [node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node]
    assert steps.count("DequantizeLinear") > 8
    with pytest.raises(SpecError, match="--int8 of a lowered network"):
        archdsl.export(tmp_path / "run", tmp_path / "net.onnx", int8="motion:16", frozen=True)
    with pytest.raises(SpecError, match="no recipe to read videos by"):
        archdsl.export(small(), tmp_path / "net.onnx", int8="motion:16")


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_onnxruntime_gives_what_torch_gives(model: Model, tmp_path: Path) -> None:
    needs_onnx()
    arch = reduced(model)
    if "F.adaptive_" in archdsl.emit(archdsl.compile(arch)):
        arch = model.arch()  # VGG's pool to 7x7 parts its own size evenly
    if model.name in ONNX_LACKS:
        with pytest.raises(SpecError, match=r"(?s)torch.onnx cannot take this network.*_adaptive_avg_pool3d"):
            archdsl.export(arch, tmp_path / "net.onnx")
    else:
        assert archdsl.export(arch, tmp_path / "net.onnx").difference < 1e-5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch.jit.trace is to go, and warns of each branch on a shape
def test_a_frozen_network_is_exported_and_traced_before_its_first_clip(tiny: archdsl.Arch) -> None:
    torch.manual_seed(0)
    literal, clip = archdsl.build(tiny).eval(), torch.rand(2, 3, 4, 16, 16)
    scores = literal(clip)
    for leave in (lambda net: torch.export.export(net, (clip,)).module(), lambda net: torch.jit.trace(net, (clip,))):
        lowered = archdsl.build(tiny, lower="auto")
        lowered.load_state_dict(literal.state_dict())
        frozen = freeze(lowered)
        torch.testing.assert_close(leave(frozen)(clip), scores, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(frozen(clip), scores, rtol=1e-5, atol=1e-6)
    with pytest.raises(RuntimeError, match="trace a frozen network before its first clip"):
        torch.jit.trace(frozen, (clip,))


@pytest.mark.parametrize(
    ("passes", "frozen", "text"), [((), False, "literal"), (("fused", "split"), True, "fused, split, frozen")]
)
def test_a_report_says_which_network_was_written(passes: tuple[str, ...], frozen: bool, text: str) -> None:
    about = dict(output="a.onnx", form="ONNX", model="a", weights=None, bytes=10, difference=0.0, compared_with="torch")
    assert f"  network  {text}\n" in str(Export(passes=passes, frozen=frozen, **about))
