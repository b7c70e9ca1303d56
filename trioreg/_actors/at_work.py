"""What an actor is at: the handler that it runs and since when, and where its tasks stand.

Asking costs only those who ask. An async handler is noted in the cell when it begins, because it may hang. A sync
handler is not: it is over before another task can ask. Only another thread, a signal handler, or the handler itself can
see it at work, and then it is found on the stack of the thread.
"""

from __future__ import annotations

from inspect import unwrap
from itertools import islice
from typing import TYPE_CHECKING, cast

import trio

from .._runtime import current_actor, frames_of, is_running, local_in, running_from
from .answers import answer_in_callers_turn, wait_answer
from .hot_paths import serve, serve_casts
from .shared_turn import handle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

    from trio import Nursery
    from trio.lowlevel import Task

    from .._runtime import Frames
    from .call import Call
    from .cell import Cell
    from .handler import Handler

MOST_SORTED = 1000
"""Up to how many tasks of one nursery are shown by name."""

# The functions that run a handler. In each, ``cell`` is the actor, and ``handler`` what it runs.
_ELSEWHERE = {answer_in_callers_turn.__code__, handle.__code__}  # not in the actor's own task
_HANDLING = {*_ELSEWHERE, serve.__code__, serve_casts.__code__}

# In this one, ``call`` is what the task waits for.
_WAITING = wait_answer.__code__

# In this one, ``self`` is the lock.
_LOCKING = unwrap(trio.Lock.acquire).__code__


def handling(cell: Cell) -> tuple[str | None, float | None]:
    """The handler that an actor runs, and since when. The time of a sync handler is not known."""
    name, since = cell.handling, cell.handling_since
    if name is not None:
        return name, since
    if cell.hooks is not None and (cell.runs_in or (cell.task is not None and is_running(cell.task))):
        frames = running_from(lambda frame: _is_handling(frame, cell), cell.thread)
        handler = cast("Handler | None", local_in(frames[0][0], "handler")) if frames else None
        if handler is not None:
            return handler.name, None
    return None, None


def _is_handling(frame: FrameType, cell: Cell) -> bool:
    return frame.f_code in _HANDLING and local_in(frame, "cell") is cell


def own_frames(cell: Cell) -> Frames:
    """The frames of an actor's own task; or of its handler, if that runs in another task."""
    if cell.runs_in:
        running = running_from(lambda frame: frame.f_code in _ELSEWHERE and _is_handling(frame, cell), cell.thread)
        if running:
            return running
    return [] if cell.task is None else frames_of(cell.task, cell.thread)


def awaited_call(frames: Frames) -> Call | None:
    """The call that a task with these frames waits for."""
    for frame, _ in reversed(frames):
        if frame.f_code is _WAITING:
            call = cast("Call | None", local_in(frame, "call"))
            return None if call is None or call.is_done else call
    return None


def holder_of_awaited_lock(frames: Frames) -> Task | None:
    """The task that has the lock for which a task with these frames waits: a `trio.Lock`, or one of a registry."""
    for frame, _ in reversed(frames):
        if frame.f_code is _LOCKING:
            lock = local_in(frame, "self")
            return lock.statistics().owner if isinstance(lock, trio.Lock | trio.StrictFIFOLock) else None
    return None


def other_tasks(cell: Cell, at_most: int | None = None) -> Iterator[tuple[Task, Frames]]:
    """The tasks of an actor beside its own, with their frames: background tasks, tasks in nurseries, and turns.

    ``at_most`` is how many tasks of one nursery are given at most; None: all.
    """
    background = cell.life.background
    if cell.is_side_by_side:
        # What is below a supervisor is its children, which are no tasks of its own.
        turns = None if background is None else background.turns
        for task in () if turns is None else list(turns.by_task):
            yield task, frames_of(task, cell.thread)
        return
    todo: list[Task] = [] if cell.task is None else _below(cell.task, cell, at_most)
    todo += () if background is None else list(background.tasks)
    for task in todo:
        yield task, frames_of(task, cell.thread)
        todo += _below(task, cell, at_most)


def _below(task: Task, cell: Cell, at_most: int | None) -> list[Task]:
    """The tasks in the nurseries of a task that run the actor's code."""
    return [
        child
        for nursery in task.child_nurseries
        for child in islice(_in_order(_children(nursery)), at_most)
        if child.context.get(current_actor) is cell.ref
    ]


def _in_order(tasks: frozenset[Task]) -> Iterable[Task]:
    """By name. Very many are not sorted: that takes long."""
    return tasks if len(tasks) > MOST_SORTED else sorted(tasks, key=lambda each: each.name)


def _children(nursery: Nursery) -> frozenset[Task]:
    try:
        return nursery.child_tasks
    except AttributeError:
        return frozenset()  # Trio is making it just now, in another thread, or below the signal handler that asks
