# SyntaxError in a spec file
#   written python_with_a_syntax_error.py:9
#   got     '(' was never closed

from archdsl import Arch, Clip, Edge, Pathway, Stage
from archdsl.blocks import Bottleneck, Conv
from archdsl.language import Classifier, TimeConv

arch = Arch(name="broken"
