"""Arch -> Graph: stages, edges and head in an order in which they can run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from archdsl import ops
from archdsl.blocks import Block, add_block
from archdsl.compiler.causal import CausalBuilder
from archdsl.compiler.lora import with_low_rank
from archdsl.compiler.topological_order import Cycle, topological_order
from archdsl.compiler.unread import shadowed, unlearnt, unread
from archdsl.errors import Fault, SpecError
from archdsl.graph import UNKNOWN, Builder, Graph, Joints, Node
from archdsl.language.arch import Arch
from archdsl.language.edge import Edge, stage_of
from archdsl.language.pathway import CHOICES, Pathway

StageKey = tuple[str, str]
"""(pathway, stage)"""


def expand(arch: Arch) -> Graph:
    """The graph of ops with a shape and a grid for every value, or every fault of the arch as SpecError."""
    return Expansion(arch).run()


@dataclass
class Expansion:
    """What is known while an arch is written out."""

    arch: Arch
    g: Builder = field(default_factory=Builder)
    ends: dict[StageKey, str] = field(default_factory=dict)
    """The output of each stage, before anything is merged into it, and that of each block: `res4.2`."""
    into: dict[StageKey, list[tuple[Edge, str]]] = field(default_factory=dict)
    """Edges that end at a stage, in the order written, with the stages of their sources."""
    merged: dict[StageKey, str] = field(default_factory=dict)
    """The output of each stage with all fusions: what the next stage reads."""
    coins: dict[str, str] = field(default_factory=dict)
    """Of edges that are dropped at times: their label -> what decides it, the same at all their stages."""

    def run(self) -> Graph:
        self.g = CausalBuilder() if self.arch.causal else self.g
        for edge in self.arch.edges:
            for source, target in edge.places:
                self.into.setdefault((edge.target, target), []).append((edge, source))
        for name, clip in self.arch.clips.items():
            with self.g.inside("", written=clip.written):
                self.g.source(name, clip.shape, clip.grid, clip.ids)
            if clip.skeleton:
                self.g.skeletons[name] = Joints(clip.skeleton.bones, clip.skeleton.centre)
        for name, stage, task in stage_order(self.arch):
            if task == "run":
                self.stage((name, stage))
            else:
                self.fusions((name, stage))
        self.head()
        self.g.faults += faults_of_tied(self.g)
        graph = self.g.finish()
        graph = with_low_rank(graph, self.arch.lora) if self.arch.lora else graph
        return replace(graph, warnings=(*graph.warnings, *unread(graph), *unlearnt(graph), *shadowed(graph)))

    def stage(self, place: StageKey) -> None:
        """One stage, and before the first one the choice of frames."""
        name, stage_name = place
        pathway = self.arch.pathways[name]
        stage = pathway.stages[stage_name]
        x = first = self.entry(name, pathway, stage_name)
        faults, rates = len(self.g.faults), pathway.drop_path_rates()
        self.g.tied = (name, pathway.tied_to) if pathway.tied_to else None
        with (
            self.g.inside(name, "Pathway", written=pathway.written, container=True),
            self.g.inside(stage_name, "Stage", written=stage.written),
        ):
            for i, block in enumerate(stage.blocks):
                block = block.dropping(rates[stage_name, i]) if (stage_name, i) in rates else block
                x = add_block(self.g, str(i), self.scaled(pathway, block, str(i)), x)
                self.ends[name, f"{stage_name}.{i}"] = x
        self.g.tied = None
        if x == first != UNKNOWN and len(self.g.faults) == faults:
            what, at = "stage without ops", f"pathways.{name}.stages.{stage_name}"
            self.g.faults.append(Fault(what=what, at=at, written=stage.written, got="no op", want="at least one op"))
        self.ends[place] = x

    def scaled(self, pathway: Pathway, block: Block, name: str) -> Block:
        """The block at the pathway's width."""
        try:
            return block.scaled(pathway.width_ratio, pathway.width_rounding)
        except SpecError as error:
            raise error.placed(f"{self.g.path}.{name}", block.written) from None

    def entry(self, name: str, pathway: Pathway, stage: str) -> str:
        """What a stage reads: the stage before it, or the pathway's own choice of frames."""
        stages = list(pathway.stages)
        if stage != stages[0]:
            return self.merged[name, stages[stages.index(stage) - 1]]
        if pathway.after:
            source, _, of = pathway.after.partition(".")
            x = self.merged[source, of or list(self.arch.pathways[source].stages)[-1]]
        else:
            x = pathway.clip or next(iter(self.arch.clips))
        op = frame_choice(pathway)
        if op is None:
            return x
        faults = len(self.g.faults)
        with self.g.inside(name, "Pathway", written=pathway.written, container=True):
            x = self.g.add(pathway.frames_name(), op, x)
        self.g.faults[faults:] = [self.frames_fault(name, pathway, fault) for fault in self.g.faults[faults:]]
        return x

    def frames_fault(self, name: str, pathway: Pathway, fault: Fault) -> Fault:
        """A wrong number of frames, told of the pathway and its clip."""
        key = next(key for key in CHOICES if getattr(pathway, key))
        return Fault(
            what=f"pathway {name}: {fault.what}",
            at=f"pathways.{name}.{key}",
            written=pathway.written,
            got=fault.got,
            want=fault.want,
            fix=fault.fix,
        )

    def fusions(self, place: StageKey) -> None:
        """Every edge that ends here, in the order written."""
        x = self.ends[place]
        for edge, source in self.into.get(place, ()):
            ends = self.merged if edge.merged else self.ends
            x = self.fusion(edge, ends[edge.source, source], x, place[1])
        self.merged[place] = x

    def fusion(self, edge: Edge, x: str, target: str, stage: str) -> str:
        """One edge: the source transformed, then merged into the target."""
        y = UNKNOWN
        with (
            self.g.inside("edges", "Edges", written=edge.written, container=True),
            self.g.inside(stage, "Edges", container=True),
            self.g.inside(edge.label, "Lateral"),
        ):
            for transform in edge.transform:
                x = self.g.result(transform.build(self.g, x, target), transform.build)
            if edge.drop:
                coin = self.coins.setdefault(edge.label, "") or self.g.add("heard", ops.Coin(p=edge.drop), x)
                self.coins[edge.label] = coin
                x = self.g.add("dropped", ops.Mul(), x, coin)
            faults = len(self.g.faults)
            y = self.g.add("merge", edge.join, *edge.joined(target, x))
            self.g.faults[faults:] = [self.merge_fault(edge, fault, x, target) for fault in self.g.faults[faults:]]
        return y

    def merge_fault(self, edge: Edge, fault: Fault, x: str, target: str) -> Fault:
        """Maps that do not fit, told as the two pathways they come from."""
        a, b = self.g.shape(target), self.g.shape(x)
        axes = [
            axis
            for axis in "cthw"
            if getattr(a, axis) != getattr(b, axis) and (axis != "c" or edge.merge not in ("concat", "prepend"))
        ]
        got = "; ".join(
            f"{edge.target} {n}={getattr(a, n)}, {edge.source} {n}={getattr(b, n)} after the transform" for n in axes
        )
        return Fault(
            what=fault.what,
            at=self.g.path,
            written=edge.written,
            got=got or fault.got,
            want=fault.want,
            fix=self.mend(edge, axes, x, target),
        )

    def mend(self, edge: Edge, axes: list[str], x: str, target: str) -> str | None:
        """What would make the two maps meet, where that can be known."""
        a, b = self.g.shape(target), self.g.shape(x)
        if "c" in axes:
            return f"merge: concat, or a transform that writes {a.c} channels"
        if axes == ["t"]:
            steps = self.g.grid(target).t.step / self.g.grid(x).t.step
            wrong = [t for t in edge.transform if getattr(t, "alpha", None)]
            if wrong and (right := steps * wrong[0].alpha).denominator == 1:  # type: ignore[attr-defined]
                return f"alpha: {right}, or leave alpha out: it is worked out"
            if not edge.transform:
                return "transform: time_conv, or another that changes the frame rate (time_sample, time_to_channels)"
        if axes in (["h", "w"], ["h"], ["w"]):
            return "a resize_to transform, or equal spatial strides in both pathways"
        return f"equal sizes: {a} and {b}" if axes else None

    def head(self) -> None:
        """The head reads the pathways that end."""
        ends = {name: self.merged[name, list(self.arch.pathways[name].stages)[-1]] for name in self.arch.ends}
        with self.g.inside("head", type(self.arch.head).__name__, written=self.arch.head.written):
            outputs = self.arch.head.build(self.g, ends)
            self.g.outputs.update({name: self.g.result(y, self.arch.head.build) for name, y in outputs.items()})


