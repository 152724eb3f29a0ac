"""The table of lowerings: every op in torch. Ops of one idea may have a file `lower_<idea>.py` of their own."""

from __future__ import annotations

from collections.abc import Callable

from archdsl import ops
from archdsl.backend.lower_flow import drop_frames, tv_l1_flow
from archdsl.backend.lower_keys import interleaved, pairs, place_pooled, proposals, warped
from archdsl.backend.lower_motion import (
    affine,
    frame_step,
    frame_tuples,
    mix,
    one_frame,
    own_conv,
    own_shift,
    shift_of_time,
    snippet_steps,
)
from archdsl.backend.lower_pairwise import affinity, gather, pair_sum
from archdsl.backend.lower_pools import adaptive_avg_pool, adaptive_max_pool, avg_pool, max_pool, mean
from archdsl.backend.lower_proposals import boundary_match, only_valid
from archdsl.backend.lower_recurrent import gru_scan, lstm_scan
from archdsl.backend.lower_segments import (
    bilinear,
    max_over_time,
    maximum,
    take_snippets,
    top_over_time,
    weighted_over_time,
)
from archdsl.backend.lower_soi import proposals_of_segments, segments_pooled
from archdsl.backend.lower_stream import gain, mean_so_far, past, past_shift
from archdsl.backend.lowered import Argument, Lowered, even, joined, padded, text, weights_drawn, written, zeroed
from archdsl.backend.runtime.join import MeanJoin
from archdsl.backend.runtime.motion import start_as_shift
from archdsl.backend.runtime.norm import ShiftNorm
from archdsl.backend.runtime.roi import roi_align, sampled
from archdsl.ops import Op, Shape


def conv(op: ops.Conv, x: Shape) -> Lowered:
    pads = op.pads(x)
    args = (
        Argument("in_channels", x.c),
        Argument("out_channels", op.out_channels),
        Argument("kernel_size", op.window(x)),
        Argument("stride", op.stride, (1, 1, 1)),
        Argument("padding", even(pads) or (0, 0, 0), (0, 0, 0)),
        Argument("dilation", op.dilation, (1, 1, 1)),
        Argument("groups", op.groups, 1),
        Argument("bias", op.bias, True),
    )
    call = "{m}({0})" if even(pads) else f"{{m}}({padded('{0}', pads)})"
    needs = (start_as_shift,) if op.init in ("shift", "swap") else ()
    return Lowered(call, "nn.Conv3d", args, weights_drawn(op.init, op.bias, op.bias_start), needs)


def transposed_conv(op: ops.TransposedConv, x: Shape) -> Lowered:
    args = (
        Argument("in_channels", x.c),
        Argument("out_channels", op.out_channels),
        Argument("kernel_size", op.kernel),
        Argument("stride", op.stride, (1, 1, 1)),
        Argument("padding", op.pad, (0, 0, 0)),
        Argument("output_padding", op.extra, (0, 0, 0)),
        Argument("groups", op.groups, 1),
        Argument("bias", op.bias, True),
        Argument("dilation", op.dilation, (1, 1, 1)),
    )
    needs = (start_as_shift,) if op.init in ("shift", "swap") else ()
    return Lowered("{m}({0})", "nn.ConvTranspose3d", args, weights_drawn(op.init, op.bias), needs)


def batch_norm(op: ops.BatchNorm, x: Shape) -> Lowered:
    args = (
        Argument("num_features", x.c),
        Argument("eps", op.eps, 1e-5),
        Argument("momentum", op.momentum, 0.1),
        Argument("affine", op.affine, True),
    )
    if op.affine and not op.scale:
        return Lowered("{m}({0})", "ShiftNorm", args[:3], needs=(ShiftNorm,))
    return Lowered("{m}({0})", "nn.BatchNorm3d", args, zeroed(op.zero_init))


def group_norm(op: ops.GroupNorm, x: Shape) -> Lowered:
    args = (
        Argument("num_groups", op.groups),
        Argument("num_channels", x.c),
        Argument("eps", op.eps, 1e-5),
        Argument("affine", op.affine, True),
    )
    return Lowered("{m}({0})", "nn.GroupNorm", args, zeroed(op.zero_init))


def layer_norm(op: ops.LayerNorm, x: Shape) -> Lowered:
    args = (
        Argument("normalized_shape", x.c),
        Argument("eps", op.eps, 1e-5),
        Argument("elementwise_affine", op.affine, True),
    )
    return Lowered("{m}({0}.movedim(1, -1)).movedim(4, 1)", "nn.LayerNorm", args)


