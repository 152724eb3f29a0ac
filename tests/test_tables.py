"""Tables: what they say of a network, and that every format escapes what it prints."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

import archdsl
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.report.number_format import percent, runs, shape_text, short, signed, span_text
from archdsl.report.parts import TABLE_LEVELS, table_parts
from archdsl.report.table.formats import TABLE_FORMATS, bracket_text, cell_text, csv_text, in_format, records_csv
from archdsl.report.table.markup import tex_escaped
from archdsl.report.table.sheet import Bracket, Column, Row, Table
from archdsl.report.table.stages import table_of
from archdsl.spec.base import read_model

HOSTILE = (
    "<script>alert(1)</script>",
    r"\input{/etc/passwd}",
    "a|b",
    '"];',
    "=1+1\x1b[2J",
    "100% & $x_1^2 #~",
    "[a](b)*_c_*",
    "=cmd|'/c calc'!A0",
    "naïve Čapek – “x ≤ y” 漢 \U0001f600 ${1:x}",
)


@pytest.fixture(scope="module")
def plan() -> archdsl.Plan:
    return archdsl.compile(archdsl.load("slowfast_4x16_r50"))


def test_a_stage_reads_as_in_the_paper(plan: archdsl.Plan) -> None:
    """arXiv:1812.03982, Table 1."""
    by_address = {part.address: part for part in table_parts(plan)}
    assert by_address["slow.res4"].layers == (Bracket(("3×1², 256", "1×3², 256", "1×1², 1024"), 6), "stride 1, 2²")
    assert by_address["fast.res2"].layers == (Bracket(("3×1², 8", "1×3², 8", "1×1², 32"), 3),)
    assert by_address["slow.stem"].layers == (
        Bracket(("1×7², 64",)),
        "stride 1, 2²",
        Bracket(("1×3² max pool",)),
        "stride 1, 2²",
    )
    assert by_address["fast.frames"].layers == ("stride 2, 1²",)
    assert by_address["edges.res3.fast_to_slow"].layers == ("5×1², 128", "stride 8, 1²", "concat into slow")
    assert by_address["head"].layers == ("4×7² average pool", "32×7² average pool", "concat", "dropout 0.5", "fc, 400")


def test_blocks_that_differ_are_not_folded() -> None:
    """SlowFast R101 keeps temporal kernels in the first 6 of 23 blocks."""
    plan = archdsl.compile(archdsl.load("slowfast_8x8_r101"))
    (res4,) = (part for part in table_parts(plan) if part.address == "slow.res4")
    assert [(b.lines[0], b.times) for b in res4.layers if isinstance(b, Bracket)] == [
        ("3×1², 256", 6),
        ("1×1², 256", 17),
    ]


def test_a_stage_of_norms_and_activations_alone_still_says_something() -> None:
    """DenseNet's transitions leave out norm and activation; its last stage has nothing else."""
    by_address = {part.address: part for part in table_parts(archdsl.compile(archdsl.load("densenet121")))}
    transition = by_address["rgb.transition1"].layers
    assert transition == (Bracket(("1×1², 128",)), Bracket(("1×2² average pool",)), "stride 1, 2²")
    assert by_address["rgb.norm5"].layers == ("batch norm", "relu")


@pytest.mark.parametrize("level", TABLE_LEVELS)
def test_costs_of_all_parts_sum_to_the_plans(plan: archdsl.Plan, level: str) -> None:
    found = table_parts(plan, level)
    assert sum(part.cost.params for part in found) == plan.params
    assert sum(part.cost.macs for part in found) == plan.macs
    assert len({part.address for part in found}) == len(found)


def test_span_in_frames_and_seconds(plan: archdsl.Plan) -> None:
    """Fast: stem 5 at step 2 sees 9 frames, each of 3 blocks with kernel 3 adds 4: 21 frames, 0.7 s at 30 fps."""
    records = {record["address"]: record for record in table_of(plan).records}
    assert records["fast.stem"]["span_frames"] == 9
    assert records["fast.res2"]["span_frames"] == 21
    assert records["fast.res2"]["span_seconds"] == pytest.approx(0.7)
    assert records["slow.res2"]["span_frames"] == 17  # through the lateral: 9 frames and 4 more steps of 2


