"""What the end of a life means: nothing, a restart, or the end of the supervisor.

`Restarts` decides in the last step of a child's task, counts, and restarts that one child in the same step: the next
life has the name before any other task can see it free. What needs waiting is left to others: a delayed restart
(`delayed_restart.py`), a group restart (`group_restart.py`), the shutdown (`engine.py`).

A child with a `RestartLimit` counts for itself. All others count with their supervisor.

Must never happen: a crash that is neither restarted nor logged nor leaves the supervisor.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from .._runtime import ActorExited, Exit, NotRunning, RestartLimitExceeded, keep_lines
from .backoff import UNAVAILABLE_NAME
from .restart_intensity import RestartIntensity

if TYPE_CHECKING:
    from .._actors import Cell
    from .backoff import Backoff
    from .child import Child
    from .children import Children
    from .delayed_restart import DelayedRestarts
    from .lifecycle import Lifecycle
    from .log import SupervisionLog
    from .restart_group import RestartGroup
    from .starting import Starting
    from .strategy import AutoShutdown


class Restarts:
    """The restarts of one supervisor.

    Attributes:
        intensity: How many there were lately.
    """

    __slots__ = (
        "_auto_shutdown",
        "_children",
        "_delayed",
        "_group",
        "_lifecycle",
        "_log",
        "_starting",
        "intensity",
    )

    def __init__(
        self,
        intensity: RestartIntensity,
        lifecycle: Lifecycle,
        children: Children,
        starting: Starting,
        delayed: DelayedRestarts,
        group: RestartGroup,
        log: SupervisionLog,
        auto_shutdown: AutoShutdown,
    ) -> None:
        self.intensity = intensity
        self._lifecycle = lifecycle
        self._children = children
        self._starting = starting
        self._delayed = delayed
        self._group = group
        self._log = log
        self._auto_shutdown = auto_shutdown

    def decide(self, child: Child, cell: Cell, exit: Exit) -> None:
        """A life has ended: log it, and do what follows from it. Called in the last step of the child's task."""
        lifecycle = self._lifecycle
        error = exit.error
        if error is not None and not isinstance(error, Exception):
            # Ctrl-C, SystemExit: never a crash to restart. It ends the supervisor, in order, and leaves it.
            self._log.ended(child, cell, exit)
            lifecycle.fail(error)
            return
        if cell.life.starter is not None:
            # The task that starts it gets the error. (A group restart logs it, with what follows.)
            if child not in self._group:
                self._log.not_started(child, cell, exit)
                if error is not None and not child.is_new:
                    keep_lines(error)  # the child is kept, and its last life with it
            return
        if cell is self._group.starting:
            # A group restart has started it, and the supervisor's own task has not had its turn yet: this end is one
            # of its own, and not a part of that restart any more.
            self._group.remove(child)
        if lifecycle.is_closing or child.is_ending:
            self._log.ended(child, cell, exit)
            if not lifecycle.is_closing:
                if error is not None:
                    keep_lines(error)
                # Now. Before the task that has ended it has its turn, another task may have started it again.
                self._children.forget_if_not_kept(child)
            # If it failed because it needed a child that was ended before it, that is no failure: it is a shutdown.
            is_consequence = isinstance(error, NotRunning) or (
                isinstance(error, ActorExited) and error.exit.error is None
            )
            # It is not restarted any more, so its error leaves the supervisor. A temporary child's is only logged.
            is_lost = lifecycle.is_closing and child.spec.restart != "temporary"
            if error is not None and is_lost and not is_consequence:
                lifecycle.add_failure(error)
            return
        restart = child.spec.restart
        if restart == "permanent" or (restart == "transient" and exit.is_abnormal):
            self._restart(child, cell, exit)
            return
        self._log.ended(child, cell, exit)
        self._ended_for_good(child)

    def _ended_for_good(self, child: Child) -> None:
        self._children.forget_if_not_kept(child)
        if child.spec.significant and self._ends_supervisor():
            self._lifecycle.close()

    def _ends_supervisor(self) -> bool:
        """Whether the end of a significant child is the end of the supervisor."""
        if self._auto_shutdown == "all_significant":
            children = self._children.by_id.values()
            return all(child.state == "ended" for child in children if child.spec.significant)
        return self._auto_shutdown == "any_significant"

    def _restart(self, child: Child, cell: Cell, exit: Exit) -> None:
        """A life has ended that should not have: count it, and begin the next one."""
        if self._group.includes(child):
            # Children that end together are restarted together, which counts once.
            child.restarts += 1
            self._group.add_counted(child)
            self._log.restarting(child, cell, exit, is_later=True)
            if exit.error is not None:
                keep_lines(exit.error)
        elif self._count(child, cell, exit):
            backoff = child.spec.backoff
            now = trio.current_time()
            if (
                backoff is not None
                and cell.life.started_at is not None
                and now - cell.life.started_at >= backoff.maximum
            ):
                child.delayed_in_a_row = 0  # a life as long as that was a success
            self._begin_after(backoff, child, cell, exit)

    def start_failed(
        self, child: Child, cell: Cell, error: Exception, backoff: Backoff | None, *, blocks_group: bool = True
    ) -> None:
        """The next life could not begin: that counts as one more restart, always, and is tried again."""
        exit = Exit("crashed", error)
        if self._count(child, cell, exit):
            self._begin_after(backoff, child, cell, exit, blocks_group=blocks_group)

    def _count(self, child: Child, cell: Cell, exit: Exit) -> bool:
        """Count a restart. False: it was one too many. The child is dropped, or the supervisor gives up."""
        own = child.spec.limit
        if own is None:
            intensity = self.intensity
        else:
            intensity = child.intensity or RestartIntensity(own.max_restarts, own.max_seconds)
            child.intensity = intensity
        cause = exit.error if isinstance(exit.error, Exception) else ActorExited(cell.ref, exit)
        if intensity.allows(trio.current_time(), cause):
            # What is kept is not the crashed actor's state. The last error, with which the supervisor gives up, is not
            # kept: it leaves as it is.
            keep_lines(cause)
            child.restarts += 1
            return True
        which = cell.ref if child.id is None else child.id
        limit = RestartLimitExceeded(
            self._lifecycle.label, which, intensity.max_restarts, intensity.max_seconds, own is not None
        )
        if own is not None and own.then == "drop":
            self._drop(child, cell, exit, limit._limit)
            return False
        self._log.gives_up(child, cell, exit, limit._limit)
        cell.ref._run.tell_after_step("gave_up", self._lifecycle.label, limit)
        self._lifecycle.give_up(limit, intensity.errors)
        return False

    def _drop(self, child: Child, cell: Cell, exit: Exit, limit: str) -> None:
        """A child has used up its own limit: it has ended for good. If it is started again by hand, it counts anew."""
        child.intensity = None
        child.delayed_in_a_row = 0
        self._log.drops(child, cell, exit, limit)
        if exit.error is not None:
            keep_lines(exit.error)  # the child may be kept, and its last life with it
        self._ended_for_good(child)
        self._lifecycle.close_if_done()  # here: it may have failed to start in a group restart, which has no last step

    def _begin_after(
        self, backoff: Backoff | None, child: Child, cell: Cell, exit: Exit, *, blocks_group: bool = False
    ) -> None:
        if backoff is None:
            child.delayed_in_a_row = 0
            self._log.restarting(child, cell, exit, is_later=self._group.restarts_several)
            self._begin(child, cell)
        else:
            child.delayed_in_a_row += 1
            seconds = backoff.delay(child.delayed_in_a_row)
            self._log.restarting(child, cell, exit, seconds, is_later=True)
            self._delayed.begin(child, cell, seconds, partial(self._begin, child, cell), blocks_group=blocks_group)

    def _begin(self, child: Child, last: Cell) -> None:
        """Begin the next life now, or have the supervisor's own task do a group restart."""
        if self._group.restarts_several:
            self._group.request(child)
            self._lifecycle.notify()
            return
        try:
            self._starting.spawn(child, last)
        except Exception as error:
            # The name was taken meanwhile. The next try is for later: it may stay taken for long.
            self.start_failed(child, last, error, child.spec.backoff or UNAVAILABLE_NAME, blocks_group=False)
