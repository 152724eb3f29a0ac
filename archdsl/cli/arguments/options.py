"""Groups of options that commands share."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from fractions import Fraction

from archdsl.spec.numbers import exact_fraction
from archdsl.spec.numbers import whole_number as whole_number

MAX_COUNT = 1_000_000
"""Upper limit of frames, pixels, classes and clips: more is a typo."""


def add_names(parser: ArgumentParser) -> None:
    """Networks."""
    parser.add_argument(
        "names", nargs="+", metavar="NAME", help="a name from `archdsl list`, or a path to a .py, .yaml or .json file"
    )


def add_names_or_all(parser: ArgumentParser) -> None:
    """Networks, or all."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a name from `archdsl list`, or a path to a .py, .yaml or .json file"
    )
    parser.add_argument("--all", action="store_true", help="the whole zoo")


def add_name(parser: ArgumentParser) -> None:
    """One network."""
    parser.add_argument(
        "name", metavar="NAME", help="a name from `archdsl list`, or a path to a .py, .yaml or .json file"
    )


def add_lower(parser: ArgumentParser) -> None:
    """Passes."""
    parser.add_argument(
        "--lower",
        default="none",
        metavar="PASSES",
        help="none (default), auto, or names from `archdsl lowerings`, with commas",
    )
    parser.add_argument("--train", action="store_true", help="lowered for training: what auto takes differs")


def add_two_names(parser: ArgumentParser) -> None:
    """Two networks, or one and a change."""
    parser.add_argument("a", metavar="A", help="a name or a path")
    parser.add_argument(
        "b", metavar="B", nargs="?", help="another; without it A is compared with A as the options change it"
    )


def add_word(word: ArgumentParser) -> None:
    """A word of the language."""
    word.add_argument(
        "word", metavar="WORD", nargs="?", help="a block, op, head, field, value...; OWNER.FIELD; without: all of them"
    )


def add_pattern(parser: ArgumentParser) -> None:
    """A word to look for."""
    parser.add_argument(
        "pattern", metavar="WORD", nargs="?", default="", help="only models whose name, paper or title has it"
    )


def add_overrides(parser: ArgumentParser) -> None:
    """Changes to the arch."""
    group = parser.add_argument_group("overrides")
    group.add_argument("--frames", type=positive_int, metavar="N", help="raw frames of the clips")
    group.add_argument("--size", type=positive_int, metavar="N", help="height and width of the clips")
    group.add_argument("--classes", type=positive_int, metavar="N", help="classes of the head")
    group.add_argument("--fps", type=frame_rate, metavar="N", help="frames per second, for spans in seconds")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="any field, such as edges.fast_to_slow.transform.kernel=7; repeatable",
    )
    group.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the model's family; repeatable",
    )


def add_published_weights(parser: ArgumentParser) -> None:
    """Whether files of weights are listed."""
    parser.add_argument("--weights", action="store_true", help="the published files of weights instead, a row each")


def add_json(parser: ArgumentParser) -> None:
    """Data instead of text."""
    parser.add_argument("--json", action="store_true", help="print data instead of text")


def add_spec_format(parser: ArgumentParser) -> None:
    """How a spec is shown."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--yaml", action="store_true", help="as YAML (default)")
    form.add_argument("--python", action="store_true", help="as Python source in the language")
    form.add_argument(
        "--span", action="store_true", help="receptive fields of stages and laterals in time, and their gaps"
    )
    parser.add_argument("--json", action="store_true", help="the spec as JSON; with --span its figures as data")


def add_table_format(parser: ArgumentParser) -> None:
    """How a table is written."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--format", default="text", metavar="FORMAT", help="text (default), md, csv, html, latex or json")
    form.add_argument(
        "--json", action="store_const", dest="format", const="json", default=SUPPRESS, help="the same as --format json"
    )


def add_costs(parser: ArgumentParser) -> None:
    """How cost is counted."""
    parser.add_argument(
        "--convention", metavar="NAME", help="macs, fvcore, flops or ptv-zoo; by default macs and fvcore"
    )
    parser.add_argument("--batch", type=positive_int, metavar="N", help="clips in a batch")
    parser.add_argument("--views", metavar="CxS", help="views of a video, such as 10x3: 10 clips of 3 crops")
    parser.add_argument("--claims", action="store_true", help="each published figure beside ours at the same input")
    parser.add_argument(
        "--verify", action="store_true", help="fvcore's and torch's own counters beside ours (loads torch)"
    )