def local_response_norm(op: ops.LocalResponseNorm, x: Shape) -> Lowered:
    # torch's alpha multiplies the mean of the squares, ours their sum
    fields = written(alpha=(op.alpha * op.size, 1e-4), beta=(op.beta, 0.75), k=(op.k, 1.0))
    return Lowered(f"F.local_response_norm({{0}}, {op.size}{fields})")


def linear(op: ops.Linear, x: Shape) -> Lowered:
    args = (Argument("in_features", x.c), Argument("out_features", op.out_features), Argument("bias", op.bias, True))
    return Lowered(
        "{m}({0}.movedim(1, -1)).movedim(4, 1)", "nn.Linear", args, weights_drawn(op.init, op.bias, op.bias_start)
    )


def dropout(op: ops.Dropout, x: Shape) -> Lowered:
    return Lowered("{m}({0})", "nn.Dropout", (Argument("p", op.p, 0.5),))


def chosen(op: ops.TakeChosen, x: Shape) -> Lowered:
    return Lowered(f"{{0}}[:, :, {list(op.frames(x.t))}]")


def take_every(op: ops.TakeEvery, x: Shape) -> Lowered:
    return Lowered(f"{{0}}[:, :, {op.start or ''}::{op.step}]")


def resize(op: ops.Resize, x: Shape) -> Lowered:
    return Lowered(f"F.interpolate({{0}}, size={tuple(op.out(x)[1:])}, {interpolation(op.mode)})")


def resize_to(op: ops.ResizeTo, x: Shape, like: Shape) -> Lowered:
    return Lowered(f"F.interpolate({{0}}, size={{1}}.shape[2:], {interpolation(op.mode)})")


def region(op: ops.RoiAlign, x: Shape, boxes: Shape) -> Lowered:
    return Lowered(f"roi_align({{0}}, {{1}}, {op.size}, {float(op.step)}, {op.aligned})", needs=(sampled, roi_align))


def interpolation(mode: str) -> str:
    """How torch is told of an interpolation."""
    return 'mode="nearest"' if mode == "nearest" else f'mode="{mode}", align_corners=False'


def average(op: ops.Average, *xs: Shape) -> Lowered:
    return Lowered(f"({joined(' + ')(op, *xs).call}) / {len(xs)}")


def mean_join(op: ops.MeanJoin, *xs: Shape) -> Lowered:
    call = f"{{m}}({', '.join(f'{{{i}}}' for i in range(len(xs)))})"
    return Lowered(call, "MeanJoin", (Argument("drop", op.drop),), needs=(MeanJoin,))


def concat(op: ops.Concat, *xs: Shape) -> Lowered:
    return Lowered(f"torch.cat([{', '.join(f'{{{i}}}' for i in range(len(xs)))}], dim=1)")


