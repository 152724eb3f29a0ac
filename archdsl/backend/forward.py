"""The text of a part's forward: one line a step, short variable names, shapes in comments."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from archdsl.backend.passes.base import Rewritten, layer_of, literal_graph, takes_pieces
from archdsl.compiler.causal import choice, of_clips
from archdsl.compiler.local_variables import LocalVariables, input_names, last_reads
from archdsl.compiler.module_tree import ModulePart, weight_owner
from archdsl.graph import Graph, Node
from archdsl.ops import Op, Source


@dataclass
class Forward:
    """Writes forward for one part."""

    graph: Graph
    part: ModulePart
    taken: Set[str] = frozenset()
    """Names that no variable gets: they have a meaning in the file."""
    names: dict[str, str] = field(default_factory=dict)
    """Value -> the variable that holds it."""
    lines: list[tuple[str, str]] = field(default_factory=list)
    """(code, shape in the comment)"""
    chosen: Op | None = None
    """The choice of frames that a stream leaves to the one who hands them over."""

    def __post_init__(self) -> None:
        self.prefix = f"{self.part.address}." if self.part.address else ""
        last = last_reads(map(self.reads, self.part.steps), self.part.outputs)
        self.variables = LocalVariables(self.part.address, last, self.names, self.taken)
        literal = literal_graph(self.graph)
        self.in_frames = not self.part.address and takes_pieces(self.graph) and not of_clips(literal)
        self.chosen = choice(literal) if self.in_frames else None
        self.head = self.enter()
        for i, step in enumerate(self.part.steps):
            self.step(i, step)
        self.lines.append((f"return {self.leaving()}", ""))

    @property
    def structure(self) -> tuple[str, ...]:
        """The code without comments."""
        return (self.head, *(code for code, _ in self.lines))

    def text(self) -> list[str]:
        """The method, with comments where a shape is new."""
        lines, before = [self.head], ""
        for code, shape in self.lines:
            lines.append(f"    {code}" + (f"  # {shape}" if shape and shape != before else ""))
            before = shape or before
        return lines

    def enter(self) -> str:
        """The signature; names for what comes in."""
        if self.part.address:
            self.names |= input_names(self.part.inputs)
            result = (
                "Tensor" if len(self.part.outputs) == 1 else f"tuple[{', '.join(['Tensor'] * len(self.part.outputs))}]"
            )
            return f"def forward(self, {', '.join(f'{name}: Tensor' for name in self.names.values())}) -> {result}:"
        clips = [address for address, node in self.graph.nodes.items() if isinstance(node.op, Source)]
        for clip in clips:
            self.names[clip] = self.fresh(clip)
        outputs = "Tensor" if len(self.graph.outputs) == 1 else "dict[str, Tensor]"
        if len(clips) > 1:
            quoted = "".join(f', "{clip}"' for clip in clips)
            self.lines.append((f"{', '.join(self.names[clip] for clip in clips)} = clips_named(clips{quoted})", ""))
        self.lines += [(self.expected(clip, self.names[clip]), "") for clip in clips]
        given = f"{self.names[clips[0]]}: Tensor" if len(clips) == 1 else "clips: dict[str, Tensor]"
        return f"def forward(self, {given}) -> {outputs}:"

    def expected(self, clip: str, name: str) -> str:
        """The line that refuses a clip other than the network was built for."""
        c, t, h, w = self.graph.shapes[clip].tensor
        frames = f"{t}"
        if self.in_frames:
            frames = f"None if self.streaming else {t}" if self.chosen else "None"
        source = self.graph.nodes[clip].op
        if isinstance(source, Source) and (ids := source.vocabulary):
            return f'expect_ids("{clip}", {name}, ({c}, {frames}, {h}, {w}), {ids})'
        return f'expect(self, "{clip}", {name}, ({c}, {frames}, {h}, {w}))'

    def fresh(self, name: str) -> str:
        """The name, longer where it has a meaning already."""
        while name in self.taken or name in self.names.values():
            name += "_"
        return name

    def leaving(self) -> str:
        """What is returned."""
        if self.part.address:
            return ", ".join(self.names[value] for value in self.part.outputs)
        if len(self.graph.outputs) == 1:
            return self.names[next(iter(self.graph.outputs.values()))]
        return "{" + ", ".join(f'"{name}": {self.names[value]}' for name, value in self.graph.outputs.items()) + "}"

    def step_text(self) -> list[str]:
        """The method of networks whose clip, or clips, may come in pieces, or one after the other."""
        clips = sum(isinstance(node.op, Source) for node in self.graph.nodes.values())
        pieces, begun = ("frames of a clip", "clip") if self.in_frames else ("clips of a video", "video")
        return [
            "def step(",
            f"    self, frames: {'Tensor' if clips == 1 else 'dict[str, Tensor]'},"
            " state: dict[str, tuple[Tensor, ...]] | None = None",
            ") -> tuple[Tensor, dict[str, tuple[Tensor, ...]]]:",
            f'    """What further {pieces} give, and the state to go on with; without a state a {begun} begins."""',
            "    return streamed(self, frames, state or {})",
        ]

    def introduction(self, name: str) -> list[str]:
        """The network in one line: torch would print hundreds, which `nn.Module.__repr__(network)` still gives."""
        clips = {address: address for address, node in self.graph.nodes.items() if isinstance(node.op, Source)}
        takes, gives = (
            ", ".join(f"{value} {self.shape_text(at).replace('(', '(n, ')}" for value, at in values.items())
            for values in (clips, self.graph.outputs)
        )
        return ["def __repr__(self) -> str:", f'    return "{name}: {takes} -> {gives}"']

    def reads(self, step: str | ModulePart) -> list[str]:
        """The values a step reads."""
        return step.inputs if isinstance(step, ModulePart) else list(self.graph.nodes[step].reads)

    def step(self, i: int, step: str | ModulePart) -> None:
        """One line: an op or a call."""
        reads = self.reads(step)
        read = [self.names[value] for value in reads]
        if not (step.outputs if isinstance(step, ModulePart) else layer_of(self.graph, self.graph.nodes[step]).call):
            return
        if isinstance(step, ModulePart):
            made, code = step.outputs, f"self{self.module(step)}({', '.join(read)})"
            address = step.address
        else:
            node = self.graph.nodes[step]
            made, code, address = [step], self.op_text(node, read), step
            if node.op == self.chosen and isinstance(self.graph.nodes[reads[0]].op, Source):
                code = f"{read[0]} if self.streaming else {code}"
        targets = self.variables.targets(i, address, made, reads)
        shapes = ", ".join(self.shape_text(value) for value in made)
        self.lines.append((f"{', '.join(targets)} = {code}", shapes))

    def op_text(self, node: Node, read: list[str]) -> str:
        """What is called for an op."""
        uses = node.op.uses if isinstance(node.op, Rewritten) else ()
        held = {name: self.graph.nodes[address] for name, address in (("m", node.address), *uses)}
        modules = {name: f"self.{(of.tied or of.address).removeprefix(self.prefix)}" for name, of in held.items()}
        return layer_of(self.graph, node).call.format(*read, **modules)

    def module(self, step: ModulePart) -> str:
        """The path of the module a step calls; that of the owner where weights are shared."""
        owner = weight_owner(self.graph, step) or step.address
        return module_path(owner.removeprefix(self.prefix))

    def shape_text(self, value: str) -> str:
        """A shape as the comment shows it."""
        shape = self.graph.nodes[value].op.tensor(self.graph.shapes[value])
        return f"({', '.join(map(str, shape))})"


def module_path(path: str) -> str:
    """A path whose numbers are indices: slow.res2.0 -> .slow.res2[0]."""
    return "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path.split("."))
