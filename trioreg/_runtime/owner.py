"""Who holds names: the lease between a holder and the registries it is in.

An `Owner` is a life: it begins, it may hold names in any number of registries, and when it ends it gives all of
them back in one step. The registry knows owners, never actors: an `ActorRef` is an owner, and a `TaskOwner` stands
for a plain Trio task.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from trio.lowlevel import current_task

from .errors import ActorExited
from .exit import NORMAL, Exit
from .trio_run import current_run

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from types import CoroutineType

    from trio.lowlevel import Task

    from .trio_run import Run

    Keys: TypeAlias = dict[Any, "Token"]
    Lease: TypeAlias = tuple["Lessor", Hashable, "Token"]

Token: TypeAlias = int | dict[int, None]
"""What a registry keeps with an owner for each key: the number of its entry there, or of several."""


_numbers = count(1)


class Lessor(Protocol):
    """What an owner needs of a registry: to be told that the owner's names are free."""

    def _reclaim(self, owner: Owner, keys: Mapping[Any, Token], exit: Exit | None) -> None: ...


class Owner:
    """The holder of a name: an `ActorRef`, or a `TaskOwner` for a plain Trio task. Compared by identity.

    You meet owners as what a registry gives back (`Entry.owner`, `Registry.whereis`, `AlreadyRegistered.holder`)
    and pass them as ``owner=``.
    """

    # `_held` is None, or (registry, key, token) for the usual single name, or {registry: {key: token}}: 100,000
    # actors with one name each should not pay for two dictionaries each.
    __slots__ = ("__weakref__", "_held", "_number", "_run")

    def __init__(self, run: Run) -> None:
        self._run = run
        # Spreads owners over partitions evenly; what `hash` gives for an object depends on where it lies in memory.
        self._number = next(_numbers)
        self._held: Lease | dict[Lessor, Keys] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether its task has not ended yet. Not a checkpoint; constant time."""
        raise NotImplementedError  # pragma: no cover  # abstract

    def _owns(self, task: Task) -> bool:
        """Whether ``task``, the current one, runs this owner's code."""
        raise NotImplementedError  # pragma: no cover  # abstract

    def _require_thread(self) -> None:
        """Raise `RuntimeError` unless this is the thread of the Trio run that hosts this owner."""
        if threading.get_ident() != self._run.thread:
            raise RuntimeError(f"{self!r} lives in the Trio run of another thread: use trio.from_thread to get there")

    def _canonical(self) -> Owner:
        """The one object that holds the names, where several stand for one owner."""
        return self

    # The lease: called by registries only.

    def _keys(self, registry: Lessor) -> Mapping[Any, Token]:
        """This owner's keys in ``registry``, with the registry's token for each. Safe from any thread."""
        held = self._held
        if isinstance(held, tuple):
            return {held[1]: held[2]} if held[0] is registry else {}
        if held is None:
            return {}
        return held.get(registry, {})

    def _token(self, registry: Lessor, key: Hashable) -> Token | None:
        """The registry's token for one of this owner's keys, or None. Safe from any thread."""
        held = self._held
        if held is None:
            return None
        if isinstance(held, tuple):
            return held[2] if held[0] is registry and _is_same_key(held[1], key) else None
        keys = held.get(registry)
        return None if keys is None else keys.get(key)

    def _take(self, registry: Lessor, key: Hashable, token: Token) -> None:
        held = self._held
        if held is None:
            self._held = (registry, key, token)
            return
        if isinstance(held, tuple):
            held = {held[0]: {held[1]: held[2]}}
            self._take_into(held, registry, key, token)
            self._held = held
        else:
            self._take_into(held, registry, key, token)

    def _retake(self, registry: Lessor, key: Hashable, token: Token) -> None:
        """Keep another token for a key that this owner has."""
        held = self._held
        if isinstance(held, tuple):
            self._held = (registry, held[1], token)
        elif held is not None:
            held[registry][key] = token

    @staticmethod
    def _take_into(held: dict[Lessor, Keys], registry: Lessor, key: Hashable, token: Token) -> None:
        keys = held.get(registry)
        if keys is None:
            held[registry] = {key: token}
        else:
            keys[key] = token

    def _drop(self, registry: Lessor, key: Hashable) -> None:
        held = self._held
        if isinstance(held, dict):
            keys = held[registry]
            del keys[key]
            if not keys:
                del held[registry]
            if held:
                return
        self._held = None
        self._holds_nothing()

    def _holds_nothing(self) -> None:
        """The last name was given back while this owner goes on living."""

    def _release(self, exit: Exit | None) -> None:
        """Give every name back: the last thing an owner does. Costs as much as it holds."""
        held = self._held
        if held is None:
            return
        self._held = None
        is_outermost = self._run.begin_step()
        if isinstance(held, tuple):
            held[0]._reclaim(self, {held[1]: held[2]}, exit)
        else:
            for registry, keys in held.items():
                registry._reclaim(self, keys, exit)
        if is_outermost:
            self._run.end_step()


