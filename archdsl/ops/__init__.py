"""What one op means: its fields, shape, cost and place. No torch, no pydantic."""

from archdsl.ops.anchors import AnchorRows, Anchors, BestBoxes, CellBoxes, MoveBoxes
from archdsl.ops.attend_scan import AttendGruScan, AttendScan
from archdsl.ops.attention import Attention
from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Cost, Op, key_of, snake_case
from archdsl.ops.batch_norm import BatchNorm, FrozenNorm
from archdsl.ops.causal_attention import CausalAttention
from archdsl.ops.channels import (
    ChannelShuffle,
    PadChannels,
    PickChannels,
    RepeatChannels,
    TakeChannels,
)
from archdsl.ops.clip_memory import ClipMemory, MemoryAttention
from archdsl.ops.conv import Conv, TransposedConv
from archdsl.ops.correlation import LocalCorrelation
from archdsl.ops.flow import DropFrames, TvL1Flow
from archdsl.ops.frame_rows import FrameRows, FrameToken, FromFrameRows, LearntFrameTokens
from archdsl.ops.frames import (
    FrameDifference,
    Gray,
    RepeatFrames,
    TakeChosen,
    TakeEvery,
    TakeLinspace,
    TakeSegments,
    TimeToChannels,
)
from archdsl.ops.fusion import Bilinear, Maximum
from archdsl.ops.gain import Gain, LayerScale
from archdsl.ops.grid import UNIT, Axis, Grid
from archdsl.ops.heads import HeadConv, HeadNorm
from archdsl.ops.keys import HoldKeys, Interleave, KeyPairs, Warp
from archdsl.ops.layer import Argument, Layer
from archdsl.ops.linear import Linear
from archdsl.ops.masks import Blank, Hide, KeepUnits, LastUnits, MaskTokens
from archdsl.ops.merge import Add, Average, Concat, LearntMix, MeanJoin, Mix, Mul, StretchedAdd
from archdsl.ops.motion import FrameStep, SetFrame, SnippetSteps, TimeShift
from archdsl.ops.norm import GroupNorm, LayerNorm, LocalResponseNorm, RmsNorm
from archdsl.ops.pairwise import Affinity, Gather, PairSum
from archdsl.ops.patches import SpaceToChannels
from archdsl.ops.pointwise import (
    Affine,
    Coin,
    Dropout,
    DropPath,
    Gelu,
    Hardsigmoid,
    Hardswish,
    LeakyRelu,
    Relu,
    Relu6,
    ScaledTanh,
    Sigmoid,
    Silu,
    Softmax,
    Tanh,
)
from archdsl.ops.pool import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool, Mean
from archdsl.ops.positions import Positions, SinePositions
from archdsl.ops.proposals import BoundaryMatch, ValidProposals
from archdsl.ops.rcnn import PlacePool, Proposals
from archdsl.ops.recurrent import GruScan, LstmScan, Scan
from archdsl.ops.regions import RegionAlign, RegionMaxPool, RegionRows
from archdsl.ops.relative_attention import RelativeAttention
from archdsl.ops.reshape import CropTo, Flatten, FlattenSpace, Resize, ResizeTo, Series, Vector
from archdsl.ops.roi import RoiAlign
from archdsl.ops.rotary import Rotary, TurnedBy, Turns
from archdsl.ops.rows import FramesToRows, JoinRows, RowsToFrames, RowsToMap, TakeRows
from archdsl.ops.scan import SelectiveScan, SequenceConv
from archdsl.ops.segments import MaxOverTime, TakeSnippets, TopOverTime, WeightedOverTime
from archdsl.ops.sequence import JoinFrames, PadFrames
from archdsl.ops.shape import Shape
from archdsl.ops.skeleton import AdaptiveGraphMix, ChannelGraphMix, GraphMix, JointDifference, JointNorm
from archdsl.ops.soft_pool import SoftPool
from archdsl.ops.soi import SegmentProposals, SoiPool
from archdsl.ops.source import Source
from archdsl.ops.stream import Held, MeanSoFar, NewestFrame, Past, PastShift
from archdsl.ops.text import Embedding, EndToken, L2Norm, ScaledProducts
from archdsl.ops.tokens import (
    JoinTokens,
    LearntTokens,
    Queries,
    SoftmaxPool,
    TakeMap,
    TakeToken,
    TakeTokens,
    TokenMean,
    TokenRows,
)
from archdsl.ops.tubes import Tubes
from archdsl.ops.unpool import MaxUnpool
from archdsl.ops.whole_clip import FrameTuples, OwnTimeConv, OwnTimeShift, SumOverTime, SwapTime
from archdsl.ops.window import Pads, Triple, Window
from archdsl.ops.windows import PadWindows, WindowAttention

