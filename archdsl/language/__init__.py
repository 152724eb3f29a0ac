"""What a person writes: clips, pathways, stages, edges, a head."""

from archdsl.language.arch import Arch
from archdsl.language.clip import Clip
from archdsl.language.edge import Edge
from archdsl.language.head import (
    HEADS,
    Classifier,
    Consensus,
    Dense,
    Detector,
    Features,
    Head,
    HeadField,
    Localiser,
    Relation,
    Roi,
    SegmentDetector,
    Several,
    TokenClassifier,
)
from archdsl.language.model import Card, Claim, Model, Reference, overridden
from archdsl.language.parameters import parameter_names, row_of
from archdsl.language.paths import change, change_all
from archdsl.language.pathway import Pathway, Stage, repeat
from archdsl.language.transforms import (
    TRANSFORMS,
    Fit,
    ResizeTo,
    Through,
    TimeConv,
    TimeDeconv,
    TimeRepeat,
    TimeSample,
    TimeToChannels,
    Transform,
    Transforms,
    Warp,
)

__all__ = [
    "HEADS",
    "TRANSFORMS",
    "Arch",
    "Card",
    "Claim",
    "Classifier",
    "Clip",
    "Consensus",
    "Dense",
    "Detector",
    "Edge",
    "Features",
    "Fit",
    "Head",
    "HeadField",
    "Localiser",
    "Model",
    "Pathway",
    "Reference",
    "Relation",
    "ResizeTo",
    "Roi",
    "SegmentDetector",
    "Several",
    "Stage",
    "Through",
    "TimeConv",
    "TimeDeconv",
    "TimeRepeat",
    "TimeSample",
    "TimeToChannels",
    "TokenClassifier",
    "Transform",
    "Transforms",
    "Warp",
    "change",
    "change_all",
    "overridden",
    "parameter_names",
    "repeat",
    "row_of",
]
