"""Groups of options of the commands that run networks: bench, train, evaluate, predict, and data for them."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError

from archdsl.cli.arguments.options import positive_int, positive_number

MAX_SECONDS = 100_000
"""Upper limit of --seconds."""


def add_bench(parser: ArgumentParser) -> None:
    """What is timed, against what, and how often."""
    group = parser.add_argument_group("bench")
    group.add_argument(
        "--vs", metavar="FILE.py:NAME", help="a function that makes a peer's network; by default our literal network"
    )
    group.add_argument(
        "--lower",
        action="append",
        metavar="WHICH",
        help="auto (default), none, or lowerings joined by commas; repeatable, a side for each",
    )
    group.add_argument("--train", action="store_true", help="forward, backward and a step of SGD; by default forward")
    group.add_argument("--batch", type=positive_int, default=1, metavar="N", help="clips in a batch")
    group.add_argument("--device", default="cpu", metavar="NAME", help="cpu (default), or cuda")
    group.add_argument(
        "--precision", choices=("fp32", "bf16", "fp16"), default="fp32", help="fp32 (default), or autocast to a half"
    )
    group.add_argument("--compiled", action="store_true", help="beside each side of ours the same, compiled by stages")
    group.add_argument(
        "--runs", type=positive_int, metavar="N", help="rounds, each with every side once (7; 15 of a calibration)"
    )
    group.add_argument(
        "--calibrate",
        action="store_true",
        help="measure small cases instead (of the networks named, or of many of the zoo), 2 minutes; "
        "`count --latency` and `auto` then go by them",
    )
    group.add_argument("--only", metavar="SIDE", help="run one side twice in this process and print its memory")


def add_recipe_name(parser: ArgumentParser) -> None:
    """One recipe, or none."""
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", help="a name from `archdsl recipes`, or a path")
    parser.add_argument("--set", action="append", default=[], metavar="recipe.PATH=VALUE", help="any field; repeatable")


def add_recipe_schema(parser: ArgumentParser) -> None:
    """Which schema."""
    parser.add_argument("--recipe", action="store_true", help="of recipe files instead of network files")


def add_training(parser: ArgumentParser) -> None:
    """How a network is trained, on what, and where the run goes."""
    group = parser.add_argument_group("training")
    group.add_argument(
        "--recipe",
        metavar="RECIPE",
        help="a name from `archdsl recipes`, or a .yaml, .json or .py file; by default one for the network's task",
    )
    group.add_argument(
        "--data",
        default="motion",
        metavar="DATA",
        help="motion (built in, the default), a folder of videos or shards, or a list; see `archdsl data --help`",
    )
    group.add_argument(
        "--out", metavar="DIR", help="folder of the run; by default runs/NAME. An unfinished run in it is resumed"
    )
    group.add_argument(
        "--steps", type=positive_int, metavar="N", help="optimiser steps; a schedule of epochs is scaled to them"
    )
    group.add_argument("--epochs", type=positive_int, metavar="N", help="epochs; a schedule of steps is scaled to them")
    group.add_argument("--batch", type=positive_int, metavar="N", help="clips per step over all processes")
    group.add_argument("--seed", type=non_negative_int, metavar="N", help="of weights, order, augmentation and dropout")
    group.add_argument(
        "--workers",
        type=non_negative_int,
        default=0,
        metavar="N",
        help="data-loading workers per process; one that crashes at a video is replaced, with 0 the run crashes",
    )
    group.add_argument("--device", metavar="NAME", help="cpu, cuda or cuda:1; by default cuda where there is one")
    group.add_argument("--shard", action="store_true", help="shard the weights over processes (FSDP2), stage by stage")
    group.add_argument(
        "--weights",
        metavar="FILE",
        help="initial weights of a new run: .safetensors, a file of torch.save, a checkpoint, hf://OWNER/NAME/FILE of "
        "huggingface.co, or a run (its last); "
        "head tensors that do not fit stay as initialised and are listed; ignored where a run is resumed",
    )
    group.add_argument(
        "--resume", metavar="CHECKPOINT", help="resume from this checkpoint; later ones move to abandoned/"
    )
    group.add_argument("--quiet", action="store_true", help="print only the result")


def add_testing(parser: ArgumentParser) -> None:
    """Which networks are tested, on what, and where figures go."""
    parser.add_argument(
        "names",
        nargs="+",
        metavar="RUN",
        help="a run's folder: its last checkpoint (a better one is named); or a network with --recipe and "
        "--weights; NAME=RUN names it for --fuse",
    )
    add_weights(parser, "testing")
    group = parser.add_argument_group("views and videos")
    group.add_argument(
        "--data", metavar="DATA", help="by default what the run trained on; motion for any other network"
    )
    group.add_argument("--split", default="val", choices=("train", "val", "test"), help="val (default), test or train")
    group.add_argument("--views", metavar="CxS", help="clips x crops of a video, such as 10x3; by default the recipe's")
    group.add_argument("--batch", type=positive_int, metavar="N", help="batch size, in views")
    group.add_argument(
        "--fuse", nargs="+", default=[], metavar="NAME:SHARE", help="average the scores of several: rgb:1 flow:1.5"
    )
    group.add_argument("--out", metavar="DIR", help="figures as JSON, videos, classes and confusion as SVG and CSV")
    group.add_argument("--quiet", action="store_true", help="no progress bar")


def add_weights(parser: ArgumentParser, title: str) -> None:
    """Where recipe and weights are, and what computes."""
    group = parser.add_argument_group(title)
    group.add_argument("--recipe", metavar="RECIPE", help="by default the run's")
    group.add_argument(
        "--weights",
        metavar="FILE",
        help=".safetensors, a file of torch.save, a checkpoint, hf://OWNER/NAME/FILE; by default the run's last, not "
        "its best, which was selected on the test videos",
    )
    group.add_argument(
        "--workers", type=non_negative_int, default=0, metavar="N", help="data-loading workers per process"
    )
    group.add_argument("--device", metavar="NAME", help="cpu, cuda or cuda:1; by default cuda where there is one")


def add_prediction(parser: ArgumentParser) -> None:
    """Which network sees which videos."""
    parser.add_argument("name", metavar="RUN", help="a run's folder, or a network with --recipe and --weights")
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="video files, or folders of videos or of pictures")
    add_weights(parser, "predicting")
    parser.add_argument("--top", type=positive_int, default=5, metavar="N", help="number of top classes, 5 by default")
    parser.add_argument("--names", metavar="FILE", help="a class's name on each line; by default the run's")
    parser.add_argument("-o", "--output", metavar="FILE", help="write JSON to a file")
    parser.add_argument("--pictures", metavar="DIR", help="write pictures and videos that show the predictions")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def add_features(parser: ArgumentParser) -> None:
    """Which network, of which videos, from where inside it, and how features are written."""
    parser.add_argument("name", metavar="RUN", help="a run's folder, or a network with --recipe and --weights")
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="video files, or folders of videos or of pictures")
    group = parser.add_argument_group("features")
    group.add_argument(
        "--at",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="an op, block or stage, such as slow.res5 (`archdsl table --level op`); repeatable; by default what the "
        "head reads: the network without it",
    )
    group.add_argument(
        "--pool", default="thw", metavar="AXES", help="axes that are averaged: thw (default), hw, t, none"
    )
    group.add_argument(
        "--format", default="npy", metavar="FORMAT", help="npy (default), npz (several addresses, times), or csv"
    )
    group.add_argument(
        "--rows", type=positive_int, metavar="N", help="rows of a video, linearly between its own: 100 for BSN and BMN"
    )
    group.add_argument("-o", "--output", metavar="DIR", help="the folder; files that are there already stay")
    group.add_argument("--batch", type=positive_int, metavar="N", help="batch size, in views")
    add_weights(parser, "network")


def non_negative_int(text: str) -> int:
    """A whole number from 0 to MOST."""
    return 0 if text == "0" else positive_int(text)


def add_data_action(parser: ArgumentParser) -> None:
    """What is done with data."""
    parser.add_argument("action", metavar="ACTION", choices=("make", "check", "bench"), help="make, check or bench")
    parser.add_argument("data", metavar="DATA", help="with make: motion; else a folder of videos or shards, or a list")
    parser.add_argument("out", metavar="OUT", nargs="?", help="with make: the folder that is written")
    parser.add_argument(
        "--count", type=positive_int, default=240, metavar="N", help="make: videos to train on; a fifth to test"
    )
    parser.add_argument("--frames", type=positive_int, default=16, metavar="N", help="frames of a clip (16)")
    parser.add_argument(
        "--size", type=positive_int, default=64, metavar="N", help="make: height and width in pixels (64)"
    )
    parser.add_argument(
        "--shards", type=positive_int, metavar="N", help="make: N shards a split instead of class folders"
    )
    parser.add_argument(
        "--every", type=positive_int, default=1, metavar="N", help="check, bench: one frame in so many (1)"
    )
    parser.add_argument(
        "--net",
        metavar="NAME",
        help="make, check: in the formats of this network's task, make at its size; bench: as it reads clips",
    )
    parser.add_argument("--recipe", default="smoke", metavar="R", help="with --net, the recipe (smoke)")
    parser.add_argument("--split", default="train", choices=("train", "val", "test"), help="check, bench (train)")
    parser.add_argument(
        "--workers",
        type=non_negative_int,
        nargs="+",
        default=[2],
        metavar="N",
        help="data-loading workers; bench: one or more",
    )
    parser.add_argument(
        "--seconds", type=positive_seconds, default=3.0, metavar="S", help="bench: of each measurement (3)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print data instead of text")
    form.add_argument(
        "--format", default="text", metavar="FORMAT", help="bench: text (default), md, csv, html or latex"
    )


def add_property_tests(parser: ArgumentParser) -> None:
    """How many networks are tried, and of which properties."""
    parser.add_argument("--examples", type=positive_int, default=10, metavar="N", help="networks tried (default 10)")
    parser.add_argument("--seed", type=non_negative_int, default=0, metavar="N", help="which neighbours (default 0)")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="PROPERTY", help="these properties only, such as plan gradients"
    )


def positive_seconds(text: str) -> float:
    """A time above 0."""
    value = positive_number(text, "a number of seconds")
    if value >= MAX_SECONDS:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds below {MAX_SECONDS}")
    return float(value)
