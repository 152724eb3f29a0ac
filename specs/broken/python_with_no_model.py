# no model in the file
#   written python_with_no_model.py
#   want    arch = Arch(...), or models = (...)

from archdsl import Arch, Clip, Edge, Pathway, Stage
from archdsl.blocks import Bottleneck, Conv
from archdsl.language import Classifier, TimeConv

network = Arch
