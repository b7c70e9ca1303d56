"""A caller that would wait for ever gets `CallCycle` before it waits.

There are two such callers. One is a task that has claimed every worker that could serve it: it leaves no claim while it
waits. The other is an actor for which all these workers wait, directly or through other actors. A task that changes the
size may wait for a worker that is to leave: it must not have claimed that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio.lowlevel import current_task

from .._actors import begin_wait_for_any
from .._runtime import CallCycle, current_owner
from .place import WorkerState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trio.lowlevel import Task

    from .._actors import Cell, Wait
    from .place import Place, Ticket


def begin_wait(ticket: Ticket, places: Callable[[], Sequence[Place]], pool: str, *, others_come: bool) -> Wait | None:
    """The current task waits for a worker of any of these places. Call `Wait.end_wait` at the end.

    Args:
        ticket: It stands for the task in the line.
        places: The places.
        pool: The name of the pool.
        others_come: Whether there may be more places soon, without this task.

    Returns:
        The wait in the wait-for graph; None if the task keeps no actor from its next message.

    Raises:
        CallCycle: It would wait for ever.
    """
    task = current_task()
    if not others_come:
        there = places()
        error = cycle_of_claims(there, task)
        if error is not None:
            which = "the worker" if len(there) == 1 else f"all {len(there)} workers"
            error.add_note(
                f"this task has claimed {which} of the pool {pool!r} that could serve it: use the claimed worker"
            )
            raise error
    note = f"all workers of the pool {pool!r} wait: give this work a pool of its own"
    return begin_wait_for_any(lambda: [None] if ticket.is_woken else [p.blocker for p in places()], task, note)


def cycle_of_claims(places: Sequence[Place], task: Task) -> CallCycle | None:
    """The error, if the task has claimed the workers of all these places. The cost grows with those that it has
    claimed."""
    for place in places:
        if not is_claimed_by(task, place):
            return None
    worker = places[0].worker
    assert worker is not None
    owner = current_owner()
    cell: Cell | None = getattr(owner, "_cell", None)
    title = "the task" if cell is None else cell.title
    return CallCycle([owner, worker.cell.ref, owner], [title, worker.cell.title, title])


def is_claimed_by(task: Task | None, place: Place) -> bool:
    """Whether a task has claimed the worker of a place, and that is not ending."""
    worker = place.worker
    return (
        worker is not None
        and worker.claimer is not None
        and worker.claimer is task
        and worker.state is WorkerState.BUSY
        and worker.is_running
    )
