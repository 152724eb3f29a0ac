"""A traced network as an ONNX file, run by onnxruntime."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import onnxscript as onnxscript  # torch's exporter needs it, and says so late
import torch
from torch import Tensor

from archdsl.backend.export.program import EXPORT_ERRORS, TracedNetwork, not_exportable, quietly
from archdsl.spec.files import write_out

LARGEST_FILE = 1_900_000_000
"""Bytes of weights in one file: protobuf ends at 2 GB. More go into a file beside it."""
QUIET = 3
"""onnxruntime: errors only."""


class OnnxFile:
    """A network in ONNX."""

    def __init__(
        self,
        program: TracedNetwork,
        inputs: Sequence[str],
        outputs: Sequence[str],
        about: Mapping[str, Any],
        *,
        small: bool,
    ) -> None:
        """Raises SpecError where an op has no counterpart. A graph that is not `small` is left as it is traced."""
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it lists what it found no package for
        try:
            self.made: Any = quietly(
                lambda: torch.onnx.export(
                    program.traced,
                    input_names=[*inputs],
                    output_names=[*outputs],
                    dynamo=True,
                    verbose=False,
                    optimize=small,
                )
            )
        except (*EXPORT_ERRORS, torch.onnx.OnnxExporterError) as error:
            raise not_exportable("torch.onnx", error) from None
        if not small:
            without_made_biases(self.made.model.graph)
        self.made.model.metadata_props["archdsl"] = json.dumps(about)
        self.size = sum(x.numel() * x.element_size() for x in program.traced.state_dict.values())

    def write(self, path: Path) -> None:
        """Write it; weights beyond protobuf's 2 GB go into a file beside it."""
        if self.size > LARGEST_FILE:
            self.made.save(path, external_data=True)
        else:
            write_out(path, self.made.model_proto.SerializeToString())


def without_made_biases(graph: Any) -> None:
    """Take away the zeros that onnxscript 0.7 adds to a 3-D convolution without a bias.

    Their shape is wrong, which its optimiser hides by dropping them.
    """
    for node in graph:
        made = (
            node.inputs[2].producer() if node.op_type == "Conv" and len(node.inputs) == 3 and node.inputs[2] else None
        )
        if made is not None and made.op_type == "Expand":
            node.replace_input_with(2, None)


def run_onnx(path: Path, clips: Any) -> list[Tensor]:
    """What onnxruntime gives for clips, in the order of the outputs."""
    onnxruntime.set_default_logger_severity(QUIET)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = {"": clips} if isinstance(clips, Tensor) else clips
    names = [node.name for node in session.get_inputs()]
    feeds = {names[0]: clips} if isinstance(clips, Tensor) else {name: given[name] for name in names}
    return [torch.from_numpy(x) for x in session.run(None, {name: x.numpy() for name, x in feeds.items()})]
