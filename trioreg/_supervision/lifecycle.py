"""The lifecycle of a supervisor: when it closes, and which errors leave it.

Every part of a supervisor asks here whether the supervisor still starts children, and tells here what has to end it.
A `Lifecycle` decides nothing about a single child.

Must never happen: a supervisor that closes while a child still has a life to come; an error that is told here and does
not leave the supervisor.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Protocol, cast

import trio
from trio.lowlevel import current_task, enable_ki_protection

from .._actors import ENDED
from .._runtime import SHUTDOWN, NotRunning, current_actor, current_run, require_room
from .failures import combined
from .shutdown import end

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._actors import Cell
    from .._runtime import RestartLimitExceeded, Run
    from .child import Child


class Restarting(Protocol):
    """The children in a group restart, as a `Lifecycle` sees them."""

    def __len__(self) -> int: ...

    def wake_waiters(self) -> None:
        """Wake the starts that wait for the end of that restart."""


class Lifecycle:
    """From the first child's start to the last child's end.

    Attributes:
        label: What the supervisor is called in errors and in the log.
        nursery: The nursery of the children's tasks, and of the tasks that wait on the supervisor's behalf.
        is_open: Whether the supervisor has begun, and its last child has not ended.
        is_closing: Whether the supervisor ends: nothing is started any more.
        closes_when_empty: Whether the supervisor ends with its last child.
        lives: How many children have a life, or wait for a delayed restart. (Those in a restart group have neither.)
        starts: The lives that are starting while a task waits for that. A group restart takes out those that it ends.
        forgives: Whether the supervisor is being ended from outside, so that a crash does not leave it any more.
    """

    __slots__ = (
        "_changed",
        "_failures",
        "_restart_group",
        "_run",
        "closes_when_empty",
        "forgives",
        "is_closing",
        "is_open",
        "label",
        "lives",
        "nursery",
        "starts",
    )

    def __init__(self, label: str, restart_group: Restarting) -> None:
        self.label = label
        self.nursery: trio.Nursery
        self.is_open = False
        self.is_closing = False
        self.closes_when_empty = False
        self.lives = 0
        self.starts: dict[Cell, Child] = {}
        self.forgives: Callable[[], bool] = never
        self._restart_group = restart_group
        self._run: Run | None = None
        self._changed = trio.Event()
        self._failures: list[BaseException] = []

    def begin(self) -> None:
        """Called in the supervisor's own task, before anything else."""
        self._run = current_run()

    def begin_top(self, supervisor: object) -> None:
        """This supervisor has no supervisor above it: from now on the run knows it."""
        assert self._run is not None
        actor = current_actor.get(None)
        self._run.supervisors[supervisor] = None if actor is None or not actor._owns(current_task()) else actor

    def end_top(self, supervisor: object) -> None:
        """A supervisor without another one above it is over. If the run does not know it, this does nothing."""
        assert self._run is not None
        self._run.supervisors.pop(supervisor, None)

    def now(self) -> float:
        """`trio.current_time`, from any thread. 0 before the supervisor has begun."""
        return 0.0 if self._run is None else self._run.now()

    def require_thread(self) -> None:
        """Raise `RuntimeError` unless this is the thread of the Trio run that the supervisor lives in."""
        run = self._run
        if run is None:
            raise NotRunning(self.label)
        if get_ident() != run.thread:
            raise RuntimeError(
                f"{self.label} lives in the Trio run of another thread: use trio.from_thread to get there"
            )

    @property
    def is_accepting(self) -> bool:
        """Whether children can be started."""
        return self.is_open and not self.is_closing

    async def refuse(self) -> None:
        """Raise `NotRunning`. A task that is cancelled together with the supervisor gets `trio.Cancelled` instead."""
        await trio.lowlevel.checkpoint_if_cancelled()
        raise NotRunning(self.label)

    # What there is to do for the supervisor's own task

    def notify(self) -> None:
        """Wake the supervisor's own task: there is something to do, or no reason to wait any more."""
        self._changed.set()

    async def wait_notified(self) -> None:
        await self._changed.wait()
        self._changed = trio.Event()

    # The end

    @enable_ki_protection
    def close(self) -> None:
        """Begin to shut down. Not a checkpoint."""
        require_room()  # Trio can't undo an event that is set half-way, and it would never be set again
        self.is_closing = True
        self.notify()
        self._restart_group.wake_waiters()
        for cell, child in list(self.starts.items()):
            self.end_start(child, cell)

    def close_if_done(self) -> None:
        """Close if the supervisor ends with its last child, and that has ended for good."""
        if self.closes_when_empty and not self.lives and not self._restart_group:
            self.close()

    def end_start(self, child: Child, cell: Cell) -> None:
        """End a life that is still starting. If it is a whole subtree, it has as much time as a running one."""
        if cell.state != ENDED:  # the task that starts it may not have had its turn yet
            cell.end(SHUTDOWN)
            self.nursery.start_soon(end, child)

    # The errors

    def fail(self, *errors: BaseException) -> None:
        """Close; these errors leave the supervisor when it has ended in order."""
        for error in errors:
            self.add_failure(error)
        self.close()

    def add_failure(self, error: BaseException) -> None:
        """Let one more error leave the supervisor, which is closing already. A forgiven crash does not leave."""
        left = without_crashes(error) if self.forgives() else error
        if left is not None:
            self._failures.append(left)

    def give_up(self, limit: RestartLimitExceeded, errors: list[Exception]) -> None:
        """Close: there were too many restarts, because of these errors."""
        if not self.forgives():
            # A crash during the shutdown that follows comes behind these, and leaves in the same group.
            self._failures[:0] = [limit, *errors]
        self.close()

    @property
    def has_failed(self) -> bool:
        """Whether an error leaves the supervisor."""
        return bool(self._failures)

    def combined_failure(self) -> BaseException:
        """The error that leaves a supervisor that has failed."""
        return combined(self.label, self._failures)


def never() -> bool:
    return False


def without_crashes(error: BaseException) -> BaseException | None:
    """What is left of an error without its crashes: `SystemExit` and the like."""
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).split(Exception)[1]
    return None if isinstance(error, Exception) else error