OPS: tuple[type[Op], ...] = (
    Source,
    Conv,
    TransposedConv,
    MaxPool,
    AvgPool,
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    MaxUnpool,
    Mean,
    BatchNorm,
    GroupNorm,
    LayerNorm,
    LocalResponseNorm,
    RmsNorm,
    FrozenNorm,
    Relu,
    Relu6,
    LeakyRelu,
    Silu,
    Sigmoid,
    Hardsigmoid,
    Tanh,
    ScaledTanh,
    Hardswish,
    Gelu,
    Softmax,
    Affine,
    Dropout,
    DropPath,
    Coin,
    Linear,
    Concat,
    Add,
    Average,
    MeanJoin,
    Mix,
    Mul,
    StretchedAdd,
    Maximum,
    Bilinear,
    TakeEvery,
    TakeLinspace,
    TakeSegments,
    TakeSnippets,
    MaxOverTime,
    TopOverTime,
    WeightedOverTime,
    RepeatFrames,
    TimeToChannels,
    TakeChannels,
    PickChannels,
    PadChannels,
    ChannelShuffle,
    RepeatChannels,
    SpaceToChannels,
    TimeShift,
    FrameStep,
    SnippetSteps,
    SetFrame,
    SwapTime,
    OwnTimeConv,
    OwnTimeShift,
    FrameTuples,
    SumOverTime,
    FrameDifference,
    TvL1Flow,
    DropFrames,
    JoinFrames,
    PadFrames,
    Gray,
    Flatten,
    FlattenSpace,
    Vector,
    Series,
    Resize,
    ResizeTo,
    Affinity,
    PairSum,
    Gather,
    Attention,
    WindowAttention,
    CausalAttention,
    RelativeAttention,
    ClipMemory,
    MemoryAttention,
    HeadConv,
    HeadNorm,
    PadWindows,
    LocalCorrelation,
    RoiAlign,
    Gain,
    LayerScale,
    Past,
    PastShift,
    MeanSoFar,
    NewestFrame,
    LstmScan,
    GruScan,
    AttendScan,
    AttendGruScan,
    BoundaryMatch,
    ValidProposals,
    SegmentProposals,
    SoiPool,
    CropTo,
    KeyPairs,
    HoldKeys,
    Warp,
    Interleave,
    Proposals,
    PlacePool,
    Anchors,
    AnchorRows,
    MoveBoxes,
    CellBoxes,
    BestBoxes,
    RegionAlign,
    RegionMaxPool,
    RegionRows,
    LearntTokens,
    Queries,
    TakeMap,
    TakeTokens,
    TakeToken,
    TokenMean,
    TokenRows,
    JoinTokens,
    FrameRows,
    FromFrameRows,
    FrameToken,
    LearntFrameTokens,
    TakeRows,
    JoinRows,
    FramesToRows,
    RowsToFrames,
    RowsToMap,
    Tubes,
    SoftmaxPool,
    LearntMix,
    SequenceConv,
    SelectiveScan,
    Positions,
    SinePositions,
    Rotary,
    Embedding,
    EndToken,
    SoftPool,
    L2Norm,
    ScaledProducts,
    GraphMix,
    AdaptiveGraphMix,
    ChannelGraphMix,
    JointDifference,
    JointNorm,
    Turns,
    TurnedBy,
    KeepUnits,
    MaskTokens,
    LastUnits,
    Hide,
    Blank,
)
"""Every op there is."""

__all__ = [op.__name__ for op in OPS] + [
    "OPS",
    "UNIT",
    "Argument",
    "Axis",
    "Cost",
    "Grid",
    "Held",
    "Keeps",
    "Layer",
    "Op",
    "Pads",
    "Scan",
    "Shape",
    "TakeChosen",
    "Triple",
    "Window",
    "key_of",
    "snake_case",
]