def test_seconds_need_a_frame_rate() -> None:
    arch = archdsl.load("slowfast_tiny")
    clip = archdsl.Clip(frames=16, size=64)
    records = table_of(archdsl.compile(arch.but(clips={"clip": clip}))).records
    assert {record["span_seconds"] for record in records} == {None}


def test_the_head_shows_what_leaves_the_network() -> None:
    """Scores of 8 boxes are no vector; each of several outputs stands under its name."""
    ava, bmn = (table_of(archdsl.compile(archdsl.load(name))) for name in ("slow_4x16_r50_ava", "bmn"))
    output = next(i for i, column in enumerate(ava.columns) if column.title == "output T×S²")
    assert next(row for row in ava.rows if row.kind == "head").cells[output] == ("80×8",)
    output = next(i for i, column in enumerate(bmn.columns) if column.title == "output T×S²")
    head = next(row for row in bmn.rows if row.kind == "head")
    assert head.cells[output] == ("start 1×100", "end 1×100", "proposals 2×1×100²")


def test_each_clip_has_its_own_rate_in_the_title(plan: archdsl.Plan) -> None:
    title = table_of(archdsl.compile(archdsl.load("avslowfast_r50_8x8"))).title
    assert title == "avslowfast_r50_8x8: clip 3×64×224² at 30 fps, audio 1×128×1×80 at 60 fps → 400"
    assert table_of(plan).title == "slowfast_4x16_r50: 3×64×224² at 30 fps → 400"


def test_text_has_a_column_for_each_pathway_and_a_row_for_each_lateral(plan: archdsl.Plan) -> None:
    text = archdsl.table(plan)
    heading = next(line for line in text.splitlines() if "stage" in line)
    assert heading.split()[:3] == ["stage", "slow", "fast"]
    assert text.count("fast → slow") == 4
    assert "27,638,665,216 macs" in text
    assert "\x1b" not in text


def test_json_is_exact(plan: archdsl.Plan) -> None:
    records = json.loads(archdsl.table(plan, format="json"))
    assert sum(record["macs"] for record in records) == 27_638_665_216
    assert sum(record["share"] for record in records) == pytest.approx(1)
    assert next(r for r in records if r["address"] == "slow.res5")["output"] == [2048, 4, 7, 7]


def test_csv_reads_back(plan: archdsl.Plan) -> None:
    rows = list(csv.DictReader(io.StringIO(archdsl.table(plan, "block", "csv"))))
    assert sum(int(row["params"]) for row in rows) == 34_480_216
    assert next(r for r in rows if r["address"] == "fast.res2.0")["output"] == "32x32x56x56"


def test_unknown_levels_and_formats_are_told(plan: archdsl.Plan) -> None:
    with pytest.raises(SpecError, match="no level 'blok'") as found:
        archdsl.table(plan, level="blok")
    assert found.value.faults[0].fix == "block"
    with pytest.raises(SpecError, match="no format 'markdown'"):
        archdsl.table(plan, format="markdown")


