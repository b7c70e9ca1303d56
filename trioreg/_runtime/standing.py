"""Where a task stands: the frames of the user's code in it, found by Trio's public `Task.iter_await_frames`."""

from __future__ import annotations

import os
from traceback import FrameSummary, StackSummary
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from trio.lowlevel import Task

# The folders of two packages: their frames say nothing to a user.
_TRIOREG = os.path.dirname(os.path.dirname(__file__)) + os.sep
_TRIO = os.path.dirname(trio.__file__) + os.sep


def stack_of(task: Task) -> list[FrameSummary]:
    """The frames in which a task waits, the innermost last: without those of trioreg and of Trio.

    The cost grows with their number; the lines of the source are read from disk once.
    """
    frames = StackSummary.extract(task.iter_await_frames())
    return [frame for frame in frames if not frame.filename.startswith((_TRIOREG, _TRIO))]