def faults_of_tied(g: Builder) -> Iterator[Fault]:
    """Nodes that cannot share the weights of what they are tied to; one fault for a stage."""
    stages = set()
    for node in g.nodes.values():
        stage = ".".join(node.address.split(".")[:2])
        if node.tied is None or stage in stages:
            continue
        owner = g.nodes.get(node.tied)
        got = "no such part" if owner is None else "tied itself" if owner.tied else shared_weights_text(g, owner)
        want = shared_weights_text(g, node)
        # a shared part runs as its owner: ops without weights must be equal too
        if owner is None or owner.op != node.op or got != want:
            stages.add(stage)
            yield Fault(
                what=f"weights that cannot be shared with {node.tied}",
                at=node.address,
                written=node.written,
                got=f"{owner.op}" if owner and got == want else got,
                want=f"{node.op}" if got == want else want,
                fix="stages equal to those of the pathway that tied_to names",
            )


def shared_weights_text(g: Builder, node: Node) -> str:
    """What two ops that share weights must agree on beside their fields; nothing where there are no weights."""
    xs = [g.shapes[x] for x in node.reads]
    params = node.op.cost(*xs).params
    return f"{params} parameters for {xs[0].c} channels" if params else ""


def frame_choice(pathway: Pathway) -> ops.Op | None:
    """Which frames a pathway takes, as an op; None for all."""
    if pathway.linspace:
        return ops.TakeLinspace(count=pathway.linspace)
    if pathway.segments:
        if pathway.snippet > 1:
            return ops.TakeSnippets(count=pathway.segments, length=pathway.snippet)
        return ops.TakeSegments(count=pathway.segments)
    if pathway.pairs:
        return ops.KeyPairs(every=pathway.pairs)
    if pathway.every and pathway.every > 1:
        return ops.TakeEvery(step=pathway.every, start=pathway.start)
    return None


