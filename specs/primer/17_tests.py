"""A network of one's own, tested: what must hold of any network is asked of it in small and of its legal neighbours.

On the command line: `archdsl test specs/primer/17_tests.py`. In pytest one line of a test file runs the same:

    from archdsl.testing import network_test

    test_late = network_test("specs/primer/17_tests.py", examples=50)

With hypothesis, `variants(arch)`, `inputs(arch)` and `families("my_nets.py")` of archdsl.testing are strategies for
properties of one's own, such as: no neighbour needs more than so many multiply-adds.
"""

from archdsl import Arch, Clip, Edge, Pathway, Stage
from archdsl.blocks import Basic, Conv
from archdsl.language import Classifier, TimeConv

stages = {"stem": Stage(Conv(channels=8, kernel=(1, 3, 3), stride=(1, 2, 2))), "res2": Stage(Basic(channels=8))}
arch = Arch(
    name="late",
    clip=Clip(frames=8, size=32, fps=15),
    pathways={"slow": Pathway(every=4, stages=stages), "fast": Pathway(stages=stages)},
    edges=(Edge(source="fast", target="slow", after=("res2",), transform=TimeConv(width=1)),),
    head=Classifier(classes=5),
)
