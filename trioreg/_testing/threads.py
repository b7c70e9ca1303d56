"""Which actors wait for a thread. A thread works in real time, also while the clock of the test is virtual."""

from __future__ import annotations

from inspect import unwrap
from typing import TYPE_CHECKING

import trio

from .._actors import ENDING, other_tasks, own_frames

if TYPE_CHECKING:
    from .._actors import Cell
    from .._runtime import Frames

_IN_THREAD = unwrap(trio.to_thread.run_sync).__code__


def waits_for_thread(cell: Cell) -> bool:
    """Whether the code of an actor waits for a thread: a handler, a hook, a function or a background task."""
    return _is_in_thread(own_frames(cell)) or _is_beside_in_thread(cell)


def ends_with_thread(cell: Cell) -> bool:
    """Whether the actor keeps an end waiting for a thread: its own end, or the end of an actor that calls it.

    If the actor is ending, all of its code counts. Otherwise only its handler does. A function, or a background task,
    may wait for a thread as long as it lives, to read from a keyboard for example.
    """
    if cell.state == ENDING:
        return waits_for_thread(cell)
    return cell.hooks is not None and _is_in_thread(own_frames(cell))


def _is_beside_in_thread(cell: Cell) -> bool:
    return any(_is_in_thread(frames) for _, frames in other_tasks(cell))


def _is_in_thread(frames: Frames) -> bool:
    return any(frame.f_code is _IN_THREAD for frame, _ in frames)
