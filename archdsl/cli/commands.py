"""The words of the command line, and what each teaches with --help."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter, _SubParsersAction
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from archdsl.cli import bench as benching
from archdsl.cli import data, drawings, lowerings, reports, specs
from archdsl.cli import evaluate as testing
from archdsl.cli import expand as growing
from archdsl.cli import options as o
from archdsl.cli import run_options as r
from archdsl.cli import train as training
from archdsl.errors import SpecError, did_you_mean

EXAMPLES = """\
examples:
  archdsl list                                            what there is
  archdsl check my_net.yaml                               can it exist? every fault at once
  archdsl table slowfast_4x16_r50                         Table 1 of the paper
  archdsl count slowfast_4x16_r50 my_net.yaml --size 256  params and costs, exact
  archdsl draw slowfast_4x16_r50 -o slowfast.svg          one lane for each pathway
  archdsl emit slowfast_4x16_r50 -o net.py                readable torch code
  archdsl diff slowfast_4x16_r50 --set pathways.fast.width_ratio=1/16

A network is a name from `archdsl list` or a path ending in .py, .yaml or .json (file.py:name for one of several).
Python files are executed: use only files you trust. `archdsl COMMAND --help` tells more of each.
"""


DATA = """\
videos to train and test on: make the built-in ones, check yours, measure how fast they can be read

DATA is, here and in `train`, `evaluate` and `predict`:
  motion                       moving digits made in memory; motion:still repeats one frame
  a folder                     train/CLASS/video.mp4 and val/CLASS/...; or a list for each split;
                               or just CLASS/..., to test and to check: `train` wants other videos to test on
  shards                       a folder of WebDataset's .tar, or train/ and val/ of them, or 'train-{000..009}.tar':
                               KEY.mp4 beside KEY.cls, a class's number, or KEY.json with label or labels
  a list                       path label; path label label; folder frames label; CSV of Kinetics or Charades;
                               JSON of Kinetics or Something-Something; trainlist01.txt of UCF101;
                               *_test_split1.txt of HMDB51; CSV or JSON of path and label or labels, split,
                               start, end and centre in seconds, frames and offset of pictures
A video is a file, or a folder of numbered pictures: seen from the list's folder, or found by the end of its path below
it. A line that is not understood, or that two files fit, is named. docs/lists.md has all formats.
Names of classes: of folders; in classes.txt or labels.json beside a list or shards, or above their train/ and val/;
else the labels themselves. Shards in one folder whose names say train or val belong to these alone. Shards lie on a
drive, not behind an address: they are indexed by their headers and read by place, in the order that the recipe says.
The package webdataset, which reads a shard from its first member to its last, is not needed."""


class Parser(ArgumentParser):
    """Argparse, its errors told like every other."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=RawDescriptionHelpFormatter, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise SpecError instead of leaving."""
        unknown = re.match(r"argument COMMAND: invalid choice: '(.*?)'", message)
        if not unknown:
            raise SpecError(message, fix=f"{self.prog} --help")
        known = [command.name for command in COMMANDS]
        near = did_you_mean(unknown[1], known)
        raise SpecError(
            f"no command {unknown[1]!r}", got=unknown[1], want=", ".join(known), fix=f"{self.prog} {near or '--help'}"
        )


class Command(NamedTuple):
    """One word of the command line."""

    name: str
    run: Callable[[Any], int]
    says: str
    options: tuple[Callable[[ArgumentParser], None], ...]
    examples: tuple[str, ...]


