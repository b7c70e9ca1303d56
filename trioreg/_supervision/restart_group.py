"""What a group restart has to know: which children it starts again, and which starts wait until it is over.

`RestartGroup` starts and ends nothing: `group_restart.py` does. Nothing here counts restarts: `restarts.py` does.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import checkpoint_if_cancelled, current_task

from .._actors import ENDING, current_cell, needs_name, yielding_wait
from .._runtime import CallCycle, require_room

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trio.lowlevel import Task

    from .._actors import Cell, YieldingWait
    from .._registry import Via
    from .child import Child
    from .lifecycle import Lifecycle
    from .strategy import Strategy


class WaitingStart:
    """A start that waits until the restart is over: its place in the line."""

    __slots__ = ("look_again",)

    def __init__(self) -> None:
        self.look_again = trio.Event()

    async def wait(self) -> None:
        self.look_again = current_task().custom_sleep_data = trio.Event()
        await self.look_again.wait()


class RestartGroup:
    """The children that a group restart starts again. They have ended, or are about to be ended.

    Attributes:
        restarts_several: Whether the strategy has group restarts.
        cause: The child whose end requests a group restart: the first in order, if there are several. None once the
            restart has begun.
        is_at_work: Whether the supervisor's task ends and starts members now. It does not while a member that failed to
            start waits for its next try.
        ending, starting: The life whose end, or whose start, the supervisor's task waits for now; else None.
    """

    __slots__ = (
        "_is_counted",
        "_line",
        "_some_have_no_wait",
        "_strategy",
        "_waits",
        "cause",
        "ending",
        "is_at_work",
        "restarts_several",
        "starting",
    )

    def __init__(self, strategy: Strategy) -> None:
        self.restarts_several = strategy != "one_for_one"
        self.cause: Child | None = None
        self.is_at_work = False
        self.ending: Cell | None = None
        self.starting: Cell | None = None
        self._strategy = strategy
        # The starts that wait, in the order in which they were asked for.
        self._line: dict[WaitingStart, None] = {}
        # The waits in the graph of `_actors/wait_graph.py`, and whether there is a start that waits and has none there.
        self._waits: set[YieldingWait] = set()
        self._some_have_no_wait = False
        # For each child in the group whether this restart of it has been counted.
        self._is_counted: dict[Child, bool] = {}

    def __contains__(self, child: Child) -> bool:
        return child in self._is_counted

    def __len__(self) -> int:
        return len(self._is_counted)

    def request(self, child: Child) -> None:
        """A child has ended, and that is counted: restart it, and the children that the strategy restarts with it."""
        self._is_counted[child] = True
        if self.cause is None or child.number < self.cause.number:
            self.cause = child

    def includes(self, child: Child) -> bool:
        """Whether a group restart, requested or under way, restarts this child too."""
        return child in self._is_counted or (self.cause is not None and self._goes_with(child, self.cause))

    def _goes_with(self, child: Child, cause: Child) -> bool:
        """Whether the strategy restarts a child when ``cause`` has to be restarted."""
        return self._strategy == "one_for_all" or child.number >= cause.number

    def add_counted(self, child: Child) -> None:
        """A child that is included has ended by itself, and that is counted."""
        self._is_counted[child] = True

    def begin(self, children: Iterable[Child]) -> list[Child]:
        """Begin the restart that is requested. Returns its members in order: all of them are in the group now."""
        cause = self.cause
        assert cause is not None
        self.cause = None
        members = [child for child in children if self._goes_with(child, cause)]
        for member in members:
            self._is_counted.setdefault(member, False)
        return members

    def is_counted(self, child: Child) -> bool:
        return self._is_counted[child]

    def remove(self, child: Child) -> None:
        """A child is started, or is not to be started any more."""
        if self.cause is child:
            self.cause = None
        self._is_counted.pop(child, None)
        self.wake_waiters()

    def in_order(self) -> list[Child]:
        return sorted(self._is_counted, key=lambda child: child.number)

    def clear(self) -> None:
        self.cause = None
        self._is_counted.clear()
        self.wake_waiters()

    # Starts wait until the restart is over

    def wait_for(self, *, ending: Cell | None = None, starting: Cell | None = None) -> None:
        """The supervisor's task waits for this life now, and so do the starts that wait for that task."""
        self.ending, self.starting = ending, starting
        life = ending or starting
        for wait in self._waits:
            wait.has_target = life is not None
            if life is not None:
                wait.target = life.ref
        if life is None:
            return
        # An `on_stop` that runs already, of this life or of one below, may wait for one of the starts: they look again.
        is_supervisor = life.life.end_waits is not None
        if self._some_have_no_wait or (life is ending and (is_supervisor or (life.state == ENDING and life.waits))):
            self._some_have_no_wait = False
            self.wake_waiters()

    def wake_waiters(self) -> None:
        """Something has changed for the starts that wait. After the restart, each one that begins wakes the next."""
        for place in self._line if self.is_busy else itertools.islice(self._line, 1):
            place.look_again.set()

    @property
    def is_busy(self) -> bool:
        """Whether a restart is requested or at work, so that starts have to wait."""
        return self.is_at_work or self.cause is not None

    async def wait_over(self, lifecycle: Lifecycle, name: Via[Any, Any, Any] | None = None) -> None:
        """Wait until no restart is at work, or the supervisor closes. Not a checkpoint if there is none.

        The starts that wait begin in the order in which they came here.

        ``name`` is the name that the start is to give.

        As in OTP, a start that is asked for between two tries does not wait for the next one.

        The restart may itself wait for the task that asks, now or later. If it waits for a start, which needs this one,
        this one does not wait: all that the restart ends has ended. If it waits for an end, this start would come too
        early: that is a cycle.
        """
        place = WaitingStart()
        self._line[place] = None
        try:
            while lifecycle.is_accepting and (self.is_busy or not self._is_first(place)):
                await checkpoint_if_cancelled()
                require_room()  # or Trio would keep a task in the event that has not gone to sleep
                life = self.ending or self.starting
                if life is None:  # it has not begun, or is over
                    self._some_have_no_wait = True
                    await place.wait()
                elif await self._wait_for_life(life, place, name):
                    return
        finally:
            del self._line[place]
            if not self.is_busy:
                self.wake_waiters()

    def _is_first(self, place: WaitingStart) -> bool:
        return next(iter(self._line)) is place

    async def _wait_for_life(self, life: Cell, place: WaitingStart, name: Via[Any, Any, Any] | None) -> bool:
        """Wait while the supervisor's task waits for this life. Whether that start or end needs the one that waits."""
        if self.ending is None and name is not None and needs_name(life, name._names, name.key):
            return True
        try:
            wait = yielding_wait(life, _waiting_task(), self._may_give_way)
        except CallCycle:
            if self.starting is not None:
                return True
            raise
        self._waits.add(wait)
        try:
            with wait:
                if not wait.has_given_way:
                    await place.wait()
        finally:
            self._waits.discard(wait)
        return wait.has_given_way and self.starting is not None

    def _may_give_way(self) -> bool:
        """Another wait would close a cycle with the wait of a start. That start goes on, unless it is too early."""
        if self.starting is None:
            return False
        self.wake_waiters()
        return True


def _waiting_task() -> Task:
    """The task that waits if the current one does: an actor's end waits for all its tasks."""
    cell = current_cell()
    if cell is not None and cell.state == ENDING and cell.task is not None:
        return cell.task
    return current_task()
