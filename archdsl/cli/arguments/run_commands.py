"""The commands about runs: training, what is made of trained networks, recipes and data."""

from __future__ import annotations

from archdsl.cli import (
    data,
    evaluate,
    features,
    train,
    visualize,
)
from archdsl.cli.arguments import options as o
from archdsl.cli.arguments import run_options as r
from archdsl.cli.arguments.command import Command
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
                               annotations/instances_train2017.json beside train2017/, for masks with segmentation
                               of polygons or counts
  for key points               COCO's annotations/person_keypoints_train2017.json: each person is a clip, or with a
                               detector each picture
  for captions, and texts      train.csv and val.csv of columns video and caption, MSR-VTT's or COCO's .json, beside
  that fit clips               the videos; words.txt, a word a line, says which words there are. Where a clip changes
                               the texts beside it (X-CLIP) those are the names of its classes
A video is a file, or a folder of numbered pictures: seen from the list's folder, or found by the end of its path below
it. An ambiguous line or path is an error with its line number. docs/lists.md has all formats.
Names of classes: of folders; in classes.txt or labels.json beside a list or shards, or above their train/ and val/;
else the labels themselves. Shards in one folder whose names say train or val belong to these alone. Shards are
local files: they are indexed by their headers and read by random access, in the order of the recipe. The package
webdataset is not needed."""

RUN_COMMANDS = (
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
)
