"""Edges that leave from inside a stage: the same outputs as a stage cut in two."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import torch
import yaml

from archdsl import Arch, SpecError, build, compile, load
from archdsl.language import change_all
from archdsl.language.writers.python_writer import to_python
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.report import draw
from archdsl.report.explanation.json_schema import schema

NET = """name: net
clip: {frames: 8, size: 16}
pathways:
  slow: {every: 4, stages: {stem: {conv: {channels: 8}}, WHOLE, res3: {conv: {channels: 8}}}}
  fast: {every: 1, width_ratio: 1/2, stages: {stem: {conv: {channels: 8}}, WHOLE, res3: {conv: {channels: 8}}}}
edges:
- {source: slow, target: slow, after: A, into: B, merge: sum, name: skip}
- {source: fast, target: slow, after: [A, B], into: [B, B2], transform: time_conv}
head: {classifier: {classes: 5}}
"""
WHOLE = NET.replace("WHOLE", "res2: {conv: {channels: 8, kernel: [1, 3, 3]}, repeat: 3}")
WHOLE = WHOLE.replace("A,", "res2.1,").replace("B2", "res3").replace("B", "res2")
CUT = NET.replace(
    "WHOLE", "res2: {conv: {channels: 8, kernel: [1, 3, 3]}, repeat: 2}, last: {conv: {channels: 8, kernel: [1, 3, 3]}}"
)
CUT = CUT.replace("A,", "res2,").replace("B2", "res3").replace("B", "last")


def read(tmp_path: Path, text: str, name: str = "net.yaml") -> Arch:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return load(tmp_path / name)


def test_an_edge_after_a_block_is_one_after_a_stage_that_ends_there(tmp_path: Path) -> None:
    whole, cut = read(tmp_path, WHOLE), read(tmp_path, CUT, "cut.yaml")
    ours, theirs = build(whole).eval(), build(cut).eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    x = torch.rand(1, 3, 8, 16, 16)
    torch.testing.assert_close(ours(x), theirs(x))
    assert read(tmp_path, to_yaml(whole), "again.yaml") == whole
    assert jsonschema.Draft202012Validator(schema()).is_valid(yaml.safe_load(WHOLE))
    (tmp_path / "again.py").write_text(to_python(whole))
    assert load(tmp_path / "again.py") == whole
    assert all(str(draw(compile(whole), level=level)) for level in ("pathway", "stage", "block", "op"))


def test_the_stage_is_the_target_where_none_is_named(tmp_path: Path) -> None:
    arch = change_all(
        read(tmp_path, WHOLE), [("edges.fast_to_slow.after", "res2.0"), ("edges.fast_to_slow.into", None)]
    )
    assert "edges.res2.fast_to_slow.merge" in compile(arch).graph.nodes


def test_blocks_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, WHOLE.replace("res2.1, into", "res2.3, into").replace("[res2.1", "[re2.1"))
    assert [(fault.what, fault.at, fault.want) for fault in caught.value.faults] == [
        ("no block 3 in stage res2 of pathway slow", "edges.skip.after", "0 to 2"),
        ("no stage 're2' in pathway fast", "edges.fast_to_slow.after", "stem, res2, res3"),
    ]
