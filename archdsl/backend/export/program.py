"""A network traced by torch.export: for batches of any size where it can be, else for one."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from archdsl.errors import SpecError

ABOUT_FILE = "archdsl.json"
"""What is said of the network in a .pt2 file: `extra_files` of torch.export.load."""
BATCH = "batch"
EXPORT_ERRORS = (RuntimeError, ValueError, TypeError, AssertionError, LookupError, NotImplementedError, AttributeError)
"""What torch's exporters raise for a network that they cannot take (2.13); the rest of theirs derive from these."""
REFUSED = re.compile(r"(?:No ONNX function|No decompositions|not.{0,40}supported|in the call to)\D*(aten\.\w+)")
"""How torch's exporters name an op that they do not know (2.13)."""
MOST_REASON = 160
"""Letters of a reason that are shown."""


class TracedNetwork(NamedTuple):
    """A traced network."""

    traced: ExportedProgram
    batch: int | None
    """None for any."""
    why_fixed: str = ""
    """Why not any, in torch's words."""


def traced_program(network: nn.Module, clips: Any, batch: int | None = None) -> TracedNetwork:
    """The network as a program of torch's, for any number of clips at once, or for `batch`.

    `clips` are two clips or more, or `batch`. Raises SpecError where torch cannot trace it.
    """
    if batch is None:
        dim = Dim(BATCH)
        sizes: Any = {0: dim} if isinstance(clips, Tensor) else {name: {0: dim} for name in clips}
        try:
            return TracedNetwork(quietly(lambda: torch.export.export(network, (clips,), dynamic_shapes=(sizes,))), None)
        except EXPORT_ERRORS as error:
            why = refusal_text(error)
            return TracedNetwork(statically(network, first_clips(clips, 1)), 1, why)
    return TracedNetwork(statically(network, clips), batch)


def statically(network: nn.Module, clips: Any) -> ExportedProgram:
    """The network traced for as many clips as are given. Raises SpecError where it cannot be."""
    try:
        return quietly(lambda: torch.export.export(network, (clips,)))
    except EXPORT_ERRORS as error:
        raise not_exportable("torch.export", error) from None


def first_clips(clips: Any, count: int) -> Any:
    """The first of a batch."""
    return clips[:count] if isinstance(clips, Tensor) else {name: clip[:count] for name, clip in clips.items()}


def quietly(make: Callable[[], Any]) -> Any:
    """What a function gives, without warnings: torch's exporters warn of their own parts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


def not_exportable(what: str, error: BaseException) -> SpecError:
    """The error of a network that an exporter does not take: the op in the way, where it names one."""
    return SpecError(
        f"{what} cannot take this network",
        got=refusal_text(error),
        want="ops that it knows",
        fix="-o net.safetensors, or archdsl emit: Python that needs torch only",
    )


def refusal_text(error: BaseException | None) -> str:
    """Why an exporter failed, in a line: the op in the way, or the first line of the innermost error."""
    texts = []
    while error:
        texts.append(str(error))
        error = error.__cause__ or error.__context__
    for text in texts:
        if found := REFUSED.search(text):
            return found[1]
    lines = [line.strip() for line in (texts or [""])[-1].splitlines() if line.strip()]
    return (lines or ["no reason given"])[0][:MOST_REASON]


def pt2_file(program: TracedNetwork, about: Mapping[str, Any]) -> bytes:
    """The bytes of a .pt2 file."""
    file = BytesIO()
    quietly(lambda: torch.export.save(program.traced, file, extra_files={ABOUT_FILE: json.dumps(about)}))
    return file.getvalue()


def run_pt2(data: bytes, clips: Any) -> Any:
    """What the program of a .pt2 file gives for clips."""
    program = quietly(lambda: torch.export.load(BytesIO(data)))
    with torch.no_grad():
        return program.module()(clips)
