"""Any torch module read: its plan, what differs from a network of ours, its weights in that network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from archdsl.backend.example_clips import random_clips
from archdsl.backend.export.parity import largest_difference
from archdsl.backend.network import build
from archdsl.backend.reader.alignment import Matching, living, matching
from archdsl.backend.reader.read_plan import ModulePlan
from archdsl.backend.reader.rules import steps_of
from archdsl.backend.reader.steps import Steps
from archdsl.backend.reader.trace import traced_module
from archdsl.backend.reader.transfer import Carried, carried
from archdsl.backend.user_modules import function_in_file, network_made_by
from archdsl.backend.weights.files import METADATA
from archdsl.catalog import load, model
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError, excerpt
from archdsl.language import Arch
from archdsl.report.number_format import short, whole
from archdsl.spec.files import write_out


@dataclass(frozen=True)
class ModuleComparison:
    """A module beside a network of ours."""

    name: str
    arch: Arch
    params: tuple[int, int]
    macs: tuple[int, int]
    matching: Matching
    carried: Carried
    difference: float | None
    """The largest between outputs with the same weights, over the largest; None where not all are carried."""

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "name": self.name,
            "network": self.arch.name,
            "params": list(self.params),
            "macs": list(self.macs),
            "differences": self.matching.lines,
            "tensors": len(self.carried.tensors),
            "missing": list(self.carried.missing),
            "outputs_differ_by": self.difference,
        }

    def __str__(self) -> str:
        (a, b), (c, d) = self.params, self.macs
        lines = [f"{self.name} beside {self.arch.name}: {self.matching}"]
        lines += [f"  params   {whole(a)}" + (f" -> {whole(b)}" if a != b else " in both")]
        lines += [f"  macs     {whole(c)}" + (f" -> {whole(d)}" if c != d else " in both")]
        tensors, missing = self.carried
        lines += [
            f"  weights  {len(tensors)} of {len(tensors) + len(missing)} tensors follow from the steps that match"
        ]
        lines += [f"  without  {', '.join(missing[:4])}{', ...' if len(missing) > 4 else ''}"] if missing else []
        if self.difference is not None:
            lines += [f"  outputs  with these weights differ by {self.difference:.1e} of the largest score at most"]
        return "\n".join(lines)


@dataclass(frozen=True)
class ModuleReading:
    """A torch module that was read. `plan` is what counts, tables, drawings, spans, memory and latency take."""

    name: str
    module: nn.Module = field(repr=False)
    clips: tuple[Tensor, ...] = field(repr=False)
    steps: Steps = field(repr=False)
    plan: Plan = field(repr=False)

    @cached_property
    def opaque(self) -> dict[str, list[str]]:
        """Ops that are not known, and where they stand: they keep their shapes, and cost nothing here."""
        found: dict[str, list[str]] = {}
        for number in living(self.steps):
            step = self.steps.all[number]
            if not step.known:
                found.setdefault(step.kind, []).append(f"{step.at or self.name} {tuple(step.shape)}")
        return found

    @property
    def unread(self) -> int:
        """Parameters of the module that no output is made with."""
        used = {name for n in living(self.steps) for name, *_ in self.steps.all[n].weights.values()}
        named = self.module.named_parameters()
        return sum(x.numel() for name, x in named if name not in used)

    def __str__(self) -> str:
        plan = self.plan
        known = len(plan.nodes) - sum(map(len, self.opaque.values()))
        lines = [f"{self.name}: {whole(plan.params)} params, {short(plan.macs)} macs, {known} steps known"]
        for op, places in self.opaque.items():
            count = f"{len(places)} times, first " if len(places) > 1 else ""
            lines.append(f"  opaque   {op}: {count}at {places[0]}")
        lines += [f"  unread   {whole(self.unread)} parameters that no output is made with"] if self.unread else []
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """As plain data."""
        plan = self.plan
        sizes = {name: list(shape) for name, shape in plan.inputs.items()}
        counts = {"params": plan.params, "macs": plan.macs, "fvcore": plan.count("fvcore"), "unread": self.unread}
        return {"name": self.name, "input": sizes, **counts, "opaque": self.opaque}

    def compare(self, other: Arch | str | Path) -> ModuleComparison:
        """Beside a network of ours, or of the zoo at this clip's size: what differs, and the weights it would have."""
        arch = other if isinstance(other, Arch) else self.fitting(other)
        plan = compile(arch).of_frames_read
        network = build(plan).eval()
        ours = module_steps(network, random_clips(plan, device="cpu"))
        found = matching(self.steps, ours)
        weights = carried(found, self.module.state_dict(), network.state_dict())
        macs = sum(ours.all[n].macs for n in living(ours))
        params = (sum(x.numel() for x in self.module.parameters()), sum(x.numel() for x in network.parameters()))
        difference = None if weights.missing else self.outputs_beside(network, weights, plan)
        return ModuleComparison(self.name, arch, params, (self.plan.macs, macs), found, weights, difference)

    def fitting(self, name: str | Path) -> Arch:
        """A model at the size of this clip, of as many frames as it reads of one. Raises SpecError where none is."""
        shapes = list(self.plan.inputs.values())
        frames, size = max(shape[1] for shape in shapes), shapes[0][2]
        made: list[Arch] = []
        for overrides in ({"size": size}, {"size": size, "frames": frames}):
            try:
                arch = load(model(name).arch(**overrides))
                reads = {len(found) for found in compile(arch).frames_read.values()}
            except SpecError:
                continue
            if reads == {frames}:
                return arch
            made.append(arch)
        return made[0] if made else load(name)

    def outputs_beside(self, network: nn.Module, weights: Carried, plan: Plan) -> float | None:
        """The largest difference of outputs with the same weights; None where the clips are not alike."""
        torch.manual_seed(0)
        clip = random_clips(plan, device="cpu")
        if not isinstance(clip, Tensor):
            return None
        given = tuple(as_input(clip, x) for x in self.clips)
        if [tuple(x.shape) for x in given] != [tuple(x.shape) for x in self.clips]:
            return None
        network.load_state_dict(weights.tensors, strict=False)
        training, module = self.module.training, self.module.eval()
        with torch.no_grad():
            theirs, ours = first_tensor(module(*self.arguments(given))), first_tensor(network(clip))
        module.train(training)
        if theirs.numel() != ours.numel():
            return None
        return largest_difference({"": ours.flatten()}, {"": theirs.flatten()})

    def arguments(self, clips: tuple[Tensor, ...]) -> tuple[Any, ...]:
        """Clips as the module takes them: one as it is, several in a list."""
        return clips if len(clips) == 1 else ([*clips],)


