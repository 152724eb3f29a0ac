"""How fast clips are read here, by decoder and number of readers, as ratios to PyAV without readers.

    python benchmarks/loading.py > benchmarks/loading.md

Videos are made for this: moving digits of 300 frames of 256 x 340 pixels, H.264 with a key frame every 250, as an
encoder sets it by itself and as Kinetics comes, and once more with a key frame every 12.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import av
import torch

from archdsl.language import Clip
from archdsl.language.recipes.clips import Sampling
from archdsl.training.data.inspection import measure_speeds
from archdsl.training.data.picture_files import as_frame
from archdsl.training.data.reader.backends import available_decoders
from archdsl.training.data.sources.videos import Action, Files, VideoEntry

VIDEOS, FRAMES, HEIGHT, WIDTH = 8, 300, 256, 340
CLIPS = {"8 frames, every 8": (8, Sampling(every=8)), "32 frames, every 2": (32, Sampling(every=2))}
CLIPS["8 segments"] = (8, Sampling(kind="segments"))
WORKERS, ROUNDS, SECONDS = [0, 1, 2], 3, 1.5


def write(path: Path, every: int, seed: int) -> None:
    """A video of patches that drift, with a key frame every so many frames."""
    dice = torch.Generator().manual_seed(seed)
    patches = torch.randint(0, 256, (3, HEIGHT // 8, WIDTH // 10), generator=dice, dtype=torch.uint8)
    ground = patches.repeat_interleave(8, 1).repeat_interleave(10, 2)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=30, options={"g": str(every), "preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for i in range(FRAMES):
            file.mux(stream.encode(as_frame(ground.roll((i, 2 * i), (1, 2)))))
        file.mux(stream.encode())


def rates(folder: Path, frames: int, sampling: Sampling) -> list[tuple[str, int, list[float]]]:
    """(decoder, readers, clips per second of each round); rounds take turns."""
    entries = tuple(VideoEntry(path, path.name, (Action(0),)) for path in sorted(folder.iterdir()))
    videos = Files(entries, ("a",), {"clip": Clip(frames=frames, size=224)}, sampling)
    found: dict[tuple[str, int], list[float]] = {}
    for run in measure_speeds(videos, WORKERS, SECONDS, ROUNDS):
        found.setdefault((run.decoder, run.workers), []).append(run.rate)
    return [(decoder, workers, rate) for (decoder, workers), rate in found.items()]


def main() -> None:
    print("# Loading\n")
    print(
        f"Measured by `benchmarks/loading.py`: {VIDEOS} videos of {FRAMES} frames of {HEIGHT} x {WIDTH}, H.264; ",
        end="",
    )
    print(
        f"{os.cpu_count()} processor cores, PyAV {av.__version__}, torch {torch.__version__}. The middle of {ROUNDS} ",
        end="",
    )
    print(
        "rounds, least and most behind it, as ratios to PyAV without readers in the same rounds. Other work was not ",
        end="",
    )
    print(f"kept off the machine. Decoders that could be imported: {', '.join(available_decoders())}.\n")
    print("| key frame every | clip | decoder | readers | ratio | least | most |")
    print("|---|---|---|---|---|---|---|")
    with TemporaryDirectory() as root:
        for every in (250, 12):
            folder = Path(root) / str(every)
            folder.mkdir()
            for i in range(VIDEOS):
                write(folder / f"{i}.mp4", every, i)
            for name, (frames, sampling) in CLIPS.items():
                found = rates(folder, frames, sampling)
                base = median(found[0][2])
                for decoder, workers, rate in found:
                    cells = " | ".join(f"{one / base:.2f}" for one in (median(rate), min(rate), max(rate)))
                    print(f"| {every} | {name} | {decoder} | {workers} | {cells} |", flush=True)
                print(f"{every}, {name}: {base:.1f} clips/s without readers", file=sys.stderr)


if __name__ == "__main__":
    main()
