"""Group restarts, which restart several children together: one for all, rest for one.

`RestartGroup` says which children a group restart starts again. `GroupRestart` does the work. That needs waiting, so it
runs in the supervisor's own task. Nothing here counts restarts: `restarts.py` does, when it requests one.

Must never happen: a child that is restarted twice because two of one group have crashed; a child in the group that is
neither started nor taken out of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from .backoff import UNAVAILABLE_NAME, Backoff
from .shutdown import end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .._actors import Cell
    from .child import Child
    from .children import Children
    from .lifecycle import Lifecycle
    from .log import SupervisionLog
    from .starting import Starting
    from .strategy import Strategy

    OnFailure: TypeAlias = Callable[[Child, Cell, Exception, Backoff | None], None]


class RestartGroup:
    """The children that a group restart starts again. They have ended, or are about to be ended.

    Attributes:
        restarts_several: Whether the strategy has group restarts.
        cause: The child whose end requests a group restart: the first in order, if there are several. None once the
            restart has begun.
    """

    __slots__ = ("_is_counted", "_strategy", "cause", "restarts_several")

    def __init__(self, strategy: Strategy) -> None:
        self.restarts_several = strategy != "one_for_one"
        self.cause: Child | None = None
        self._strategy = strategy
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

    def in_order(self) -> list[Child]:
        return sorted(self._is_counted, key=lambda child: child.number)

    def clear(self) -> None:
        self.cause = None
        self._is_counted.clear()


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
    def is_blocked(self) -> bool:
        """Whether a child that failed to start waits for its next try, and those behind it wait for that."""
        waits = (child.delayed_restart for child in self._children.by_id.values())
        return any(delayed is not None and delayed.blocks_group for delayed in waits)

    async def restart(self) -> None:
        """The restart that is requested: end its members in reverse order, then start them again in order."""
        group = self._group
        members = group.begin(self._children.by_id.values())
        for member in reversed(members):
            if member.cell in self._lifecycle.starts and not member.cell.life.has_started:
                # The task that starts it gets the error. It may not have had its turn yet, if the start has failed.
                group.remove(member)
            elif member.delayed_restart is not None:
                group.add_counted(member)
            # A member that crashes meanwhile is in the group: it is restarted once.
            await end(member)
            if member.spec.restarts == "temporary":
                group.remove(member)
                self._children.forget_if_not_kept(member)
        await self._start(members)

    async def resume(self) -> None:
        """Start the members that are left, after the child that blocked them has been terminated."""
        await self._start(self._group.in_order())

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
            self._log.restarting_too(member)
        backoff = member.spec.backoff
        try:
            try:
                cell = self._starting.spawn(member)
            except Exception:
                # Without a wait there might be no end of tries, and no checkpoint between them.
                backoff = backoff or UNAVAILABLE_NAME
                raise
            await self._starting.wait_started(member, cell)
        except Exception as error:
            if self._lifecycle.is_closing:
                raise
            if member in group:
                group.remove(member)
                self._on_failure(member, cell, error, backoff)
                return False
        group.remove(member)
        return True
