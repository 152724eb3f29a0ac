"""Plots: the right figure of the right source at the right cost; names are words; what is missing is told."""

from __future__ import annotations

import sys
from xml.etree import ElementTree

import pytest

import archdsl
from archdsl.catalog import model
from archdsl.cli import main
from archdsl.report.plot import PlotPoint, overlap, plot, plot_points

SVG = "{http://www.w3.org/2000/svg}"


def of(*names: str) -> list[archdsl.Model]:
    return [model(name) for name in names]


def test_a_point_is_the_first_claim_at_its_input():
    first, second = plot_points(of("slowfast_4x16_r50", "mobilenet_v1"))
    assert first == PlotPoint("slowfast_4x16_r50", "slowfast", 27_638_665_216, 75.6, "arXiv:1812.03982, Table 2")
    assert (second.cost, second.accuracy) == (archdsl.compile(archdsl.load("mobilenet_v1")).macs, 70.9)


def test_source_figure_and_cost_are_chosen():
    (found,) = plot_points(of("x3d_m"), "params", "top1", "30 views")
    assert found.accuracy == 76.2
    assert found.cost == archdsl.compile(archdsl.load("x3d_m")).params


def test_what_was_not_published_is_told_all_at_once():
    with pytest.raises(archdsl.SpecError) as error:
        plot_points(of("lenet5", "x3d_m", "slowfast_4x16_r50"), source="30 views")
    lenet, slowfast = error.value.faults
    assert lenet.what == "no published top1 of lenet5"
    assert slowfast.what == "no top1 of slowfast_4x16_r50 from such a source"
    assert "arXiv:1812.03982, Table 2" in slowfast.want
    assert [p.name for p in plot_points(of("lenet5", "x3d_m"), strict=False)] == ["x3d_m"]


@pytest.mark.parametrize(("against", "figure", "fix"), [("param", "top1", "params"), ("macs", "top_1", "top1")])
def test_an_unknown_axis_is_told(against, figure, fix):
    with pytest.raises(archdsl.SpecError) as error:
        plot_points(of("x3d_m"), against, figure)
    assert error.value.faults[0].fix == fix


def test_without_matplotlib_the_mend_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(archdsl.SpecError) as error:
        plot(plot_points(of("x3d_m")), tmp_path / "x.svg")
    assert error.value.faults[0].fix == "pip install 'archdsl[plot]'"


def test_another_format_is_told_before_anything_is_drawn(tmp_path):
    with pytest.raises(archdsl.SpecError, match="no plot of that format"):
        plot([], tmp_path / "x.gif")


def test_the_svg_has_names_as_text_and_is_always_the_same(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is an extra: pip install 'archdsl[plot]'")
    found = plot_points(of("slow_4x16_r50", "slowfast_4x16_r50", "x3d_m"))
    plot(found, tmp_path / "a.svg")
    plot(found, tmp_path / "b.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert text == (tmp_path / "b.svg").read_text(encoding="utf-8")
    words = ["".join(word.itertext()) for word in ElementTree.fromstring(text).iter(f"{SVG}text")]
    for word in ("slow_4x16_r50", "slowfast_4x16_r50", "x3d_m", "arXiv:1812.03982, Table 2"):
        assert word in words
    assert "multiply-adds of one clip (convention macs), G" in words


def test_hostile_words_are_words_in_a_plot(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is an extra: pip install 'archdsl[plot]'")
    evil = ('<script>alert("$x$")</script>', r"$\frac{1}$ \input{x}", "_hidden & ];")
    plot([PlotPoint(word, word, 10**9 * i, 70.0 + i, word) for i, word in enumerate(evil, 1)], tmp_path / "x.svg")
    root = ElementTree.parse(tmp_path / "x.svg").getroot()
    words = ["".join(word.itertext()) for word in root.iter(f"{SVG}text")]
    assert all(words.count(word) >= 1 for word in evil)
    assert not list(root.iter(f"{SVG}script"))


def test_boxes_overlap_or_not():
    assert overlap((0, 0, 2, 2), (1, 1, 3, 3))
    assert not overlap((0, 0, 1, 1), (1, 0, 2, 1))


def test_the_command(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is an extra: pip install 'archdsl[plot]'")
    assert main(["plot", "x3d_s", "x3d_m", "--against", "params", "-o", str(tmp_path / "x.png")]) == 0
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    assert main(["plot", "lenet5", "-o", str(tmp_path / "y.png")]) == 2
    assert "no published top1 of lenet5" in capsys.readouterr().err
