"""Captions of all videos beside what people wrote, and the caption of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from archdsl.errors import printable
from archdsl.spec.files import json_text
from archdsl.training.evaluation.caption_metrics import bleu, cider, exact_match
from archdsl.training.evaluation.prediction import Prediction
from archdsl.training.evaluation.results import Results


@dataclass(frozen=True)
class CaptionScores(Results):
    """What was written of each video, and by whom else."""

    captions: tuple[tuple[str, ...], ...]
    references: tuple[tuple[tuple[str, ...], ...], ...]

    @property
    def figures(self) -> dict[str, float]:
        """`exact_match`, `bleu_4`, `cider`: shares of 1, but that CIDEr may reach 10."""
        rare = cider(self.captions, self.references)
        return {
            "exact_match": exact_match(self.captions, self.references),
            "bleu_4": bleu(self.captions, self.references),
            "cider": sum(rare) / len(rare),
        }

    def lines(self) -> Iterator[dict[str, Any]]:
        for name, caption, some in zip(self.names, self.captions, self.references):
            yield {"name": name, "caption": " ".join(caption), "references": [" ".join(one) for one in some]}

    def files(self, title: str) -> Iterator[tuple[str, str]]:
        """captions.json, as COCO's tools read results."""
        pairs = zip(self.names, self.captions)
        found = [{"image_id": name, "caption": " ".join(caption)} for name, caption in pairs]
        yield "captions.json", json_text(found, indent=1) + "\n"


@dataclass(frozen=True)
class CaptionText(Prediction):
    """What is written of one video, from window to window."""

    windows: tuple[tuple[float, float, str], ...]
    """(start, end, caption)"""

    def record(self) -> dict[str, Any]:
        windows = [{"start": start, "end": end, "caption": caption} for start, end, caption in self.windows]
        return {"path": str(self.path), "captions": windows}

    def text(self) -> str:
        lines = (f"  {start:8.1f} to {end:8.1f} s  {caption}" for start, end, caption in self.windows)
        return "\n".join([str(self.path), *map(printable, lines)])

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Subtitles, which players show over the video."""
        parts = [
            f"{i}\n{subtitle_time(start)} --> {subtitle_time(max(end, start + 0.04))}\n{caption}\n"
            for i, (start, end, caption) in enumerate(self.windows, 1)
        ]
        yield "srt", "\n".join(parts).encode()


def subtitle_time(seconds: float) -> str:
    """00:01:02,500"""
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02},{rest % 1000:03}"
