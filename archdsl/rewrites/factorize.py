"""(2+1)D (arXiv:1711.11248): kernels over space and time as one in space, then one in time."""

from __future__ import annotations

from typing import Any, Literal

from archdsl.blocks import Basic, Block, Bottleneck, Conv, FactorizedBasic, FactorizedBottleneck, TwoPlusOne
from archdsl.blocks.factorization import Order
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.rewrites.stages import with_stages


def factorize(
    arch: Arch, *, middle_from: Literal["conv", "block", "output"] = "conv", order: Order = "space_first"
) -> Arch:
    """Every convolution and residual block whose kernel spans space and time, factorised.

    `middle_from` says what sets the width between the factors: each convolution (the paper), a basic block as a whole
    (torchvision), or in bottlenecks what the factors write (PyTorchVideo).
    """
    return with_stages(arch, lambda block: (factorized(block, middle_from, order),))


def factorized(block: Block, middle_from: str, order: Order) -> Block:
    """One block factorised, or the block itself where it has no kernel over space and time."""
    if type(block) is Basic and block.kernel_t > 1:
        check_ungrouped(block)
        return converted(FactorizedBasic, block, middle_from=middle_from, order=order)
    if type(block) is Bottleneck and block.kernel[0] > 1 and block.kernel[1:] != (1, 1):
        return converted(FactorizedBottleneck, block, middle_from=middle_from, order=order)
    if type(block) is Conv and block.kernel[0] > 1 and block.kernel[1:] != (1, 1):
        check_ungrouped(block)
        if block.pad != "same" or block.dilation != (1, 1, 1):
            got = f"pad {block.pad}, dilation {block.dilation}"
            want = "pad same, dilation 1"
            raise SpecError("a convolution that cannot be factorised", written=block.written, got=got, want=want)
        kept = {name: getattr(block, name) for name in ("channels", "kernel", "stride", "norm", "act")}
        return TwoPlusOne(order=order, **kept)
    return block


def check_ungrouped(block: Basic | Conv) -> None:
    """Factors of unequal widths have no groups to keep."""
    if block.groups != 1:
        raise SpecError(
            "groups in a block to be factorised", written=block.written, got=f"groups: {block.groups}", want="groups: 1"
        )


def converted(kind: type[Block], block: Block, **fields: Any) -> Block:
    """A block of another kind with the fields that were written for this one, and further ones."""
    return kind(**{name: getattr(block, name) for name in block.model_fields_set}, **fields)
