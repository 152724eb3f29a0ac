"""The report of a fault, and names near a misspelt one."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

from archdsl.errors import Fault, SpecError, did_you_mean, listed, nearest_names, words_and_numbers

ROOT = Path(__file__).parent.parent


def test_a_fault_is_told_in_one_order() -> None:
    fault = Fault(
        what="concat of maps that differ in t",
        fix="alpha: 4",
        want="equal t",
        got="4 and 8",
        written="a.py:41",
        at="edges.x",
    )
    assert str(fault).splitlines() == [
        "concat of maps that differ in t",
        "  at      edges.x",
        "  written a.py:41",
        "  got     4 and 8",
        "  want    equal t",
        "  fix     alpha: 4",
    ]


def test_rows_without_a_value_are_left_out() -> None:
    assert str(Fault(what="no model in the file")) == "no model in the file"


def test_all_faults_are_told_apart_by_an_empty_line() -> None:
    error = SpecError([Fault(what="one", at="a"), Fault(what="two")])
    assert str(error) == "one\n  at      a\n\ntwo"
    assert isinstance(error, ValueError)


def test_a_place_is_given_only_where_there_is_none() -> None:
    error = SpecError([Fault(what="one", at="a"), Fault(what="two", written="x.yaml:1")]).placed("b", "y.yaml:2")
    assert [(fault.at, fault.written) for fault in error.faults] == [("a", "y.yaml:2"), ("b", "x.yaml:1")]


def test_an_address_is_continued_upwards() -> None:
    error = SpecError([Fault(what="one", at="res2"), Fault(what="two")])
    assert [fault.at for fault in error.under("slow").faults] == ["slow.res2", "slow"]
    assert [fault.at for fault in error.under(None).faults] == ["res2", None]


def test_an_error_survives_a_process_border() -> None:
    error = SpecError("one", at="a", got="1", want="2")
    assert pickle.loads(pickle.dumps(error)).faults == error.faults


def test_names_near_a_misspelt_one() -> None:
    assert did_you_mean("botleneck", ["basic", "bottleneck"]) == "bottleneck"
    assert did_you_mean("xyz", ["basic", "bottleneck"]) is None


def misspellings(name: str, rng: Random) -> Iterator[str]:
    """A zoo name with a part dropped, two swapped or joined, a letter or digit changed, dropped or out of order."""
    parts = name.split("_")
    for i, part in enumerate(parts):
        before, after = parts[:i], parts[i + 1 :]
        at = rng.randrange(len(part))
        other = rng.choice("123456789" if part[at].isdigit() else "abcdefghijklmnopqrstuvwxyz")
        wrong = [
            part[:at] + other + part[at + 1 :],
            part[:at] + part[at + 1 :],
            part[:at] + part[at:][1::-1] + part[at + 2 :],
        ]
        yield from ("_".join([*before, one, *after]) for one in wrong[: 3 if len(part) > 2 else 1])
        if after:
            yield "_".join([*before, after[0], part, *after[1:]])
            yield "_".join([*before, part + after[0], *after[1:]])
            yield "_".join([*parts[: i + 1], *after[1:]])


def test_a_misspelt_zoo_name_finds_its_model_or_one_of_as_many_parts() -> None:
    names = re.findall(r"^\| ([a-z0-9_]+) \|", (ROOT / "zoo/README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(names) > 400
    rng, met = Random(0), 0
    for name in rng.sample(names, 60):
        for word in set(misspellings(name, rng)) - set(names):
            near, met = nearest_names(word, names, 2), met + 1
            shared = [(words_and_numbers(word) & words_and_numbers(one)).total() for one in near]
            found = (
                name in near or max(shared, default=0) >= (words_and_numbers(word) & words_and_numbers(name)).total()
            )
            assert found, (name, word, near)
    assert met > 400


def test_parts_in_another_order_or_of_another_number_find_the_family() -> None:
    names = ["slowfast_tiny", "slowfast_4x16_r50", "slowfast_8x8_r50", "slow_8x8_r50", "detr_r50", "tsn_r50"]
    assert nearest_names("slowfast_9x9", names, 2) == ["slowfast_8x8_r50", "slowfast_4x16_r50"]
    assert did_you_mean("r50_detr", names) == "detr_r50"
    assert did_you_mean("slowfast-8x8-r50", names) == "slowfast_8x8_r50"


def test_long_lists_are_looked_up_elsewhere() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([]) == ""
    assert listed(map(str, range(21))) == "a name in `archdsl schema`"
