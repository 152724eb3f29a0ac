"""The primer teaches by files that run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from archdsl import build, compile, load
from archdsl.ops import Shape
from archdsl.testing import check
from archdsl.testing.agreement import random_clips

FOLDER = Path(__file__).parent.parent / "specs" / "primer"
SPECS = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.iterdir() if path.is_file())
LOADED = [
    name if name != "10_family.py" else f"{name}:{model}"
    for name in SPECS
    for model in ("two_speeds_8x4", "two_speeds_8x2")
]
LOADED = list(dict.fromkeys(LOADED))


@pytest.fixture(autouse=True)
def _in_the_primer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)


@pytest.mark.parametrize("name", LOADED)
def test_a_step_compiles_builds_and_runs(name: str) -> None:
    plan = check(load(name))
    network = build(plan).eval()
    with torch.no_grad():
        scores = network(random_clips(plan, batch=2, device="cpu"))
    assert tuple(scores.shape) == (2, *plan.outputs["scores"])
    assert bool(torch.isfinite(scores).all())


@pytest.mark.parametrize("name", SPECS)
def test_a_step_says_what_it_teaches(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8").startswith(("# ", '"""'))


def test_the_steps_are_numbered() -> None:
    assert [int(name[:2]) for name in SPECS] == list(range(1, len(SPECS) + 1))


def test_the_first_step_by_hand() -> None:
    """3 x 7 x 7 over three channels to eight, with a batch norm, then five classes with a bias."""
    plan = compile(load("01_one_stage.yaml"))
    assert plan.shapes["main.stem"] == (8, 4, 16, 16)
    assert plan.params == 8 * 3 * 3 * 49 + 16 + 8 * 5 + 5
    assert plan.macs == 8 * 3 * 3 * 49 * 4 * 16 * 16 + 8 * 5


def test_frames_are_chosen_inside() -> None:
    plan = compile(load("03_frame_choice.yaml"))
    assert plan.inputs == {"clip": (3, 16, 32, 32)}
    assert plan.shapes["main.frames"] == (3, 4, 32, 32)
    assert plan.grids["main.frames"].t.step == 4


def test_the_edge_finds_its_stride() -> None:
    plan = compile(load("04_two_pathways.yaml"))
    conv = plan.graph.nodes["edges.stem.fast_to_slow.conv"].op
    assert conv.stride == (4, 1, 1)  # type: ignore[attr-defined]
    assert plan.shapes["edges.stem.fast_to_slow"] == Shape(32 + 8, 2, 16, 16)


def test_like_scales_and_sets() -> None:
    fast = load("05_like.yaml").pathways["fast"]
    stem, (res2, *_) = fast.stages["stem"].blocks[0], fast.stages["res2"].blocks
    assert stem.kernel == (5, 3, 3)  # type: ignore[attr-defined]
    assert res2.kernel_t == 3  # type: ignore[attr-defined]
    assert compile(load("05_like.yaml")).shapes["fast.res2"].c == 64 // 8


def test_extends_changes_what_it_names() -> None:
    base, arch = load("05_like.yaml"), load("06_extends.yaml")
    assert (arch.name, arch.classes) == ("extends", 3)
    assert arch.edges[0].transform[0].kernel == 7  # type: ignore[attr-defined]
    assert arch.pathways["fast"] == base.pathways["fast"]
    assert arch.pathways["slow"] != base.pathways["slow"]


def test_a_block_in_yaml_and_in_python_are_one_network() -> None:
    drawn, written = compile(load("07_own_block.yaml")), compile(load("08_own_block.py"))
    assert drawn.graph.shapes == written.graph.shapes
    assert [node.op for node in drawn.nodes] == [node.op for node in written.nodes]
    assert (drawn.params, drawn.macs) == (written.params, written.macs)
