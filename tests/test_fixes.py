"""Every fix that a broken spec's report gives is followed literally, and its fault is gone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from test_broken import FILES, FOLDER, RECIPES, promised

from archdsl import Arch, SpecError, compile, load
from archdsl.editor.fixes import followed
from archdsl.errors import Fault
from archdsl.recipes import recipe


class Told(NamedTuple):
    """A fault of a report, by its rows."""

    what: str
    rows: dict[str, str]


BY_HAND: dict[str, tuple[tuple[str, str], ...]] = {
    "adapter_rows_fill_no_map.yaml": (("kernel: [3, 3, 3], tokens: 1", "kernel: [3, 3, 3], tokens: 1, height: 2"),),
    "class_token_in_a_causal_network.yaml": ((", class_token]", "]"), ("head: {class_token:", "head: {classifier:")),
    "clip_vocabulary_of_pixels.yaml": (
        ("{frames: 8, size: 32, vocabulary: 100}", "{modality: text, frames: 8, size: 1, vocabulary: 100}"),
        ("stem: {conv: {channels: 8}}", "stem: [{embed: {channels: 8}}, end_token]"),
    ),
    "drawn_embedding_too_small.yaml": (("vocabulary: 1000", "vocabulary: 49408"),),
    "drawn_activation_unknown.yaml": (("act: rleu", "act: relu"),),
    "drawn_width_with_a_number.yaml": (("fields: {}", "fields: {more: 32}"), ("$in + 32", "$in + $more")),
    "set_deletes_all_blocks.yaml": ((".res2.0: null", ".res2: null\n  edges.fast_to_slow: null"),),
    "set_inserts_at_nothing.yaml": ((".re2+", ".res2+"),),
    "set_inserts_without_a_name.yaml": (("{conv: {channels: 8}}", "{more: {conv: {channels: 8}}}"),),
    "frame_class_token_without_rows.yaml": ((", frame_class", ", frame_rows, frame_class"),),
    "edge_cycle.yaml": (("target: slow, after: res2, into: stem", "target: slow, after: res2, into: res2"),),
    "edge_maps_differ_in_space.yaml": (("transform: time_sample", "transform: [time_sample, resize_to]"),),
    "frames_not_divided_by_every.yaml": (("frames: 60", "frames: 64"),),
    "key_frames_no_whole_interval.yaml": (("frames: 10", "frames: 8"),),
    "several_faults_of_shape.yaml": (
        ("frames: 60", "frames: 64"),
        ("window: 9", "window: 8"),
        (", merge: sum", ""),  # told once the maps are known
    ),
    "mask_clip_missing.yaml": (
        ("clip: {frames: 4, size: 32}", "clips: {clip: {frames: 4, size: 32}, mask: MASK}"),
        ("MASK", "{modality: mask, frames: 2, size: 2, channels: 2}"),
        ("  main:\n", "  main:\n    clip: clip\n"),
    ),
    "mask_tokens_of_a_whole_map.yaml": (
        ("frames: 1, size: 2", "frames: 2, size: 2"),
        ("{mask_tokens: ", "{keep: {count: 1}}, {mask_tokens: "),
    ),
    "masked_pixels_without_mask_tokens.yaml": (
        ("frames: 1, size: 2", "frames: 2, size: 2"),
        ("{keep: {count: 1}}]", "{keep: {count: 1}}, {mask_tokens: {count: 7}}]"),
    ),
    "pathway_tied_to_another_kind.yaml": (("channels: 4", "channels: 8"),),
    "pathways_in_a_ring.yaml": (("{after: two, ", "{"),),
    "python_block_that_does_not_build.py": (
        ("import Arch,", "import ops, Arch,"),
        ("    pass", '    def build(self, g, x):\n        return g.add("relu", ops.Relu(), x)'),
    ),
    "python_op_without_a_return.py": (("        x._replace", "        return x._replace"),),
    "python_with_a_wrong_alpha.py": (("alpha=8", "alpha=4"),),
    "scan_marks_of_no_clip.yaml": (
        ("clip: {frames: 8, size: 16}", "clips: {rgb: {frames: 8, size: 16}, markers: CLIP}"),
        ("markers: CLIP", "markers: {modality: features, frames: 8, size: 1, channels: 1}"),
        ("  main:\n", "  main:\n    clip: rgb\n"),
    ),
    "skeleton_graph_of_pixels.yaml": (("{frames: 8, size: 32}", "{modality: skeleton, frames: 8, skeleton: coco}"),),
    "skeleton_with_a_size.yaml": ((", height: 25", ""),),
    "text_embedding_of_pixels.yaml": (
        ("{frames: 8, size: 224}", "{modality: text, frames: 8, size: 1}"),
        ("{embed: {channels: 512}}", "[{embed: {channels: 512}}, end_token]"),
    ),
    "text_end_of_pixels.yaml": ((", end_token]", ", {mean: {over: t}}]"),),
    "text_without_embedding.yaml": (
        ("{linear: {channels: 512}}", "[{embed: {channels: 8}}, {linear: {channels: 512}}, end_token]"),
    ),
    "tokens_pooled.yaml": (("{max_pool:", "take_map, {max_pool:"), ("{class_token: {classes", "{classifier: {classes")),
    "tokens_taken_where_there_are_none.yaml": (
        ("tokens: {patches", "tokens: [{patches"),
        ("channels: 8}}", "channels: 8}}, class_token]"),
    ),
}
"""What a person does whom a fix tells in words: file -> texts and what takes their place; all faults are then gone."""


def told(name: str) -> list[Told]:
    """The faults that a file's report tells."""
    found = []
    for fault in promised(FOLDER / name).split("\n\n"):
        what, *rows = fault.splitlines()
        found.append(Told(what, dict(re.findall(r"^  (\w+) +(.*)$", "\n".join(rows), re.MULTILINE))))
    return found


