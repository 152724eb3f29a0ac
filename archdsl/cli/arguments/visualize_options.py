"""Options of `visualize`."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError

from archdsl.cli.arguments.options import positive_int
from archdsl.cli.arguments.run_options import non_negative_int
from archdsl.spec.numbers import exact_fraction

MOST_WEIGHT = 1e6
VISUALIZE = """\
what a network looks at and looks for: a page of moving pictures, with the pictures as files and the numbers as npz

The target is a class, or a channel at an address (`archdsl table --level op`); by default the class with the highest
score in each clip. Clips are those of videos, or the first of the data, which for a network of pictures are built in.
Without a run and without --weights the weights are as initialised: then the pictures show the architecture alone.

Methods, by name; without --method all that this network has:
  kernels       kernels of the first layers
  activations   where channels of a layer are active
  cam           class activation maps, of heads that pool and are linear
  gradcam       Grad-CAM over time, of any network: places of a map whose channels raise the target
  occlusion     how much the target falls where a part of the clip is hidden for a while
  saliency      the size of the gradient at each pixel; guided and deconv let a part of it pass each ReLU
  maximization  clips made by gradient ascent, one for each weight of --temporal: the larger, the slower they move;
                every clip of the network at once, such as frames and flow
  top           clips of the data that the target answers to most
  embedding     clips of the data in a plane: PCA, and t-SNE where scikit-learn is installed

Gradients are those of the literal network in float32. Large networks are quicker with --size and --frames, fewer
--steps, and one --method."""


def add_visualization(parser: ArgumentParser) -> None:
    """Which network, which target, which methods, on which clips."""
    parser.add_argument("name", metavar="RUN_OR_NAME", help="a run's folder, or a network, with --weights or without")
    parser.add_argument("videos", nargs="*", metavar="VIDEO", help="files, or folders; by default clips of --data")
    group = parser.add_argument_group("target")
    group.add_argument("--class", dest="class_", metavar="CLASS", help="a class's name in the run, or its number")
    group.add_argument(
        "--at",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="the map that is shown, such as slow.res5; repeatable; by default what the head reads",
    )
    group.add_argument("--channel", type=non_negative_int, metavar="N", help="a channel of --at instead of a class")
    group = parser.add_argument_group("pictures")
    group.add_argument("--method", action="append", default=[], metavar="NAME", help="one of those above; repeatable")
    group.add_argument("-o", "--output", metavar="DIR", help="the folder: index.html, PNG, GIF, MP4 and npz")
    group.add_argument("--top", type=positive_int, default=6, metavar="N", help="channels, and clips of the data (6)")
    group.add_argument("--steps", type=positive_int, default=128, metavar="N", help="of gradient ascent (128)")
    group.add_argument(
        "--temporal",
        type=variation_weights,
        default=(0.0, 1.0, 10.0),
        metavar="N,N,...",
        help="weights of the variation over time, from fast to slow (0,1,10)",
    )
    group.add_argument(
        "--spatial", type=variation_weight, default=1.0, metavar="N", help="weight of the variation within frames (1)"
    )
    group.add_argument(
        "--seed", type=non_negative_int, default=0, metavar="N", help="of the noise that ascent begins at"
    )
    group = parser.add_argument_group("data")
    group.add_argument("--data", metavar="DATA", help="by default what the run trained on; else motion, built in")
    group.add_argument("--split", default="val", choices=("train", "val", "test"), help="val (default), test or train")
    group.add_argument("--clips", type=positive_int, default=2, metavar="N", help="of the data that are shown (2)")
    group.add_argument(
        "--count", type=positive_int, default=64, metavar="N", help="clips of the data that top and embedding read (64)"
    )
    group = parser.add_argument_group("network")
    group.add_argument("--recipe", metavar="RECIPE", help="how pixels are normalised; by default the run's")
    group.add_argument("--weights", metavar="FILE", help="as of `predict`; by default the run's last")
    group.add_argument("--device", metavar="NAME", help="cpu, cuda or cuda:1; by default cuda where there is one")


def variation_weights(text: str) -> tuple[float, ...]:
    """Weights with commas between them."""
    return tuple(map(variation_weight, text.split(",")))


def variation_weight(text: str) -> float:
    """A number from 0."""
    try:
        value = float(exact_fraction(text.strip()))
    except ValueError:
        value = -1.0
    if not 0 <= value <= MOST_WEIGHT:
        raise ArgumentTypeError(f"{text!r} is not a weight from 0 to {MOST_WEIGHT:g}")
    return value
