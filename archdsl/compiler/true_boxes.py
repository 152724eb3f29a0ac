"""Detectors in training: true boxes among the proposals of a frame, as their authors have it.

R-FCN, Deep Feature Flow and Faster R-CNN do it by the layer `proposal_target` (py-faster-rcnn, Deep-Feature-Flow),
torchvision's Faster, Mask and Keypoint R-CNN by `add_gt_proposals`; Fast R-CNN, whose boxes are given, by its list of
boxes. There they come in addition; here the least likely proposals make room, so that all shapes are those of a test.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from archdsl.compiler.plan import Plan
from archdsl.graph import Node
from archdsl.ops import Op, Shape, Source
from archdsl.ops.layer import Layer, runtime

TRUE_BOXES = "true_boxes"
"""The clip that training reads beside those of the arch: (4, t, proposals, 1), where there is none zeros."""


@dataclass(frozen=True, kw_only=True)
class WithTrueBoxes(Op):
    """True boxes, then proposals, as many as there were.  (k, t, r, 1), true (4, t, r, 1) -> (k, t, r, 1)

    The last four channels are corners; those before, where there are any, are 1 for true boxes.
    """

    causality = "frame"
    reads = 2

    def out(self, *xs: Shape) -> Shape:
        return xs[0]

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return False, False

    def torch(self, *xs: Shape) -> Layer:
        return Layer("among_true_boxes({0}, {1})", needs=runtime("regions.true_boxes", "among_true_boxes"))


def with_true_boxes(plan: Plan) -> Plan:
    """The plan in training of one that proposes boxes: the same weights, and TRUE_BOXES among the proposals."""
    graph = plan.graph
    found = graph.outputs["proposals"]
    joined, shape = f"{found}_with_true", graph.shapes[found]
    true = shape._replace(c=4)
    nodes: dict[str, Node] = {TRUE_BOXES: Node(TRUE_BOXES, Source(shape=true), ())}
    for address, node in graph.nodes.items():
        nodes[address] = node._replace(reads=tuple(joined if read == found else read for read in node.reads))
        if address == found:
            nodes[joined] = Node(joined, WithTrueBoxes(), (found, TRUE_BOXES))
    outputs = {name: joined if address == found else address for name, address in graph.outputs.items()}
    shapes = {**graph.shapes, TRUE_BOXES: true, joined: shape}
    grids = {**graph.grids, TRUE_BOXES: graph.grids[found], joined: graph.grids[found]}
    return Plan(plan.arch, replace(graph, nodes=nodes, outputs=outputs, shapes=shapes, grids=grids))
