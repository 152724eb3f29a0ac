"""Networks with key frames: the text of their two programs, and of the method that runs them frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from archdsl.backend.forward import Forward
from archdsl.backend.passes.base import programs_of
from archdsl.compiler.keys import KeyFrameSchedule
from archdsl.compiler.module_tree import ModulePart
from archdsl.graph import Graph
from archdsl.ops import Interleave, KeyPairs, Source, TakeEvery


def programs(whole: Forward) -> Iterator[list[str]]:
    """The methods of a network with key frames; none of another."""
    graph, network = whole.graph, whole.part
    schedule = programs_of(graph) if not network.address else None
    if schedule is None:
        return
    for kind in ("key", "current"):
        yield Program(graph, network, whole.taken, schedule=schedule, kind=kind).text()
    outputs = outputs_type(graph)
    clip = next(address for address, node in graph.nodes.items() if isinstance(node.op, Source))
    c, _, h, w = graph.shapes[clip]
    yield [
        "def step(",
        "    self, frames: Tensor, state: dict[str, tuple[Tensor, ...]] | None = None",
        f") -> tuple[{outputs}, dict[str, tuple[Tensor, ...]]]:",
        '    """What further frames of a clip give, and the state to go on with; without a state a clip begins."""',
        f'    expect(self, "{clip}", frames, ({c}, None, {h}, {w}))',
        f"    return keyed(self, frames, state or {{}}, {schedule.every})",
    ]


def outputs_type(graph: Graph) -> str:
    """The type of what a network gives."""
    return "Tensor" if len(graph.outputs) == 1 else "dict[str, Tensor]"


@dataclass
class Program(Forward):
    """Writes what a network does for one key frame, or for one frame between key frames."""

    schedule: KeyFrameSchedule = field(kw_only=True)
    kind: Literal["key", "current"] = field(kw_only=True)
    stands_for: dict[str, str] = field(default_factory=dict)
    """Value of a clip -> the value of this program that it is."""

    def __post_init__(self) -> None:
        whole = self.part.steps
        self.clip = next(address for address, node in self.graph.nodes.items() if isinstance(node.op, Source))
        kept = [self.clip, *self.schedule.held] if self.kind == "key" else []
        steps = [step for step in whole if self.runs(step)]
        for address, node in self.graph.nodes.items():
            if self.kind == "key" and isinstance(node.op, TakeEvery):
                self.stands_for[address] = self.clip
            if self.kind == "key" and isinstance(node.op, Interleave):
                self.stands_for[address] = node.reads[0]
        outputs = [self.stands_for.get(value, value) for value in self.part.outputs]
        self.part = replace(self.part, steps=steps, outputs=[*outputs, *kept])
        super().__post_init__()

    def runs(self, step: str | ModulePart) -> bool:
        """Whether a step of the whole network is one of this program."""
        if isinstance(step, str) and isinstance(self.graph.nodes[step].op, KeyPairs | TakeEvery):
            return False
        if isinstance(step, ModulePart) and not step.outputs:
            return False  # a part that only keeps weights
        if self.orders(step):
            return self.kind == "current"
        address = step.outputs[0] if isinstance(step, ModulePart) else step
        return self.schedule.kinds[address] in ("all", self.kind)

    def orders(self, step: str | ModulePart) -> bool:
        """Whether a step ends in putting frames in order."""
        address = step.outputs[0] if isinstance(step, ModulePart) else step
        return isinstance(self.graph.nodes[address].op, Interleave)

    def enter(self) -> str:
        """The signature, and the pair of frames."""
        clip = self.names[self.clip] = self.fresh(self.clip)
        outputs = outputs_type(self.graph)
        if self.kind == "key":
            return f"def key_frame(self, {clip}: Tensor) -> tuple[{outputs}, tuple[Tensor, ...]]:"
        for i, address in enumerate(self.schedule.held):
            self.names[address] = self.fresh("held" if len(self.schedule.held) == 1 else f"held_{i + 1}")
        key, pair = self.fresh(f"key_{clip}"), self.fresh("pair")
        for address, node in self.graph.nodes.items():
            if isinstance(node.op, KeyPairs):
                self.names[address] = pair
        self.lines.append((f"{pair} = torch.cat([{clip}, {key}], dim=1)", ""))
        given = ", ".join(f"{self.names[address]}: Tensor" for address in self.schedule.held)
        return f"def current_frame(self, {clip}: Tensor, {key}: Tensor, {given}) -> {outputs}:"

    def leaving(self) -> str:
        """What is returned; for a key frame also what is held of it, itself first."""
        given = {value: self.names[other] for value, other in self.stands_for.items() if other in self.names}
        self.names = given | self.names  # also of what leaves as it is
        outputs = super().leaving()
        if self.kind == "current":
            return outputs
        return f"{outputs}, ({', '.join(self.names[address] for address in (self.clip, *self.schedule.held))})"

    def text(self) -> list[str]:
        """The method, with a line on what it is for."""
        head, *lines = super().text()
        told = "a key frame gives, and what is held of it" if self.kind == "key" else "a frame between key frames gives"
        return [head, f'    """What {told}."""', *lines]

    def reads(self, step: str | ModulePart) -> list[str]:
        """The values a step reads, as this program has them."""
        return [self.stands_for.get(value, value) for value in super().reads(step)]

    def step(self, i: int, step: str | ModulePart) -> None:
        """One line; of a key frame and the one behind it only the second is new."""
        super().step(i, step)
        if self.orders(step):
            code, shape = self.lines[-1]
            self.lines[-1] = (f"{code}[:, :, 1:]", shape)

    def shape_text(self, value: str) -> str:
        """A shape as the comment shows it, of one frame."""
        shape = self.graph.nodes[value].op.tensor(self.graph.shapes[value]._replace(t=1))
        return f"({', '.join(map(str, shape))})"
