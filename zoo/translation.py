"""RNNsearch (arXiv:1409.0473, Appendix A): a sentence read both ways, and another written while looking back at it.

The first network with additive attention. A GRU reads the words written so far; before each it scores every place of
the sentence. Each next word is told by the larger ones of two halves of what state, word and place say together.
"""

from archdsl.blocks import Branches, ChannelPart, Embed, Gru, Linear
from archdsl.language import Arch, AttentiveGru, Clip, Edge, Model, NextWord, Pathway, Stage
from archdsl.spec.scalars import Count


def text(length: int, vocabulary: int) -> Clip:
    return Clip(modality="text", frames=length, size=1, vocabulary=vocabulary)


def rnnsearch(
    name: str,
    length: Count = 50,
    written: Count = 50,
    vocabulary: Count = 30000,
    width: Count = 620,
    hidden: Count = 1000,
) -> Arch:
    """Sentences of `length` words, and of `written` ones."""
    ways = {"onward": (Gru(hidden=hidden),), "back": (Gru(hidden=hidden, reverse=True),)}
    halves = {f"half{i}": (ChannelPart(index=i),) for i in (0, 1)}
    told = Linear(channels=hidden, act="none", init="default")
    pathways = {
        "sentence": Pathway(
            clip="source", stages={"embed": Stage(Embed(channels=width)), "read": Stage(Branches(branches=ways))}
        ),
        "words": Pathway(
            clip="text",
            stages={
                "embed": Stage(Embed(channels=width)),
                "tell": Stage(told, Branches(branches=halves, merge="max")),
            },
        ),
    }
    looks = Edge(
        source="sentence",
        target="words",
        after="read",
        into="embed",
        transform=(AttentiveGru(hidden=hidden, keys=hidden),),
        merge="concat",
    )
    clips = {"source": text(length, vocabulary), "text": text(written, vocabulary)}
    head = NextWord(reads=("words",))
    return Arch(name=name, clips=clips, pathways=pathways, edges=(looks,), head=head)


models = (Model(name="rnnsearch", family=rnnsearch),)
