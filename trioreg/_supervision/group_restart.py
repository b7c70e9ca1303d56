"""Group restarts, which restart several children together: one for all, rest for one.

`RestartGroup` says which children a group restart starts again. `GroupRestart` does the work. That needs waiting, so it
runs in the supervisor's own task. Nothing here counts restarts: `restarts.py` does, when it requests one.

Must never happen: a child that is restarted twice because two of one group have crashed; a child in the group that is
neither started nor taken out of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from .._actors import ENDED, ENDING
from .backoff import UNAVAILABLE_NAME, Backoff
from .shutdown import end

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._actors import Cell
    from .child import Child
    from .children import Children
    from .lifecycle import Lifecycle
    from .log import SupervisionLog
    from .restart_group import RestartGroup
    from .starting import Starting

    OnFailure: TypeAlias = Callable[[Child, Cell, Exception, Backoff | None], None]


class GroupRestart:
    """The work on a `RestartGroup`, done by the supervisor's own task.

    ``on_failure`` is called with a child that did not start, its last life, the error, and how long to wait.
    """

    __slots__ = ("_children", "_group", "_lifecycle", "_log", "_on_failure", "_starting")

    def __init__(
        self,
        group: RestartGroup,
        lifecycle: Lifecycle,
        children: Children,
        starting: Starting,
        log: SupervisionLog,
        on_failure: OnFailure,
    ) -> None:
        self._group = group
        self._lifecycle = lifecycle
        self._children = children
        self._starting = starting
        self._log = log
        self._on_failure = on_failure

    @property
    def is_due(self) -> bool:
        """Whether there is something to do: a restart is requested, or the children that it left can be started now."""
        return self._group.cause is not None or (bool(self._group) and not self._is_blocked)

    @property
    def _is_blocked(self) -> bool:
        """Whether a child that failed to start waits for its next try, and those behind it wait for that."""
        waits = (child.delayed_restart for child in self._children.by_id.values())
        return any(delayed is not None and delayed.blocks_group for delayed in waits)

    async def work(self) -> None:
        """Do what is due: end the members in reverse order, then start them again in order."""
        group = self._group
        group.is_at_work = True
        try:
            # Without a request, the child that blocked the others has been terminated: they are left.
            members = group.in_order() if group.cause is None else await self._end_members()
            await self._start(members)
        finally:
            group.is_at_work = False
            group.wake_waiters()

    async def _end_members(self) -> list[Child]:
        group = self._group
        members = group.begin(self._children.by_id.values())
        for member in reversed(members):
            if member.cell in self._lifecycle.starts and not member.cell.life.has_started:
                # The task that waits for this start begins it anew when the restart is over. If the start has failed,
                # or something else ends it, that task gets the error: it may not have had its turn yet.
                group.remove(member)
                if member.cell.state < ENDING:
                    del self._lifecycle.starts[member.cell]
            elif member.delayed_restart is not None:
                group.add_counted(member)
            # A member that crashes meanwhile is in the group: it is restarted once.
            group.wait_for(ending=member.life)
            try:
                await end(member)
            finally:
                group.wait_for()
            if member.spec.restart == "temporary":
                group.remove(member)
                self._children.forget_if_not_kept(member)
        return members

    async def _start(self, members: list[Child]) -> None:
        group, lifecycle = self._group, self._lifecycle
        for member in members:
            if member.is_terminating:
                group.remove(member)  # the task that ends it may not have had its turn yet
            # A member that is not in the group any more was terminated meanwhile.
            if member in group and not lifecycle.is_closing and not await self._start_again(member):
                return  # it is tried again, and those behind it with it
        lifecycle.close_if_done()

    async def _start_again(self, member: Child) -> bool:
        group = self._group
        cell = member.cell
        assert cell is not None
        if not group.is_counted(member):
            member.restarts += 1
            self._log.restarting_too(member, cell)
        backoff = member.spec.backoff
        try:
            try:
                cell = self._starting.spawn(member)
            except Exception:
                # Without a wait there might be no end of tries, and no checkpoint between them.
                backoff = backoff or UNAVAILABLE_NAME
                raise
            try:
                group.wait_for(starting=cell)
                await self._starting.wait_started(member, cell)
            except BaseException:
                self._starting.abandon(member, cell)
                raise
            finally:
                group.wait_for()
        except Exception as error:
            # If the life has not ended, it is not that life that failed: memory did. Nothing waits for its end here.
            if self._lifecycle.is_closing or cell.state != ENDED:
                raise
            if member in group:
                group.remove(member)
                self._on_failure(member, cell, error, backoff)
                return False
        if cell.state != ENDED:  # or it is out already, and perhaps in again: see `Restarts.decide`
            group.remove(member)
        return True