def follow(line: str, fault: Told) -> str:
    """The line with the fix in it, as an editor's quick fix writes it."""
    line_with_fix = followed(line, Fault(what=fault.what, got=fault.rows.get("got"), fix=fault.rows["fix"]))
    assert line_with_fix is not None, (line, fault)
    return line_with_fix


WITH_FIX = [(name, i) for name in [*FILES, *RECIPES] for i, fault in enumerate(told(name)) if "fix" in fault.rows]


@pytest.mark.parametrize(("name", "i"), WITH_FIX)
def test_a_fix_works_when_it_is_followed(name: str, i: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = told(name)[i]
    text = (FOLDER / name).read_text(encoding="utf-8")
    for old, new in BY_HAND.get(name, ()):
        assert old in text
        text = text.replace(old, new)
    if name not in BY_HAND and "written" in fault.rows:
        lines = text.splitlines()
        number = int(fault.rows["written"].rpartition(":")[2]) - 1
        lines[number] = follow(lines[number], fault)
        text = "\n".join(lines)
    shutil.copytree(FOLDER, tmp_path / "broken")
    monkeypatch.chdir(tmp_path / "broken")
    path = Path(name).with_name(f"followed_{Path(name).name}")
    path.write_text(text, encoding="utf-8")
    path = path if "written" in fault.rows else Path(fault.rows["fix"])  # one of several in the file
    rest = {(other.what, other.rows.get("at")) for j, other in enumerate(told(name)) if j != i and name not in BY_HAND}
    assert set(faults_of(path, recipe if name in RECIPES else load)) <= rest


def faults_of(path: Path, read: Callable[[Path], Any]) -> list[tuple[str, str | None]]:
    """What is wrong with a file, and where."""
    try:
        found = read(path)
        if isinstance(found, Arch):
            compile(found)
    except SpecError as error:
        return [(fault.what, fault.at) for fault in error.faults]
    return []