def read(module: nn.Module, clip: Any, *, name: str | None = None) -> ModuleReading:
    """Any torch module as a plan, through torch.export: `clip` is a tensor that it takes, or a list of several.

    Raises SpecError where torch cannot trace it.
    """
    if not isinstance(module, nn.Module):
        raise SpecError("not a torch module", got=excerpt(repr(module)), want="torch.nn.Module, such as make_model()")
    clips = tuple(clip) if isinstance(clip, list | tuple) else (clip,)
    if not clips or not all(isinstance(x, Tensor) for x in clips):
        raise SpecError("not a clip", got=excerpt(repr(clip)), want="a tensor (n, c, t, h, w), or a list of such")
    steps = module_steps(module, list(clips) if len(clips) > 1 else clips[0])
    name = name or type(module).__name__
    return ModuleReading(name, module, clips, steps, ModulePlan(steps, name).plan())


def reading_of_file(text: str, clips: Sequence[tuple[int, ...]]) -> ModuleReading:
    """The module that FILE.py:make_model makes, read on clips of these sizes. The file is executed."""
    module, name = function_in_file(text, "a module")
    network = network_made_by(getattr(module, name), name)
    given = [torch.zeros(1, *sizes) for sizes in clips]
    return read(network, given if len(given) > 1 else given[0], name=name)


def write_carried(found: ModuleComparison, path: str | Path) -> None:
    """The module's weights under the addresses of the network it was compared with. Raises SpecError for a part."""
    tensors, missing = found.carried
    if missing:
        raise SpecError(
            f"not all weights of {found.arch.name} follow from {found.name}",
            at=missing[0],
            got=f"{len(tensors)} of {len(tensors) + len(missing)} tensors",
            want="steps that match, all of them",
            fix="--vs another network: the differences say what is in the way",
        )
    about = json.dumps({"model": found.arch.name, "dialect": "archdsl", "input": None})
    written = {name: x.detach().contiguous().clone() for name, x in tensors.items()}
    write_out(path, save(written, {"format": "pt", METADATA: about}))


def module_steps(module: nn.Module, clips: Any) -> Steps:
    """The steps of a module on clips."""
    sizes = {name: tuple(x.shape) for name, x in module.state_dict().items()}
    return steps_of(traced_module(module, clips), sizes)


def as_input(clip: Tensor, like: Tensor) -> Tensor:
    """A clip as an input of a module: its frames, at equal steps, and its axes."""
    turned = like.ndim == 5 and like.shape[1] != clip.shape[1]
    frames = like.shape[1 if turned else 2] if like.ndim == 5 else 1
    made = clip[:, :, :: max(clip.shape[2] // frames, 1)]
    made = made.transpose(1, 2) if turned else made
    return made[:, :, 0] if like.ndim == 4 else made.contiguous()


def first_tensor(outputs: Any) -> Tensor:
    """The first tensor of outputs, whatever they lie in."""
    if isinstance(outputs, Tensor):
        return outputs
    return first_tensor(next(iter(outputs.values() if hasattr(outputs, "values") else outputs)))