COMMANDS = (
    Command(
        "list",
        specs.list_models,
        "the models of the zoo",
        (o.pattern, o.as_json),
        ("archdsl list", "archdsl list slowfast --json"),
    ),
    Command(
        "show",
        specs.show,
        "a spec as YAML, JSON or Python after overrides; or what it sees in time",
        (o.one_name, o.overrides, o.shown),
        (
            "archdsl show slowfast_4x16_r50",
            "archdsl show my_net.py --classes 174 > my_net.yaml",
            "archdsl show slowfast_4x16_r50 --python",
            "archdsl show slowfast_4x16_r50 --span",
        ),
    ),
    Command(
        "check",
        specs.check,
        "can it exist? one line for each that can, every fault of each that cannot",
        (o.maybe_names, o.overrides, o.as_json),
        ("archdsl check my_net.yaml", "archdsl check --all", "archdsl check slowfast_8x8_r50 --frames 60"),
    ),
    Command(
        "count",
        reports.count,
        "params and costs, exact, beside what was published",
        (o.maybe_names, o.overrides, o.costs, o.latency, o.memory, o.formats),
        (
            "archdsl count slowfast_4x16_r50 slow_4x16_r50 --size 256 --json",
            "archdsl count slowfast_8x8_r50 --size 256 --views 10x3 --convention flops",
            "archdsl count slowfast_8x8_r50 --claims",
            "archdsl count slowfast_8x8_r50 --verify",
            "archdsl count slowfast_8x8_r50 x3d_m --latency",
            "archdsl count slowfast_8x8_r50 --memory --train --precision bf16 --batch 8 --fits 80GB",
        ),
    ),
    Command(
        "table",
        reports.table,
        "the paper's Table 1: layers, shapes, costs, spans",
        (o.names, o.overrides, o.table_level, o.formats),
        (
            "archdsl table slowfast_4x16_r50",
            "archdsl table my_net.yaml --level block",
            "archdsl table slowfast_4x16_r50 --format latex > table.tex",
        ),
    ),
    Command(
        "draw",
        drawings.draw,
        "a picture: one lane for each pathway, lateral edges between them",
        (o.one_name, o.overrides, o.picture_level, o.output),
        (
            "archdsl draw slowfast_4x16_r50 -o slowfast.svg",
            "archdsl draw my_net.yaml --level block -o my_net.svg",
            "archdsl draw my_net.yaml --level op -o my_net.dot",
        ),
    ),
    Command(
        "plot",
        drawings.plot,
        "published accuracy against cost, a point for each network",
        (o.maybe_names, o.plot_axes, o.plot_output),
        (
            "archdsl plot slow_4x16_r50 slowfast_4x16_r50 slowfast_8x8_r50 x3d_m -o tradeoff.svg",
            "archdsl plot --all --source torchvision --against params -o torchvision.svg",
        ),
    ),
    Command(
        "emit",
        drawings.emit,
        "readable torch code that needs torch only",
        (o.one_name, o.overrides, o.lower, o.output),
        ("archdsl emit slowfast_4x16_r50 -o net.py", "archdsl emit slowfast_4x16_r50 --lower auto -o quick.py"),
    ),
    Command(
        "lowerings",
        lowerings.lowerings,
        "what makes a built network quick and leaves what it gives as it is: passes, and when each pays",
        (o.as_json,),
        ("archdsl lowerings", "archdsl lowerings --json"),
    ),
    Command(
        "diff",
        reports.diff,
        "what differs between two networks, by address, and what it costs",
        (o.two_names, o.overrides, o.as_json),
        (
            "archdsl diff slowfast_4x16_r50 slowfast_8x8_r50",
            "archdsl diff slowfast_4x16_r50 --set pathways.fast.width_ratio=1/16",
        ),
    ),
    Command(
        "admits",
        reports.admits,
        "which frames and sizes it accepts, exactly",
        (o.names, o.overrides, o.as_json),
        ("archdsl admits slowfast_4x16_r50",),
    ),
    Command(
        "expand",
        growing.expand,
        "grow a small network one axis at a time up to a cost (X3D); a model's axes are in its zoo file",
        (o.one_name, o.budget, o.formats, o.output),
        ("archdsl expand x2d --macs 4.7e9", "archdsl expand x2d --macs 1e9 --order b,tau,s,d,t,w -o grown.yaml"),
    ),
    Command(
        "train",
        training.train,
        "train a network by a recipe on videos, test it; the same command goes on where a run was interrupted",
        (o.one_name, o.overrides, r.trained),
        (
            "archdsl train slowfast_tiny --recipe smoke",
            "archdsl train slowfast_tiny --recipe smoke --seed 1 --set recipe.optimizer.rate=0.05 --out runs/slower",
            "archdsl train slowfast_4x16_r50 --recipe slowfast_k400 --data kinetics.csv --workers 16",
            "archdsl train x3d_m --recipe x3d_k400 --classes 51 --data hmdb51 --weights runs/x3d_m --out runs/hmdb51",
            "torchrun --nproc_per_node 8 -m archdsl train x3d_m --recipe x3d_k400 --data kinetics.csv --workers 8",
        ),
    ),
    Command(
        "evaluate",
        testing.evaluate,
        "test trained networks on videos, alone and fused",
        (r.tested, o.overrides, o.as_json),
        (
            "archdsl evaluate runs/slowfast_tiny --out results",
            "archdsl evaluate runs/slowfast_4x16_r50 --data kinetics.csv --views 10x3 --size 256 --workers 8",
            "archdsl evaluate rgb=runs/tsn flow=runs/tsn_flow --data ucf101 --fuse rgb:1 flow:1.5",
            "archdsl evaluate x3d_m --recipe x3d_k400 --weights x3d_m.safetensors --data kinetics.csv",
        ),
    ),
    Command(
        "predict",
        testing.predict,
        "what a trained network sees in video files, and when",
        (r.predicted, o.overrides),
        (
            "archdsl predict runs/slowfast_tiny clip.mp4",
            "archdsl predict runs/slowfast_4x16_r50 holiday/ --top 3 -o holiday.json",
        ),
    ),
    Command(
        "recipes",
        training.recipes,
        "how networks are trained: the recipes that come along, or one in full",
        (r.recipe_name, o.as_json),
        ("archdsl recipes", "archdsl recipes slowfast_k400 > mine.yaml"),
    ),
    Command(
        "data",
        data.data,
        DATA,
        (r.data_action,),
        (
            "archdsl data make motion out/motion          moving digits as mp4 files",
            "archdsl data make motion out/shards --shards 4  the same in shards",
            "archdsl data check my_videos                 videos of each class, and those that cannot be read",
            "archdsl data bench my_videos --workers 1 2 4  clips per second by decoder and readers",
            "archdsl train slowfast_tiny --recipe smoke --data out/motion",
        ),
    ),
    Command(
        "bench",
        benching.bench,
        "what networks take on this machine: lowered beside literal, or ours beside a peer's (loads torch)",
        (o.maybe_names, o.overrides, r.benching, o.formats, o.output),
        (
            "archdsl bench my_net.yaml",
            "archdsl bench my_net.yaml --train --batch 2 --json",
            "archdsl bench slowfast_8x8_r50 my_net.yaml -o my_net.md",
            "archdsl bench my_net.yaml --vs my_peers.py:make_model",
            "archdsl bench --calibrate",
        ),
    ),
    Command(
        "schema",
        specs.schema,
        "JSON Schema of spec files or recipes, for editors",
        (r.recipe_schema, o.output),
        (
            "archdsl schema -o archdsl.schema.json",
            "archdsl schema --recipe -o recipe.schema.json",
            "and as the first line of a spec: # yaml-language-server: $schema=archdsl.schema.json",
        ),
    ),
)


def parser() -> Parser:
    """The whole command line."""
    from archdsl import __version__

    top = Parser(
        prog="archdsl", description="A language for video architectures and a compiler for it.", epilog=EXAMPLES
    )
    top.add_argument("--version", action="version", version=f"archdsl {__version__}")
    words: _SubParsersAction[Parser] = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS:
        epilog = "\n".join(["examples:", *(f"  {example}" for example in command.examples)])
        word = words.add_parser(
            command.name, help=command.says.partition("\n")[0], description=command.says, epilog=epilog
        )
        for option in command.options:
            option(word)
        word.set_defaults(run=command.run)
    top.set_defaults(run=lambda given: help_of(top))
    return top


def help_of(top: Parser) -> int:
    """What a person sees who wrote only `archdsl`."""
    top.print_help(sys.stdout)
    return 0
