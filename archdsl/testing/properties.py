"""What must hold of every network, asked of one: each property raises AssertionError that says what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any

import torch
from torch import Tensor

from archdsl.backend import PASSES, build, freeze
from archdsl.backend.example_clips import random_clips
from archdsl.backend.export.program import traced_program
from archdsl.compiler import Plan, compile
from archdsl.compiler.unread import trained_later
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.language.writers.python_writer import to_python
from archdsl.ops import TakeChosen, TakeEvery
from archdsl.report.admission import admits, with_clip_value
from archdsl.report.memory.report import Memory, Setup
from archdsl.testing.agreement import check_agreement
from archdsl.testing.conformance import check_yaml_round_trip
from archdsl.testing.specimen import Specimen, in_precision, mapped, named_outputs_of, scattered

TOLERANCE = 1e-8
"""Share of the largest element, in double precision."""
DIRECTIONS, STEP, SLOPE_TOLERANCE = 3, 1e-7, 1e-3
"""Directions of which one must agree, how far along them, and the largest share by which slopes differ."""
MOST_TRIED = 12
"""Values of frames and sizes that are compared."""
MEMORY_SHARE, MEMORY_BYTES = 1.5, 50_000
"""How much more may be kept than predicted: dropout keeps numbers on a CPU, indices are not counted."""


def same(got: Mapping[str, Tensor], want: Mapping[str, Tensor], what: str) -> None:
    """Outputs are equal but for rounding."""
    assert got.keys() == want.keys(), f"{what}: outputs {', '.join(got)}, not {', '.join(want)}"
    for name, value in want.items():
        assert got[name].shape == value.shape, f"{what}: {name} of {tuple(got[name].shape)}, not {tuple(value.shape)}"
        finite = torch.isfinite(value)
        assert bool((torch.isfinite(got[name]) == finite).all()), f"{what}: {name} has other odd numbers"
        scale = float(value[finite].abs().max()) if bool(finite.any()) else 0.0
        off = float((got[name] - value)[finite].abs().max()) if bool(finite.any()) else 0.0
        assert off <= TOLERANCE * max(scale, 1.0), f"{what}: {name} is off by {off:.1e} of {scale:.1e}"


def plan_agrees_with_torch(one: Specimen) -> None:
    """Shapes at every address, parameters, and fvcore's count are the plan's."""
    check_agreement(one.plan)


def every_weight_learns(one: Specimen) -> None:
    """A gradient reaches every weight, and it is that of the outputs.

    But for weights that the compiler warned of, and those that only further clips train.
    """
    torch.manual_seed(one.seed)
    network = scattered(build(one.plan).double()).train()
    outputs = named_outputs_of(network(one.clips))
    learning = [value for value in outputs.values() if value.requires_grad]
    if not learning:
        return
    sum(value.square().sum() for value in learning).backward()  # type: ignore[union-attr]
    warned = [str(fault.at) for fault in one.plan.warnings if fault.at]
    silent = {name for name, weight in network.named_parameters() if weight.grad is None} - trained_later(
        one.plan.graph
    )
    silent = {name for name in silent if not any(f"{name}.".startswith(f"{at}.") for at in warned)}
    assert not silent, f"no gradient reaches {', '.join(sorted(silent))}"
    if all(all(node.op.gradients(*[one.plan.shapes[read] for read in node.reads])) for node in one.plan.nodes):
        gradients_are_slopes(one)


def gradients_are_slopes(one: Specimen) -> None:
    """Along a random direction of all weights, the outputs change as their gradient says; kinks are met by chance."""
    weights = [weight for weight in one.network.parameters() if weight.requires_grad]
    factors = {name: torch.randn_like(value) for name, value in one.answer.items()}

    def loss() -> Tensor:
        outputs = named_outputs_of(one.network(one.clips))
        return torch.stack([(outputs[name] * factor).sum() for name, factor in factors.items()]).sum()

    grads = torch.autograd.grad(loss(), weights, allow_unused=True)
    off: list[float] = []
    for _ in range(DIRECTIONS):
        ways = [torch.randn_like(weight) for weight in weights]
        told = float(sum((way * grad).sum() for way, grad in zip(ways, grads) if grad is not None))
        ends = []
        for step in (STEP, -2 * STEP, STEP):
            with torch.no_grad():
                for weight, way in zip(weights, ways):
                    weight.add_(way, alpha=step)
                ends.append(float(loss()))
        slope = (ends[0] - ends[1]) / (2 * STEP)
        off.append(abs(slope - told) / max(abs(slope), abs(told), 1.0))
    assert min(off) <= SLOPE_TOLERANCE, (
        f"outputs change by {slope:.4g} along a direction, their gradient says {told:.4g}"
    )


def clips_are_apart(one: Specimen) -> None:
    """What is said of a clip does not hang on the other clips of its batch."""
    with torch.no_grad():
        alone = named_outputs_of(one.network(mapped(one.clips, lambda clip: clip[:1])))
    same(alone, {name: value[:1] for name, value in one.answer.items()}, "a clip alone")


def lowered_is_literal(one: Specimen) -> None:
    """The network lowered by every pass, and frozen, gives what the literal one gives from the same weights."""
    every = [name.name for name in PASSES]
    for lower in ("auto", every):
        network = build(one.plan, lower).double()
        network.load_state_dict(one.network.state_dict())
        with torch.no_grad():
            same(
                named_outputs_of(network.eval()(one.clips)),
                one.answer,
                f"lowered by {'auto' if lower == 'auto' else 'all passes'}",
            )
            if any(hasattr(type(part), "frozen") for part in network.modules()):
                freeze(network)
                same(named_outputs_of(network(one.clips)), one.answer, "lowered and frozen")


def stream_is_clip(one: Specimen) -> None:
    """A network that reads frames as they come gives for a clip in pieces what it gives for the whole."""
    step: Any = getattr(one.network, "step", None)
    if step is None or len(one.plan.inputs) != 1 or isinstance(one.clips, dict):
        return
    frames = brought(one.plan, one.clips)
    count = frames.shape[2]
    cuts = sorted({0, count // 3, count // 2, count})
    given, state = [], None
    with torch.no_grad():
        for first, last in pairwise(cuts):
            outputs, state = step(frames[:, :, first:last], state)
            given.append(named_outputs_of(outputs))
    for name, want in one.answer.items():
        pieces = [piece[name] for piece in given]
        every = want.ndim > 2 and sum(piece.shape[2] for piece in pieces) == want.shape[2]
        same({name: torch.cat(pieces, 2) if every else pieces[-1]}, {name: want}, "frame by frame")


def brought(plan: Plan, clip: Tensor) -> Tensor:
    """The frames of a clip that a stream brings: those of the one choice, where there is one."""
    for node in plan.nodes:
        if plan.one_frame and isinstance(node.op, TakeEvery | TakeChosen) and node.reads[0] in plan.inputs:
            op = node.op
            count = clip.shape[2]
            return clip[:, :, list(range(op.start, count, op.step) if isinstance(op, TakeEvery) else op.frames(count))]
    return clip


def written_forms_agree(one: Specimen) -> None:
    """YAML and Python read back as the same arch."""
    check_yaml_round_trip(one.arch)
    try:
        text = to_python(one.arch)
    except SpecError:  # a block of Python's own has no written form
        return
    space: dict[str, Any] = {}
    exec(compile_text(text), space)
    assert space["arch"] == one.arch, f"Python reads back as another arch\n\n{text}"


def compile_text(text: str) -> Any:
    """Python's code of a text; `compile` here is ours."""
    import builtins

    return builtins.compile(text, "<arch>", "exec")


