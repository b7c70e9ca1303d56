"""The owner of a call: a plain Trio task as the holder of names, or the actor whose code is running."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from trio.lowlevel import current_task

from .errors import ActorExited
from .exit import NORMAL
from .owner import Owner
from .trio_run import current_run

if TYPE_CHECKING:
    from collections.abc import Hashable
    from types import CoroutineType

    from trio.lowlevel import Task

    from .owner import Held, Lessor, Token
    from .trio_run import Run


class TaskOwner(Owner):
    """A plain Trio task that holds names: no actor, just the task that called `Registry.register`.

    Its names go in the very step in which the task ends, for any reason.

    Attributes:
        task_name: The name of the Trio task.
    """

    # The coroutine stands for its task: it shows whether the task has ended, and then it refers to nothing any more.
    # The task itself would refer to its context, and the context to this owner.
    __slots__ = ("_coro", "task_name")

    def __init__(self, run: Run, task: Task) -> None:
        super().__init__(run)
        self._coro: CoroutineType[Any, Any, Any] = task.coro
        self.task_name: str = task.name

    def __repr__(self) -> str:
        return f"<task {self.task_name}{'' if self.is_alive else ', ended'}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskOwner) and other._coro is self._coro

    def __hash__(self) -> int:
        return hash(self._coro)

    @property
    def is_alive(self) -> bool:
        # The frame of a coroutine is gone as soon as it has returned or raised. Then its names go. Another thread may
        # look in between.
        return (
            self._coro.cr_frame is not None or (self._held is not None and self._is_elsewhere()) or self._is_leaving()
        )

    def _owns(self, task: Task) -> bool:
        return task.coro is self._coro

    def _canonical(self) -> Owner:
        # One owner holds all the names of a task. The caller may have kept another one that is equal to it.
        if self._held is not None:
            return self
        holder = self._run.holders.get(self._coro)
        return holder if isinstance(holder, TaskOwner) else self

    def _take(self, registry: Lessor, key: Hashable, token: Token) -> None:
        if self._held is not None:
            super()._take(registry, key, token)
            return
        coro, run = self._coro, self._run
        # When a listener is told of the end of a task, that task is still Trio's current one.
        if coro.cr_frame is None:
            raise ActorExited(self, NORMAL)
        if run.sees_ends:
            run.holders[coro] = self  # `Run.hold`, written out
        else:
            run.hold(coro, self)
        self._held = (registry, key, token)

    def _undrop(self, held: Held, registry: Lessor, key: Hashable, token: Token) -> None:
        # `Owner._undrop`, written out: where the change has failed for lack of room, there is none for one more call.
        if type(held) is dict:
            if registry in held:
                held[registry][key] = token
            else:
                held[registry] = {key: token}
        self._held = held
        self._run.holders[self._coro] = self

    def _holds_nothing(self) -> None:
        # The instrument stays until the next task ends. So a task that registers and unregisters in a loop does not
        # install it each time.
        self._run.holders.pop(self._coro, None)

    def _task_ended(self) -> None:
        self._run.ending = self
        try:
            self._release(None)
        finally:
            self._run.ending = None


_current_task_owner: ContextVar[TaskOwner] = ContextVar("trioreg task owner")
"""The owner of the task whose context this is, once it has been asked for. So a task that registers and unregisters in
a loop gets no new owner each time. A child task begins with its parent's: compare the coroutine."""

current_actor: ContextVar[Owner] = ContextVar("trioreg actor")
"""The actor whose context this is. A task elsewhere, in a nursery outside of the actor, may have a copy of the context:
ask `Owner._owns`."""


def current_owner() -> Owner:
    """The owner that your registrations go to: the actor whose code is running, or else the current Trio task.

    ::

        registry.keys(trioreg.current_owner())      # the names that you hold

    For an actor this is its `ActorRef`, in its handlers and in its background tasks. For a plain task it is a
    `TaskOwner`; two of one task are equal. Not a checkpoint; constant time.

    Raises:
        RuntimeError: There is no Trio run in this thread.
    """
    task = current_task()
    owner = current_actor.get(None)
    if owner is not None and owner._owns(task):
        return owner
    known = _current_task_owner.get(None)
    if known is not None and known._coro is task.coro:
        # `TaskOwner._canonical`, written out for a task that holds nothing.
        return known if known._held is not None or known._coro not in known._run.holders else known._canonical()
    made = TaskOwner(current_run(), task)
    found = made._canonical()
    _current_task_owner.set(cast("TaskOwner", found))
    return found
