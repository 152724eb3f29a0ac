"""The compiled thing: graph, shapes, places, costs. Frozen. Every reader takes a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from archdsl.compiler.causal import of_clips, stream_state_size, streams
from archdsl.compiler.expansion import expand
from archdsl.compiler.frames_read import frames_read, graph_of_frames_read
from archdsl.compiler.keys import KeyFrameSchedule, schedule_of, whole_clips
from archdsl.compiler.module_tree import ModulePart, module_tree
from archdsl.errors import Fault, SpecError, did_you_mean, excerpt
from archdsl.errors.extras import import_with_extras
from archdsl.graph import Graph, Node, Scope, ancestors
from archdsl.language.arch import Arch
from archdsl.language.model import Model
from archdsl.ops import Cost, Grid, Shape
from archdsl.ops.norm import Norm

CONVENTIONS = ("macs", "fvcore", "flops", "ptv-zoo")
"""How cost is counted; DESIGN's table says what each counts."""


class FrameCosts(NamedTuple):
    """What one frame of a stream costs in a network with key frames."""

    key: int
    current: int
    """A frame between key frames."""
    every: int

    @property
    def mean(self) -> Fraction:
        """A frame on average: one key frame and the frames behind it, over their number."""
        return Fraction(self.key + (self.every - 1) * self.current, self.every)


