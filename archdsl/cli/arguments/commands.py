"""The commands: name, summary, options, examples."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, NamedTuple

from archdsl.cli import (
    bench,
    data,
    drawings,
    editor,
    evaluate,
    expand,
    explain,
    export,
    features,
    lowerings,
    property_tests,
    read,
    reports,
    specs,
    train,
    visualize,
    weights,
)
from archdsl.cli.arguments import file_options as f
from archdsl.cli.arguments import options as o
from archdsl.cli.arguments import run_options as r
from archdsl.cli.arguments.help_texts import EXPORT, LIVE, LSP, READ, TEST, WEIGHTS
from archdsl.cli.arguments.visualize_options import VISUALIZE, add_visualization

DATA = """\
videos to train and test on: make the built-in ones, check yours, measure how fast they can be read

DATA is, here and in `train`, `evaluate` and `predict`:
  motion                       moving digits made in memory; motion:still repeats one frame, motion:64 has 64 clips
  a folder                     train/CLASS/video.mp4 and val/CLASS/...; or a list for each split;
                               or just CLASS/..., for `evaluate` and `data check`: `train` needs test videos too
                               networks of one frame read pictures so: train/CLASS/picture.jpg
  shards                       a folder of WebDataset's .tar, or train/ and val/ of them, or 'train-{000..009}.tar':
                               KEY.mp4 beside KEY.cls, a class's number, or KEY.json with label or labels
  a list                       path label; path label label; folder frames label; CSV of Kinetics, Charades
                               or EPIC-KITCHENS (a column for each label);
                               JSON of Kinetics or Something-Something; trainlist01.txt of UCF101;
                               *_test_split1.txt of HMDB51; CSV or JSON of path and label or labels, split,
                               start, end and centre in seconds, frames and offset of pictures
  for segmentation             train/images/NAME.jpg and train/masks/NAME.png of class numbers, 255 for none, and
                               val/ of both, beside classes.txt; Cityscapes (leftImg8bit or leftImg8bit_sequence, and
                               gtFine), SegNet's CamVid, VOCdevkit; `data check DATA --net NET` reads them
  for localisation             a .json of ActivityNet or BSN, or CLASS_val.txt and CLASS_test.txt of THUMOS'14, beside
                               VIDEO.csv (a head, a row for each position) or VIDEO.npy; `data make motion OUT`
                               with --net NET writes such a folder
  for actions in boxes         AVA's lists ava_train_v2.2.csv, ava_val_v2.2.csv, those of excluded timestamps and of
                               predicted boxes, ava_action_list_v2.2.pbtxt, beside videos/ or frames/VIDEO/...jpg;
                               `predict` reads boxes of VIDEO.mp4 in VIDEO.boxes.csv beside it, which `predict` of a
                               detector of persons writes with --pictures
  for detection                ILSVRC2015 (ImageSets, Data and Annotations of DET and VID), a VOCdevkit, or COCO's
                               annotations/instances_train2017.json beside train2017/
