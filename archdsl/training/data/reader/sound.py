"""The sound of a video file, as a log-mel spectrogram (AVSlowFast, arXiv:2001.08740)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import log10
from pathlib import Path

import av
import torch
from torch import Tensor

from archdsl.training.data.clips import Unreadable
from archdsl.training.data.reader.decoder import CONTAINERS, ffmpeg_error, open_source
from archdsl.training.data.sources.shard_member import ShardMember

WAVE_RATE = 16000
"""Samples per second, of one channel."""
WINDOW_SAMPLES = 512
"""Of a spectrum: 32 ms."""
LEAST_POWER = 1e-10
LOG_MEL_MEAN, LOG_MEL_STD = -7.03, 4.66
"""Of Kinetics, as PyTorchVideo has them."""
LEAD_SECONDS = 1.0
"""What is decoded before the first sample that is wanted."""


def spectrogram_of(path: Path | ShardMember, name: str, times: Sequence[float], bands: int) -> Tensor:
    """Log-mel spectra around times in seconds, normalised.  (1, t, 1, bands). Raises Unreadable."""
    reach = WINDOW_SAMPLES / WAVE_RATE / 2
    start, end = min(times) - reach, max(times) + reach
    wave = wave_between(path, name, start, end)
    firsts = [round((time - start - reach) * WAVE_RATE) for time in times]
    return (log_mel(wave, firsts, bands) - LOG_MEL_MEAN)[None, :, None, :] / LOG_MEL_STD


def log_mel(wave: Tensor, firsts: Sequence[int], bands: int) -> Tensor:
    """The logarithm of each band's power in windows that begin at samples.  (samples,) -> (windows, bands)"""
    places = torch.tensor(firsts)[:, None] + torch.arange(WINDOW_SAMPLES)
    padded = torch.cat([wave, wave.new_zeros(max(int(places.max()) + 1 - len(wave), 0))])
    windows = padded[places] * torch.hann_window(WINDOW_SAMPLES)
    power = torch.fft.rfft(windows).abs() ** 2
    return (power @ mel_bands(bands)).clamp(min=LEAST_POWER).log()


@lru_cache(maxsize=4)
def mel_bands(bands: int) -> Tensor:
    """Triangles of equal width on HTK's mel scale, from 0 to half the rate.  (frequencies, bands)"""
    top = 2595 * log10(1 + WAVE_RATE / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, bands + 2, dtype=torch.float64) / 2595) - 1)
    frequencies = torch.linspace(0, WAVE_RATE / 2, WINDOW_SAMPLES // 2 + 1, dtype=torch.float64)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequencies[:, None] - low) / (middle - low)
    falling = (high - frequencies[:, None]) / (high - middle)
    return torch.minimum(rising, falling).clamp(min=0).float()


def wave_between(path: Path | ShardMember, name: str, start: float, end: float) -> Tensor:
    """The mean of all channels between two times; silence where the file has none.  (samples,). Raises Unreadable."""
    wave = torch.zeros(round((end - start) * WAVE_RATE) + 1)
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    try:
        with open_source(path, name) as source, av.open(source, "r", options=options) as file:
            if not file.streams.audio:
                raise Unreadable(name, "no sound")
            stream = file.streams.audio[0]
            seek = max(start - LEAD_SECONDS, 0.0)
            if seek > 0 and stream.time_base:
                file.seek(int(seek / stream.time_base), stream=stream)
            resampler = av.AudioResampler(format="fltp", layout="mono", rate=WAVE_RATE)
            for frame in file.decode(stream):
                if frame.time is not None and frame.time > end + LEAD_SECONDS:
                    break
                add_frames(wave, resampler.resample(frame), start)
            add_frames(wave, resampler.resample(None), start)
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise Unreadable(name, f"sound cannot be decoded: {ffmpeg_error(error)}") from None
    return wave


def add_frames(wave: Tensor, frames: Sequence[av.AudioFrame], start: float) -> None:
    """Put decoded samples where they belong in time."""
    for frame in frames:
        samples = torch.frombuffer(bytearray(frame.planes[0]), dtype=torch.float32)[: frame.samples]
        first = round(((frame.time or 0.0) - start) * WAVE_RATE)
        low, high = max(first, 0), min(first + len(samples), len(wave))
        if low < high:
            wave[low:high] = samples[low - first : high - first]
