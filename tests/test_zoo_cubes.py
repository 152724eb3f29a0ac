"""R3D, MC3, R(2+1)D, CSN and X3D: reference counts to the last integer, and rewrites equal to what they mean."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.blocks import Basic, Bottleneck, Conv, FactorizedBasic, MaxPool, TwoPlusOne
from archdsl.blocks.factorization import equal_width
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage, repeat
from archdsl.rewrites import depthwise, factorize
from archdsl.zoo import x3d

ORACLE = {
    # name, frames of the clip, size: parameters, multiply-adds, fvcore 0.1.5
    ("r3d_18", 16, 112): (33_371_472, 40_696_553_472, 40_739_203_072),  # tv_r3d_18
    ("mc3_18", 16, 112): (11_695_440, 43_342_635_008, 43_402_846_208),  # tv_mc3_18
    ("r2plus1d_18", 16, 112): (31_505_325, 40_519_080_960, 40_644_893_164),  # tv_r2plus1d_18
    ("r2plus1d_18", 8, 112): (31_505_325, 20_259_642_880, 20_322_548_982),  # tv_r2plus1d_18_8f
    ("r2plus1d_34", 32, 112): (61_831_661, 150_401_259_520, 150_800_301_016),  # tv_r2plus1d_34_32f_112
    ("r3d_34", 32, 112): (63_681_104, 150_756_204_544, 150_886_862_848),  # tv_r3d_34_32f_112
    ("r2plus1d_16x4_r50", 64, 224): (28_107_600, 57_533_825_024, 57_932_623_872),  # PyTorchVideo
    ("r2plus1d_16x4_r50", 64, 256): (28_107_600, 75_148_427_264, 75_669_307_392),  # PyTorchVideo
    ("ircsn_r50", 64, 224): (13_131_152, 42_308_519_936, 42_798_438_400),  # mmaction2
    ("ircsn_r101", 64, 224): (22_213_776, 56_468_187_136, 57_039_992_832),  # PyTorchVideo
    ("ircsn_r101", 64, 256): (22_213_776, 73_756_573_696, 74_503_421_952),  # PyTorchVideo
    ("ircsn_r152", 64, 224): (29_703_568, 74_046_244_864, 74_757_740_544),  # mmaction2
    ("ipcsn_r152", 64, 224): (33_016_592, 83_294_685_184, 84_129_413_120),  # mmaction2
    ("x3d_xs", 48, 160): (3_794_322, 605_256_512, 626_453_312),  # sf_X3D_XS_160
    ("x3d_s", 78, 160): (3_794_322, 1_962_892_112, 2_031_781_712),  # sf_X3D_S_160
    ("x3d_m", 80, 224): (3_794_322, 4_732_468_736, 4_898_651_648),  # sf_X3D_M_224
    ("x3d_l", 80, 312): (6_153_432, 18_367_710_176, 18_932_475_488),  # sf_X3D_L_312
    ("x3d_xs_ptv", 48, 160): (3_794_274, 605_256_512, 626_146_112),  # PyTorchVideo
    ("x3d_s_ptv", 78, 160): (3_794_274, 1_962_892_112, 2_030_783_312),  # PyTorchVideo
    ("x3d_m_ptv", 80, 224): (3_794_274, 4_732_468_736, 4_896_243_200),  # PyTorchVideo
    ("x3d_l_ptv", 80, 312): (6_153_384, 18_367_710_176, 18_927_802_976),  # PyTorchVideo
}


@pytest.mark.parametrize(("name", "frames", "size"), ORACLE)
def test_counts_equal_the_reference_implementation(name: str, frames: int, size: int) -> None:
    plan = archdsl.compile(archdsl.load(name, frames=frames, size=size))
    assert (plan.params, plan.macs, plan.count("fvcore")) == ORACLE[name, frames, size]


def test_factors_have_the_weights_of_the_cube() -> None:
    # torchvision's layer1: 64 -> 64 channels need 144 between 1x3x3 and 3x1x1
    middle = equal_width((3, 3, 3), 64, 64)
    assert middle == 144
    assert 9 * 64 * middle + 3 * middle * 64 == 27 * 64 * 64


def literal_r2plus1d_18() -> Arch:
    """R(2+1)D-18 of torchvision, block by block."""
    block = FactorizedBasic(channels=64, kernel_t=3, zero_init=False, middle_from="block")
    stages = {"stem": Stage(TwoPlusOne(channels=64, middle=45, kernel=(3, 7, 7), stride=(1, 2, 2)))}
    stages["res2"] = Stage(*repeat(block, 2))
    for i, channels in enumerate((128, 256, 512)):
        stages[f"res{3 + i}"] = Stage(*repeat(block.but(channels=channels, stride=2, stride_t=2), 2))
    clip = Clip(frames=16, size=112)
    return Arch(name="r2plus1d_18", clip=clip, pathways={"rgb": Pathway(stages=stages)}, head=Classifier(classes=400))


def test_r2plus1d_is_r3d_factorised() -> None:
    assert archdsl.load("r2plus1d_18") == literal_r2plus1d_18()


def literal_ircsn_r50() -> Arch:
    """ir-CSN-50, block by block."""
    norm = {"eps": 1e-3}
    stem = Conv(channels=64, kernel=(3, 7, 7), stride=(1, 2, 2), norm=norm)
    stages = {"stem": Stage(stem, MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2)))}
    for i, times in enumerate((3, 4, 6, 3)):
        stride = 2 if i else 1
        block = Bottleneck(
            channels=256 << i, kernel=(3, 3, 3), groups="depthwise", stride=stride, stride_t=stride, norm=norm
        )
        stages[f"res{2 + i}"] = Stage(*repeat(block, times))
    clip, head = Clip(frames=64, size=224, fps=30), Classifier(classes=400, dropout=0.5)
    return Arch(name="ircsn_r50", clip=clip, pathways={"rgb": Pathway(every=2, stages=stages)}, head=head)


def test_csn_is_a_resnet_made_depthwise() -> None:
    assert archdsl.load("ircsn_r50") == literal_ircsn_r50()


def one_block(block: Basic | Conv) -> Arch:
    stages = {"only": Stage(Conv(channels=4), block)}
    return Arch(
        name="one", clip=Clip(frames=4, size=8), pathways=dict(a=Pathway(stages=stages)), head=Classifier(classes=2)
    )


def test_what_cannot_be_factorised_is_refused() -> None:
    with pytest.raises(archdsl.SpecError, match="groups in a block to be factorised"):
        factorize(one_block(Basic(channels=4, kernel_t=3, groups=2)))
    with pytest.raises(archdsl.SpecError, match="a convolution that cannot be factorised"):
        factorize(one_block(Conv(channels=4, kernel=(3, 3, 3), pad="valid")))


def test_flat_kernels_are_left_alone() -> None:
    flat = one_block(Basic(channels=4))
    assert factorize(flat) == flat
    assert depthwise(flat) == flat


def test_x3d_rounds_as_the_paper_expands() -> None:
    widths = [x3d.round_width(channels, x3d.Fraction("2.9")) for channels in x3d.WIDTHS]
    depths = [x3d.round_depth(times, x3d.Fraction("2.2")) for times in x3d.DEPTHS]
    assert (widths, depths) == ([32, 72, 136, 280], [3, 5, 11, 7])


def test_the_two_builds_of_x3d_differ_in_one_norm() -> None:
    ours, ptv = (archdsl.compile(archdsl.load(name)) for name in ("x3d_m", "x3d_m_ptv"))
    apart = {node.address for node in ours.nodes} ^ {node.address for node in ptv.nodes}
    assert apart == {"rgb.res2.0.shortcut_norm"}
    assert ours.params - ptv.params == 48
