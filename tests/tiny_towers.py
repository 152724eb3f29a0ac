"""A small network that compares clips and texts: convolutions over frames, a transformer over words."""

from __future__ import annotations

from archdsl.blocks import Conv, Embed, EndToken, LayerNorm, Linear, Mean, Norm, Positions, Transformer
from archdsl.blocks.transformer import Attend
from archdsl.language import Arch, Clip, CrossTransformer, Edge, Pathway, Similarity, Stage


def tiny_towers(texts: int = 1, words: int = 40, tokens: int = 10, *, prompts: bool = False, frames: int = 4) -> Arch:
    """Texts of `tokens` ids out of `words`; with `prompts` each text reads the clip (X-CLIP)."""
    norm = Norm(kind="group", groups=4)
    clips = {
        "video": Clip(frames=frames, size=32),
        "words": Clip(modality="text", frames=tokens, height=texts, width=1, vocabulary=words),
    }
    sight = dict(
        stem=Stage(Conv(channels=16, kernel=(3, 5, 5), stride=(1, 2, 2), norm=norm)),
        res2=Stage(Conv(channels=32, kernel=(3, 3, 3), stride=(1, 2, 2), norm=norm)),
        res3=Stage(Conv(channels=32, kernel=(1, 3, 3), stride=(1, 2, 2), norm=norm)),
    )
    text = dict(
        tokens=Stage(Embed(channels=32), Positions(over="t", entries=tokens)),
        body=Stage(Transformer(heads=2, attend=Attend(over="t", frames=0))),
        embed=Stage(LayerNorm(), EndToken(), Linear(channels=32, bias=False, act="none")),
    )
    vector = Stage(Mean(over="thw"), Linear(channels=32, act="none"))
    pathways = dict(
        sight=Pathway(clip="video", stages=sight),
        clip=Pathway(after="sight", stages=dict(vector=vector)),
        text=Pathway(clip="words", stages=text),
    )
    edges: tuple[Edge, ...] = ()
    if prompts:
        pathways["patches"] = Pathway(after="sight", stages=dict(embed=Stage(LayerNorm(), Mean(over="t"))))
        read = CrossTransformer(heads=2, layers=1, scale=0.1)
        edges = (Edge(source="patches", target="text", after=("embed",), transform=read, merge="sum"),)
    head = Similarity(reads=("clip", "text"))
    return Arch(name="tiny_towers", clips=clips, pathways=pathways, edges=edges, head=head)
