"""Frames that are asked for are those that a whole decode shows, in every container; what is broken says so."""

from __future__ import annotations

import os
import socket
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from random import Random
from time import monotonic

import av
import pytest
import torch
from filmed import KINDS, every_frame, film, numbered_frames, silent_sound
from torch import Tensor

from archdsl.language import Clip
from archdsl.language.recipes.clips import Sampling
from archdsl.training.data.clips import ClipRequest, Unreadable
from archdsl.training.data.reader import limits
from archdsl.training.data.reader.backends import available_decoders, decode_clip
from archdsl.training.data.reader.decoder import VideoFile
from archdsl.training.data.reader.frame_index import FrameIndex, seek_groups
from archdsl.training.data.sources.pictures import pictures_in, read_picture, read_pictures
from archdsl.training.data.sources.videos import Action, Files, VideoEntry

FRAMES = numbered_frames(40)


def read(path: Path, wanted: list[int]) -> Tensor:
    return decode_clip(path, path.name, lambda index: wanted)[0]


def refused(path: Path, wanted: list[int] | None = None) -> str:
    with pytest.raises(Unreadable) as caught:
        read(path, wanted or [0])
    assert caught.value.name == path.name
    return caught.value.reason


def index_of(path: Path) -> FrameIndex:
    with VideoFile(path) as video:
        return video.index()


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_those_of_a_whole_decode(name: str, tmp_path: Path) -> None:
    codec, pixels, options = KINDS[name]
    path = film(tmp_path / name, FRAMES, codec=codec, pix_fmt=pixels, options=options)
    shown, index, dice = every_frame(path), index_of(path), Random(name)
    assert len(index.times) == shown.shape[1] == 40
    assert index.fps == pytest.approx(25, rel=1e-3)
    for wanted in (
        [0],
        [39],
        [5, 5, 6, 39],
        list(range(40)),
        *(sorted(dice.choices(range(40), k=6)) for _ in range(12)),
    ):
        assert torch.equal(read(path, wanted), shown[:, wanted]), wanted


