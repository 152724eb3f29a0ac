"""MoViNet (arXiv:2103.11511): nets found by a search for little memory, and their causal form for streams.

Blocks widen, convolve each channel over space and time, gate, and narrow again; what they add starts at 0 (ReZero).
Time is never strided. A `stream` net is the same table made causal: kernels over space and time are factorised, the
temporal one reads a buffer of the past, gates see the mean so far beside the frame, and the scores of a clip are those
after its last frame. Padding is TensorFlow's.
"""

from fractions import Fraction

from archdsl.blocks import Conv, GatedInverted, GlobalPool, Norm, SqueezeExcite
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, row_of

Rows = tuple[int, str, str]
"""Output channels, inner channels and kernels of a stage's blocks; kernel 53 is 5 x 3 x 3, `33*4` four times 33."""
A0 = (
    (8, "24", "15"),
    (32, "80*3", "33*3"),
    (56, "184 112 184", "53 33*2"),
    (56, "184*4", "53 33*3"),
    (104, "384 280*2 344", "53 15*3"),
)
A1 = (
    (16, "40*2", "15 33"),
    (40, "96 120 96*2", "33*4"),
    (64, "216 128 216 168 216", "53 33*4"),
    (64, "216*3 128*2 216", "53 33*3 15 33"),
    (136, "456 360*3 456*2 544", "53 15*4 33 13"),
)
A2 = (
    (16, "40*2 64", "15 33*2"),
    (40, "96 120 96*2 120", "33*5"),
    (72, "240 160 240 192 240", "53 33*4"),
    (72, "240*4 144 240", "53 33*3 15 33"),
    (144, "480 384*2 480*3 576", "53 15*4 33 13"),
)
A3 = (
    (16, "40*2 64 40", "15 33*3"),
    (48, "112 144 112*2 144*2", "33*3 15 33*2"),
    (80, "240 152 240 192 240", "53 33*4"),
    (88, "264*4 160 264*3", "53 33*3 15 33*3"),
    (168, "560 448*2 560*3 448*2 560 672", "53 15*4 33 15*2 33 13"),
)
A4 = (
    (24, "64*2 96 64 96 64", "15 33*5"),
    (56, "168*2 136*2 168*3 136*2", "33*7 15 33"),
    (96, "320 160 320 192 320 160 320 256 320", "53 33*8"),
    (96, "320*4 192 320*2 192 320*2", "53 33*3 15 33*5"),
    (192, "640 512*2 640*3 512*2 640 768 640*2 768", "53 15*4 33 15*5 33*2"),
)
A5 = (
    (24, "64*2 96 64 96 64", "15*2 33*4"),
    (64, "192 152*3 192*3 152*2 192*2", "53 33*10"),
    (112, "376 224 376*2 296 376 224 376*2 296 376*3", "53 33*12"),
    (120, "376*4 224 376*2 224 376*3", "53 33*3 15 33*6"),
    (224, "744*2 600*2 744*3 896 600*2 896 744*2 896 600*2 744*2", "53 33 15*4 33 15*5 33 15*4 33"),
)
NORM = Norm(eps=1e-3, momentum=0.01)
WHOLE = SqueezeExcite(ratio=Fraction(1, 4), multiple=8, over="thw", act="silu")
SO_FAR = SqueezeExcite(ratio=Fraction(1, 2), multiple=8, over="past", act="hardswish", gate="hardsigmoid", slope=1.2)


def unfolded(text: str) -> list[int]:
    """`96 120*2` as 96, 120, 120."""
    items = [item.partition("*") for item in text.split()]
    return [int(number) for number, _, times in items for _ in range(int(times or 1))]


def stage(rows: Rows, stride: int, stream: bool) -> Stage:
    """The blocks of one stage; the first strides."""
    channels, inner, kernels = rows
    kind = dict(se=SO_FAR, act="hardswish", factorized=True) if stream else dict(se=WHOLE, act="silu")
    blocks = []
    for i, (wide, k) in enumerate(zip(unfolded(inner), unfolded(kernels), strict=True)):
        window = dict(kernel=(k // 10, k % 10, k % 10), stride=1 if i else stride)
        blocks.append(GatedInverted(channels=channels, inner=wide, norm=NORM, **window, **kind))
    return Stage(*blocks)


NETS = {
    "a0": (A0, 480, 50, 172),
    "a1": (A1, 600, 50, 172),
    "a2": (A2, 640, 50, 224),
    "a3": (A3, 744, 120, 256),
    "a4": (A4, 856, 80, 290),
    "a5": (A5, 992, 120, 320),
}
"""Table, width of the convolution before the pool, frames and size of the clip."""


def movinet(name: str, variant: str = "a0", stream: bool = False) -> Arch:
    """The stem is as wide as the first stage."""
    table, last, frames, size = row_of(NETS, variant=variant)
    rule = dict(norm=NORM, act="hardswish" if stream else "silu", pad="tf_same")
    stages = {"stem": Stage(Conv(channels=table[0][0], kernel=(1, 3, 3), stride=(1, 2, 2), **rule))}
    for i, (rows, stride) in enumerate(zip(table, (2, 2, 2, 1, 2), strict=True)):
        stages[f"block{2 + i}"] = stage(rows, stride, stream)
    stages["conv7"] = Stage(Conv(channels=last, **rule))
    stages["fc"] = Stage(GlobalPool(), Conv(channels=2048, norm=Norm(kind="none"), act="silu"))
    return Arch(
        name=name,
        clip=Clip(frames=frames, size=size),
        pathways=dict(rgb=Pathway(stages=stages)),
        head=Classifier(classes=600, pool="none", dropout=0.2),
        causal=stream,
    )


models = (
    Model(name="movinet_a0", family=movinet, parameters=dict(variant="a0")),
    Model(name="movinet_a1", family=movinet, parameters=dict(variant="a1")),
    Model(name="movinet_a2", family=movinet, parameters=dict(variant="a2")),
    Model(name="movinet_a3", family=movinet, parameters=dict(variant="a3")),
    Model(name="movinet_a4", family=movinet, parameters=dict(variant="a4")),
    Model(name="movinet_a5", family=movinet, parameters=dict(variant="a5")),
    Model(name="movinet_a0_stream", family=movinet, parameters=dict(variant="a0", stream=True)),
    Model(name="movinet_a1_stream", family=movinet, parameters=dict(variant="a1", stream=True)),
    Model(name="movinet_a2_stream", family=movinet, parameters=dict(variant="a2", stream=True)),
    Model(name="movinet_a3_stream", family=movinet, parameters=dict(variant="a3", stream=True)),
    Model(name="movinet_a4_stream", family=movinet, parameters=dict(variant="a4", stream=True)),
    Model(name="movinet_a5_stream", family=movinet, parameters=dict(variant="a5", stream=True)),
)