A video is a file, or a folder of numbered pictures: seen from the list's folder, or found by the end of its path below
it. An ambiguous line or path is an error with its line number. docs/lists.md has all formats.
Names of classes: of folders; in classes.txt or labels.json beside a list or shards, or above their train/ and val/;
else the labels themselves. Shards in one folder whose names say train or val belong to these alone. Shards are
local files: they are indexed by their headers and read by random access, in the order of the recipe. The package
webdataset is not needed."""


class Command(NamedTuple):
    """A command."""

    name: str
    run: Callable[[Any], int]
    summary: str
    options: tuple[Callable[[ArgumentParser], None], ...]
    examples: tuple[str, ...]


COMMANDS = (
    Command(
        "list",
        specs.list_command,
        "the models of the zoo",
        (o.add_pattern, o.add_published_weights, o.add_json),
        ("archdsl list", "archdsl list slowfast --json", "archdsl list --weights slowfast"),
    ),
    Command(
        "show",
        specs.show_command,
        "a spec as YAML, JSON or Python after overrides; or its receptive fields in time",
        (o.add_name, o.add_overrides, o.add_spec_format),
        (
            "archdsl show slowfast_4x16_r50",
            "archdsl show my_net.py --classes 174 > my_net.yaml",
            "archdsl show slowfast_4x16_r50 --python",
            "archdsl show slowfast_4x16_r50 --span",
        ),
    ),
    Command(
        "check",
        specs.check_command,
        "can it exist? one line for each that can, every fault of each that cannot",
        (o.add_names_or_all, o.add_overrides, o.add_json),
        ("archdsl check my_net.yaml", "archdsl check --all", "archdsl check slowfast_8x8_r50 --frames 60"),
    ),
    Command(
        "count",
        reports.count_command,
        "params and costs, exact, beside what was published",
        (o.add_names_or_all, o.add_overrides, o.add_costs, o.add_latency, o.add_memory, o.add_table_format),
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
        reports.table_command,
        "the paper's Table 1: layers, shapes, costs, spans",
        (o.add_names, o.add_overrides, o.add_table_level, o.add_table_format),
        (
            "archdsl table slowfast_4x16_r50",
            "archdsl table my_net.yaml --level block",
            "archdsl table slowfast_4x16_r50 --format latex > table.tex",
        ),
    ),
    Command(
        "draw",
        drawings.draw_command,
        "a picture: one lane for each pathway, lateral edges between them",
        (o.add_name, o.add_overrides, o.add_picture_level, o.add_output),
        (
            "archdsl draw slowfast_4x16_r50 -o slowfast.svg",
            "archdsl draw my_net.yaml --level block -o my_net.svg",
            "archdsl draw my_net.yaml --level op -o my_net.dot",
        ),
    ),
    Command(
        "plot",
        drawings.plot_command,
        "published accuracy against cost, a point for each network",
        (o.add_names_or_all, o.add_plot_axes, o.add_plot_output),
        (
            "archdsl plot slow_4x16_r50 slowfast_4x16_r50 slowfast_8x8_r50 x3d_m -o tradeoff.svg",
            "archdsl plot --all --source torchvision --against params -o torchvision.svg",
        ),
    ),
    Command(
        "emit",
        drawings.emit_command,
        "readable torch code that needs torch only",
        (o.add_name, o.add_overrides, o.add_lower, o.add_output),
        ("archdsl emit slowfast_4x16_r50 -o net.py", "archdsl emit slowfast_4x16_r50 --lower auto -o quick.py"),
    ),
    Command(
        "test",
        property_tests.test_command,
        TEST,
        (o.add_names, o.add_overrides, r.add_property_tests, o.add_json),
        (
            "archdsl test my_net.yaml",
            "archdsl test my_net.yaml --examples 100 --seed 1",
            "archdsl test x3d_m --only plan",
        ),
    ),
    Command(
        "lowerings",
        lowerings.lowerings_command,
        "passes that make a network faster without changing its results, and when each pays",
        (o.add_json,),
        ("archdsl lowerings", "archdsl lowerings --json"),
    ),
    Command(
        "diff",
        reports.diff_command,
        "what differs between two networks, by address, and what it costs",
        (o.add_two_names, o.add_overrides, o.add_json),
        (
            "archdsl diff slowfast_4x16_r50 slowfast_8x8_r50",
            "archdsl diff slowfast_4x16_r50 --set pathways.fast.width_ratio=1/16",
        ),
    ),
    Command(
        "admits",
        reports.admits_command,
        "which frames and sizes it accepts, exactly",
        (o.add_names, o.add_overrides, o.add_json),
        ("archdsl admits slowfast_4x16_r50",),
    ),
    Command(
        "explain",
        explain.explain_command,
        "what a word of the language means: its fields, its costs, an example, who uses it",
        (o.add_word, o.add_json),
        (
            "archdsl explain",
            "archdsl explain bottleneck",
            "archdsl explain pathway.tied_to",
            "archdsl explain conv --json",
        ),
    ),
    Command(
        "expand",
        expand.expand_command,
        "grow a small network one axis at a time up to a cost (X3D); a model's axes are in its zoo file",
        (o.add_name, o.add_budget, o.add_table_format, o.add_output),
        ("archdsl expand x2d --macs 4.7e9", "archdsl expand x2d --macs 1e9 --order b,tau,s,d,t,w -o grown.yaml"),
    ),
    Command(
        "train",
        train.train_command,
        "train a network by a recipe on videos, test it; the same command resumes an interrupted run\n"
        "The network is lowered by the passes that pay on the device (`archdsl lowerings`), or by recipe.lower.\n"
        "A resumed run keeps its passes. The first lines and run.json say which they are.",
        (o.add_name, o.add_overrides, r.add_training),
        (
            "archdsl train slowfast_tiny",
            "archdsl train slowfast_tiny --recipe smoke --seed 1 --set recipe.optimizer.rate=0.05 --out runs/slower",
            "archdsl train slowfast_4x16_r50 --recipe slowfast_k400 --data kinetics.csv --workers 16",
            "archdsl train x3d_m --recipe x3d_k400 --classes 51 --data hmdb51 --weights runs/x3d_m --out runs/hmdb51",
            "torchrun --nproc_per_node 8 -m archdsl train x3d_m --recipe x3d_k400 --data kinetics.csv --workers 8",
        ),
    ),
    Command(
        "evaluate",
        evaluate.evaluate_command,
        "test trained networks on videos, alone and fused\n"
        "They run lowered and frozen (`archdsl lowerings`), or literally with --set recipe.lower=none.",
        (r.add_testing, o.add_overrides, o.add_json),
        (
            "archdsl evaluate runs/slowfast_tiny --out results",
            "archdsl evaluate runs/slowfast_4x16_r50 --data kinetics.csv --views 10x3 --size 256 --workers 8",
            "archdsl evaluate rgb=runs/tsn flow=runs/tsn_flow --data ucf101 --fuse rgb:1 flow:1.5",
            "archdsl evaluate x3d_m --recipe x3d_k400 --weights x3d_m.safetensors --data kinetics.csv",
        ),
    ),
    Command(
        "predict",
        evaluate.predict_command,
        "predict the classes of video files, whole and by time window\n"
        "The network runs lowered and frozen (`archdsl lowerings`), or literally with --set recipe.lower=none.",
        (r.add_prediction, o.add_overrides),
        (
            "archdsl predict runs/slowfast_tiny clip.mp4",
            "archdsl predict runs/slowfast_4x16_r50 holiday/ --top 3 -o holiday.json",
        ),
    ),
    Command(
        "features",
        features.features_command,
        "what a network gives at an address of its inside, as a file for each video\n"
        "Windows of the clip's length cover a video; rows are in the order of time.\n"
        "The network runs lowered and frozen (`archdsl lowerings`), or literally with --set recipe.lower=none.",
        (r.add_features, o.add_overrides, o.add_json),
        (
            "archdsl features runs/slowfast_tiny videos/ --at slow.res4 -o features",
            "archdsl features runs/slowfast_tiny videos/ --at slow.res4 --at fast.res4 --format npz -o features",
            "archdsl features runs/slowfast_tiny videos/ --format csv --rows 100 --at slow.res4 -o csv_mean_100",
        ),
    ),
    Command(
        "visualize",
        visualize.visualize_command,
        VISUALIZE,
        (add_visualization, o.add_overrides, o.add_json),
        (
            "archdsl visualize runs/slowfast_tiny --class 'left at 3 px per frame' -o pictures",
            "archdsl visualize runs/slowfast_tiny clip.mp4 --method gradcam --at slow.res4 --at fast.res4 -o pictures",
            "archdsl visualize runs/slowfast_tiny --method maximization --at slow.res3 --channel 7 -o pictures",
            "archdsl visualize x3d_m --weights X3D_M.pyth holiday.mp4 --size 160 --frames 40 --steps 32 -o pictures",
        ),
    ),
    Command(
        "recipes",
        train.recipes_command,
        "list the built-in training recipes, or print one in full",
        (r.add_recipe_name, o.add_json),
        ("archdsl recipes", "archdsl recipes slowfast_k400 > mine.yaml"),
    ),
    Command(
        "data",
        data.data_command,
        DATA,
        (r.add_data_action,),
        (
            "archdsl data make motion out/motion          moving digits as mp4 files",
            "archdsl data make motion out/shards --shards 4  the same in shards",
            "archdsl data make motion out/ava --net slow_4x16_r50_ava  in the formats of the network's task",
            "archdsl data check my_videos                 videos of each class, and those that cannot be read",
            "archdsl data bench my_videos --workers 1 2 4  clips per second by decoder and readers",
            "archdsl data bench my_videos --net tsn_r50 --recipe tsn_k400  only the frames that it reads",
            "archdsl train slowfast_tiny --recipe smoke --data out/motion",
        ),
    ),
    Command(
        "weights",
        weights.weights_command,
        WEIGHTS,
        (f.add_weights_action, o.add_overrides, o.add_json),
        (
            "archdsl weights show SLOWFAST_8x8_R50.pyth",
            "archdsl weights convert SLOWFAST_8x8_R50.pyth slowfast_8x8_r50 -o slowfast.safetensors",
            "archdsl weights convert resnet50-11ad3fa6.pth i3d_8x8_r50 -o inflated.safetensors --inflate centre",
            "archdsl predict slowfast_8x8_r50 holiday.mp4 --recipe slowfast_k400 --weights SLOWFAST_8x8_R50.pyth",
        ),
    ),
    Command(
        "export",
        export.export_command,
        EXPORT,
        (o.add_name, o.add_overrides, f.add_export, o.add_json),
        (
            "archdsl export runs/slowfast_tiny -o digits.onnx",
            "archdsl export runs/slowfast_tiny -o digits.pt2 --lower fusion --frozen",
            "archdsl export x3d_s --weights X3D_S.pyth -o x3d_s",
            "archdsl export runs/slow_r50 -o slow.safetensors --to pytorchvideo/slow",
        ),
    ),
    Command(
        "read",
        read.read_command,
        READ,
        (f.add_reading, o.add_json),
        (
            "archdsl read my_nets.py:make_model --clip 3x32x224x224 --table stage",
            "archdsl read my_nets.py:slowfast --clip 3x8x256x256 --clip 3x32x256x256 --vs slowfast_8x8_r50",
            "archdsl read my_nets.py:make_model --clip 3x32x224x224 -o my_net.yaml",
            "archdsl read my_nets.py:trained_r50 --clip 3x8x256x256 --vs slow_8x8_r50 -o slow.safetensors",
        ),
    ),
    Command(
        "bench",
        bench.bench_command,
        "time and memory on this machine: lowered beside literal, or ours beside a peer's (loads torch)",
        (o.add_names_or_all, o.add_overrides, r.add_bench, o.add_table_format, o.add_output),
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
        specs.schema_command,
        "JSON Schema of spec files or recipes, for editors",
        (r.add_recipe_schema, o.add_output),
        (
            "archdsl schema -o archdsl.schema.json",
            "archdsl schema --recipe -o recipe.schema.json",
            "and as the first line of a spec: # yaml-language-server: $schema=archdsl.schema.json",
        ),
    ),
    Command(
        "lsp",
        editor.lsp_command,
        LSP,
        (o.add_python_files,),
        ("archdsl lsp", "archdsl lsp --python"),
    ),
    Command(
        "live",
        editor.live_command,
        LIVE,
        (o.add_live,),
        ("archdsl live my_net.yaml", "archdsl live my_net.yaml --no-browser --port 8000"),
    ),
)