@dataclass(frozen=True)
class Plan:
    """A network that can exist, with everything known about it. Made by `compile`."""

    arch: Arch
    graph: Graph = field(repr=False)

    def _repr_html_(self) -> str:
        """What a notebook shows of a plan: its drawing and its table."""
        return str(import_with_extras("archdsl.report.notebook").notebook_html(self))

    @property
    def name(self) -> str:
        """The arch's name."""
        return self.arch.name

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every op, in an order in which they can run."""
        return tuple(self.graph.nodes.values())

    @cached_property
    def modules(self) -> ModulePart:
        """The modules that torch has of it, each with its steps in the order in which they run."""
        return module_tree(self.graph)

    @cached_property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Clip name -> (c, t, h, w)."""
        return {name: tuple(clip.shape) for name, clip in self.arch.clips.items()}

    @cached_property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """Output name -> shape without the batch axis; (classes,) for scores."""
        return {name: self.tensor_shape(address) for name, address in self.graph.outputs.items()}

    def tensor_shape(self, address: str) -> tuple[int, ...]:
        """The shape of a value as torch has it, without the batch axis."""
        shape = self.graph.shapes[address]
        return self.graph.nodes[address].op.tensor(shape)

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Address -> (c, t, h, w), of every op and of every stage and block (its last op's)."""
        shapes = dict(self.graph.shapes)
        for address, shape in self.graph.shapes.items():
            while address := address.rpartition(".")[0]:
                shapes[address] = shape
        return shapes

    @property
    def grids(self) -> Mapping[str, Grid]:
        """Address -> where its elements lie in time and space."""
        return self.graph.grids

    @property
    def scopes(self) -> Mapping[str, Scope]:
        """Address -> kind of every stage, block and container."""
        return self.graph.scopes

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """What is allowed and probably not meant."""
        return self.graph.warnings

    @cached_property
    def costs(self) -> dict[str, Cost]:
        """Address -> cost of one clip. Shared weights are counted at their owner only."""
        costs = {}
        for node in self.nodes:
            cost = node.op.cost(*[self.graph.shapes[x] for x in node.reads])
            costs[node.address] = cost._replace(params=0) if node.tied else cost
        return costs

    @cached_property
    def total(self) -> Cost:
        """The sum of all costs."""
        return Cost(*map(sum, zip(*self.costs.values())))

    def cost_of(self, address: str) -> Cost:
        """The cost of an op, or of everything within a stage, a block or a pathway."""
        return Cost(*map(sum, zip(Cost(), *(self.costs[inner] for inner in self.within.get(address, ())))))

    @cached_property
    def within(self) -> Mapping[str, list[str]]:
        """Address -> addresses of the ops at or below it."""
        found: dict[str, list[str]] = {}
        for address in self.graph.nodes:
            above = address
            while above:
                found.setdefault(above, []).append(address)
                above = above.rpartition(".")[0]
        return found

    @property
    def params(self) -> int:
        """Parameters; shared ones once."""
        return self.total.params

    @property
    def params_without_norms(self) -> int:
        """Parameters but for the scales and shifts of norms, as some papers count."""
        return self.params - sum(self.costs[node.address].params for node in self.nodes if isinstance(node.op, Norm))

    @property
    def macs(self) -> int:
        """Multiply-adds of convolutions, linear layers and matrix products for one clip."""
        return self.total.macs

    @property
    def held(self) -> int:
        """Numbers that a stream of one clip holds between frames, or clips (its state), counts of frames apart."""
        if not self.schedule:
            return stream_state_size(self.graph)
        (clip,) = self.arch.clips.values()
        kept = [clip.shape, *(self.graph.shapes[address]._replace(t=1) for address in self.schedule.held)]
        return sum(shape._replace(t=1).elements for shape in kept)

    @cached_property
    def schedule(self) -> KeyFrameSchedule | None:
        """The programs for key frames and for the frames between; None where there are no key frames."""
        return schedule_of(self.graph)

    @cached_property
    def whole_clips(self) -> str | None:
        """Why a network that holds states or has key frames takes whole clips only; None where it needs no reason."""
        return whole_clips(self.graph)

    @cached_property
    def alive(self) -> set[str]:
        """Addresses of what some output is made from."""
        return ancestors(self.graph, *self.graph.outputs.values())

    def frame_costs(self, convention: str = "macs") -> FrameCosts | None:
        """What a key frame of a stream costs, and a frame between; None where there are no key frames."""
        if not self.schedule:
            return None
        (clip,) = self.arch.clips.values()
        keys = clip.frames // self.schedule.every
        counts = {"all": clip.frames, "key": keys, "current": clip.frames - keys}
        nodes = {kind: self.schedule.of(self.nodes, kind) for kind in ("all", "key", "current")}
        each = {kind: self.counted(nodes[kind], convention) // counts[kind] for kind in counts}
        return FrameCosts(each["all"] + each["key"], each["all"] + each["current"], self.schedule.every)

    @cached_property
    def one_frame(self) -> Plan | None:
        """The plan of one frame of a stream; None where a clip cannot come in pieces."""
        if not streams(self.graph) or of_clips(self.graph):
            return None
        clips = {name: clip.but(frames=1) for name, clip in self.arch.clips.items()}
        pathways = {name: pathway.of_all_frames() for name, pathway in self.arch.pathways.items()}
        return compile(self.arch.but(clips=clips, pathways=pathways))

    @cached_property
    def frames_read(self) -> Mapping[str, tuple[int, ...]]:
        """Clip name -> its frames that the network reads, in order."""
        found = frames_read(self.graph)
        return {name: found[name] for name in self.arch.clips}

    @cached_property
    def of_frames_read(self) -> Plan:
        """The plan whose clips have only the frames that are read: the same weights and results, on shorter clips."""
        if all(len(self.frames_read[name]) == clip.frames for name, clip in self.arch.clips.items()):
            return self
        clips = {name: clip.but(frames=len(self.frames_read[name])) for name, clip in self.arch.clips.items()}
        graph = graph_of_frames_read(self.graph, frames_read(self.graph))
        return Plan(self.arch.model_copy(update={"clips": clips}), graph)

    def count(self, convention: str = "macs", batch: int = 1) -> int:
        """Cost of a batch under a convention: macs, fvcore, flops or ptv-zoo."""
        return self.counted(self.nodes, convention) * batch

    def counted(self, nodes: Iterable[Node], convention: str) -> int:
        """Cost of some of the ops for one clip under a convention. fvcore does not see what no output is made from."""
        nodes = tuple(node for node in nodes if convention != "fvcore" or node.address in self.alive)
        total = Cost(*map(sum, zip(Cost(), *(self.costs[node.address] for node in nodes))))
        match convention:
            case "macs":
                return total.macs
            case "flops":
                return 2 * total.macs
            case "fvcore":
                return total.macs + total.fvcore_extra
            case "ptv-zoo":
                norms = (self.costs[node.address] for node in nodes if node.op.batch_statistics)
                return total.conv_macs + total.linear_macs + 5 * sum(cost.norm_elements for cost in norms)
            case _:
                raise SpecError(
                    f"no convention {convention!r}",
                    got=convention,
                    want=", ".join(CONVENTIONS),
                    fix=did_you_mean(convention, CONVENTIONS),
                )


def compile(arch: Arch) -> Plan:
    """The plan of an arch, without torch. Raises SpecError with every fault found."""
    if not isinstance(arch, Arch):
        raise not_an_arch(arch, "an arch")
    return Plan(arch, expand(arch))


def plan_of(arch_or_plan: Arch | Plan) -> Plan:
    """A plan as it is, an arch compiled. Raises SpecError where it cannot be, or is neither."""
    if isinstance(arch_or_plan, Arch | Plan):
        return arch_or_plan if isinstance(arch_or_plan, Plan) else compile(arch_or_plan)
    raise not_an_arch(arch_or_plan, "an arch or a plan")


def arch_of(arch_or_plan: Arch | Plan) -> Arch:
    """An arch as it is, or that of a plan. Raises SpecError for what is neither."""
    if isinstance(arch_or_plan, Arch | Plan):
        return arch_or_plan.arch if isinstance(arch_or_plan, Plan) else arch_or_plan
    raise not_an_arch(arch_or_plan, "an arch or a plan")


def not_an_arch(thing: object, want: str) -> SpecError:
    """The error of what is no arch: most often the name or the path of one, or a model of the zoo."""
    fix = f"archdsl.load({str(thing)!r})" if isinstance(thing, str | Path) else None
    fix = "archdsl.load of it" if isinstance(thing, Model) else fix
    return SpecError(f"not {want}", got=excerpt(repr(thing)), want=want, fix=fix)
