"""Does a tiny network learn each task, and does one that cannot see what is asked fail? Moving digits, three seeds.

    python benchmarks/tasks.py             # every run of every case, minutes each on two cores; writes tasks.md
    python benchmarks/tasks.py actions 0   # the runs of one case with one seed; those that are done are not done again
    python benchmarks/tasks.py write       # tasks.md of the runs that are done

A case is a function that gives its rows; CASES lists them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file

import archdsl
from archdsl.blocks import (
    AvgPool,
    ClassToken,
    Conv,
    Deconv,
    Embed,
    Keep,
    LayerNorm,
    Linear,
    Lstm,
    MaskTokens,
    MaxPool,
    Mean,
    Patches,
    PooledTransformer,
    Positions,
    SinePositions,
    Transformer,
)
from archdsl.language import (
    Arch,
    Classifier,
    Clip,
    Dense,
    Detector,
    Edge,
    MaskedPixels,
    NextWord,
    Pathway,
    Stage,
    TokenClassifier,
    change_all,
)
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe
from archdsl.report.figures import metric_text
from archdsl.rewrites import for_detection, with_key_frames
from archdsl.training import MovingDigits, Videos, evaluate
from archdsl.training.state.run_reader import read_run
from archdsl.training.tasks.choice import task_for

SEEDS = (0, 1, 2)
HERE = Path(__file__).parent
RUNS = Path("out") / "tasks"


class Row(NamedTuple):
    """One network, trained once for each seed."""

    name: str
    """Of its runs' folder."""
    what: str
    arch: Arch
    recipe: Recipe
    data: str | tuple[Videos, Videos]
    weights: str | None = None
    """The row whose weights of the same seed it starts from; parts that this lacks start at random."""
    figure: str = ""
    """Where it is another than the case's."""
    tested: tuple[Arch, Videos] | None = None
    """What is tested with its weights, and on what, where that is another network: the same on longer clips."""

    @property
    def shown(self) -> Arch:
        """The network that is tested."""
        return self.tested[0] if self.tested else self.arch


class Case(NamedTuple):
    """A task: what is measured, and the rows that are compared."""

    name: str
    title: str
    text: str
    figure: str
    rows: Callable[[], tuple[Row, ...]]


def actions() -> tuple[Row, ...]:
    """The small SlowFast on boxes, with and without motion."""
    arch = for_detection(archdsl.load("slowfast_tiny", size=48), classes=8, boxes=3, name="slowfast_tiny_boxes")
    made = change_all(recipe("smoke", steps=250), [("batch", 8), ("log_every", 25)])
    return (
        Row("actions", "SlowFast, 4 and 16 frames", arch, made, "motion"),
        Row("actions_still", "the same on the key frame, repeated", arch, made, "motion:still"),
    )


def frame_detector(frames: int = 5) -> Arch:
    """R-FCN on six convolutions: a map at a quarter of 64 x 64 frames, two anchors for each element."""
    stages = dict(
        stem=Stage(conv(16, kernel=5, stride=2)),
        res2=Stage(conv(32, stride=2), conv(64), conv(64)),
        res3=Stage(conv(64), conv(64)),
    )
    head = Detector(classes=11, size=5, scales=(4,), ratios=(1, 1.67), candidates=100, count=24, overlap=0.5)
    clip = Clip(frames=frames, size=64)
    return Arch(name="rfcn_tiny", clip=clip, pathways=dict(features=Pathway(stages=stages)), head=head)


def flow_detector(every: int = 5) -> Arch:
    """The same on one frame of `every`; its features are moved by a flow net on half of the frames' size."""
    flow = dict(
        pool=Stage(AvgPool(kernel=(1, 2, 2), stride=(1, 2, 2))),
        net=Stage(conv(24, kernel=5, stride=2), conv(24, kernel=5), conv(24, kernel=5)),
    )
    return with_key_frames(frame_detector(every), every=every, flow=Pathway(stages=flow), name="dff_tiny")


def conv(channels: int, kernel: int = 3, stride: int = 1) -> Conv:
    """Within each frame."""
    return Conv(channels=channels, kernel=(1, kernel, kernel), stride=(1, stride, stride))