def admitted_inputs_run(one: Specimen) -> None:
    """Frames and sizes that are said to be accepted are those that compile, and torch agrees on the largest one."""
    for axis in admits(one.plan).axes:
        said = set(axis.values)
        for n in Random(one.seed).sample(range(1, axis.tried + 1), min(MOST_TRIED, axis.tried)):
            made = compiles(with_clip_value(one.arch, axis.axis, axis.clips, n))
            assert made == (n in said), f"{axis.axis} {n} {'compiles' if made else 'does not'}, said is {axis.text}"
        if said:
            other = Specimen(with_clip_value(one.arch, axis.axis, axis.clips, max(said)), one.seed)
            with torch.device("meta"):
                outputs = named_outputs_of(build(other.plan).eval()(random_clips(other.plan)))
            for (name, want), value in zip(other.plan.outputs.items(), outputs.values()):
                got = tuple(value.shape[1:])
                assert got == want, f"at {axis.axis} {max(said)}: torch gives {name} of {got}, the plan says {want}"


def compiles(arch: Arch) -> bool:
    """Whether an arch can be."""
    try:
        compile(arch)
    except SpecError:
        return False
    return True


def memory_is_bounded(one: Specimen) -> None:
    """What autograd keeps of a step is no more than what is predicted."""
    seen: dict[int, int] = {}
    network = build(one.plan).train()
    clips = mapped(one.clips, partial(in_precision, torch.float32))
    whole = clips.values() if isinstance(clips, dict) else [clips]
    own = {held.untyped_storage().data_ptr() for held in (*network.parameters(), *network.buffers(), *whole)}

    def kept(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor):
        outputs = network(clips)
    measured, told = sum(seen.values()), Memory(one.plan, Setup(batch=2)).activations
    del outputs
    most = told * MEMORY_SHARE + MEMORY_BYTES
    assert measured <= most, f"{measured:,} bytes are kept for backward, {told:,} predicted"


def exported_is_network(one: Specimen) -> None:
    """torch.export's program gives what the network gives."""
    try:
        traced = traced_program(one.network, one.clips, 2)
    except SpecError:  # torch cannot trace it, and says why
        return
    with torch.no_grad():
        same(named_outputs_of(traced.traced.module()(one.clips)), one.answer, "torch.export")


PROPERTIES: Mapping[str, Callable[[Specimen], None]] = {
    "plan": plan_agrees_with_torch,
    "gradients": every_weight_learns,
    "batch": clips_are_apart,
    "stream": stream_is_clip,
    "lowered": lowered_is_literal,
    "written": written_forms_agree,
    "memory": memory_is_bounded,
    "admits": admitted_inputs_run,
    "export": exported_is_network,
}
"""Name -> what must hold, the quick ones first."""
CHEAP = ("written", "admits")
"""Properties asked of networks that cannot be made small enough to run in a moment."""
RARE = ("admits", "export")
"""Properties that take long: asked of the first example and of every tenth."""
