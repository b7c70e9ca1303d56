"""Where a task stands: its frames, and which of them are the user's code.

The frames of a task that waits are found by Trio's public `Task.iter_await_frames`. A task that runs is seen only by
another thread, by a signal handler, or by its own code: then its frames are at the inner end of its thread's stack.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from traceback import FrameSummary, StackSummary
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.lowlevel import Task

Frames: TypeAlias = list[tuple[FrameType, int]]
"""Frames with their lines, the outermost first."""

# The folders of two packages: their frames say nothing to a user.
TRIOREG = os.path.dirname(os.path.dirname(__file__)) + os.sep
_TRIO = os.path.dirname(trio.__file__) + os.sep


def stack_of(task: Task) -> list[FrameSummary]:
    """The frames in which a task waits, the innermost last, without the frames of trioreg and Trio.

    The cost grows with the number of frames; the lines of the source are read from disk once.
    """
    return users_part(_awaiting(task))


def users_part(frames: Frames) -> StackSummary:
    """The frames of the user's code among these. It keeps no frame alive."""
    users = [(frame, line) for frame, line in frames if not frame.f_code.co_filename.startswith((TRIOREG, _TRIO))]
    return StackSummary.extract(iter(users))


def is_running(task: Task) -> bool:
    """Whether a task runs now, in this thread or in another one."""
    return bool(getattr(task.coro, "cr_running", False))


def frames_of(task: Task, thread: int) -> Frames:
    """All frames of a task. ``thread`` is the thread of its Trio run."""
    if is_running(task):
        outermost = task.coro.cr_frame
        running = running_from(lambda frame: frame is outermost, thread)
        if running:
            return running
    return _awaiting(task)


def _awaiting(task: Task) -> Frames:
    frames: Frames = []
    # Another thread may take a step meanwhile: then an object that Trio looks at has no frame any more.
    with suppress(AttributeError):
        for frame, line in task.iter_await_frames():
            frames.append((frame, line))  # so that those before it are not lost
    return frames


def is_of_trio(frame: FrameType) -> bool:
    """Whether a frame runs Trio's own code."""
    return frame.f_code.co_filename.startswith(_TRIO)


def running_from(is_outermost: Callable[[FrameType], bool], thread: int) -> Frames:
    """The frames that a thread runs, from the innermost one on that this is true of. Empty if there is none such."""
    frame = sys._current_frames().get(thread)
    frames: Frames = []
    while frame is not None:
        frames.append((frame, frame.f_lineno))
        if is_outermost(frame):
            return frames[::-1]
        frame = frame.f_back
    return []


def local_in(frame: FrameType, name: str) -> Any:
    """The value of a local variable of a frame; None if it has none yet. The frame keeps no copy of its variables."""
    found = frame.f_locals
    value = found.get(name)
    # Before Python 3.13 this is a copy, which the frame keeps. Under a debugger it is written back into the frame.
    if type(found) is dict and frame.f_trace is None and sys.gettrace() is None:
        found.clear()  # pragma: no cover  # what measures the coverage is such a debugger
    return value
