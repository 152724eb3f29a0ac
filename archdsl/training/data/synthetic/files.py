"""Write the built-in data set to video files or shards."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.spec.files import open_new, temporary_name, write_whole
from archdsl.training.data.clips import ClipRequest
from archdsl.training.data.picture_files import as_frame
from archdsl.training.data.sources.shards import shards_of
from archdsl.training.data.synthetic.motion import MOTION_FPS, MovingDigits
from archdsl.training.data.synthetic.truth import SOUND_RATE

SOUND_PIECE = 1024
"""Samples that the encoder takes at once."""
SPLIT_SEEDS = {"train": 0, "val": 1}
"""Split -> seed of its clips, as in memory."""
QUALITY = {"crf": "10", "preset": "veryfast", "x264-params": "mbtree=0"}
"""High quality. With mbtree, x264 (in PyAV 18.1) is not deterministic for small frames."""


def make_motion(out: Path, counts: dict[str, int], frames: int, size: int) -> Iterator[Path]:
    """Write moving digits to OUT/split/class/number.mp4; yields every path. Existing files stay."""
    for split, count in counts.items():
        videos = MovingDigits(count, SPLIT_SEEDS[split], frames=frames, size=size)
        for index in range(count):
            sample = videos.read(index, ClipRequest(0))
            path = out / split / videos.classes[int(sample.targets)] / f"{index:06d}.mp4"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, encode_mp4(sample.frames[videos.clip], MOTION_FPS))
            yield path


def make_shards(out: Path, counts: dict[str, int], frames: int, size: int, shards: int) -> Iterator[Path]:
    """Write them to OUT/split/number.tar, with class names in OUT/classes.txt; yields the shard's path per video.

    Raises SpecError where there are shards already.
    """
    for split, count in counts.items():
        if there := shards_of(out / split):
            raise SpecError("shards already exist", got=str(there[0]), fix="choose another folder")
        (out / split).mkdir(parents=True, exist_ok=True)
        videos = MovingDigits(count, SPLIT_SEEDS[split], frames=frames, size=size)
        names = sorted(videos.classes)
        write_whole(out / "classes.txt", "".join(f"{name}\n" for name in names))
        parts = min(shards, count)  # none is empty
        for number in range(parts):
            part = range(number * count // parts, (number + 1) * count // parts)
            yield from write_shard(out / split / f"{number:06d}.tar", shard_members(videos, part, names))


def shard_members(videos: MovingDigits, part: range, names: list[str]) -> Iterator[dict[str, bytes]]:
    """Name of a member -> its bytes: a video and the number of its class."""
    for index in part:
        sample = videos.read(index, ClipRequest(0))
        label = names.index(videos.classes[int(sample.targets)])
        yield {
            f"{index:06d}.mp4": encode_mp4(sample.frames[videos.clip], MOTION_FPS),
            f"{index:06d}.cls": str(label).encode(),
        }


def write_shard(path: Path, keys: Iterable[dict[str, bytes]]) -> Iterator[Path]:
    """Write a tar atomically; yields its path for every key."""
    part = temporary_name(path)
    try:
        with open_new(part) as file, tarfile.open(fileobj=file, mode="w") as tar:
            for key in keys:
                for name, data in key.items():
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, BytesIO(data))
                yield path
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def encode_mp4(pictures: Tensor, fps: int, wave: Tensor | None = None, rate: int = SOUND_RATE) -> bytes:
    """Frames as an mp4 file (H.264, of high quality), with sound.  (3, t, height, width) uint8, (samples,)"""
    _, frames, height, width = pictures.shape
    if height % 2 or width % 2:
        raise SpecError("video of an odd size", got=f"{height}x{width}", want="even height and width")
    data = BytesIO()
    with av.open(data, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=Fraction(fps), options=QUALITY)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        sound = None if wave is None else file.add_stream("aac", rate=rate, layout="mono")
        for i in range(frames):
            file.mux(stream.encode(as_frame(pictures[:, i])))
        file.mux(stream.encode())
        if sound is not None and wave is not None:
            for frame in (*sound_frames(wave, rate), None):
                file.mux(sound.encode(frame))
    return data.getvalue()


def sound_frames(wave: Tensor, rate: int) -> Iterator[av.AudioFrame]:
    """A wave for the encoder, piece after piece.  (samples,) from -1 to 1"""
    for first in range(0, len(wave), SOUND_PIECE):
        part = wave[first : first + SOUND_PIECE].float().contiguous()
        frame = av.AudioFrame(format="fltp", layout="mono", samples=len(part))
        frame.planes[0].update(part.numpy().tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
        yield frame
