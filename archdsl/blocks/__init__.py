"""Small named graphs of ops. A new one is a subclass of Block in your own file, or a drawing in YAML."""

from archdsl.blocks.acoustic import AcousticBottleneck, CrossConv
from archdsl.blocks.adapter import Adapter
from archdsl.blocks.attentive_pool import AttentivePool, MeanQueryPool
from archdsl.blocks.base import Act, Block, Norm, NormField, Pad, Width, add_act, add_block
from archdsl.blocks.branches import Branches, ChannelPart, ChannelShuffle, FeatureGate, PadChannels
from archdsl.blocks.cell import Cell
from archdsl.blocks.chain import BlockField, Chain
from archdsl.blocks.dense import DenseLayer, NormAct
from archdsl.blocks.factorization import FactorizedBasic, FactorizedBottleneck, TwoPlusOne
from archdsl.blocks.fire import Fire
from archdsl.blocks.flow import FlowConvFlow, RepresentationFlow
from archdsl.blocks.flownet import FlowNetS
from archdsl.blocks.fractal import Fractal
from archdsl.blocks.frame_convs import FramePositionConv, FrameTimeConv
from archdsl.blocks.fully_connected import Dropout, Flatten, FlattenSpace, Linear
from archdsl.blocks.hierarchy import Res2Bottleneck
from archdsl.blocks.inverted_residual import InvertedResidual
from archdsl.blocks.local_transformer import LocalTransformer, PositionConv
from archdsl.blocks.mamba import Mamba
from archdsl.blocks.masks import Hide, Keep, MaskTokens, Turned
from archdsl.blocks.message_transformer import MessageTransformer
from archdsl.blocks.mobileone import SummedConv
from archdsl.blocks.motion import (
    ChannelMotion,
    ChannelTimeConv,
    MotionEnhanced,
    MotionExcitation,
    SnippetSteps,
    TemporalAdaptive,
    TemporalDifference,
    TemporalInterlace,
    TimeShift,
)
from archdsl.blocks.movinet import GatedInverted
from archdsl.blocks.nonlocal_block import NonLocal
from archdsl.blocks.plain import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    Deconv,
    Depthwise,
    FrameDifference,
    GlobalPool,
    Gray,
    LocalResponseNorm,
    MaxPool,
    Mean,
    NewestFrame,
    Resize,
    SpaceToChannels,
)
from archdsl.blocks.pooled_transformer import PooledTransformer, Remembered
from archdsl.blocks.proposals import BoundaryMatch, Scale
from archdsl.blocks.recurrent import ConvGru, ConvLstm, Gru, GruScan, Lstm, LstmScan
from archdsl.blocks.residual import Basic, Bottleneck, Residual
from archdsl.blocks.reversible import Reversible
from archdsl.blocks.sequence import DropFrames, PackFrames, PadFrames
from archdsl.blocks.skeleton import GraphBlock, JointNorm
from archdsl.blocks.squeeze import SqueezeExcite
from archdsl.blocks.steps import Step
from archdsl.blocks.table import TableConv
from archdsl.blocks.text import Embed, EndToken, L2Norm
from archdsl.blocks.tokens import (
    ClassToken,
    FrameClassToken,
    FrameRows,
    FramesToRows,
    FrameToken,
    LayerNorm,
    Patches,
    Positions,
    Queries,
    RowsToFrames,
    SinePositions,
    TakeMap,
    TakeRows,
    TakeToken,
)
from archdsl.blocks.tower import SegmentTower
from archdsl.blocks.transformer import Attend, Perceptron, Transformer
from archdsl.blocks.tubes import SoftmaxPool, Tube, Tubes
from archdsl.blocks.unit_transformer import UnitTransformer
from archdsl.blocks.windows import MergePatches, WindowTransformer
from archdsl.blocks.x3d import ExpandedBottleneck
from archdsl.blocks.yaml_block import Drawing, Drawn

BLOCKS: tuple[type[Block], ...] = (
    Conv,
    Deconv,
    Depthwise,
    SpaceToChannels,
    MaxPool,
    AvgPool,
    GlobalPool,
    Mean,
    AdaptiveAvgPool,
    LocalResponseNorm,
    NormAct,
    Flatten,
    FlattenSpace,
    Linear,
    Dropout,
    Basic,
    Bottleneck,
    TwoPlusOne,
    FactorizedBasic,
    FactorizedBottleneck,
    ExpandedBottleneck,
    Res2Bottleneck,
    DenseLayer,
    Fire,
    InvertedResidual,
    TableConv,
    CrossConv,
    AcousticBottleneck,
    NonLocal,
    TimeShift,
    ChannelTimeConv,
    SnippetSteps,
    TemporalInterlace,
    TemporalAdaptive,
    MotionExcitation,
    ChannelMotion,
    TemporalDifference,
    MotionEnhanced,
    RepresentationFlow,
    FlowConvFlow,
    Branches,
    ChannelPart,
    PadChannels,
    ChannelShuffle,
    FeatureGate,
    Fractal,
    Cell,
    Gray,
    FrameDifference,
    Resize,
    NewestFrame,
    PadFrames,
    DropFrames,
    PackFrames,
    Lstm,
    ConvLstm,
    LstmScan,
    Gru,
    ConvGru,
    GruScan,
    GatedInverted,
    BoundaryMatch,
    Scale,
    SegmentTower,
    FlowNetS,
    SummedConv,
    Patches,
    ClassToken,
    Positions,
    SinePositions,
    Transformer,
    LayerNorm,
    TakeMap,
    Keep,
    Hide,
    MaskTokens,
    TakeToken,
    FrameRows,
    FrameToken,
    TakeRows,
    Embed,
    EndToken,
    L2Norm,
    MessageTransformer,
    Adapter,
    JointNorm,
    GraphBlock,
    WindowTransformer,
    UnitTransformer,
    LocalTransformer,
    PositionConv,
    MergePatches,
    PooledTransformer,
    Reversible,
    AttentivePool,
    MeanQueryPool,
    Mamba,
    FrameClassToken,
    FramesToRows,
    RowsToFrames,
    FrameTimeConv,
    FramePositionConv,
    Perceptron,
    Queries,
    Tubes,
    SoftmaxPool,
)
"""Every block that YAML knows by name."""

__all__ = [block.__name__ for block in BLOCKS] + [
    "BLOCKS",
    "Act",
    "Attend",
    "Remembered",
    "Block",
    "BlockField",
    "Chain",
    "Drawing",
    "Drawn",
    "Norm",
    "NormField",
    "Pad",
    "Residual",
    "SqueezeExcite",
    "Step",
    "Tube",
    "Turned",
    "Width",
    "add_act",
    "add_block",
]
