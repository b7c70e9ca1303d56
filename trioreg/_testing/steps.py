"""Wait for the next step of the program. A task that only looks at the program, as in `settled`, is an onlooker: its
steps do not count.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio
from trio.lowlevel import RunVar, Task, add_instrument, current_task, remove_instrument
from trio.testing import wait_all_tasks_blocked

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

_LOOK_AGAIN = 0.01
"""How long nothing must happen before the threads are looked at again, in seconds of real time."""


class Steps(trio.abc.Instrument):
    """Notices that a task is going to run that is no onlooker."""

    def __init__(self, onlookers: Mapping[Task, object]) -> None:
        self._onlookers = onlookers
        self._event = trio.Event()

    def task_scheduled(self, task: Task) -> None:
        if task not in self._onlookers:
            self.note()

    def note(self) -> None:
        self._event.set()

    async def wait(self, due: float, *, holds_clock: bool) -> None:
        """Wait for the next step, or until ``due``: at that deadline no task runs if the task with it is shielded.

        With ``holds_clock``, wait for a moment of real time in which a virtual clock does not jump: a thread works.
        """
        if holds_clock:
            await wait_all_tasks_blocked(_LOOK_AGAIN)
            return
        self._event = trio.Event()
        with trio.CancelScope(deadline=due):
            await self._event.wait()


@contextmanager
def steps_of_others() -> Generator[Steps]:
    """In the block, the current task is an onlooker."""
    task = current_task()
    onlookers = _onlookers()
    steps = onlookers[task] = Steps(onlookers)
    add_instrument(steps)
    try:
        yield steps
    finally:
        remove_instrument(steps)
        del onlookers[task]
        for other in onlookers.values():
            other.note()  # they have not seen its steps, and from now on these count


_tasks_that_look_on: RunVar[dict[Task, Steps]] = RunVar("trioreg tasks that look on")


def _onlookers() -> dict[Task, Steps]:
    """The onlookers of this run."""
    try:
        return _tasks_that_look_on.get()
    except LookupError:
        tasks: dict[Task, Steps] = {}
        _tasks_that_look_on.set(tasks)
        return tasks
