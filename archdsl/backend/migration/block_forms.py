"""The blocks that a part of a network may be, the likeliest first; who asks compares them with the part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archdsl.backend.migration.units import ConvUnit
from archdsl.blocks import (
    Basic,
    Block,
    Bottleneck,
    Conv,
    ExpandedBottleneck,
    FactorizedBasic,
    FactorizedBottleneck,
    InvertedResidual,
    Patches,
    TwoPlusOne,
)

Forms = Iterator[tuple[type[Block], dict[str, Any]]]
"""Blocks as their kind and fields, which may not go together."""


def conv_form(unit: ConvUnit) -> Forms:
    """A unit without gates as a block."""
    conv = unit.conv
    fields = {name: getattr(conv, name) for name in ("kernel", "stride", "dilation")}
    given = dict(pad=shown_pad(unit), groups=unit.groups, bias=unit.bias, norm=unit.norm, act=unit.act)
    yield Conv, dict(channels=conv.out_channels, **given, **fields)


def patches_form(unit: ConvUnit) -> Forms:
    """A unit whose windows lie side by side as patches."""
    conv = unit.conv
    given = dict(kernel=conv.kernel, pad=shown_pad(unit), bias=conv.bias, norm=unit.norm)
    yield Patches, dict(channels=conv.out_channels, **given)


def shown_pad(unit: ConvUnit) -> Any:
    """The padding by its word, where it has one."""
    conv = unit.conv
    if conv.pad == (0, 0, 0) and conv.kernel != (1, 1, 1):
        return "valid"
    same = tuple(d * (k - 1) // 2 for k, d in zip(conv.kernel, conv.dilation))
    return "same" if conv.pad == same else conv.pad


def shared_fields(units: Sequence[ConvUnit], act: str) -> dict[str, Any]:
    """What residual blocks have in common: strides are those of all units together."""
    first, last = units[0], units[-1]
    strides = [unit.conv.stride for unit in units]
    t, h = (max(stride[axis] for stride in strides) for axis in (0, 1))
    return {
        "channels": last.conv.out_channels,
        "stride": h,
        "stride_t": t,
        "norm": first.norm,
        "act": act if act != "none" else first.act,
        "bias": first.bias,
        "se": last.gate,
    }


def residual_forms(units: Sequence[ConvUnit], act: str, shortcut: tuple[Block, ...]) -> Forms:
    """Blocks of so many convolutions around a shortcut, an activation behind the sum."""
    same = shared_fields(units, act)
    for chain in ((), shortcut) if shortcut else ((),):
        known = {**same, "shortcut": chain}
        match units:
            case [a, _]:
                yield Basic, dict(**known, **basic_fields(a))
            case [a, b, c]:
                wide = bottleneck_fields(a, b, c) | {"inner": inner_width(a, c)}
                yield Bottleneck, dict(**known, **wide)
                gated = {"middle_se": b.gate, "middle_act": b.act}
                for bare in (False, True):
                    yield ExpandedBottleneck, dict(**known, **wide, **gated, bare_stride=bare)
            case [a, b, c, d]:
                for order in ("space_first", "time_first"):
                    yield from factored_forms(known, units, order)
                yield Bottleneck, dict(**known, **bottleneck_fields(a, c, d), inner=inner_width(a, d), mix=True)
    if len(units) in (2, 3) and act == "none":
        yield from inverted_forms(units)


def factored_forms(known: dict[str, Any], units: Sequence[ConvUnit], order: str) -> Forms:
    """Blocks whose kernels are (2+1)D."""
    a, b, c, d = units
    for place in ("conv", "block"):
        kernel_t = max(a.conv.kernel[0], b.conv.kernel[0])
        yield FactorizedBasic, dict(**known, kernel_t=kernel_t, order=order, middle_from=place)
    kernel = tuple(max(pair) for pair in zip(b.conv.kernel, c.conv.kernel))
    fields = {"kernel_t": a.conv.kernel[0], "kernel": kernel, "inner": inner_width(a, d), "order": order}
    for place in ("conv", "output"):
        yield FactorizedBottleneck, dict(**known, **fields, middle_from=place)


def basic_fields(a: ConvUnit) -> dict[str, Any]:
    """Fields of a block of two kernels."""
    return {"kernel_t": a.conv.kernel[0], "dilation": a.conv.dilation[1], "groups": a.groups}


def bottleneck_fields(a: ConvUnit, b: ConvUnit, c: ConvUnit) -> dict[str, Any]:
    """Fields of a block of three kernels."""
    return {
        "kernel_t": a.conv.kernel[0],
        "kernel": b.conv.kernel,
        "dilation": b.conv.dilation[1],
        "groups": b.groups,
        "stride_on": "a" if a.conv.stride[1] > 1 else "b",
    }


def inner_width(a: ConvUnit, c: ConvUnit) -> int | None:
    """Channels of the middle kernel, where they are not a quarter of the result's."""
    return None if a.conv.out_channels * 4 == c.conv.out_channels else a.conv.out_channels


def inverted_forms(units: Sequence[ConvUnit]) -> Forms:
    """The inverted residual block, with and without its shortcut."""
    *wide, deep, last = units
    fields: dict[str, Any] = {
        "channels": last.conv.out_channels,
        "kernel": deep.conv.kernel,
        "stride": deep.conv.stride[1],
        "se": deep.late_gate,
        "norm": deep.norm,
        "act": deep.act,
    }
    ratio = {"inner": wide[0].conv.out_channels} if wide else {"expand": 1}
    if wide and wide[0].conv.out_channels % wide[0].channels_in == 0:
        ratio = {"expand": wide[0].conv.out_channels // wide[0].channels_in}
    yield InvertedResidual, dict(**fields, **ratio)


def factored_form(space: ConvUnit, time: ConvUnit) -> Forms:
    """Two units as a (2+1)D convolution."""
    first, second = space.conv, time.conv
    yield (
        TwoPlusOne,
        dict(
            channels=second.out_channels,
            middle=first.out_channels,
            kernel=tuple(max(pair) for pair in zip(first.kernel, second.kernel)),
            stride=tuple(max(pair) for pair in zip(first.stride, second.stride)),
            order="space_first" if first.kernel[0] == 1 else "time_first",
            norm=space.norm,
            act=space.act,
        ),
    )
