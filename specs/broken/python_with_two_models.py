# several models in python_with_two_models.py
#   got     2 models
#   want    one, two
#   fix     python_with_two_models.py:one

from archdsl import Arch, Clip, Edge, Pathway, Stage
from archdsl.blocks import Bottleneck, Conv
from archdsl.language import Classifier, TimeConv



def arch(name: str) -> Arch:
    stages = dict(stem=Stage(Conv(channels=8)))
    return Arch(name=name, clip=Clip(frames=8, size=16), pathways=dict(main=Pathway(stages=stages)), head=Classifier(classes=2))


models = (arch("one"), arch("two"))
