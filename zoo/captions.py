"""Networks of words: Show and Tell (NIC, arXiv:1411.4555), Show, Attend and Tell (arXiv:1502.03044), S2VT, answers.

After each word of a text they say how well every word would follow. Show and Tell reads the image once, as the word
before the first, with an LSTM that then reads the words; it is im2txt's network, or neuraltalk2's. Show, Attend and
Tell looks at the 196 places of VGG-19's last map anew for every word, by the authors' settings for MS COCO. S2VT
(arXiv:1505.00487) reads frames and then words with the same two LSTMs: the first sees frames and then nothing, the
second what the first makes of them, beside it nothing and then the words, and a mark, 1 while words are read, which a
clip brings. Show, Ask, Attend, and Answer (arXiv:1704.03162) reads a question and looks at an image for it, as
Cyanogenoid/pytorch-vqa has it.
"""

from typing import Literal

from archdsl.blocks import AvgPool, DropFrames, Dropout, Embed, L2Norm, Linear, Lstm, Norm, NormAct, PadFrames
from archdsl.language import Arch, AttentiveLstm, Classifier, Clip, Edge, Glimpses, Model, NextWord, Pathway, Stage
from archdsl.spec.scalars import Count
from archdsl.zoo import inception, resnet, vgg


def text(length: int, vocabulary: int) -> Clip:
    return Clip(modality="text", frames=length, size=1, vocabulary=vocabulary)


def plain(channels: int, bias: bool = True) -> Linear:
    return Linear(channels=channels, bias=bias, act="none", init="default")


def nic(
    name: str,
    trunk: Literal["inception_v3", "resnet50", "vgg16"] = "inception_v3",
    length: Count = 20,
    vocabulary: Count = 12000,
    width: Count = 512,
    biases: Literal[1, 2] = 1,
    size: Count = 299,
) -> Arch:
    """The mean of the image's map, or VGG's last but one layer, stands before the words."""
    if trunk == "vgg16":
        image = vgg.stages(16)
        image["embed"] = Stage(plain(width))
    else:
        image = inception.v3_stages() if trunk == "inception_v3" else resnet.stages(50)
        image["embed"] = Stage(AvgPool(kernel=(1, 0, 0), pad="valid"), plain(width, bias=False))
    words = {
        "embed": Stage(Embed(channels=width)),
        "lstm": Stage(Lstm(hidden=width, biases=biases), DropFrames(front=1)),
    }
    pathways = {"image": Pathway(clip="clip", stages=image), "words": Pathway(clip="text", stages=words)}
    before = Edge(source="image", target="words", after="embed", merge="before")
    clips = {"clip": Clip(frames=1, size=size), "text": text(length, vocabulary)}
    head = NextWord(dropout=0.3, reads=("words",))
    return Arch(name=name, clips=clips, pathways=pathways, edges=(before,), head=head)


def attend(
    name: str,
    hidden: Count = 1800,
    length: Count = 20,
    vocabulary: Count = 10000,
    width: Count = 512,
    size: Count = 224,
) -> Arch:
    """Each word and what an LSTM says beside it, of its state and of what it looked at."""
    image = vgg.convolutions(19)
    image["conv5"] = Stage(*image["conv5"].blocks[:-1])
    said = NormAct(norm=Norm(kind="none"), act="tanh")
    words = {"embed": Stage(Embed(channels=width)), "say": Stage(Dropout(p=0.5), said)}
    pathways = {"image": Pathway(clip="clip", stages=image), "words": Pathway(clip="text", stages=words)}
    looks = Edge(
        source="image",
        target="words",
        after="conv5",
        into="embed",
        transform=(AttentiveLstm(hidden=hidden),),
        merge="sum",
    )
    clips = {"clip": Clip(frames=1, size=size), "text": text(length, vocabulary)}
    head = NextWord(dropout=0.5, reads=("words",))
    return Arch(name=name, clips=clips, pathways=pathways, edges=(looks,), head=head)


def s2vt(
    name: str,
    frames: Count = 40,
    features: Count = 4096,
    length: Count = 40,
    vocabulary: Count = 46168,
    width: Count = 500,
    hidden: Count = 1000,
) -> Arch:
    """The widest layer of an image net of each frame enters, of VGG-16 in the paper."""
    reading = {
        "embed": Stage(plain(width), PadFrames(back=length)),
        "lstm": Stage(Lstm(hidden=hidden)),
        "write": Stage(Lstm(hidden=hidden), DropFrames(front=frames)),
    }
    words = {"embed": Stage(Embed(channels=width), PadFrames(front=frames))}
    pathways = {
        "video": Pathway(clip="clip", stages=reading),
        "words": Pathway(clip="text", stages=words),
        "mark": Pathway(clip="stage", stages={"flag": Stage(PadFrames(front=frames))}),
    }
    edges = (
        Edge(source="words", target="video", after="embed", into="lstm"),
        Edge(source="mark", target="video", after="flag", into="lstm"),
    )
    clips = {
        "clip": Clip(modality="features", channels=features, frames=frames, size=1),
        "text": text(length, vocabulary),
        "stage": Clip(modality="features", channels=1, frames=length, size=1),
    }
    head = NextWord(dropout=0.5, reads=("video",))
    return Arch(name=name, clips=clips, pathways=pathways, edges=edges, head=head)


def ask(
    name: str,
    features: Count = 2048,
    size: Count = 14,
    frames: Count = 1,
    length: Count = 23,
    vocabulary: Count = 15193,
    answers: Count = 3000,
) -> Arch:
    """A question looks twice at the map of an image net; frames of a video are further places to look at."""
    words = {
        "embed": Stage(Embed(channels=300), Dropout(p=0.5), NormAct(norm=Norm(kind="none"), act="tanh")),
        "lstm": Stage(Lstm(hidden=1024, biases=2, give="last", cell=True)),
        "answer": Stage(Dropout(p=0.5), Linear(channels=1024, init="xavier"), Dropout(p=0.5)),
    }
    pathways = {
        "image": Pathway(clip="clip", stages={"length": Stage(L2Norm())}),
        "words": Pathway(clip="text", stages=words),
    }
    look = Edge(source="image", target="words", after="length", into="lstm", transform=(Glimpses(),), merge="prepend")
    clips = {
        "clip": Clip(modality="features", channels=features, frames=frames, size=size),
        "text": text(length, vocabulary),
    }
    head = Classifier(classes=answers, pool="none", reads=("words",))
    return Arch(name=name, clips=clips, pathways=pathways, edges=(look,), head=head)


models = (
    Model(name="nic", family=nic),
    Model(
        name="neuraltalk2",
        family=nic,
        parameters=dict(trunk="vgg16", length=16, vocabulary=9568, biases=2, size=224),
    ),
    Model(name="show_attend_tell", family=attend),
    Model(name="s2vt", family=s2vt),
    Model(name="ask_attend_answer", family=ask),
)