LOWERINGS: dict[type[Op], Callable[..., Lowered]] = {
    ops.Conv: conv,
    ops.TransposedConv: transposed_conv,
    ops.MaxPool: max_pool,
    ops.AvgPool: avg_pool,
    ops.AdaptiveAvgPool: adaptive_avg_pool,
    ops.AdaptiveMaxPool: adaptive_max_pool,
    ops.Mean: mean,
    ops.BatchNorm: batch_norm,
    ops.GroupNorm: group_norm,
    ops.LayerNorm: layer_norm,
    ops.LocalResponseNorm: local_response_norm,
    ops.Relu: text("F.relu({0})"),
    ops.Relu6: text("F.relu6({0})"),
    ops.LeakyRelu: lambda op, x: Lowered(f"F.leaky_relu({{0}}, {op.slope})"),
    ops.Silu: text("F.silu({0})"),
    ops.Sigmoid: text("torch.sigmoid({0})"),
    ops.Hardsigmoid: text("F.hardsigmoid({0})"),
    ops.Tanh: text("torch.tanh({0})"),
    ops.ScaledTanh: text("1.7159 * torch.tanh({0} * (2 / 3))"),
    ops.Hardswish: text("F.hardswish({0})"),
    ops.Gelu: text("F.gelu({0})"),
    ops.Softmax: lambda op, x: Lowered(f"F.softmax({{0}}, dim={1 + 'cthw'.index(op.axis)})"),
    ops.Dropout: dropout,
    ops.Linear: linear,
    ops.Concat: concat,
    ops.Add: joined(" + "),
    ops.Average: average,
    ops.MeanJoin: mean_join,
    ops.Mul: joined(" * "),
    ops.StretchedAdd: joined(" + "),
    ops.Mix: mix,
    ops.Affine: affine,
    ops.TimeShift: shift_of_time,
    ops.FrameStep: frame_step,
    ops.SnippetSteps: snippet_steps,
    ops.SetFrame: one_frame,
    ops.SwapTime: text("{0}.transpose(1, 2)"),
    ops.OwnTimeConv: own_conv,
    ops.OwnTimeShift: own_shift,
    ops.FrameTuples: frame_tuples,
    ops.SumOverTime: text("{0}.sum(dim=2, keepdim=True)"),
    ops.RepeatChannels: lambda op, x: Lowered(f"{{0}}.repeat_interleave({op.times}, dim=1)"),
    ops.TakeEvery: take_every,
    ops.TakeLinspace: chosen,
    ops.TakeSegments: chosen,
    ops.TakeSnippets: take_snippets,
    ops.MaxOverTime: max_over_time,
    ops.TopOverTime: top_over_time,
    ops.WeightedOverTime: weighted_over_time,
    ops.Maximum: maximum,
    ops.Bilinear: bilinear,
    ops.RepeatFrames: lambda op, x: Lowered(f"{{0}}.repeat_interleave({op.times}, dim=2)"),
    ops.TimeToChannels: lambda op, x: Lowered(f"{{0}}.unflatten(2, (-1, {op.factor})).movedim(3, 2).flatten(1, 2)"),
    ops.PickChannels: lambda op, x: Lowered(f"{{0}}[:, {list(op.channels)}]"),
    ops.TakeChannels: lambda op, x: Lowered(f"{{0}}[:, {op.start}:{op.start + op.count}]"),
    ops.PadChannels: lambda op, x: Lowered(f"F.pad({{0}}, (0, 0, 0, 0, 0, 0, 0, {op.channels - x.c}))"),
    ops.ChannelShuffle: lambda op, x: Lowered(f"{{0}}.unflatten(1, ({op.groups}, -1)).transpose(1, 2).flatten(1, 2)"),
    ops.FrameDifference: text("{0} - torch.cat([{0}[:, :, :1], {0}[:, :, :-1]], dim=2)"),
    ops.TvL1Flow: tv_l1_flow,
    ops.DropFrames: drop_frames,
    ops.Gray: text("0.299 * {0}[:, 0:1] + 0.587 * {0}[:, 1:2] + 0.114 * {0}[:, 2:3]"),
    ops.Flatten: text("{0}.flatten(1)[:, :, None, None, None]"),
    ops.FlattenSpace: text("{0}.movedim(2, -1).flatten(1, 3)[..., None, None]"),
    ops.Vector: text("{0}.flatten(1)"),
    ops.Series: text("{0}.flatten(2)"),
    ops.Resize: resize,
    ops.ResizeTo: resize_to,
    ops.Affinity: affinity,
    ops.PairSum: pair_sum,
    ops.Gather: gather,
    ops.RoiAlign: region,
    ops.Gain: gain,
    ops.Past: past,
    ops.PastShift: past_shift,
    ops.MeanSoFar: mean_so_far,
    ops.NewestFrame: text("{0}[:, :, -1:]"),
    ops.LstmScan: lstm_scan,
    ops.GruScan: gru_scan,
    ops.BoundaryMatch: boundary_match,
    ops.ValidProposals: only_valid,
    ops.SegmentProposals: proposals_of_segments,
    ops.SoiPool: segments_pooled,
    ops.CropTo: text("{0}[..., : {1}.shape[-2], : {1}.shape[-1]]"),
    ops.KeyPairs: pairs,
    ops.HoldKeys: text("{0}.repeat_interleave({1}.shape[2] // {0}.shape[2], dim=2)"),
    ops.Warp: warped,
    ops.Interleave: interleaved,
    ops.Proposals: proposals,
    ops.PlacePool: place_pooled,
}
"""Every op but Source. A test says that none is missing."""


def lowered(op: Op, *xs: Shape) -> Lowered:
    """The op in torch, for maps of these shapes."""
    return LOWERINGS[type(op)](op, *xs)