def detection() -> tuple[Row, ...]:
    """Frame by frame, and with a key frame in five."""
    adamw = [("optimizer", {"kind": "adamw", "rate": 0.005}), ("log_every", 25)]
    options = {"detection": {"border": 32, "hardest": 8}}
    slower = [{"match": name, "rate": 0.2} for name in ("features.*", "head.*")]
    made, moved, still = (
        change_all(recipe("smoke", steps=steps), [*adamw, *settings]).but(task=options)
        for steps, *settings in (
            (200, ("batch", 24)),
            (300, ("batch", 8), ("optimizer.groups", slower)),
            (1, ("batch", 8), ("optimizer.rate", 1e-9)),
        )
    )
    frame, five, flow = frame_detector(1), frame_detector(), flow_detector()
    short, long = ((videos_of(arch, "motion"), videos_of(arch, "motion:128", "val")) for arch in (frame, flow))
    return (
        Row("detection", "R-FCN on every frame", frame, made, short, tested=(five, long[1])),
        Row("detection_flow", "the same on a key frame in 5, moved by flow", flow, moved, long, "detection"),
        Row("detection_held", "the same, moved by a flow net that has learnt nothing", flow, still, long, "detection"),
    )


def videos_of(arch: Arch, data: str, split: str = "train") -> Videos:
    """Built-in scenes for an arch's own task."""
    return task_for(archdsl.compile(arch), recipe("smoke")).videos(data, split)


def mvit(frames: int, size: int, classes: int) -> Arch:
    """Two stages of an MViT, on patches of 2 x 8 x 8."""
    block = PooledTransformer(heads=2, widen="mlp", stride_kv=(1, 2, 2))
    stages = dict(
        tokens=Stage(Patches(kernel=(2, 8, 8), channels=48), ClassToken(), Positions(over=("hw", "t"))),
        stage1=Stage(block, block.but(channels=96)),
        stage2=Stage(
            block.but(heads=4, stride=(1, 2, 2), stride_kv=(1, 1, 1)), block.but(heads=4, stride_kv=(1, 1, 1))
        ),
    )
    clip = Clip(frames=frames, size=size)
    head = TokenClassifier(classes=classes)
    return Arch(name="mvit_tiny", clip=clip, pathways=dict(main=Pathway(stages=stages)), head=head)


def fine_tuning() -> tuple[Row, ...]:
    """8 motions of 16 frames of 64 pixels first; then 12 of 8 frames of 48 pixels, from these weights and from none."""
    frames, size, speeds, steps = 8, 48, (1, 2, 4), 100
    digits = [
        MovingDigits(count, seed, frames=frames, size=size, speeds=speeds) for count, seed in ((1024, 7), (240, 8))
    ]
    adamw = [("optimizer", {"kind": "adamw", "rate": 0.001}), ("log_every", 50)]
    networks = {
        "slowfast": (
            archdsl.load("slowfast_tiny"),
            archdsl.load("slowfast_tiny", frames=frames, size=size, classes=12),
            [("log_every", 50)],
        ),
        "mvit": (mvit(16, 64, 8), mvit(frames, size, 12), adamw),
    }
    rows: list[Row] = []
    for name, (first, then, settings) in networks.items():
        long, short = (change_all(recipe("smoke", steps=n), settings) for n in (3 * steps, steps))
        data, start = (digits[0], digits[1]), f"tuned_{name}_first"
        rows += [
            Row(start, f"{name}, 8 motions of 16 x 64 x 64, {3 * steps} steps", first, long, "motion"),
            Row(
                f"tuned_{name}",
                f"{name}, 12 motions of 8 x 48 x 48, {steps} steps from these",
                then,
                short,
                data,
                start,
            ),
            Row(f"tuned_{name}_scratch", f"{name}, 12 motions, {steps} steps from random weights", then, short, data),
        ]
    return tuple(rows)


