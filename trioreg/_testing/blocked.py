"""What the tasks of a run wait for when none of them can run: a thread, a socket, time, or nothing that could come."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING

from trio.lowlevel import current_root_task

from .._runtime import one_line, stack_of

if TYPE_CHECKING:
    from trio.lowlevel import Task

_SHOWN = 12
"""How many tasks a report shows."""

_IO = frozenset({"_io_epoll.py", "_io_kqueue.py", "_io_windows.py", "_wait_for_object.py", "_signals.py"})
"""Trio's files whose code waits for the system: sockets, pipes, processes, signals."""

_NUMBER = re.compile(" #[0-9]+")


def tasks_of_run(top: Task | None = None) -> Iterator[Task]:
    """All tasks of the current run, or those below one of them and that one: each before those that it has started."""
    root = top or current_root_task()
    todo = [] if root is None else [root]
    while todo:
        task = todo.pop()
        yield task
        for nursery in task.child_nurseries:
            todo += nursery.child_tasks


def waits_outside() -> tuple[bool, bool, bool]:
    """What the tasks of the current run wait for, of all that comes from outside: for a thread; for a socket, a process
    or a signal; for the moment at which all other tasks are blocked.
    """
    thread = io = idle = False
    for task in tasks_of_run():
        if _file_of(task.coro.cr_code) == "_entry_queue.py":
            continue  # Trio's own: it waits for calls from other threads
        # The innermost frames say it: a function of a thread may run in the task that waits for that thread.
        for frame, _ in list(task.iter_await_frames())[-3:]:
            code = frame.f_code
            thread |= code.co_name == "to_thread_run_sync"
            idle |= code.co_name == "wait_all_tasks_blocked"
            io |= _file_of(code) in _IO
    return thread, io, idle


@lru_cache(1000)
def _file_of(code: CodeType) -> str:
    return os.path.basename(code.co_filename)


def place_of(task: Task) -> str:
    """Where the user's code of a task stands, as in ``"shop.py:31: await shop.call(Shop.take)"``. Empty if none of it
    has begun.
    """
    stack = stack_of(task)
    if not stack:
        return ""
    last = stack[-1]
    line = f": {last.line}" if last.line else ""
    return one_line(f"{os.path.basename(last.filename)}:{last.lineno}{line}")


def label_of(task: Task) -> str:
    """What a task is called, without the module and the function around its function. The number of an actor is left
    out, because it differs from run to run.
    """
    name = one_line(task.name)
    before, _, inner = name.rpartition("<locals>.")
    if before:
        return inner
    parts = name.split(".")
    return parts[-1] if all(part.isidentifier() for part in parts) else _NUMBER.sub("", name)


def report_of_waits() -> str:
    """A line for each task of the current run that waits in the user's code: what it is called, and where it waits."""
    places = [(label_of(task), place_of(task)) for task in tasks_of_run()]
    lines = [f"  '{label}' waits at {place}" for label, place in places if place]
    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"  and {len(lines) - _SHOWN} more"]
    return "\n".join(lines)
