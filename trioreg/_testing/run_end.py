"""The end of all tasks beside the current one, in its nursery: pytest-trio runs each fixture of a test in such a task.

Fixtures that do not need each other end side by side. What one of them still holds is no leak: it is about to end.
"""

from __future__ import annotations

import trio
from trio.lowlevel import add_instrument, current_task, remove_instrument


class _Ends(trio.abc.Instrument):
    """Sees the end of each task."""

    def __init__(self) -> None:
        self.seen = trio.Event()

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self.seen.set()


async def wait_until_alone() -> None:
    """Wait until no other task is in the nursery that the current task is in. A checkpoint only if it waits."""
    task = current_task()
    nursery = task.parent_nursery
    assert nursery is not None
    ends = _Ends()
    add_instrument(ends)
    try:
        while nursery.child_tasks - {task}:
            await ends.seen.wait()
            ends.seen = trio.Event()
    finally:
        remove_instrument(ends)
