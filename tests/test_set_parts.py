"""`set` inserts, replaces by several and deletes blocks, stages, edges and branches: the arch written out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from archdsl import Arch, SpecError, compile, load
from archdsl.blocks import NonLocal
from archdsl.cli.overrides import path_and_value
from archdsl.language import change_all

NET = """name: net
clip: {frames: 8, size: 32}
pathways:
  slow:
    every: 4
    stages:
      stem: {conv: {channels: 8}}
      res2: [{basic: {channels: 8}, repeat: 2}, non_local]
      res3: {branches: {branches: {a: {conv: {channels: 8}}, b: {conv: {channels: 4}}, same: []}}}
  fast: {like: slow, every: 1, width_ratio: 1/2}
edges:
- {source: fast, target: slow, after: [stem], name: early,
   transform: [time_conv, {through: {blocks: {conv: {channels: 8}}}}]}
- {source: fast, target: slow, after: [res2], transform: time_conv}
head: {classifier: {classes: 5}}
"""
RES2 = "res2: [{basic: {channels: 8}, repeat: 2}, non_local]"
RES3 = NET[NET.index("res3:") : NET.index("\n  fast")]
EARLY = NET[NET.index("- {source") : NET.index("- {source: fast, target: slow, after: [res2]")]
SLOW = "pathways.slow.stages."
CASES = {
    "insert after a block": (
        f"{SLOW}res2.0+: {{time_shift: {{}}}}",
        RES2,
        RES2.replace("[", "[{basic: {channels: 8}}, time_shift, ").replace(", repeat: 2", ""),
    ),
    "insert before a block": (
        f"{SLOW}res2.+2: [gray, time_shift]",
        RES2,
        RES2.replace("non_local", "gray, time_shift, non_local"),
    ),
    "append a block": (
        f"{SLOW}res2.+: {{conv: {{channels: 4}}, repeat: 2}}",
        RES2,
        RES2.replace("non_local", "non_local, {conv: {channels: 4}, repeat: 2}"),
    ),
    "replace by several": (
        f"{SLOW}res2.2: [time_shift, {{conv: {{channels: 4}}}}]",
        RES2,
        RES2.replace("non_local", "time_shift, {conv: {channels: 4}}"),
    ),
    "delete two blocks": (f"{SLOW}res2.0: null, {SLOW}res2.2: null", RES2, "res2: {basic: {channels: 8}}"),
    "numbers are those before": (
        f"{SLOW}res2.0: null, {SLOW}res2.2+: gray, {SLOW}res2.1.kernel_t: 3",
        RES2,
        "res2: [{basic: {channels: 8, kernel_t: 3}}, non_local, gray]",
    ),
    "insert a stage": (
        f"{SLOW}res2+: {{mid: {{conv: {{channels: 4}}}}, more: gray}}",
        RES2,
        RES2 + "\n      mid: {conv: {channels: 4}}\n      more: gray",
    ),
    "insert a first stage": (f"{SLOW}+stem: {{first: gray}}", "stem: {conv", "first: gray\n      stem: {conv"),
    "delete a branch": (f"{SLOW}res3.branches.same: null", ", same: []", ""),
    "insert a branch": (
        f"{SLOW}res3.0.branches.+b: {{c: gray}}",
        "b: {conv: {channels: 4}}, same",
        "c: gray, b: {conv: {channels: 4}}, same",
    ),
    "delete an edge": ("edges.early: null", EARLY, ""),
    "add an edge": (
        "edges.early+: {source: slow, target: fast, after: res3, merge: max}",
        "- {source: fast, target: slow, after: [res2]",
        "- {source: slow, target: fast, after: [res3], merge: max}\n- {source: fast, target: slow, after: [res2]",
    ),
    "delete a transform": ("edges.early.transform.1: null", ", {through: {blocks: {conv: {channels: 8}}}}", ""),
    "delete a stage": (f"{SLOW}res3: null", RES3, ""),
}


def read(tmp_path: Path, text: str, name: str) -> Arch:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return load(tmp_path / name)


@pytest.mark.parametrize("case", CASES)
def test_what_is_set_is_what_is_written(case: str, tmp_path: Path) -> None:
    settings, before, after = CASES[case]
    assert before in NET
    by_hand = read(tmp_path, NET.replace(before, after, 1), "by_hand.yaml")
    read(tmp_path, NET, "base.yaml")
    made = read(tmp_path, f"extends: base.yaml\nset: {{{settings}}}\n", "set.yaml")
    assert made.pathways["slow"] == by_hand.pathways["slow"]
    assert made.edges == by_hand.edges


def test_one_change_in_every_form(tmp_path: Path) -> None:
    """In a pathway like another, on the command line and in Python: the same network compiles."""
    read(tmp_path, NET, "base.yaml")
    like = read(
        tmp_path, NET.replace("1/2}", "1/2, set: {stages.res2.2: null, stages.res2+: {more: non_local}}}"), "like.yaml"
    )
    base = load(tmp_path / "base.yaml")
    texts = ["pathways.fast.stages.res2.2=null", "pathways.fast.stages.res2+={more: non_local}"]
    assert change_all(base, map(path_and_value, texts)) == like
    assert list(like.pathways["fast"].stages) == ["stem", "res2", "more", "res3"]
    values = [("pathways.fast.stages.res2.2", None), ("pathways.fast.stages.res2+", {"more": NonLocal()})]
    assert compile(change_all(base, values)).macs == compile(like).macs


@pytest.mark.parametrize(
    ("settings", "what", "at", "fix"),
    [
        ("pathways.slow.stages.res3: null", "no stage 'res3' in pathway slow", "edges.late.after", "res2"),
        (
            "pathways.slow.stages.res2.7+: gray",
            "nothing in the list is named '7'",
            "pathways.slow.stages.res2.7+",
            None,
        ),
        ("pathways.slow.stages.re2+: {a: gray}", "nothing here is named 're2'", "pathways.slow.stages.re2+", "res2+"),
        (
            "pathways.slow.stages.res2+: gray",
            "no name for what is inserted",
            "pathways.slow.stages.res2+",
            "pathways.slow.stages.res2+: {name: gray}",
        ),
        ("pathways.slow.stages.res2+: {stem: gray}", "the name is already taken", "pathways.slow.stages.res2+", None),
        ("pathways.slow.stages.rs3: null", "nothing here is named 'rs3'", "pathways.slow.stages.rs3", "res3"),
        ("edges.earl: null", "no edge 'earl'", "edges.earl", "early"),
        ("edges.earl+: {source: a}", "nothing in the list is named 'earl'", "edges.earl+", "early+"),
        (
            "pathways.slow.stages.res3.0: null",
            "a stage without blocks",
            "pathways.slow.stages.res3",
            "pathways.slow.stages.res3: null",
        ),
    ],
)
def test_what_cannot_be_inserted_or_deleted(settings: str, what: str, at: str, fix: str | None, tmp_path: Path) -> None:
    late = "- {source: slow, target: fast, after: res3, transform: time_repeat, name: late}\nhead"
    read(tmp_path, NET.replace("head", late, 1), "base.yaml")
    with pytest.raises(SpecError) as caught:
        read(tmp_path, f"extends: base.yaml\nset: {{{settings}}}\n", "set.yaml")
    (fault,) = caught.value.faults
    assert (fault.what, fault.at, fault.fix) == (what, at, fix)
    assert fault.written == "set.yaml:2"
