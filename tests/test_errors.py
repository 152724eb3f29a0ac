"""The report of a fault, and names near a misspelt one."""

from __future__ import annotations

import pickle

from archdsl.errors import Fault, SpecError, did_you_mean, listed


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


def test_long_lists_are_looked_up_elsewhere() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([]) == ""
    assert listed(map(str, range(21))) == "a name in `archdsl schema`"