def masked() -> tuple[Row, ...]:
    """A VideoMAE of three blocks on patches of 2 x 4 x 4: pre-trained without labels, fine-tuned on a few clips."""
    frames, size, places, kept = 4, 32, 2 * 8 * 8, 64
    where = SinePositions(over=("t", "h", "w"))
    block = Transformer(heads=2, rotary=True, init="xavier")
    encoder = {"tokens": Stage(Patches(kernel=(2, 4, 4), channels=48), where), "body": Stage(block, block, block)}
    mask = Clip(modality="mask", channels=2, frames=2, size=8)
    norm = Stage(LayerNorm())
    decoder = {
        "embed": Stage(Linear(channels=48, bias=False, act="none", init="default")),
        "tokens": Stage(MaskTokens(count=places - kept), where),
        "body": Stage(block.but(heads=4)),
    }
    clip = Clip(frames=frames, size=size)
    seen = {"tokens": encoder["tokens"], "keep": Stage(Keep(count=kept)), "body": encoder["body"], "norm": norm}
    first = Arch(
        name="videomae_tiny_pretrain",
        clips={"clip": clip, "mask": mask},
        pathways={"main": Pathway(clip="clip", stages=seen), "decoder": Pathway(after="main", stages=decoder)},
        head=MaskedPixels(patch=(2, 4, 4)),
    )
    then = Arch(
        name="videomae_tiny",
        clip=clip,
        pathways={"main": Pathway(stages={**encoder, "norm": norm, "pool": Stage(Mean(over="thw"))})},
        head=Classifier(classes=8, pool="none"),
    )
    steps, few, tuned = 600, 16, 100
    adamw = [("optimizer", {"kind": "adamw", "rate": 0.001, "weight_decay": 0.05}), ("log_every", 50)]
    long = change_all(recipe("smoke_masked", steps=steps), [("optimizer.rate", 0.004), ("log_every", 100)])
    short, same = (change_all(recipe("smoke", steps=n), adamw) for n in (tuned, steps + tuned))
    data = tuple(MovingDigits(count, seed, frames=frames, size=size) for count, seed in ((few, 0), (512, 1)))
    start, figure = "masked_first", "masked_loss"
    return (
        Row(start, f"masked pre-training without labels, {steps} steps", first, long, "motion", None, figure),
        Row("masked", f"{few} labelled clips, {tuned} steps from these weights", then, short, data, start),
        Row("masked_scratch", f"{few} labelled clips, {tuned} steps from random weights", then, short, data),
        Row("masked_long", f"{few} labelled clips, {steps + tuned} steps from random weights", then, same, data),
    )


def captions() -> tuple[Row, ...]:
    """Three convolutions over pictures and an LSTM over words; what is seen is added before the LSTM and behind it."""
    clips = {"clip": Clip(frames=8, size=32), "words": Clip(modality="text", frames=8, size=1, vocabulary=22)}
    sight = dict(
        stem=Stage(Conv(channels=32, kernel=(3, 5, 5), stride=(1, 2, 2))),
        res2=Stage(Conv(channels=64, kernel=(3, 3, 3), stride=(1, 2, 2))),
        res3=Stage(Conv(channels=128, kernel=(3, 3, 3), stride=(1, 2, 2))),
        seen=Stage(MaxPool(kernel=(0, 0, 0), pad="valid"), Linear(channels=64, act="none")),
    )
    words = dict(embed=Stage(Embed(channels=64)), lstm=Stage(Lstm(hidden=64)))
    stages = ("embed", "lstm")
    edge = Edge(source="sight", target="written", after=("seen", "seen"), into=stages, merge="stretched_sum")
    pathways = {"sight": Pathway(clip="clip", stages=sight), "written": Pathway(clip="words", stages=words)}
    arch = Arch(name="writer", clips=clips, pathways=pathways, edges=(edge,), head=NextWord(reads=("written",)))
    made = change_all(recipe("smoke_captions", steps=700), [("optimizer.rate", 0.006), ("log_every", 50)])
    return (
        Row("captions", "an LSTM over words, on 8 frames", arch, made, "motion"),
        Row("captions_still", "the same on one frame, repeated", arch, made, "motion:still"),
    )


def localisation() -> tuple[Row, ...]:
    """TAL-Net with a quarter of its channels, where features change and where they do not."""
    arch = archdsl.load("tal_net_rgb", features=32, positions=64, scales=(3, 6, 12, 24), classes=8)
    arch = change_all(arch, [("head.channels", 64), ("head.hidden", (128,)), ("head.top", 50)])
    made = change_all(recipe("smoke_localisation", steps=450), [("optimizer.rate", 0.003), ("log_every", 50)])
    return (
        Row("localisation", "TAL-Net on features of 64 positions", arch, made, "motion"),
        Row("localisation_still", "the same on the first position, repeated", arch, made, "motion:still"),
    )


def proposals() -> tuple[Row, ...]:
    """BSN's first network with an eighth of its channels."""
    arch = archdsl.load("bsn_tem", features=32, hidden=64)
    made = change_all(recipe("smoke_localisation", steps=450), [("optimizer.rate", 0.003), ("log_every", 50)])
    return (
        Row("proposals", "BSN's boundaries on features of 100 positions", arch, made, "motion"),
        Row("proposals_still", "the same on the first position, repeated", arch, made, "motion:still"),
    )


