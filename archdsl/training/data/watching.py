"""A process that reads videos and hangs in a decoder cannot be asked to stop: it ends itself, and the feed goes on."""

from __future__ import annotations

from faulthandler import cancel_dump_traceback_later, dump_traceback_later

from torch.utils.data import get_worker_info

from archdsl.training.data.decoding import PATIENCE

HANGS = 3 * PATIENCE
"""Seconds for one clip, or for the flow of one pair of frames: more than two tries, which watch the time too."""
STDERR = 2
GAVE_UP = 1
"""Its exit code: faulthandler's."""


def alive() -> None:
    """Begin to wait anew, in a process that only reads."""
    if get_worker_info():
        dump_traceback_later(HANGS, exit=True, file=STDERR)


def done() -> None:
    """Wait no more."""
    if get_worker_info():
        cancel_dump_traceback_later()
