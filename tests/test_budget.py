"""What a document may ask for is checked before it is done; numbers, scalars and tags end as values or as SpecError."""

from __future__ import annotations

import re
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from time import process_time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from archdsl import SpecError, compile, load
from archdsl.blocks import BLOCKS
from archdsl.catalog import zoo
from archdsl.cli import main
from archdsl.cli.overrides import parse_value
from archdsl.graph import Builder, Endless
from archdsl.language.recipes.optimizer import Optimizer
from archdsl.language.writers.yaml_writer import recipe_yaml, to_yaml
from archdsl.ops import UNIT, Grid, Shape
from archdsl.ops import Conv as ConvOp
from archdsl.recipes import recipe
from archdsl.spec.budget import LARGEST_NUMBER, MOST_DIGITS, MOST_FRAMES, MOST_OPS, MOST_VALUES
from archdsl.spec.numbers import exact_fraction, whole_number
from archdsl.spec.parser import NodeReader, parse_yaml

HEAD = "head: {classifier: {classes: 3}}\n"
SECONDS = 3
"""Of processor time that a refusal may take."""


def spec(stages: str, clip: str = "frames: 4, size: 16", pathway: str = "") -> str:
    """A network of one pathway."""
    return f"name: a\nclip: {{{clip}}}\npathways:\n  p:\n    {pathway}\n    stages: {stages}\n{HEAD}"


def said(tmp_path: Path, text: str) -> str:
    """What is said of a spec, in little time."""
    (tmp_path / "spec.yaml").write_text(text, encoding="utf-8")
    other = spec("{" + ", ".join(f"stage{i}: flatten" for i in range(300)) + "}")
    (tmp_path / "other.yaml").write_text(other, encoding="utf-8")
    begun = process_time()
    with pytest.raises(SpecError) as caught:
        compile(load(tmp_path / "spec.yaml"))
    assert process_time() - begun < SECONDS
    return str(caught.value)