def segmentation() -> tuple[Row, ...]:
    """Four convolutions over space and time at half of the frames' size, then up again."""
    body = (Conv(channels=32, kernel=(3, 3, 3), dilation=(1, step, step)) for step in (1, 2, 1))
    stages = dict(
        stem=Stage(Conv(channels=24, kernel=(3, 5, 5), stride=(1, 2, 2))),
        body=Stage(*body),
        up=Stage(Deconv(channels=16, kernel=(1, 4, 4), stride=(1, 2, 2), pad=(0, 1, 1))),
    )
    head = Dense(classes=9, kernel=3)
    arch = Arch(name="motion_map", clip=Clip(frames=8, size=16), pathways=dict(main=Pathway(stages=stages)), head=head)
    settings = [("optimizer", {"kind": "adamw", "rate": 0.01}), ("batch", 16), ("log_every", 50)]
    made = change_all(recipe("smoke", steps=1000), settings).but(task={"segmentation": {"scenes": "motions"}})
    return (
        Row("segmentation", "on 8 frames", arch, made, "motion"),
        Row("segmentation_still", "the same on one frame, repeated", arch, made, "motion:still"),
    )


def distillation() -> tuple[Row, ...]:
    """SlowFast teaches its fast pathway, which reads the same frames with a quarter of the channels."""
    teacher = archdsl.load("slowfast_tiny")
    student = teacher.but(name="fast_tiny", pathways={"fast": teacher.pathways["fast"]}, edges=())
    made = recipe("smoke", steps=300).but(log_every=50)
    options = {"run": f"{RUNS}/teacher/{{seed}}", "temperature": 4, "hard": 0.1}
    learning = made.but(task={"classification": {"teacher": options}})
    return (
        Row("teacher", "SlowFast, 4 and 16 frames: the teacher", teacher, made, "motion"),
        Row("taught", "its fast pathway, taught", student, learning, "motion"),
        Row("alone", "its fast pathway, alone", student, made, "motion"),
    )


CASES = (
    Case(
        "actions",
        "Action detection on given boxes",
        "Frame-mAP of 8 motions on 512 unseen scenes of one to three digits, whose boxes are given. No single frame "
        "tells a motion.",
        "map",
        actions,
    ),
    Case(
        "detection",
        "Object detection, frame by frame and by Deep Feature Flow",
        "mAP of 10 digits at an overlap of a half on the 640 frames of 128 unseen scenes; multiply-adds of a clip of "
        "five frames.",
        "map",
        detection,
    ),
    Case(
        "fine_tuning",
        "Fine-tuning at another size, frame count and class count",
        "Accuracy on unseen clips. A run on 8 motions of 16 frames of 64 pixels first; then 12 motions, four of which "
        "the first run knows, of 8 frames of 48 pixels: from the first run's weights, with rows of the head by the "
        "names of classes and tables of positions fitted, and from random weights at equal steps.",
        "top1",
        fine_tuning,
    ),
    Case(
        "masked",
        "Masked pre-training",
        "Accuracy of 8 motions on 512 unseen clips of 4 frames of 32 pixels, after training on few labelled ones; of "
        "pre-training the mean square error of hidden patches, scaled to mean 0 and variance 1 where they are of more "
        "than one colour. Half of all patches are hidden, at random.",
        "top1",
        masked,
    ),
    Case(
        "localisation",
        "Temporal localisation: which motion, from when to when",
        "THUMOS'14's mAP over overlaps from 0.3 to 0.7 of 8 motions in 512 unseen scenes of one to three digits.",
        "map",
        localisation,
    ),
    Case(
        "proposals",
        "Temporal proposals",
        "ActivityNet's average recall of 5 proposals a scene, over overlaps from 0.5 to 0.95, in 512 unseen scenes.",
        "ar_5",
        proposals,
    ),
    Case(
        "segmentation",
        "Segmentation by motion alone",
        "mIoU of 9 classes of pixels, what stands and 8 motions, of one frame of each of 512 unseen scenes of one to "
        "three digits: a digit may be of any class. Whether one goes on behind the last frame of 8 nobody sees.",
        "miou",
        segmentation,
    ),
    Case(
        "distillation",
        "Distillation",
        "Top-1 of 8 motions on 512 unseen clips; a tenth of the student's loss is its labels', the rest its teacher's.",
        "top1",
        distillation,
    ),
    Case(
        "captions",
        "Captions",
        "Captions that are right word for word (`a three moves left fast`: one of 80) of 512 unseen scenes of a digit, "
        "written by the likeliest next word.",
        "exact_match",
        captions,
    ),
)