def _is_same_key(key: Hashable, other: Hashable) -> bool:
    # As in a dict, which compares by identity first (there is nan), and only what has the same hash.
    return key is other or (hash(key) == hash(other) and key == other)


class TaskOwner(Owner):
    """A plain Trio task that holds names: no actor, just the task that called `Registry.register`.

    Its names are gone in the very step in which the task ends, however it ends. Two owners of one task are equal.

    Attributes:
        task_name: The name of the Trio task.
    """

    # The coroutine stands for its task: it tells when that has ended, and leads to nothing once it has. The task would
    # lead to its context, and from there back to here.
    __slots__ = ("_coro", "task_name")

    def __init__(self, run: Run, task: Task) -> None:
        super().__init__(run)
        self._coro: CoroutineType[Any, Any, Any] = task.coro
        self.task_name = task.name

    def __repr__(self) -> str:
        return f"<task {self.task_name}{'' if self.is_alive else ', ended'}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskOwner) and other._coro is self._coro

    def __hash__(self) -> int:
        return hash(self._coro)

    @property
    def is_alive(self) -> bool:
        # The frame of a coroutine is gone as soon as it has returned or raised.
        return self._coro.cr_frame is not None

    def _owns(self, task: Task) -> bool:
        return task.coro is self._coro

    def _canonical(self) -> Owner:
        # A task that holds names has one owner that holds them all, whichever of its equals the caller kept.
        if self._held is not None:
            return self
        holder = self._run.holders.get(self._coro)
        return holder if isinstance(holder, TaskOwner) else self

    def _take(self, registry: Lessor, key: Hashable, token: Token) -> None:
        if self._held is None:
            # A listener that is told of this very end runs with the ended task as the current one.
            if self._coro.cr_frame is None:
                raise ActorExited(self, NORMAL)
            self._run.hold(self._coro, self)
            self._held = (registry, key, token)
        else:
            super()._take(registry, key, token)

    def _holds_nothing(self) -> None:
        self._run.drop(self._coro)

    def _task_ended(self) -> None:
        self._release(None)


_current_task_owner: ContextVar[TaskOwner] = ContextVar("trioreg task owner")
"""The owner that stands for the task whose context this is, once it has been asked for: a task that registers and
unregisters in a loop is not looked up and made anew each time. A child task begins with its parent's."""

current_actor: ContextVar[Owner] = ContextVar("trioreg actor")
"""The actor whose context this is. Its code may be copied elsewhere (a nursery outside of it): ask `Owner._owns`."""


def current_owner() -> Owner:
    """Who is asking: the actor whose code is running, or else the current Trio task.

    Raises:
        RuntimeError: Outside of a Trio run, or in a thread that does not host one.
    """
    task = current_task()
    owner = current_actor.get(None)
    if owner is not None and owner._owns(task):
        return owner
    known = _current_task_owner.get(None)
    if known is not None and known._coro is task.coro:
        return known if known._held is not None else known._canonical()
    made = TaskOwner(current_run(), task)
    found = made._canonical()
    _current_task_owner.set(cast("TaskOwner", found))
    return found
