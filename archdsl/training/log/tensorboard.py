"""A run's metrics for TensorBoard, written synchronously: torch's writer has a thread whose errors are lost."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


class EventFile:
    """An event file."""

    def __init__(self, folder: Path, first: int) -> None:
        """For steps from `first` on; TensorBoard drops those steps of other files in the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}"
        self.write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self.write(Event(wall_time=time.time(), step=first, session_log=SessionLog(status=SessionLog.START)))

    def add(self, figures: Mapping[str, float], step: int) -> None:
        """Write the metrics of a step."""
        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        self.write(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def write(self, event: Event) -> None:
        """Add an event to the file."""
        with self.path.open("ab") as file:
            RecordWriter(file).write(event.SerializeToString())
