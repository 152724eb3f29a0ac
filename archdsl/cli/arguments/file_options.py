"""Groups of options of the commands that read and write others' files: weights, export, read."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError

from archdsl.cli.arguments.options import MAX_COUNT, positive_int
from archdsl.spec.numbers import whole_number

MOST_AXES = 4
"""Of a clip without its batch."""


def add_weights_action(parser: ArgumentParser) -> None:
    """What is done with a file of weights."""
    parser.add_argument("action", metavar="ACTION", choices=("show", "convert"), help="show or convert")
    parser.add_argument(
        "file", metavar="FILE", help=".safetensors, what torch.save or Caffe2 wrote, or hf://OWNER/NAME/FILE"
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="convert: the network whose addresses are written")
    parser.add_argument("-o", "--output", metavar="FILE", help="convert: the .safetensors file that is written")
    parser.add_argument(
        "--beside", metavar="FILE", help="convert: another file with the rest, such as a probe's beside its encoder's"
    )
    parser.add_argument(
        "--to", metavar="DIALECT", help="convert: write another source's names instead, such as torchvision/resnet"
    )
    parser.add_argument(
        "--inflate", choices=("mean", "centre"), default="mean", help="convert: kernels of one frame in several (mean)"
    )
    parser.add_argument(
        "--channels",
        choices=("mean", "repeat"),
        default="mean",
        help="convert: a first convolution on other channels, the mean of the file's (default) or these in turn",
    )


def add_export(parser: ArgumentParser) -> None:
    """What is written, and how."""
    group = parser.add_argument_group("export")
    group.add_argument("-o", "--output", required=True, metavar="FILE", help=".onnx, .pt2, .safetensors, or a folder")
    group.add_argument("--weights", metavar="FILE", help="of a network: as of `train`; by default as initialised")
    group.add_argument("--recipe", metavar="RECIPE", help="of a network: how pixels are normalised; by default a run's")
    group.add_argument(
        "--lower",
        default="none",
        metavar="PASSES",
        help="of programs: none (default), auto, or names from `archdsl lowerings`, with commas",
    )
    group.add_argument(
        "--frozen", action="store_true", help="of programs: norms folded into weights; lowered by auto unless --lower"
    )
    group.add_argument(
        "--batch", type=positive_int, metavar="N", help="of programs: clips at once, fixed; by default any number"
    )
    group.add_argument(
        "--int8",
        metavar="DATA",
        help="of programs: in 8 bits by torch.ao, ranges observed on the test videos of DATA; figures before and after",
    )
    group.add_argument("--to", metavar="DIALECT", help="of weights: another source's names, such as torchvision/resnet")


def add_reading(parser: ArgumentParser) -> None:
    """Which module is read, on what, and what is shown of it."""
    parser.add_argument("module", metavar="FILE.py:NAME", help="a function without arguments that gives a torch module")
    parser.add_argument(
        "--clip",
        action="append",
        required=True,
        type=clip_sizes,
        metavar="SIZES",
        help="of a clip without its batch, such as 3x32x224x224; repeatable, one for each that the module takes",
    )
    parser.add_argument("--vs", metavar="NAME", help="a network of the zoo, at this size, or a path")
    parser.add_argument("--table", metavar="LEVEL", help="its layers: stage, block or op")
    parser.add_argument("--span", action="store_true", help="receptive fields in time")
    parser.add_argument("--memory", action="store_true", help="predicted bytes of a forward of one clip")
    parser.add_argument("--latency", action="store_true", help="predicted seconds of a forward of one clip")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="a drawing (.svg, .dot, .html), a spec of it (.yaml), or with --vs its weights (.safetensors)",
    )


def clip_sizes(text: str) -> tuple[int, ...]:
    """Sizes such as 3x32x224x224."""
    try:
        sizes = tuple(map(whole_number, text.split("x")))
    except ValueError:
        sizes = ()
    if not 1 <= len(sizes) <= MOST_AXES or not all(1 <= n <= MAX_COUNT for n in sizes):
        raise ArgumentTypeError(f"{text!r} is not the size of a clip without its batch, such as 3x32x224x224")
    return sizes