def figure(case: Case, row: Row, seed: int) -> float:
    """The row's figure on unseen data after a run, which is resumed where it was interrupted."""
    out = RUNS / row.name / str(seed)
    name = row.figure or case.figure
    if (found := result_in(out, name)) is not None:
        return found
    start = start_of(row, seed) if row.weights else None
    made = of_seed(row.recipe, seed)
    run = archdsl.train(row.arch, made, row.data, out=out, device="cpu", quiet=True, weights=start)
    if run.stopped:
        sys.exit(f"stopped at step {run.step}; the same command resumes from there")
    figures = run.figures
    if row.tested:
        figures = evaluate(*row.tested, recipe=made, weights=out, device="cpu", quiet=True).figures
    (out / "result.json").write_text(json.dumps(figures), encoding="utf-8")
    return figures[name]


def start_of(row: Row, seed: int) -> Path:
    """The weights that a row starts from: another row's run, or, of a network with more parts, a file of both."""
    run = RUNS / str(row.weights) / str(seed)
    torch.manual_seed(seed)
    own, known = (archdsl.build(arch).state_dict() for arch in (row.arch, archdsl.load(read_run(run).arch)))
    if not known.keys() < own.keys():
        return run
    path = run / f"{row.name}.safetensors"
    archdsl.export(run, path)
    save_file(own | load_file(path), path)
    return path


def of_seed(made: Recipe, seed: int) -> Recipe:
    """A recipe of one seed, whose teacher has the same."""
    made = made.but(seed=seed)
    if not isinstance(made.task, dict) or "classification" not in made.task:
        return made
    teacher = made.task["classification"]["teacher"]
    return made.but(task={"classification": {"teacher": teacher | {"run": teacher["run"].format(seed=seed)}}})


def result_in(out: Path, name: str) -> float | None:
    """The figure of a run that is done."""
    path = out / "result.json"
    return float(json.loads(path.read_text(encoding="utf-8"))[name]) if path.is_file() else None


def section(case: Case) -> str:
    """A case's table; a run that is not done is a dash."""
    head = f"| network | params | macs | {' | '.join(f'seed {seed}' for seed in SEEDS)} | mean |"
    lines = [f"## {case.title}", "", case.text, "", head, f"|---|---|---|{'---|' * len(SEEDS)}---|"]
    for row in case.rows():
        name = row.figure or case.figure
        found = [result_in(RUNS / row.name / str(seed), name) for seed in SEEDS]
        plan, known = archdsl.compile(row.shown), [value for value in found if value is not None]
        shown = [metric_text(name, value) if value is not None else "-" for value in found]
        average = metric_text(name, mean(known)) if len(known) == len(SEEDS) else "-"
        lines.append(f"| {row.what} | {plan.params:,} | {plan.macs:,} | {' | '.join(shown)} | {average} |")
    return "\n".join(lines)


def done(case: Case) -> bool:
    """Whether any of its runs is done here."""
    return any((RUNS / row.name / str(seed) / "result.json").is_file() for row in case.rows() for seed in SEEDS)


def write() -> None:
    """tasks.md of the runs that are done; a case none of whose runs is done here stays as it stood."""
    version = torch.__version__.partition("+")[0]
    text = f"""\
# Does a tiny network learn each task?

Moving digits, beside a network that cannot see what is asked. On the CPU, torch {version}; `python benchmarks/tasks.py`
writes this file.
"""
    path = HERE / "tasks.md"
    before = path.read_text(encoding="utf-8").split("\n## ")[1:] if path.is_file() else []
    kept = {one.partition("\n")[0]: f"## {one.rstrip()}" for one in before}
    sections = "\n\n".join(section(case) if done(case) else kept.get(case.title, section(case)) for case in CASES)
    path.write_text(f"{text}\n{sections}\n", encoding="utf-8")


def main(only: tuple[str, ...]) -> int:
    """Train all and write the table; or train one case with one seed, or write."""
    cases = [case for case in CASES if not only or case.name == only[0]]
    for case in cases if only != ("write",) else ():
        for seed in SEEDS if len(only) < 2 else (int(only[1]),):
            for row in case.rows():
                print(row.name, seed, figure(case, row, seed), flush=True)
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:])))