PRIMES = [n for n in range(2, 230) if all(n % i for i in range(2, n))]
ENDLESS = {
    "width_ratio: 1e9999999": (
        spec("{s: {conv: {channels: 8}}}", pathway="width_ratio: 1e9999999"),
        "a number too large",
    ),
    "width_ratio: 1e5000": (
        spec("{s: {conv: {channels: 8}}}", pathway="width_ratio: 1e5000"),
        "a number too large",
    ),
    "width_ratio: 1e18": (spec("{s: {conv: {channels: 8}}}", pathway="width_ratio: 1e18"), "a map too large"),
    "fps": (spec("{s: {conv: {channels: 8}}}", "frames: 4, size: 16, fps: 1e99999999"), "a number too large"),
    "frames": (
        spec("{s: {conv: {channels: 8}}}", "frames: 1000000000, size: 16"),
        f"at most {MOST_FRAMES}|equal to {MOST_FRAMES}",
    ),
    "frames of many digits": (spec("{s: {conv: {channels: 8}}}", f"frames: 1{'0' * 400}, size: 16"), "invalid value"),
    "sexagesimal": (
        spec("{s: {conv: {channels: 8}}}", f"frames: {':'.join(['1'] * 4000)}, size: 16"),
        "wrong value for frames",
    ),
    "a fraction of an op": (
        spec("{s: {b: {}}}") + 'blocks: {b: {steps: {r: {resize: {scale: ["1e99999999", 1, 1]}}}}}\n',
        "want    a number such as",
    ),
    "columns": (spec("{s: {fractal: {channels: 8, columns: 18}}}"), "wrong value for columns"),
    "columns and no end": (spec("{s: {fractal: {channels: 8, columns: 2000000000}}}"), "wrong value for columns"),
    "branches": (spec("{s: {summed_conv: {branches_of_kernel: 2000000000}}}"), "branches_of_kernel"),
    "repeats": (
        spec("{" + ", ".join(f"s{i}: {{conv: {{channels: 8}}, repeat: 1000}}" for i in range(10)) + "}"),
        f"at most {MOST_VALUES} values",
    ),
    "repeats of repeats": (
        spec("{s: {branches: {branches: {a: {conv: {channels: 8}, repeat: 100}}}, repeat: 100}}"),
        f"at most {MOST_VALUES} values",
    ),
    "aliases of repeats": (
        spec("{a: &a {conv: {channels: 8}, repeat: 900}, " + ", ".join(f"b{i}: *a" for i in range(9)) + "}"),
        f"at most {MOST_VALUES} values",
    ),
    "pathways": (
        f"name: a\nclip: {{frames: 4, size: 16}}\npathways: {{{', '.join(f'p{i}: 1' for i in range(999))}}}\n{HEAD}",
        "too many pathways",
    ),
    "clips": (
        f"name: a\nclips: {{{', '.join(f'p{i}: 1' for i in range(999))}}}\npathways: {{}}\n{HEAD}",
        "too many clips",
    ),
    "stages": (spec("{" + ", ".join(f"s{i}: flatten" for i in range(5000)) + "}"), "too many stages"),
    "edges": (spec("{s: flatten}") + f"edges: [{', '.join(['1'] * 5000)}]\n", "too many edges"),
    "ends of one edge": (
        spec("{s: flatten}") + f"edges: [{{source: p, target: p, after: [{', '.join(['s'] * 5000)}]}}]\n",
        "too many edges",
    ),
    "frames of many ops": (
        spec("{s: {b: {}, repeat: 900}}", "frames: 100000, size: 16")
        + "blocks: {b: {steps: {a: {take_linspace: {count: 100000}}}}}\n",
        "too many ops",
    ),
    "names that are misspelt": (
        spec("{" + ", ".join(f"stage{i}: flatten" for i in range(900)) + "}")
        + "edges: ["
        + ", ".join(f"{{source: p, target: p, after: stag{i}}}" for i in range(100))
        + "]\n",
        "no stage 'stag0'",
    ),
    "a pattern": (
        "extends: other.yaml\nset: {pathways.*.stages.*: ["
        + ", ".join(["{conv: {channels: 8}, repeat: 900}"] * 4)
        + "]}\n",
        "matches too many names",
    ),
    "settings": (
        "extends: slowfast_tiny\nset: {" + ", ".join(f"a.b{i}: 1" for i in range(5000)) + "}\n",
        "too many set",
    ),
    "steps": (
        spec("{s: b}") + f"blocks: {{b: {{steps: {{{', '.join(f's{i}: relu' for i in range(2000))}}}}}}}\n",
        "steps",
    ),
    "a list of brackets": ("[" * 100_000, "."),
    "a map of question marks": ("? " * 100_000, "."),
    "one word": ("a" * 900_000, "not a spec"),
    "places": (
        spec(
            "{s: [" + ", ".join(f"{{adaptive_avg_pool: {{size: [{n}, 0, 0]}}}}" for n in PRIMES[::-1]) + "]}",
            "frames: 240, size: 16",
        ),
        "a position in time or space with too many digits",
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_small_document_ends_soon(tmp_path: Path, name: str) -> None:
    text, want = ENDLESS[name]
    assert re.search(want, said(tmp_path, text))


@pytest.mark.parametrize("kind", BLOCKS, ids=lambda kind: kind.__name__)
def test_no_field_of_a_block_makes_it_endless(kind: Any) -> None:
    """Every field that takes a number, at the largest it takes: built, or refused, in little time."""
    for name in kind.model_fields:
        for value in (10**6, 10**9, LARGEST_NUMBER):
            begun, g = process_time(), Builder()
            x = g.source("clip", Shape(8, 8, 16, 16), Grid(UNIT, UNIT, UNIT))
            required = {n: 8 for n, f in kind.model_fields.items() if f.is_required()}
            with suppress(SpecError), g.inside("block"):
                kind(**{**required, name: value}).build(g, x)
            assert process_time() - begun < SECONDS, f"{name}: {value}"


def test_ops_that_could_not_be_made_count_too() -> None:
    g = Builder()
    x = g.source("clip", Shape(3, 4, 16, 16), Grid(UNIT, UNIT, UNIT))
    for i in range(MOST_OPS - 1):
        x = g.add(f"conv{i}", ConvOp(out_channels=8, kernel=(9, 1, 1), pad="valid"), x)
    assert len(g.nodes) == 1
    with pytest.raises(Endless, match=f"got     more than {MOST_OPS} ops"):
        g.add("one_more", ConvOp(out_channels=8, kernel=(1, 1, 1)), x)


def test_the_zoo_asks_for_a_small_part_of_it() -> None:
    for model in zoo():
        if model.name in ("i3d_inception", "bsn_pem"):
            node = parse_yaml(to_yaml(model.arch()), model.name)
            assert count(node) * 10 < MOST_VALUES
            assert len(compile(model.arch()).nodes) * 10 < MOST_OPS


def count(data: Any) -> int:
    """Values of a document."""
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return 1 + sum(map(count, inner)) + (len(data) if isinstance(data, dict) else 0)


# numbers

NO_NUMBERS = (
    "1e99999999",
    "1e-99999999",
    "1/0",
    "0/0",
    "1/00",
    "nan",
    "inf",
    "-inf",
    "",
    " ",
    "1_000",
    "0x10",
    "1e",
    "1/2/3",
    "1/1e9",
    "٣",
    "1" * 41,
    "1e19",
    "1e-19",
    "--1",
    "1 000",
    ".",
    "e5",
    "1/-2",
)


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_is_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match="a number such as"):
        exact_fraction(text)


@pytest.mark.parametrize(
    "value", [float("inf"), float("nan"), 10**19, -(10**5000), 1e300], ids=["inf", "nan", "1e19", "1e5000", "1e300"]
)
def test_numbers_out_of_range_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="a number such as"):
        exact_fraction(value)