def add_latency(parser: ArgumentParser) -> None:
    """Time instead of costs."""
    parser.add_argument(
        "--latency",
        action="store_true",
        help="predicted seconds of a forward instead of costs, from a table measured on a machine "
        "(on this one after `archdsl bench --calibrate`)",
    )
    parser.add_argument("--device", metavar="NAME", help="with --latency: cpu (default), or one that was calibrated")


def add_memory(parser: ArgumentParser) -> None:
    """How memory is counted."""
    group = parser.add_argument_group("memory")
    group.add_argument("--memory", action="store_true", help="bytes of one step instead of costs")
    kind = group.add_mutually_exclusive_group()
    kind.add_argument("--train", action="store_true", help="forward, backward, optimiser (default)")
    kind.add_argument("--infer", action="store_true", help="forward alone")
    group.add_argument("--precision", metavar="NAME", help="fp32 (default), bf16 or fp16; in training torch.autocast")
    group.add_argument("--optimizer", metavar="NAME", help="sgd (default, with momentum), adamw, ...")
    group.add_argument(
        "--checkpoint",
        metavar="NAME",
        help="what is recomputed in backward: stage, block, or a memory budget such as 24GB",
    )
    group.add_argument("--fits", metavar="SIZE", help="the largest batch within that memory, such as 80GB")


def add_table_level(parser: ArgumentParser) -> None:
    """How fine a table is."""
    parser.add_argument("--level", default="stage", metavar="LEVEL", help="stage (default), block or op")


def add_picture_level(parser: ArgumentParser) -> None:
    """How fine a picture is."""
    parser.add_argument("--level", default="stage", metavar="LEVEL", help="pathway, stage (default), block or op")


def add_plot_axes(parser: ArgumentParser) -> None:
    """What is plotted against what."""
    parser.add_argument(
        "--against", default="macs", metavar="COST", help="macs (default), params, fvcore, flops or ptv-zoo"
    )
    parser.add_argument("--figure", default="top1", metavar="FIGURE", help="top1 (default) or top5")
    parser.add_argument(
        "--source", default="", metavar="WORD", help="only figures whose source has this word, such as torchvision"
    )


def add_plot_output(parser: ArgumentParser) -> None:
    """Where the plot goes."""
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="a .svg, .pdf or .png file")


def add_budget(parser: ArgumentParser) -> None:
    """How far a network grows, and along what."""
    parser.add_argument("--macs", type=mac_count, required=True, metavar="N", help="the target cost, such as 4.7e9")
    order = "b,tau,s,d,t,tau,t,s,s,d,w"
    parser.add_argument("--order", default=order, metavar="AXES", help=f"an axis for each step; by default {order}")


def mac_count(text: str) -> int:
    """A number of multiply-adds, such as 4.7e9."""
    value = positive_number(text, "a number of multiply-adds such as 4.7e9")
    if value < 1:
        raise ArgumentTypeError(f"{text!r} is less than one multiply-add")
    return int(value)


def positive_number(text: str, noun: str) -> Fraction:
    """A number above 0, exactly."""
    try:
        value = exact_fraction(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not {noun}: {error}") from None
    if value <= 0:
        raise ArgumentTypeError(f"{text!r} is not {noun}: a number above 0")
    return value


def add_output(parser: ArgumentParser) -> None:
    """Where the result goes."""
    parser.add_argument("-o", "--output", metavar="FILE", help="write to a file; a drawing's suffix says its format")


def add_python_files(parser: ArgumentParser) -> None:
    """Whether Python spec files are looked at."""
    parser.add_argument(
        "--python",
        action="store_true",
        help="check Python spec files too when they are saved: this executes them, so open only files you trust",
    )


def add_live(parser: ArgumentParser) -> None:
    """The file of the live page, and where it is served."""
    parser.add_argument("file", metavar="FILE", help="a spec in YAML or JSON; it is made where there is none yet")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="a free one by default")
    parser.add_argument("--no-browser", action="store_true", help="print the address, and open nothing")


def positive_int(text: str) -> int:
    """A whole number from 1 to MOST."""
    try:
        value = whole_number(text)
    except ValueError:
        value = 0
    if not 1 <= value <= MAX_COUNT:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MAX_COUNT}")
    return value


def frame_rate(text: str) -> Fraction:
    """Frames per second: 30, 29.97 or 30000/1001."""
    return positive_number(text, "a frame rate")
