"""The places of a pool, the workers in them, and the callers that wait for these.

A `Place` is there as long as the pool has that size. A `Worker` is one life of the actor in it. What belongs to one
life, as a claim does, never reaches the next one.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import trio

from .._actors import RUNNING
from .._runtime import current_run, do_later, wake
from .line import Line

if TYPE_CHECKING:
    from collections.abc import Hashable

    from trio.lowlevel import Task

    from .._actors import Cell, Wait
    from .._supervision import Child


class WorkerState(Enum):
    IDLE = "idle"
    """Free, as far as the desk knows. It may be ending."""

    GIVEN = "given"
    """Given to a caller that waits, and that has not had its turn yet."""

    BUSY = "busy"
    """A caller has it."""

    FINISHING = "finishing"
    """Given back, and still at work."""

    GONE = "gone"
    """The worker has ended, or is ending and the desk has seen that."""


class Worker:
    """One life of a worker.

    Attributes:
        place: Its place.
        cell: The record of the actor.
        state: What the desk knows of it.
        ticket: The caller that it is given to, while that has not had its turn.
        claimer: The task that has claimed it.
    """

    __slots__ = ("cell", "claimer", "place", "state", "ticket")

    def __init__(self, place: Place, cell: Cell) -> None:
        self.place = place
        self.cell = cell
        self.state = WorkerState.IDLE
        self.ticket: Ticket | None = None
        self.claimer: Task | None = None

    @property
    def is_running(self) -> bool:
        """Whether it takes messages, and is not asked to end."""
        return self.cell.state == RUNNING

    @property
    def is_busy(self) -> bool:
        return self.state in (WorkerState.GIVEN, WorkerState.BUSY, WorkerState.FINISHING)


class Ticket:
    """One caller that waits.

    Attributes:
        number: Its place: callers that came before it have smaller ones.
        key: The key that it asked with.
        place: The place whose worker it waits for; None if any worker will do.
        line: The line that it stands in; None while it stands in none.
        since: When it began to wait, as `trio.current_time`, in seconds.
        worker: The worker that it has been given; it may end before the caller has its turn.
        error: Why it gets no worker.
        task: The caller's task. While that is asleep, it has this in its ``custom_sleep_data``.
        wait: Its wait in the wait-for graph, while it is asleep and keeps an actor from its next message.
    """

    __slots__ = ("error", "key", "line", "number", "place", "since", "task", "wait", "worker")

    def __init__(self, number: int, key: Hashable, place: Place | None, since: float) -> None:
        self.number = number
        self.key = key
        self.place = place
        self.line: Line[Ticket] | None = None
        self.since = since
        self.worker: Worker | None = None
        self.error: BaseException | None = None
        self.task: Task | None = None
        self.wait: Wait | None = None

    @property
    def is_woken(self) -> bool:
        """Whether the caller has been woken, by the desk or by a cancellation, and has not had its turn yet."""
        return self.task is not None and self.task.custom_sleep_data is not self

    def wake(self) -> None:
        """Wake the caller, if it is asleep. It is woken once, whatever it is given before its turn."""
        task = self.task
        if task is not None and task.custom_sleep_data is self:
            try:
                wake(task)
            except (RecursionError, MemoryError):
                do_later(current_run().token, self.wake)  # there is no room here; it must not sleep for ever


class Place:
    """One of the places of a pool.

    Attributes:
        number: From 0. It is also the name of its worker in the pool's registry.
        child: The worker as a child of the supervisor; None before it is started.
        worker: Its life at the desk. None while there is none to give.
        line: The callers that wait for this worker and no other.
        coming: How many callers are about to come over from other lines.
        turn: When it was last chosen, for the strategies that count.
        freed: Set when the worker is not busy; None until something waits for that.
        is_leaving: Whether it is not given to callers any more: the pool gets smaller, or ends.
        gone: Set when its worker has ended for good.
    """

    __slots__ = ("child", "coming", "freed", "gone", "is_leaving", "line", "number", "turn", "worker")

    def __init__(self, number: int) -> None:
        self.number = number
        self.child: Child | None = None
        self.worker: Worker | None = None
        self.line: Line[Ticket] = Line()
        self.coming = 0
        self.turn = 0
        self.freed: trio.Event | None = None
        self.is_leaving = False
        self.gone = trio.Event()

    @property
    def is_present(self) -> bool:
        """Whether it has a worker that takes messages."""
        return self.worker is not None and self.worker.is_running

    @property
    def is_busy(self) -> bool:
        return self.worker is not None and self.worker.is_busy

    @property
    def blocker(self) -> Cell | None:
        """The actor that has to go on before there is a free worker here. None if there is none, or none yet."""
        if self.worker is None:
            return None if self.child is None else self.child.life
        return None if self.worker.state is WorkerState.GIVEN else self.worker.cell

    @property
    def load(self) -> int:
        """How many callers it has, at work and in line."""
        return len(self.line) + self.coming + self.is_busy

    async def wait_free(self) -> None:
        """Wait until its worker is not busy. Call it for a place that is leaving. A checkpoint."""
        if self.freed is None:
            freed = trio.Event()
            if not self.is_busy:
                freed.set()
            self.freed = freed
        await self.freed.wait()

    def set_free(self) -> None:
        if self.freed is not None:
            self.freed.set()
