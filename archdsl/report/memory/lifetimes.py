"""A simulated forward and backward: which tensors are alive when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

from archdsl.compiler import Plan
from archdsl.compiler.local_variables import LocalVariables, input_names, last_reads
from archdsl.compiler.module_tree import ModulePart
from archdsl.graph import Node
from archdsl.ops.autograd import INDEX, Keeps
from archdsl.report.memory.storage import StoragePool
from archdsl.report.parameters import node_weights


@dataclass(frozen=True)
class SavedOp:
    """One op on the tape, with the storages it saved."""

    node: Node
    keeps: Keeps
    storages: tuple[int, ...]


@dataclass(frozen=True)
class CheckpointedModule:
    """A checkpointed module on the tape: only its inputs are saved; it is recomputed in backward."""

    part: ModulePart
    given: dict[str, int]


Tape = list[SavedOp | CheckpointedModule]


@dataclass
class SimulatedStep:
    """One step of a plan for a batch."""

    plan: Plan
    batch: int
    training: bool
    half: bool
    """torch.autocast in training; in inference weights and maps in half precision."""
    recomputed: frozenset[str] = frozenset()
    """Modules recomputed in backward: only their inputs are saved."""
    accumulated: bool = False
    """Whether gradients of earlier micro-batches are accumulated already."""
    copied_norms: bool = False
    """Whether batch norms copy what they normalise (statistics of parts, or over processes)."""
    pool: StoragePool = field(default_factory=StoragePool)
    grads: dict[str, int] = field(default_factory=dict)
    cached: list[int] = field(default_factory=list)
    """Half-precision copies of weights, which autocast keeps until the forward ends."""
    activations: int = 0
    """Bytes that are kept between forward and backward."""
    peaks: dict[str, int] = field(default_factory=dict)
    """Op -> most bytes that lived while it ran, forward, recomputation or backward; in the order they run."""

    @cached_property
    def widths(self) -> dict[str, int]:
        """Bytes of an element of every value."""
        widths: dict[str, int] = {}
        for node in self.plan.nodes:
            if not self.half or not node.reads:
                widths[node.address] = 2 if self.half and not self.training else 4
            elif not self.training or node.op.autocast == "half":
                widths[node.address] = 2
            else:
                wide = node.op.autocast == "float32"
                widths[node.address] = 4 if wide else max(widths[read] for read in node.reads)
        return widths

    @cached_property
    def learns(self) -> dict[str, bool]:
        """Whether a gradient flows through a value."""
        found: dict[str, bool] = {}
        for node in self.plan.nodes:
            own = bool(node.reads) and bool(self.learnt(node))
            found[node.address] = self.training and (own or any(found[read] for read in self.reached(node)))
        return found

    def reached(self, node: Node) -> list[str]:
        """What an op reads that torch computes a gradient for: zeros too, where none of its own reaches anything."""
        flows = node.op.gradients(*(self.plan.graph.shapes[read] for read in node.reads))
        sizes = node.op.reads_size  # of what the last read is, torch knows nothing
        return [read for read, reaches in zip(node.reads, flows, strict=True) if reaches or not (sizes or any(flows))]

    def learnt(self, node: Node) -> set[str]:
        """Names of the weights of an op that a gradient of its result reaches."""
        unlearnt = node.op.unlearnt(*(self.plan.graph.shapes[read] for read in node.reads))
        return {*node_weights(self.plan.graph, node)} - {*unlearnt}

    def weights(self, node: Node) -> int:
        """Parameters that an op reads, shared or its own."""
        return sum(map(prod, node_weights(self.plan.graph, node).values()))

    def size(self, value: str) -> int:
        """Bytes of a value."""
        return self.plan.graph.shapes[value].elements * self.batch * self.widths[value]

    @property
    def peak(self) -> int:
        """The most bytes that lived beside weights and optimiser."""
        return max(self.peaks.values(), default=0)

    def step(self) -> SimulatedStep:
        """Forward, and in training backward."""
        pool, tape = self.pool, Tape()
        pool.new(4 * self.plan.params * self.accumulated)
        clips = {node.address: pool.new(self.size(node.address)) for node in self.plan.nodes if not node.reads}
        standing = pool.live
        outputs = self.forward(self.plan.modules, dict(clips), tape, saving=self.training)
        for copy in self.cached:
            pool.drop(copy)
        self.cached.clear()
        self.activations = pool.live - standing
        if self.training:
            labels = self.loss()
            self.backward(tape)
            pool.drop(labels)
        for storage in (*outputs.values(), *clips.values()):
            pool.drop(storage)
        return self

    def loss(self) -> int:
        """Cross-entropy of every output in float32, and the gradients of the outputs. Gives the labels' storage."""
        pool, shapes, batch = self.pool, self.plan.graph.shapes, self.batch
        sizes = {value: 4 * shapes[value].elements * batch for value in self.plan.graph.outputs.values()}
        labels = pool.new(sum(INDEX * shapes[value].positions * batch for value in sizes))
        saved = {}
        for value, size in sizes.items():
            pool.passing(2 * size if self.half else size)
            saved[value] = pool.new(size)  # log-probabilities
        for value, size in reversed(sizes.items()):
            pool.passing(2 * size)  # gradients of the log-probabilities and of the scores in float32
            pool.drop(saved[value])
            self.grads[value] = pool.new(self.size(value))
            self.note(value)
        return labels

    def forward(self, part: ModulePart, given: dict[str, int], tape: Tape, saving: bool) -> dict[str, int]:
        """One module. What is given stays its giver's; what is returned is the receiver's."""
        if saving and part.address in self.recomputed:
            tape.append(CheckpointedModule(part, {value: self.pool.hold(storage) for value, storage in given.items()}))
            saving = False
        last = last_reads(map(self.reads, part.steps), part.outputs)
        named = input_names(given) if part.address else dict(zip(given, given))
        names = LocalVariables(part.address, last, named)
        variables = {names.held[value]: self.pool.hold(storage) for value, storage in given.items()}
        storages = dict(given)
        for i, step in enumerate(part.steps):
            read = self.reads(step)
            inner = {value: storages[value] for value in read}
            made = (
                self.forward(step, inner, tape, saving)
                if isinstance(step, ModulePart)
                else self.op(step, inner, tape, saving)
            )
            address = step.address if isinstance(step, ModulePart) else step
            targets = names.targets(i, address, made, read)
            for target, (value, storage) in zip(targets, made.items()):
                if target in variables:
                    self.pool.drop(variables[target])
                variables[target] = storages[value] = storage
        leaving = part.outputs if part.address else dict.fromkeys(self.plan.graph.outputs.values())
        outputs = {value: self.pool.hold(storages[value]) for value in leaving}
        for storage in variables.values():
            self.pool.drop(storage)
        return outputs

    def reads(self, step: str | ModulePart) -> Sequence[str]:
        """The values that a step reads, an op or a module."""
        return step.inputs if isinstance(step, ModulePart) else self.plan.graph.nodes[step].reads

    def op(self, address: str, given: dict[str, int], tape: Tape, saving: bool) -> dict[str, int]:
        """One op: its result, what it saves, and what passes."""
        node, pool = self.plan.graph.nodes[address], self.pool
        kept = self.keeps(node)
        width = self.widths[address]
        own = pool.new(self.batch * (kept.own * width + kept.own_bytes) + kept.shared_bytes)
        result = pool.hold(given[node.reads[0]]) if kept.view else pool.new(self.size(address))
        pool.passing((self.batch * kept.passing + kept.shared) * width)
        saved = self.casts(node, given)
        if saving and self.learns[address]:
            saved += [pool.hold(given[node.reads[i]]) for i in kept.reads if self.wide(node, i) == width]
            saved += [pool.hold(own), *([pool.hold(result)] if kept.result else [])]
            tape.append(SavedOp(node, kept, tuple(saved)))
        else:
            for storage in saved:
                pool.drop(storage)
        pool.drop(own)
        self.note(address)
        return {address: result}

    def keeps(self, node: Node) -> Keeps:
        """What an op keeps in this step."""
        y = self.plan.graph.shapes[node.address]
        if self.copied_norms and node.op.batch_statistics:
            return Keeps(own_bytes=8 * y.elements, passing=y.elements, passing_back=2 * y.elements)
        return node.op.keeps(tuple(self.plan.graph.shapes[read] for read in node.reads), y, self.training)

    def note(self, address: str) -> None:
        """An op has run, in one direction."""
        self.peaks[address] = max(self.peaks.get(address, 0), self.pool.read())

    def wide(self, node: Node, i: int) -> int:
        """The width of what an op reads, where it reads it as it is; else its own."""
        as_read = self.training and node.op.autocast == "half"
        return self.widths[node.reads[i] if as_read else node.address]

    def casts(self, node: Node, given: dict[str, int]) -> list[int]:
        """What autocast makes for an op in half precision: copies of wide maps, and of its weights."""
        if not (self.half and self.training and node.op.autocast == "half"):
            return []
        wide = [read for read in node.reads if self.widths[read] == 4]
        copies = [self.pool.new(self.plan.graph.shapes[read].elements * self.batch * 2) for read in wide]
        if weights := self.weights(node):
            copies.append(self.pool.new(2 * weights))
            self.cached.append(self.pool.hold(copies[-1]))
        return copies

    def backward(self, tape: Tape) -> None:
        """The tape from its end; each op frees what it saved."""
        for entry in reversed(tape):
            if isinstance(entry, SavedOp):
                self.back(entry)
                continue
            again = Tape()
            for storage in self.recompute(entry, again).values():
                self.pool.drop(storage)
            self.backward(again)
            for storage in entry.given.values():
                self.pool.drop(storage)

    def recompute(self, entry: CheckpointedModule, tape: Tape) -> dict[str, int]:
        """The forward of a checkpointed module, now saving."""
        before, self.recomputed = self.recomputed, frozenset()
        outputs = self.forward(entry.part, entry.given, tape, saving=True)
        self.recomputed = before
        for copy in self.cached:
            self.pool.drop(copy)
        self.cached.clear()
        return outputs

    def back(self, entry: SavedOp) -> None:
        """One op's gradients."""
        node, kept, pool = entry.node, entry.keeps, self.pool
        gradient = self.grads.pop(node.address, None)
        if gradient is not None:
            if weights := self.weights(node):
                pool.passing(2 * weights if self.half else 0)
                if self.accumulated:
                    pool.passing(4 * weights)
                elif not node.tied:
                    pool.new(4 * weights)  # kept until the optimiser has run
            made = [(read, self.gradient_of(read, entry, gradient)) for read in self.reached(node) if self.learns[read]]
            pool.passing(self.batch * kept.passing_back * self.widths[node.address])
            for read, storage in made:
                self.collect(read, storage)
            pool.drop(gradient)
        for storage in entry.storages:
            pool.drop(storage)
        self.note(node.address)

    def gradient_of(self, read: str, entry: SavedOp, gradient: int) -> int:
        """The gradient of what an op reads: a tensor of its own, or the result's."""
        same = self.plan.graph.shapes[read].elements == self.plan.graph.shapes[entry.node.address].elements
        if entry.keeps.gradient == "part" or (entry.keeps.gradient == "same" and same):
            return self.pool.hold(gradient)
        return self.pool.new(self.size(read))

    def collect(self, value: str, storage: int) -> None:
        """A gradient, added to what came from other readers: in place where nobody else holds that."""
        before = self.grads.get(value)
        if before is None:
            self.grads[value] = storage
        elif self.pool.holders[before] == 1:
            self.pool.drop(storage)
        else:
            self.grads[value] = self.pool.new(self.size(value))
            self.pool.drop(before)
            self.pool.drop(storage)