@pytest.mark.parametrize("name", ["slowfast_4x16_r50_bidirectional", "slowfast_4x16_r50_flow", "slowfast_tiny"])
@pytest.mark.parametrize("level", TABLE_LEVELS)
@pytest.mark.parametrize("form", TABLE_FORMATS)
def test_every_level_has_every_format(name: str, level: str, form: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    assert archdsl.table(plan, level, form).strip()


def hostile_table() -> Table:
    rows = tuple(Row((text, (Bracket((text, "b"), 2), text))) for text in HOSTILE)
    return Table(
        HOSTILE[0], (Column(HOSTILE[0]), Column("x")), rows, tuple({"cell": text} for text in HOSTILE), HOSTILE[1]
    )


class Tags(html.parser.HTMLParser):
    """Collects tag names and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_escapes() -> None:
    reader = Tags()
    reader.feed(in_format(hostile_table(), "html"))
    assert "script" not in reader.tags
    assert "<script>alert(1)</script>" in reader.text


def test_latex_escapes() -> None:
    text = in_format(hostile_table(), "latex")
    assert r"\input" not in text
    assert r"\textbackslash{}input\{/etc/passwd\}" in text
    assert r"100\% \& \$x\_1\textasciicircum{}2 \#\textasciitilde{}" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}")


def test_latex_arguments_are_not_given_by_cells() -> None:
    """Behind a row's end, brackets and stars would be read as its arguments."""
    for text in ("[9cm] x", "*x"):
        table = Table("", (Column("a"),), (Row(("b",)), Row((text,))), ({}, {}))
        last = in_format(table, "latex").partition("\\bottomrule")[0].splitlines()[-1]
        assert last.startswith("{")


def test_latex_letters() -> None:
    assert tex_escaped("naïve Čapek Ångström ç ß") == r"na\"{i}ve \v{C}apek \r{A}ngstr\"{o}m \c{c} \ss{}"
    assert tex_escaped("– “x ≤ y” 漢\U0001f600") == r"-- ``x $\leq$ y'' ??"
    assert tex_escaped('say "hi"') == "say ''hi''"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no TeX is installed")
@pytest.mark.parametrize("shrinking", [True, False])
def test_latex_compiles_in_a_plain_article(shrinking: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = [
        ["table", "slowfast_4x16_r50", "slowfast_4x16_r50_bidirectional", "i3d_inception", "x3d_m"],
        ["table", "slowfast_tiny", "--level", "block"],
        ["table", "slowfast_tiny", "--level", "op"],
        ["count", "slowfast_8x8_r50", "resnet50", "--size", "256", "--views", "10x3"],
        ["count", "slowfast_8x8_r50", "alexnet_grouped", "mobilenet_v1", "--claims"],
        ["count", "slowfast_tiny", "x3d_s", "--memory", "--fits", "80GB"],
    ]
    texts = [in_format(hostile_table(), "latex")]
    for command in commands:
        assert main([*command, "--format", "latex"]) == 0
        texts.append(capsys.readouterr().out)
    packages = "booktabs,graphicx" if shrinking else "booktabs"
    body = "\n\\clearpage\n".join(texts)
    source = f"\\documentclass{{article}}\n\\usepackage{{{packages}}}\n\\begin{{document}}\n{body}\\end{{document}}\n"
    (tmp_path / "tables.tex").write_text(source, encoding="utf-8")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in (tmp_path / "tables.log").read_text(errors="replace")
    assert (tmp_path / "tables.pdf").stat().st_size > 10_000


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("place", ["name", "clip", "pathway", "stage", "edge"])
def test_hostile_names_are_refused(place: str, name: str) -> None:
    data = yaml.safe_load((Path(__file__).parent / "data" / "my_slowfast.yaml").read_text())
    match place:
        case "name":
            data["name"] = name
        case "clip":
            data["clips"] = {name: data.pop("clip")}
        case "pathway":
            data["pathways"][name] = data["pathways"].pop("fast")
        case "stage":
            data["pathways"]["slow"]["stages"][name] = data["pathways"]["slow"]["stages"].pop("res5")
        case "edge":
            data["edges"][0]["name"] = name
    with pytest.raises(SpecError) as found:
        read_model(archdsl.Arch, data)
    assert "letters, digits and underscores, starting with a letter" in str(found.value)


@pytest.mark.parametrize("form", TABLE_FORMATS)
def test_hostile_texts_of_cards_are_escaped(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names are refused; what a card says is free text, and every format prints it as text."""
    data = yaml.safe_load((Path(__file__).parent / "data" / "my_slowfast.yaml").read_text())
    texts = [text for text in HOSTILE if "\x1b" not in text]
    claims = [{"figure": "params", "value": "40M", "source": text, "why": text} for text in texts]
    data["reference"] = {"paper": HOSTILE[0], "title": HOSTILE[1], "claims": claims}
    (tmp_path / "mine.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    assert main(["count", str(tmp_path / "mine.json"), "--claims", "--format", form]) == 0
    text = capsys.readouterr().out
    if form == "html":
        reader = Tags()
        reader.feed(text)
        assert "script" not in reader.tags
        assert "<script>alert(1)</script>" in reader.text
    elif form == "latex":
        assert text.isascii()
        assert r"\input" not in text
    elif form == "json":
        assert [row["source"] for row in json.loads(text)] == [claim["source"] for claim in claims]
    elif form == "csv":
        assert [row["why"] for row in csv.DictReader(io.StringIO(text))] == [csv_text(claim["why"]) for claim in claims]
    elif form == "md":
        assert "<script>" not in text
        assert all(len(re.findall(r"(?<!\\)\|", row)) == 9 for row in text.splitlines() if "40M" in row)
    else:
        assert "<script>alert(1)</script>" in text


def test_a_spreadsheet_is_not_given_formulas() -> None:
    for text in ("=1+1", "+1", "-1", "@x", "-"):
        assert csv_text(text) == f"'{text}"
    assert [csv_text(text) for text in ("a=1", "")] == ["a=1", ""]


def test_latex_is_ascii(plan: archdsl.Plan) -> None:
    """A plain article has no glyphs for arrows, multiplication signs and superscripts."""
    assert archdsl.table(plan, format="latex").isascii()


def test_markdown_escapes() -> None:
    text = in_format(hostile_table(), "md")
    row = next(line for line in text.splitlines() if "a\\|b" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 3  # the table's own
    assert "<script>" not in text
    assert r"\[a\](b)\*\_c\_\*" in text


@pytest.mark.parametrize("form", ["text", "md", "html", "latex"])
def test_a_terminal_is_not_obeyed(form: str) -> None:
    assert "\x1b" not in in_format(hostile_table(), form)


def test_brackets_over_lines() -> None:
    assert cell_text((Bracket(("a", "bb", "c"), 3), "stride 1, 2²")) == "⎡a ⎤\n⎢bb⎥ ×3\n⎣c ⎦\nstride 1, 2²"
    assert cell_text((Bracket(("a",), 2),)) == "a ×2"


def test_figures_by_hand() -> None:
    assert [short(n) for n in (0, 999, 1000, 34_480_216, 213_000_000_000, 10**20)] == [
        "0",
        "999",
        "1.00K",
        "34.48M",
        "213.0G",
        "100000000T",
    ]
    assert (signed(-1500), signed(0), signed(2)) == ("-1.50K", "0", "+2")
    assert (percent(1, 8), percent(0, 0)) == ("12.5%", "-")
    assert runs((1, 2, 3, 5, 8, 9)) == "1-3, 5, 8-9"
    assert (shape_text((3, 4, 8, 8)), shape_text((3, 4, 8, 9)), shape_text((400,))) == ("3×4×8²", "3×4×8×9", "400")
    assert (span_text(Fraction(17), Fraction(1, 30)), span_text(Fraction(17), Fraction(0))) == ("17 (0.57 s)", "17")


def test_no_cell_of_csv_is_a_formula_or_a_second_row() -> None:
    """Quoted or not, at the start or behind blanks, of either width, behind a carriage return; also in the head."""
    evil = (
        "=1+1",
        "+1",
        "-1",
        "@a",
        " =1",
        "\t=1",
        "\r=1",
        "a\r=1",
        "a\n=1",
        "\uff1d1",
        "\x00=1",
        "\u2028=1",
        "\udce9",
    )
    made = records_csv(Table("", (), (), tuple({"class": name, "=head": -1.5, "list": [name, "x"]} for name in evil)))
    made.encode()
    head, *rows = list(csv.reader(io.StringIO(made, newline="")))
    assert head == ["class", "'=head", "list"]
    assert len(rows) == len(evil) == len(made.splitlines()) - 1
    for row in rows:
        assert row[1] == "-1.5"  # a number stays one
        assert not any(cell.lstrip()[:1] in "=+-@\uff1d" for cell in (row[0], row[2]))
        assert all(cell.isprintable() for cell in row)
    assert [row[0] for row in rows if "e9" in row[0]] == [r"\xe9"]


def test_the_factor_stands_beside_the_middle_line() -> None:
    rows = [bracket_text(Bracket(lines, 4)) for lines in (("a",), ("a", "bcd"), ("a", "bcd", "e"), ("a",) * 5)]
    assert [[i for i, line in enumerate(lines) if line.endswith(" ×4")] for lines in rows] == [[0], [1], [1], [2]]
    assert rows[2] == ["⎡a  ⎤", "⎢bcd⎥ ×4", "⎣e  ⎦"]
    assert bracket_text(Bracket(("a", "b"))) == ["⎡a⎤", "⎣b⎦"]