@given(st.fractions(-(10**9), 10**9, max_denominator=10**6))
def test_a_fraction_reads_as_itself(number: Fraction) -> None:
    assert exact_fraction(str(number)) == number


@given(st.floats(-1e17, 1e17).filter(lambda x: x == 0 or abs(x) > 1e-15))
def test_a_float_reads_as_it_is_written(number: float) -> None:
    assert exact_fraction(number) == Fraction(str(number))


def test_whole_numbers() -> None:
    assert whole_number("007") == 7
    for text in ("", "-1", "1.0", "1e3", "٣", "9" * MOST_DIGITS, "1" + "0" * 5000):
        with pytest.raises(ValueError, match="a whole number"):
            whole_number(text)


@pytest.mark.parametrize("text", ["1e99999999", "1/0", "9" * 5000, "nan", "1e-99999999", "-1", "0", "ten"])
@pytest.mark.parametrize(
    "argv",
    [
        ["count", "lenet5_full", "--fps"],
        ["expand", "x2d", "--macs"],
        ["count", "lenet5_full", "--frames"],
        ["data", "bench", "motion", "--seconds"],
        ["count", "lenet5_full", "--batch"],
        ["count", "lenet5_full", "--views"],
    ],
    ids=lambda argv: argv[-1],
)
def test_numbers_on_the_command_line(argv: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    begun = process_time()
    assert main([*argv, text]) == 2
    assert process_time() - begun < SECONDS
    assert "Traceback" not in capsys.readouterr().err


# scalars and tags

TAGS = (
    "!!bool",
    "!!int",
    "!!float",
    "!!null",
    "!!timestamp",
    "!!str",
    "!!binary",
    "!!seq",
    "!!map",
    "!!set",
    "!!omap",
    "!!pairs",
    "!!merge",
    "!!value",
    "!!python/none",
    "!mine",
    "!<x>",
)
TEXTS = (
    "foo",
    '""',
    "1",
    "1.5",
    "0x",
    "0b2",
    "1:99",
    ".inf",
    ".nan",
    "1e400",
    "2001-99-99",
    "~",
    "yes",
    "=",
    "<<",
    "_",
    "-",
    "9" * 5000,
)


@pytest.mark.parametrize("tag", ["", *TAGS])
@pytest.mark.parametrize("text", TEXTS)
def test_every_tag_is_a_value_or_an_error(tmp_path: Path, tag: str, text: str) -> None:
    one = f"{tag} {text}"
    for document in (
        f"name: {one}",
        f"{one}: 1",
        f"[{one}]",
        f"extends: {one}",
        f"extends: lenet5_full\nset: {{head.classes: {one}}}",
    ):
        (tmp_path / "spec.yaml").write_text(document, encoding="utf-8")
        for read in (load, recipe):
            with suppress(SpecError):
                read(tmp_path / "spec.yaml")
    for setting in (one, f"[{one}]", f"{{a: {one}}}"):
        with suppress(SpecError):
            parse_value(setting)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("0x1F", 31),
        ("010", 10),
        ("0o10", 8),
        ("+7", 7),
        ("1_000", "1_000"),
        ("10:20", "10:20"),
        ("10:20.5", "10:20.5"),
        ("0b11", "0b11"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e5", 1e5),
        ("5e-05", 5e-05),
        ("1.0e+3", 1000.0),
        ("1e", "1e"),
        ("yes", "yes"),
        ("No", "No"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("~", None),
        ("Null", None),
        ("=", "="),
        ("2001-01-01", "2001-01-01"),
        ("'1'", "1"),
        ("'yes'", "yes"),
        ("!!str 1", "1"),
        ("!!float 1", 1.0),
        ("!!int 1:99", None),
        ("!!int 1_0", None),
        ("!!int 0b1", None),
        ("!!bool yes", None),
        ("!!float 1:30.5", None),
    ],
)
def test_a_scalar_is_what_yaml_1_2_says(text: str, value: Any) -> None:
    """In files and in settings of the command line; a tag that does not suit its text is refused."""
    if text.startswith("!!") and value is None:
        with pytest.raises(SpecError, match="invalid value"):
            parse_yaml(f"a: {text}", "spec.yaml")
        return
    for read in (parse_yaml(f"a: {text}", "spec.yaml")["a"], parse_value(text)):
        assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize(
    "text", ["yes", "no", "1e5", "010", "0o10", "10:20", "1_000", "null", "~", "<<", "1.5", "true"]
)
def test_text_that_looks_like_something_else_is_written_in_quotes(text: str, tmp_path: Path) -> None:
    made = recipe("smoke", source=text)
    (tmp_path / "again.yaml").write_text(recipe_yaml(made), encoding="utf-8")
    assert recipe(tmp_path / "again.yaml") == made
    assert yaml.safe_load(recipe_yaml(made))["source"] == text


@pytest.mark.parametrize("value", [True, "1_000", "yes", " 1", "nan", "0x10", "1"])
def test_what_is_no_number_is_no_rate(value: Any) -> None:
    with pytest.raises(SpecError, match="wrong value for rate"):
        Optimizer(rate=value)


def test_keys_are_as_they_are_written() -> None:
    assert list(parse_yaml("{on: 1, 0x1: 2, 010: 3, a: 4}", "spec.yaml")) == ["on", "0x1", "010", "a"]


@pytest.mark.parametrize("text", ["1e400", "[1e400]", "NaN", "[Infinity]", "1e99999999", "[" * 5000, "{a: 1, a: 2}"])
def test_settings_are_read_as_files_are(text: str) -> None:
    try:
        value = parse_value(text)
    except SpecError:
        return
    assert value in (text, [text.strip("[]")])  # a word


def test_a_reader_counts_what_repeats_write_out() -> None:
    reader = NodeReader("spec.yaml")
    reader.value(yaml.compose("[{conv: 1, repeat: 7}, {conv: {a: {b: 1, repeat: 2}}, repeat: 3}]"))
    assert reader.values == 1 + (1 + 4 * 7) + (1 + (1 + 2 + 2 + (1 + 4 * 2)) * 3)
