# NameError in a spec file
#   written python_with_a_name_error.py:11
#   got     name 'clip_of_eight_frames' is not defined

from archdsl import Arch, Clip, Edge, Pathway, Stage
from archdsl.blocks import Bottleneck, Conv
from archdsl.language import Classifier, TimeConv

arch = Arch(
    name="broken",
    clip=clip_of_eight_frames,
    pathways={},
)
