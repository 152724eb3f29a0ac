"""What a network looks at and looks for: each picture's numbers by hand, and a page of all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import archdsl
from archdsl.blocks import ClassToken, Conv, Norm, Patches, Positions, Transformer
from archdsl.cli import main
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage, TokenClassifier
from archdsl.language.recipes.clips import Values
from archdsl.ops import Axis, Grid
from archdsl.training.data.transforms.normalisation import denormalised, normalise
from archdsl.visualization.embedding import principal_plane
from archdsl.visualization.files import encode_gif
from archdsl.visualization.frames import frames_of, in_time, spread, stacked_again
from archdsl.visualization.maps import cam, gradcam
from archdsl.visualization.maximization import FreeClip, maximized
from archdsl.visualization.request import Request, Target, layers_of
from archdsl.visualization.sensitivity import input_gradients, occlusion
from archdsl.visualization.subject import Subject, clips_of_data, subject_of
from archdsl.visualization.velocity import velocity_of
from archdsl.visualization.visualize import silent, visualize
from tests.trained import short, small

PLAIN = Norm(kind="none")
"""Without norms a network's numbers can be worked out by hand."""
ONE = (1, 1, 1)


def network(*blocks: Any, head: Any = None, clip: Clip | None = None, name: str = "made") -> Arch:
    """One pathway of one stage."""
    pathways = dict(main=Pathway(stages=dict(body=Stage(*blocks))))
    return Arch(name=name, clip=clip or Clip(frames=4, size=16), pathways=pathways, head=head or Classifier(classes=3))


def asked(subject: Subject, target: Target | None = None, clips: int = 1, **settings: Any) -> Request:
    """A request for the first built-in clips."""
    data = subject.task.videos("motion", "val")
    given = dict(clips=list(clips_of_data(subject, data, clips)), data=data, track=silent) | settings
    request = Request(subject, target or Target(subject.scores), (), **given)
    request.layers = settings.get("layers") or layers_of(request)
    return request


def convolution(act: str = "relu", **fields: Any) -> Conv:
    """A convolution with a bias and no norm."""
    return Conv(**dict(kernel=(3, 3, 3), norm=PLAIN, act=act) | fields)
