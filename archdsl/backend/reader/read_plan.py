"""The steps of a module as a plan: what counts, tables, drawings, spans, memory and latency read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod

from archdsl.backend.reader.alignment import living
from archdsl.backend.reader.read_ops import op_of
from archdsl.backend.reader.steps import Steps, TracedStep
from archdsl.blocks import Block
from archdsl.compiler import Plan
from archdsl.graph import Graph, Node, Scope, shape_and_grid
from archdsl.language import Arch, Clip, Pathway, Stage
from archdsl.language.head import Classifier
from archdsl.ops import UNIT, Grid, LearntTokens, Shape, Source, Vector

NET = "net"
"""The one pathway of a network that was read."""
BETWEEN = "between"
"""The stage of steps before the first module."""
CHANNELS_BEHIND = ("linear", "layer_norm", "rms_norm")
"""Steps that have their channels last, unless they are convolutions."""
SHARE = 0.5
"""Of all steps: a module with more of them is looked into for stages."""


class ReadBlock(Block):
    """A module within a stage of a network that was read. It is drawn and listed, and built by its own code."""


class ModulePlan:
    """Makes the plan of a module's steps."""

    def __init__(self, steps: Steps, name: str) -> None:
        self.steps, self.name = steps, name
        self.numbers = [n for n in living(steps) if steps.all[n].kind != "clip"]
        self.root = root_of([steps.all[n].at for n in self.numbers])
        self.clips = [n for n, step in enumerate(steps.all) if step.kind == "clip"]
        self.behind: dict[int, bool] = {}
        """TracedStep -> whether its channels come last."""
        self.addresses: dict[int, str] = {}
        self.counted: set[str] = set()
        """Weights that some step has already."""
        self.with_tokens: dict[tuple[str, str], str] = {}
        """(class token, value) -> address of both."""
        self.graph = Graph({}, {}, {}, {}, {})

    def plan(self) -> Plan:
        """The plan."""
        clips = {input_name(i, len(self.clips)): self.clip(n) for i, n in enumerate(self.clips)}
        for number, (name, clip) in zip(self.clips, clips.items()):
            self.put(number, name, Node(name, Source(shape=clip.shape), ()), clip.shape, Grid(UNIT, UNIT, UNIT))
        places = self.places()
        first_of_head = self.head_from([stage for stage, *_ in places])
        stages: dict[str, list[str]] = {}
        taken: Counter[str] = Counter()
        for number, (stage, block, name, i) in zip(self.numbers, places):
            within = "head" if number >= first_of_head else f"{NET}.{stage}.{i}"
            if within != "head" and i == len(stages.setdefault(stage, [])):
                stages[stage].append(block)
            address = f"{within}.{name}"
            taken[address] += 1
            self.node(number, f"{address}_{taken[address]}" if taken[address] > 1 else address)
        return Plan(self.arch(clips, stages), self.finished(stages))

    def places(self) -> list[tuple[str, str, str, int]]:
        """(stage, block, name, number of the block) of each step. What runs in one go has one place.

        A module that runs again later is another stage, and a step between modules belongs to the one before it.
        """
        found: list[tuple[str, str, str, int]] = []
        names: Counter[str] = Counter()
        last, stage, block, i = "", "", "", 0
        for number in self.numbers:
            step = self.steps.all[number]
            module, inner = self.place(step)
            first, _, rest = inner.partition(".")
            if module == BETWEEN and stage:
                module, first, rest = last, block, ""
            if module != last:
                names[module] += 1
                stage = f"{module}_again{names[module] - 1}" if names[module] > 1 else module
                last, block, i = module, first, 0
            elif first != block:
                block, i = first, i + 1
            found.append((stage, block or module, "_".join(filter(None, [*rest.split("."), step.kind])), i))
        return found

    def head_from(self, stages: list[str]) -> int:
        """The first step of the last stage; of a network of one stage the last step."""
        if len(set(stages)) == 1:
            return self.numbers[-1]
        return self.numbers[stages.index(stages[-1])]

    def put(self, number: int, address: str, node: Node, shape: Shape, grid: Grid) -> None:
        """One node of the graph."""
        self.addresses[number] = address
        self.graph.nodes[address], self.graph.shapes[address], self.graph.grids[address] = node, shape, grid

    def node(self, number: int, address: str) -> None:
        """One step as a node."""
        step = self.steps.all[number]
        reads = tuple(dict.fromkeys(self.addresses[x] for read in step.reads for x in read)) or (self.addresses[0],)
        if step.kind == "sum" and len(step.reads) > len(reads):
            reads = tuple(self.addresses[x] for read in step.reads for x in read)
        xs = tuple(self.graph.shapes[read] for read in reads)
        gives = self.shape(number, xs[0])
        if token := self.class_token(step, xs[0], gives):
            reads = tuple(self.with_token(token, read, address) for read in reads)
            xs = tuple(self.graph.shapes[read] for read in reads)
        params = tuple(self.part_shape(name, n) for name, i, n in step.weights.values() if self.first(name, i, n))
        op = op_of(step, xs, gives, params)
        _, grid = shape_and_grid(op, xs, tuple(self.graph.grids[read] for read in reads))
        self.put(number, address, Node(address, op, reads), gives, grid)

    def class_token(self, step: TracedStep, x: Shape, gives: Shape) -> str | None:
        """The weight that a step puts in front of the map that it reads, as a token; None where it puts none."""
        if gives.extra != x.extra + 1:
            return None
        beside = (name for role, (name, *_) in step.weights.items() if role.startswith("beside"))
        return next((name for name in beside if prod(self.steps.sizes[name]) == x.c), None)

    def with_token(self, token: str, read: str, address: str) -> str:
        """A value with a class token in front, made where it is first read; a value that has one already."""
        if self.graph.shapes[read].extra:
            return read
        made = self.with_tokens.get((token, read))
        if made is None:
            made = self.with_tokens[token, read] = f"{address}_class_token"
            op, x = LearntTokens(), self.graph.shapes[read]
            self.graph.nodes[made] = Node(made, op, (read,))
            self.graph.shapes[made], self.graph.grids[made] = shape_and_grid(op, (x,), (self.graph.grids[read],))
            self.counted.add(f"{token} 0/1")
        return made

    def first(self, name: str, i: int, n: int) -> bool:
        """Whether a parameter is met for the first time."""
        key = f"{name} {i}/{n}"
        fresh = name in self.steps.traced.parameters and key not in self.counted
        self.counted.add(key)
        return fresh

    def part_shape(self, name: str, n: int) -> tuple[int, ...]:
        """The shape of one of n equal parts of a weight."""
        first, *rest = self.steps.sizes[name] or (1,)
        return (first // n, *rest)

    def shape(self, number: int, x: Shape) -> Shape:
        """(c, t, h, w) of what a step gives: the grid is that of what it reads where there are as many positions."""
        step = self.steps.all[number]
        sizes, read = step.shape, [x for read in step.reads for x in read]
        last = step.kind in CHANNELS_BEHIND and not (step.node and "conv" in str(step.node.target))
        inherited = bool(read) and step.kind not in (
            "conv",
            "batch_norm",
            "max_pool",
            "avg_pool",
            "linear",
            "layer_norm",
        )
        self.behind[number] = last or (inherited and self.behind.get(read[0], False))
        if not self.behind[number] and len(sizes) in (4, 5) and step.kind not in ("matmul", "softmax"):
            c, *area = sizes[1:]
            return Shape(c, *([1] * (3 - len(area))), *area)
        if step.kind in ("matmul", "softmax") and len(sizes) >= 4:
            c, positions = sizes[-3] * sizes[-1], prod(sizes) // (sizes[-3] * sizes[-1])
        else:
            out = int(step.fields[1]) if step.kind == "linear" else sizes[-1]
            c, positions = out, prod(sizes[:-1])
        return on_grid(c, positions, x)

    def place(self, step: TracedStep) -> tuple[str, str]:
        """(stage, path within it) of a step."""
        at = step.at
        prefix = f"{self.root}." if self.root else ""
        if at.startswith(prefix) and at != self.root:
            first, _, rest = at.removeprefix(prefix).partition(".")
            return identifier(f"{self.root.rpartition('.')[2]}_{first}" if first.isdigit() else first), rest
        shared = [a for a, b in zip(at.split("."), self.root.split(".")) if a == b]
        names = at.split(".")[len(shared) :]
        return identifier(names[0] if names and names[0] else BETWEEN), ".".join(names[1:])

    def clip(self, number: int) -> Clip:
        """The clip that an input is: (n, c, t, h, w), (n, t, c, h, w) or a picture."""
        shape = list(self.steps.all[number].shape[1:])
        if len(shape) == 4 and shape[0] > shape[1]:
            shape[:2] = shape[1::-1]
        c, t, h, w = shape if len(shape) == 4 else (shape[0], 1, *shape[1:], 1, 1)[:4]
        fields = dict(size=h) if h == w else dict(height=h, width=w)
        return Clip(modality="features" if h == w == 1 else "rgb", channels=c, frames=t, **fields)

    def arch(self, clips: dict[str, Clip], stages: dict[str, list[str]]) -> Arch:
        """The arch of a plan that has none: stages and how many blocks they have, for those who read a plan."""
        made = {name: Stage.model_construct(blocks=(ReadBlock(),) * len(blocks)) for name, blocks in stages.items()}
        net = Pathway.model_construct(stages=made, clip=None)
        head = Classifier(classes=self.graph.shapes[next(reversed(self.graph.shapes))].c)
        return Arch.model_construct(name=self.name, clips=clips, pathways={NET: net}, edges=(), head=head)

    def finished(self, stages: dict[str, list[str]]) -> Graph:
        """The graph with its scopes and outputs."""
        self.graph.scopes[NET] = Scope("Pathway", container=True)
        for stage, blocks in stages.items():
            self.graph.scopes[f"{NET}.{stage}"] = Scope("Stage")
            self.graph.scopes.update({f"{NET}.{stage}.{i}": Scope(block) for i, block in enumerate(blocks)})
        leaving = [n for node in self.steps.traced.outputs for n in self.steps.values[node.name].steps]
        names = [f"output{i}" for i in range(len(leaving))] if len(leaving) > 1 else ["scores"]
        for name, n in zip(names, leaving):
            address, gives = self.addresses[n], self.graph.shapes[self.addresses[n]]
            if gives.positions == 1 and len(self.steps.all[n].shape) == 2:
                op, grid = Vector(), self.graph.grids[address]
                self.put(n, f"head.{name}", Node(f"head.{name}", op, (address,)), gives, grid)
            self.graph.outputs[name] = self.addresses[n]
        self.graph.scopes["head"] = Scope("Head")
        return self.graph


def on_grid(c: int, positions: int, x: Shape) -> Shape:
    """A value of so many channels and positions: on the grid of what it is made from, or on none."""
    grid = prod(x[1:4])
    if positions == grid:
        return Shape(c, x.t, x.h, x.w)
    if positions == x.positions:
        return Shape(c, x.t, x.h, x.w, x.extra)
    if grid > 1 and positions == grid + 1:
        return Shape(c, x.t, x.h, x.w, 1)
    return Shape(c, 1, 1, positions)


def root_of(paths: Iterable[str]) -> str:
    """The module that the stages are in: from the whole down, as long as one child has most of the steps."""
    found = [path.split(".") for path in paths]
    root: list[str] = []
    while True:
        inside = [path[len(root)] for path in found if path[: len(root)] == root and len(path) > len(root) and path[0]]
        child, count = next(iter(Counter(inside).most_common(1)), ("", 0))
        deeper = count > SHARE * len(found) and any(len(path) > len(root) + 1 for path in found)
        if not deeper or (child.isdigit() and len({*inside}) > 1):
            return ".".join(root)
        root.append(child)


def identifier(text: str) -> str:
    """A name that Python takes."""
    made = "".join(letter if letter.isalnum() else "_" for letter in text)
    return made if made[:1].isalpha() else f"s{made}"


def input_name(i: int, count: int) -> str:
    """The name of one of several clips."""
    return "clip" if count == 1 else f"clip{i}"