@pytest.mark.parametrize("name", ["h264.mp4", "h264.mkv", "xvid.avi", "vp9.webm"])
def test_seeking_decodes_only_what_is_near(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key frame every 12: frame 38 is two frames after one."""
    codec, pixels, options = KINDS[name]
    path, seen = film(tmp_path / name, FRAMES, codec=codec, pix_fmt=pixels, options=options), []
    decoded = VideoFile.decode_group

    def counting(self, index, stretch):
        for frame in decoded(self, index, stretch):
            seen.append(frame.pts)
            yield frame

    monkeypatch.setattr(VideoFile, "decode_group", counting)
    read(path, [38])
    assert len(seen) == 3
    monkeypatch.setattr(VideoFile, "frames_by_count", lambda *_: pytest.fail("nothing was missing"))
    read(path, list(range(0, 40, 3)))


def test_a_seek_pays_where_a_key_frame_lies_between() -> None:
    index = FrameIndex(tuple(range(100)), tuple(range(0, 100, 10)), 1)
    assert list(seek_groups(index, [3, 7, 12, 45, 48])) == [[3, 7], [12], [45, 48]]
    assert list(seek_groups(index, [9, 10, 11])) == [[9, 10, 11]]


def test_frames_at_uneven_times(tmp_path: Path) -> None:
    times = [0, 40, 80, 200, 1000, 1010, 1500, 3000, 3040, 5000]
    path = film(tmp_path / "vfr.mkv", FRAMES[:, :10], options={"g": "4", "bf": "2"}, times=times)
    index = index_of(path)
    assert [index.seconds(i) for i in range(10)] == pytest.approx([t / 1000 for t in times])
    assert torch.equal(read(path, [3, 4, 9]), every_frame(path)[:, [3, 4, 9]])


@pytest.mark.parametrize("name", ["vfr.mkv", "vfr.mp4"])
def test_frames_at_a_rate_are_those_that_are_shown_then(name: str, tmp_path: Path) -> None:
    """From a file of uneven times to the clip: at 0, 1/15, 2/15... seconds."""
    times = [0, 33, 53, 103, 123, 323, 400, 500]
    path = film(tmp_path / name, FRAMES[:, :8], options={"g": "4", "bf": "2"}, times=times)
    entry = VideoEntry(path, name, (Action(0),))
    videos = Files((entry,), ("a",), {"clip": Clip(frames=8, size=32)}, Sampling(fps=15.0))
    clip = videos.read(0, ClipRequest(0, clip=0, clips=2)).frames["clip"]
    shown = [max(i for i, time in enumerate(times) if time <= k * 1000 / 15 + 0.5) for k in range(8)]
    assert shown == [0, 2, 4, 4, 4, 5, 6, 6]
    assert torch.equal(clip, every_frame(path)[:, shown])


@pytest.mark.parametrize(("height", "width"), [(47, 63), (18, 130), (50, 34)])
def test_odd_sizes(height: int, width: int, tmp_path: Path) -> None:
    path = film(tmp_path / "odd.webm", numbered_frames(5, height, width), codec="libvpx-vp9", options={"cpu-used": "8"})
    clip = read(path, [0, 3])
    assert clip.shape == (3, 2, height, width)
    assert torch.equal(clip, every_frame(path)[:, [0, 3]])


MATRICES = {
    0: (1, 0, 0, 1),
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}
"""Clockwise turn that a player makes -> (a, b, c, d) of the track header's matrix (ISO/IEC 14496-12, 8.3.2)."""


@pytest.mark.parametrize("turn", MATRICES)
def test_a_film_taken_on_its_side_is_put_upright(turn: int, tmp_path: Path) -> None:
    path = film(tmp_path / "phone.mp4", FRAMES[:, :3])
    upright = every_frame(path)
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40  # version 0: the matrix begins 40 bytes into the box's content
    a, b, c, d = (value << 16 for value in MATRICES[turn])
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    assert torch.equal(read(path, [0, 2]), upright[:, [0, 2]].rot90(-turn // 90, (2, 3)))


def test_frames_hidden_by_an_edit_list_are_not_counted(tmp_path: Path) -> None:
    """A cut without encoding anew begins at a key frame and hides what lies before the cut."""
    source, path = film(tmp_path / "whole.mp4", FRAMES, options={"g": "12", "bf": "0"}), tmp_path / "cut.mp4"
    with av.open(str(source)) as whole, av.open(str(path), "w") as cut:
        stream = cut.add_stream_from_template(whole.streams.video[0])
        step = round(1 / 25 / whole.streams.video[0].time_base)
        for packet in whole.demux(video=0):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - 5 * step, packet.dts - 5 * step, stream
                cut.mux(packet)
    shown = every_frame(path)
    assert shown.shape[1] == 35
    assert len(index_of(path).times) == 35
    assert torch.equal(read(path, [0, 1, 6, 34]), shown[:, [0, 1, 6, 34]])


def test_one_frame(tmp_path: Path) -> None:
    path = film(tmp_path / "one.mp4", FRAMES[:, :1])
    index = index_of(path)
    assert (len(index.times), index.seconds(0)) == (1, 0)
    assert torch.equal(read(path, [0, 0, 0]), every_frame(path).repeat(1, 3, 1, 1))


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mp4", FRAMES).read_bytes()
    assert refused(tmp_path / "missing.mp4") == "no such file"
    assert refused(tmp_path) == "a folder"
    bad = {
        "empty.mp4": (b"", "an empty file"),
        "text.mp4": (b"a text that bears a video's name\n" * 40, "not a video: Invalid data found"),
        "truncated.mp4": (whole[: len(whole) // 2], "not a video: Invalid data found"),
        "zeros.mp4": (bytes(5000), "not a video: Invalid data found"),
        "playlist.mp4": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "not a video"),
        "concat.mp4": (b"ffconcat version 1.0\nfile whole.mp4\n", "not a video"),
    }
    for name, (data, reason) in bad.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert refused(path).startswith(reason), name
    assert refused(silent_sound(tmp_path / "sound.mp4")) == "no video stream, only audio"


def test_damage_at_any_place_gives_frames_or_a_reason(tmp_path: Path) -> None:
    whole, dice = film(tmp_path / "whole.mp4", FRAMES).read_bytes(), Random(5)
    path, read_well = tmp_path / "damaged.mp4", 0
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 20))):
            data[dice.randrange(len(data))] = dice.randrange(256)
        path.write_bytes(data[: dice.choice((len(data), dice.randrange(len(data))))])
        with suppress(Unreadable):  # and nothing else
            clip, _ = decode_clip(path, path.name, lambda index: [0, len(index.times) - 1])
            assert clip.shape[:2] == (3, 2)
            read_well += 1
    assert 0 < read_well < 60


def test_a_file_cut_short_behind_its_table_gives_what_is_there(tmp_path: Path) -> None:
    path = film(tmp_path / "cut.mkv", FRAMES, options={"g": "6"})
    shown, data = every_frame(path), path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    count = len(index_of(path).times)
    assert 5 < count < 40
    assert torch.equal(read(path, [0, 4]), shown[:, [0, 4]])


def test_frames_of_two_sizes(tmp_path: Path) -> None:
    """MPEG's streams may be put behind each other."""
    small, large = (film(tmp_path / f"{side}.ts", numbered_frames(20, side, side)) for side in (48, 96))
    path = tmp_path / "both.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    assert refused(path, [0, 30]) == "frames of different sizes"


def test_bounds_of_size_number_memory_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "video.mp4", FRAMES)
    for name, bound, reason in (
        ("MAX_FRAME_PIXELS", 48 * 64 - 1, "frames of 64x48 pixels"),
        ("MAX_FRAMES", 39, "more than 39 frames"),
        ("READ_SECONDS", -1.0, "reading it takes longer than -1 s"),
        ("MAX_CLIP_PIXELS", 48 * 64 * 40 - 1, "40 frames of 64x48 pixels exceed the memory limit"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(limits, name, bound)
            assert reason in refused(path, list(range(40))), name


@pytest.mark.parametrize(("size", "claimed"), [(200, 2_000_000), (1, 2_000_001)])
def test_a_file_that_claims_millions_of_frames(size: int, claimed: int, tmp_path: Path) -> None:
    """All of one size, so that its table has one row; ffmpeg's seek takes the square of what is claimed."""
    path = film(tmp_path / "claims.mp4", FRAMES[:, :8])
    data = bytearray(path.read_bytes())
    for box, place, values in (
        (b"stts", 8, (1, claimed)),
        (b"stsz", 8, (size, claimed)),
        (b"stsc", 16, (claimed,)),
    ):
        struct.pack_into(f">{len(values)}I", data, data.index(box) + place, *values)
    path.write_bytes(data)
    begun = monotonic()
    assert refused(path).startswith("cannot be decoded" if claimed <= limits.MAX_FRAMES else "more than 2000000 frames")
    assert monotonic() - begun < 10


def never(*args: object, **options: object) -> None:
    raise AssertionError("ffmpeg makes room for what is claimed")


@pytest.mark.parametrize("where", ["moov", "free", "trun", "cmov"])
def test_claims_are_read_before_ffmpeg_makes_room(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """71 bytes a sample: 3.5 GB for fifty million."""
    path = film(tmp_path / "claims.mp4", FRAMES[:, :8])
    data = bytearray(path.read_bytes())
    if where == "trun":
        data += struct.pack(">I4sI4sI4sII", 32, b"moof", 24, b"traf", 16, b"trun", 0, 50_000_000)
    else:
        struct.pack_into(">I", data, data.index(b"stsz") + 12, 50_000_000)
    if where == "free":
        at = data.index(b"moov") - 4
        data[at:at] = struct.pack(">I4s", 8 + len(data) - at, b"free")
    if where == "cmov":
        at = data.index(b"mvhd")
        data[at : at + 4] = b"cmov"
    path.write_bytes(data)
    monkeypatch.setattr("archdsl.training.data.reader.decoder.av.open", never)
    assert refused(path) == {"cmov": "a compressed header, which could claim any number of frames"}.get(
        where, "more than 2000000 frames"
    )


def test_long_sound_is_no_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uncompressed sound has a sample for each number; in fragments there are as many as it takes."""
    path = tmp_path / "sound.mov"
    with av.open(str(path), "w") as file:
        video, sound = file.add_stream("libx264", 25), file.add_stream("pcm_s16le", 8000)
        video.width, video.height = 64, 48
        for i in range(8):
            file.mux(video.encode(av.VideoFrame(64, 48, "rgb24")))
            noise = av.AudioFrame("s16", "mono", 320)
            noise.sample_rate, noise.pts = 8000, 320 * i
            file.mux(sound.encode(noise))
        file.mux(video.encode(None))
    monkeypatch.setattr(limits, "MAX_FRAMES", 100)
    assert read(path, [0, 7]).shape == (3, 2, 48, 64)


@pytest.mark.parametrize("how", ["pipe", "loop", "device", "socket"])
def test_only_regular_files_are_opened(how: str, tmp_path: Path) -> None:
    path, folder = tmp_path / "video.mp4", folder_of(tmp_path / "pictures", FRAMES[:, :1])
    for place in (path, folder / "img_00002.png"):
        if how == "pipe":
            os.mkfifo(place)
        elif how == "socket":
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(str(place))
        else:
            place.symlink_to(place.name if how == "loop" else "/dev/zero")
    assert refused(path) in ("a pipe", "a socket", "a device", "Too many levels of symbolic links")
    assert [path.name for path in pictures_in(folder)] == ["img_00001.png"]


def test_pictures_are_bounded_in_number_size_memory_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path / "video", FRAMES[:, :3])
    for name, bound, reason in (
        ("reader.limits.MAX_FRAMES", 2, "more than 2 pictures"),
        ("reader.limits.MAX_FRAME_PIXELS", 48 * 64 - 1, "img_00001.png has 64x48 pixels"),
        ("sources.pictures.MAX_PICTURE_BYTES", 100, "img_00001.png cannot be read"),
        ("reader.limits.MAX_CLIP_PIXELS", 48 * 64 * 3 - 1, "3 frames of 64x48 pixels exceed the memory limit"),
        ("reader.limits.READ_SECONDS", -1.0, "reading it takes longer than -1 s"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"archdsl.training.data.{name}", bound)
            with pytest.raises(Unreadable, match=reason):
                read_pictures(folder, "video", lambda index: range(len(index.times)))


def test_names_that_a_decoder_could_take_for_others(tmp_path: Path) -> None:
    """A pattern of pictures, an address, bytes that are not UTF-8: each is a file's own name, and nothing else."""
    shown = every_frame(film(tmp_path / "plain.mp4", FRAMES[:, :3]))
    for name in (os.fsdecode(b"caf\xe9.mp4"), "http:%2d*?.mp4", "-i.mp4", "a\nb.mp4"):
        (tmp_path / name).write_bytes((tmp_path / "plain.mp4").read_bytes())
        assert torch.equal(read(tmp_path / name, [0, 2]), shown[:, [0, 2]])
    folder = folder_of(tmp_path / "pictures", FRAMES[:, :2])
    (folder / "img_00002.png").rename(folder / "img_%d*.png")
    (folder / "img_00001.png").rename(folder / os.fsdecode(b"caf\xe9_1.png"))
    both = read_pictures(folder, "video", lambda index: [0, 1])[0]
    assert sorted(both.sum((0, 2, 3)).tolist()) == sorted(FRAMES[:, :2].sum((0, 2, 3)).tolist())


def test_a_frame_larger_than_the_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound holds within the decoder, before memory is taken."""
    small, large = (film(tmp_path / f"{side}.ts", numbered_frames(20, side, side)) for side in (48, 96))
    path = tmp_path / "grows.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    monkeypatch.setattr(limits, "MAX_FRAME_PIXELS", 50 * 50)
    assert "cannot be decoded" in refused(path, [0, 30])


def png(width: int, height: int) -> bytes:
    """A picture that claims a size and holds one line of it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    line = zlib.compress(bytes(1 + 3 * width))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", line) + chunk(b"IEND", b"")


def folder_of(path: Path, frames: Tensor, pattern: str = "img_{:05d}.png") -> Path:
    path.mkdir(parents=True)
    for i in range(frames.shape[1]):
        film(path / pattern.format(i + 1), frames[:, i : i + 1], codec="png", pix_fmt="rgb24", options={})
    return path


def test_a_folder_of_pictures_is_a_video(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "video", FRAMES[:, :12], "img_{}.png")  # img_10 is after img_9
    clip, index = read_pictures(folder, "video", lambda index: [0, 8, 9, 11])
    assert torch.equal(clip, FRAMES[:, [0, 8, 9, 11]])
    assert (len(index.times), index.fps) == (12, 30)


def test_flow_that_lies_beside_pictures_is_not_a_picture(tmp_path: Path) -> None:
    """As TSN's tools write them: img_00001.jpg, flow_x_00001.jpg, flow_y_00001.jpg in one folder."""
    folder = folder_of(tmp_path / "video", FRAMES[:, :3])
    for i in (1, 2):
        for axis in "xy":
            (folder / f"flow_{axis}_{i:05d}.jpg").write_bytes((folder / "img_00001.png").read_bytes())
    assert torch.equal(read_pictures(folder, "video", lambda index: [0, 1, 2])[0], FRAMES[:, :3])


def test_pictures_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "video", FRAMES[:, :3])
    (folder / "img_00002.png").write_bytes(b"no picture")
    with pytest.raises(Unreadable, match=r"img_00002.png cannot be read"):
        read_pictures(folder, "video", lambda index: [0, 1])
    film(folder / "img_00002.png", numbered_frames(1, 24, 24), codec="png", pix_fmt="rgb24", options={})
    with pytest.raises(Unreadable, match="pictures of different sizes"):
        read_pictures(folder, "video", lambda index: [0, 1])
    (tmp_path / "none").mkdir()
    with pytest.raises(Unreadable, match="a folder without pictures"):
        read_pictures(tmp_path / "none", "none", lambda index: [0])


def test_a_picture_that_claims_to_be_huge(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png(30_000, 30_000))
    with pytest.raises(Unreadable, match=r"huge\.png"):
        read_picture(path, "video")


def test_decoders_that_are_here() -> None:
    assert available_decoders()[0] == "pyav"


@pytest.mark.parametrize("name", ["h264.mp4", "open_gop.mp4", "hevc.mp4", "h264.mkv", "h264.flv", "xvid.avi"])
def test_frames_that_no_other_refers_to_are_left_out_without_a_trace(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec, pixels, options = KINDS[name]
    path = film(tmp_path / name, FRAMES, codec=codec, pix_fmt=pixels, options=options)
    shown, passed = every_frame(path), []
    decoded = VideoFile.decode_group

    def counting(self, index, group):
        for frame in decoded(self, index, group):
            passed.append(frame.pts)
            yield frame

    monkeypatch.setattr(VideoFile, "decode_group", counting)
    for first in range(0, 40, 3):
        assert torch.equal(read(path, [first, min(first + 7, 39)]), shown[:, [first, min(first + 7, 39)]])
    monkeypatch.setattr("archdsl.training.data.reader.decoder.SKIPPING_CODECS", ())
    few, passed[:] = len(passed), []
    for first in range(0, 40, 3):
        read(path, [first, min(first + 7, 39)])
    assert few == len(passed) if name == "xvid.avi" else few < 0.8 * len(passed)
