"""Video Swin: every integer of the originals, the ten lines of a spec that are it, shifts along a repeat."""

from __future__ import annotations

from pathlib import Path

import pytest

import archdsl
from archdsl import ops
from archdsl.blocks import MergePatches, Patches, WindowTransformer
from archdsl.language import Stage, repeat
from archdsl.language.writers.python_writer import to_python
from archdsl.language.writers.yaml_writer import to_yaml
from tests.test_ops import numbered, run

ORIGINALS = {
    # torchvision 0.28.0 swin3d_t, _s, _b at 32 frames,
    # swin3d_t at 16; the authors' Swin-L, and Swin-B with windows of 16
    "video_swin_t": (28_158_070, 87_764_152_320, 88_062_197_760),
    "video_swin_s": (49_816_678, 165_682_262_016, 166_124_814_336),
    "video_swin_b": (88_048_984, 281_332_826_112, 281_922_895_872),
    "video_swin_l": (196_953_916, 603_268_669_440, 604_153_774_080),
    "video_swin_t_16": (28_158_070, 43_882_229_760, 44_031_252_480),
    "video_swin_b_w16_ssv2": (88_834_038, 320_355_874_816, 320_945_944_576),
}
MY_SWIN = """
name: my_swin                   # windows that shift every second block, merged between stages
clip: {frames: 32, size: 224, fps: 15}
pathways:
  main:
    stages:
      stage1: [{patches: {kernel: [2, 4, 4], channels: 96, norm: layer}}, {window_transformer: {heads: 3, window: [8, 7, 7]}, repeat: 2}]
      stage2: [merge_patches, {window_transformer: {heads: 6, window: [8, 7, 7]}, repeat: 2}]
      stage3: [merge_patches, {window_transformer: {heads: 12, window: [8, 7, 7]}, repeat: 6}]
      stage4: [merge_patches, {window_transformer: {heads: 24, window: [8, 7, 7]}, repeat: 2}]
head: {classifier: {norm: layer, classes: 400}}
"""  # noqa: E501


@pytest.mark.parametrize("name", ORIGINALS)
def test_counts_are_those_of_the_originals(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    assert (plan.params, plan.macs, plan.count("fvcore")) == ORIGINALS[name]


def test_ten_lines_are_video_swin_t(tmp_path: Path) -> None:
    path = tmp_path / "my_swin.yaml"
    path.write_text(MY_SWIN, encoding="utf-8")
    ours, theirs = (archdsl.compile(archdsl.load(name)) for name in (path, "video_swin_t"))
    assert ours.graph.nodes.keys() == theirs.graph.nodes.keys()
    for address, node in ours.graph.nodes.items():
        assert (node.op, node.reads) == (theirs.graph.nodes[address].op, theirs.graph.nodes[address].reads)
    assert ours.graph.shapes == theirs.graph.shapes
    assert archdsl.emit(ours).split('"""', 2)[2] == archdsl.emit(theirs).split('"""', 2)[2].replace(
        "VideoSwinT", "MySwin"
    )


def test_every_second_block_of_a_repeat_shifts(tmp_path: Path) -> None:
    """Folded again as it was written, in YAML and in Python; one that begins with a shift, too."""
    block = WindowTransformer(heads=1, window=(2, 2, 2))
    assert [one.shift for one in repeat(block, 4)] == [False, True, False, True]
    stage = Stage(*repeat(block, 3), *repeat(block, 2), *repeat(block.but(shift=True), 4), MergePatches())
    arch = archdsl.load("video_swin_t", frames=8, size=32)
    arch = arch.but(pathways={"main": arch.pathways["main"].but(stages={"one": stage})})
    text = to_yaml(arch)
    assert [text.count(f"repeat: {n}") for n in (3, 2, 4)] == [1, 1, 1]
    (tmp_path / "net.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "net.py").write_text(to_python(arch), encoding="utf-8")
    assert [archdsl.load(tmp_path / f"net.{kind}") for kind in ("yaml", "py")] == [arch, arch]


def test_maps_that_windows_do_not_part_are_padded_and_cut() -> None:
    """5 frames, 12 x 12 in windows of 2 x 7 x 7: 6 x 14 x 14 positions are projected."""
    arch = archdsl.load("video_swin_t", frames=10, size=48, window_t=2)
    plan = archdsl.compile(arch)
    shapes = plan.graph.shapes
    assert shapes["main.stage1.1.attend.pad"] == (96, 6, 14, 14) == shapes["main.stage1.1.attend.out"]
    assert shapes["main.stage1.1.attend.crop"] == (96, 5, 12, 12)
    assert "main.stage3.1.attend.pad" in shapes, "3 x 3 is one window, 5 frames are padded to 6"
    attention = plan.graph.nodes["main.stage4.2.attend.attention"].op
    assert isinstance(attention, ops.WindowAttention)
    assert attention.shifts(shapes["main.stage4.2.attend.query"]) == (1, 0, 0)
    block = WindowTransformer(heads=2, window=(2, 3, 3))
    stage = Stage(Patches(kernel=(2, 8, 8), channels=8), *repeat(block, 2), MergePatches(), *repeat(block, 2))
    archdsl.testing.check(arch.but(pathways={"main": arch.pathways["main"].but(stages={"one": stage})}))


def test_a_merge_reads_squares_down_their_columns() -> None:
    """torchvision: [0::2, 0::2], [1::2, 0::2], [0::2, 1::2], [1::2, 1::2]; a third row is padded."""
    merged = run(ops.SpaceToChannels(side=2), numbered(1, 1, 3, 2))
    assert merged.flatten(1).tolist() == [[0, 4], [2, 0], [1, 5], [3, 0]]


def test_windows_see_their_frames() -> None:
    """4 steps in windows of 2, shifted by 1: the last ones are alone, those between see one border."""
    x = ops.Shape(4, 4, 2, 2)
    seen = tuple(1 << i for i in range(4))
    op = ops.WindowAttention(heads=1, size=(2, 2, 2), shift=(1, 0, 0))
    assert op.sees((x, x, x), (seen, seen, seen), x) == (0b1, 0b110, 0b110, 0b1000)