def stage_order(arch: Arch) -> list[tuple[str, str, str]]:
    """(pathway, stage, run | merge) in an order in which they can be done. Raises SpecError for edges that go back."""
    needs: dict[tuple[str, str, str], list[tuple[str, str, str]]] = {}
    for name, pathway in arch.pathways.items():
        source, _, stage = (pathway.after or "").partition(".")
        before = [(source, stage or list(arch.pathways[source].stages)[-1], "merge")] if source else []
        for stage in pathway.stages:
            needs[name, stage, "run"] = before
            needs[name, stage, "merge"] = [(name, stage, "run")]
            before = [(name, stage, "merge")]
    for edge in arch.edges:
        for a, b in edge.places:
            stages, after = list(arch.pathways[edge.target].stages), stage_of(a)
            if edge.source == edge.target and stages.index(after) > stages.index(b):
                raise edge_back(edge, after, b)
            needs[edge.target, b, "merge"].append((edge.source, after, "merge" if edge.merged else "run"))
    try:
        return topological_order(needs)
    except Cycle as error:
        raise cycle(arch, list(error.args)) from None


def edge_back(edge: Edge, after: str, into: str) -> SpecError:
    """The error of an edge that goes back within one pathway."""
    return SpecError(
        "an edge back into an earlier stage",
        at=f"edges.{into}.{edge.label}",
        written=edge.written,
        got=f"{edge.source}.{after} into {edge.target}.{into}, which comes before it",
        want="the same stage or a later one",
        fix=f"into: {after}, or a later stage",
    )


def cycle(arch: Arch, nodes: list[tuple[str, str, str]]) -> SpecError:
    """The error of edges that wait for each other."""
    places = list(dict.fromkeys((name, stage) for name, stage, _ in nodes))
    on = {(p, s) for p, s in places}
    edges = [
        e
        for e in arch.edges
        for a, b in e.places
        if (e.source, stage_of(a)) in on and (e.target, b) in on and e.source != e.target
    ]
    return SpecError(
        "a cycle of edges",
        at=", ".join(dict.fromkeys(f"edges.{edge.label}" for edge in edges)) or "pathways",
        written=edges[0].written if edges else arch.written,
        got=" -> ".join(".".join(place) for place in [*places, places[0]]),
        want="edges without a cycle",
        fix="one edge into a later stage of its target" if edges else "a clip in place of one `after`",
    )
