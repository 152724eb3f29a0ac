"""A small network that writes captions: one convolution over pictures, and an LSTM over words."""

from __future__ import annotations

from archdsl.blocks import Conv, Embed, Linear, Lstm, Mean, Norm
from archdsl.language import Arch, Clip, Edge, NextWord, Pathway, Stage


def tiny_writer(words: int = 23, length: int = 8, frames: int = 4, size: int = 32, width: int = 32) -> Arch:
    """What is seen is added to every word, before the LSTM reads it."""
    norm = Norm(kind="group", groups=4)
    clips = {
        "clip": Clip(frames=frames, size=size),
        "words": Clip(modality="text", frames=length, size=1, vocabulary=words),
    }
    sight = dict(
        stem=Stage(Conv(channels=16, kernel=(3, 5, 5), stride=(1, 2, 2), norm=norm)),
        res2=Stage(Conv(channels=width, kernel=(3, 3, 3), stride=(1, 2, 2), norm=norm)),
        res3=Stage(Conv(channels=width, kernel=(1, 3, 3), stride=(1, 2, 2), norm=norm)),
        seen=Stage(Mean(over="thw"), Linear(channels=width)),
    )
    words_read = dict(embed=Stage(Embed(channels=width)), lstm=Stage(Lstm(hidden=width)))
    edge = Edge(source="sight", target="written", after="seen", into=("embed",), merge="stretched_sum")
    pathways = dict(sight=Pathway(clip="clip", stages=sight), written=Pathway(clip="words", stages=words_read))
    head = NextWord(reads=("written",))
    return Arch(name="tiny_writer", clips=clips, pathways=pathways, edges=(edge,), head=head)
