"""Names for actors and tasks, each tied to the life of the one that holds it: the public end of it.

`Registry` checks what it is given and asks `Names`, which owns the tables and every change to them; the lease that
gives the names back when their holder ends is the holder's own (`_owner.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, Generic, Literal, Never, Protocol, TypeAlias, TypeVar, cast, overload

import trio
from trio.lowlevel import checkpoint, checkpoint_if_cancelled, enable_ki_protection

from .._actors import Address
from .._runtime import NotRegistered, Owner, current_owner, current_run, require_sync, run_user, sync_result
from .entry import Entry
from .events import Event, Hub, Listener
from .key_lock import KeyLock, KeyLocks
from .names import Names, Total, as_owner
from .partition import DuplicatePartition, UniquePartition
from .pattern import ANY
from .query import Query, value_query
from .table_viewer import Table, TableName
from .via import Via, WaitingVia

if TYPE_CHECKING:
    from types import TracebackType

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

KeysKind: TypeAlias = Literal["unique", "duplicate"] | tuple[Literal["duplicate"], Literal["owner", "key"]]


class _AcceptsNone(Protocol):
    """To a type checker: a registry whose values may be None, in which a value may be left out."""

    def _accept(self, value: None, /) -> None: ...


class _Missing:
    def __repr__(self) -> str:
        return "<missing>"


_MISSING = _Missing()


class Registry(Generic[K, V]):
    """Names for actors and tasks; a name is gone the moment its holder ends.

    Synopsis::

        agents: Registry[str, None] = Registry("agents", keys="unique")

        bond = await supervisor.start_child(SecretAgent, "James Bond", name=agents.via("James Bond"))
        agents.whereis("James Bond")                      # bond, or None
        await agents.via("James Bond").call(SecretAgent.echo, "...")

        topics: Registry[str, int] = Registry("topics", keys="duplicate")
        topics.register("weather", 1)                     # by any Trio task, actor or not
        for owner, value in topics.lookup("weather"):
            ...

    Keys are hashable and compare as the keys of a dict do, so ``1 == 1.0 == True`` is one key (Elixir compares with
    ``===``). A registry may be made at import time and outlive many Trio runs, but is written by one run at a time:
    it belongs to the first that writes, waits or locks in it, until that run ends. Reading is safe from any thread.
    The idea is Elixir's `Registry`.

    Args:
        name: What the registry is called in errors and tables.
        keys: ``"unique"``: one holder for each key. ``"duplicate"`` (or ``("duplicate", "owner")``): any number,
            partitioned by owner.
            ``("duplicate", "key")``: any number, partitioned by key, so that a look-up reads one partition.
        partitions: How many partitions, at least 1.
        listeners: Who is told of every `Registered` and `Unregistered`, in the step in which it happens: callables,
            or addresses of actors (`ActorRef`, `Via`), which get the event as a message. A listener that raises (or
            returns a coroutine) is logged. `SystemExit` and `KeyboardInterrupt` leave the call that made the change,
            when it is made and everybody is told; where that is the end of an owner, they are logged too.
        totals: Keep the sum of the values of each key, for `total` and `add`; the values must be ints or finite
            floats.

    Raises:
        TypeError: ``name`` is not a str, ``partitions`` is not an int, or a listener is neither, or async.
        ValueError: ``keys`` is none of the above, or ``partitions`` is less than 1.
    """

    def __init__(
        self,
        name: str,
        *,
        keys: KeysKind = "unique",
        partitions: int = 1,
        listeners: Iterable[Listener[K, V]] = (),
        totals: bool = False,
    ) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {name!r}")
        if not isinstance(partitions, int) or isinstance(partitions, bool):
            raise TypeError(f"partitions must be an int, not {partitions!r}")
        if partitions < 1:
            raise ValueError(f"partitions must be at least 1, not {partitions!r}")
        kind = "duplicate" if isinstance(keys, tuple) else keys
        if keys not in ("unique", "duplicate", ("duplicate", "owner"), ("duplicate", "key")):
            raise ValueError(f"keys must be 'unique', 'duplicate' or ('duplicate', 'key'), not {keys!r}")
        if not isinstance(totals, bool):
            raise TypeError(f"totals must be a bool, not {totals!r}")
        if not isinstance(listeners, Iterable):
            raise TypeError(f"listeners must be an iterable of callables or addresses of actors, not {listeners!r}")
        listeners = tuple(listeners)
        for listener in listeners:
            if not (callable(listener) or isinstance(listener, Address)):
                raise TypeError(f"listeners must be callables or addresses of actors, not {listener!r}")
            if not isinstance(listener, Address):
                require_sync("listeners", listener)
        self._kind = kind
        self._names: Names[K, V] = Names(name, kind, partitions, by_owner=keys != ("duplicate", "key"), totals=totals)
        self._locks = KeyLocks(self._names.enter)
        self._meta: dict[Hashable, object] = {}
        # The table itself, where there is only one: the look-up of a name is the hottest path there is.
        self._sole = self._names.sole
        if listeners:
            self._names.hub = Hub(listeners)

    if TYPE_CHECKING:

        def _accept(self, value: V, /) -> None: ...

    @property
    def name(self) -> str:
        """The name it was made with."""
        return self._names.name

    @property
    def partitions(self) -> int:
        """How many partitions it has."""
        return self._names.n

    def __repr__(self) -> str:
        return f"<Registry {self.name!r}, {self._kind} keys, {self.count()} registered>"

    # Looking

    def lookup(self, key: K) -> list[Entry[V]]:
        """Everybody registered as ``key``: at most one where keys are unique, else those of one partition after the
        other, each in the order in which they came.

        Not a checkpoint; safe from any thread. Costs as much as there are entries for the key, however many other
        keys there are (and one step for each partition, where keys are partitioned by owner).

        Raises:
            TypeError: ``key`` is not hashable.
        """
        try:
            if self._sole is not None:
                entry = self._sole.get(key)
                return [] if entry is None else [entry]
            groups = [*self._names.groups(key)]
        except TypeError as error:
            raise _unhashable("key", key, error) from None
        return groups[0] if len(groups) == 1 else [entry for group in groups for entry in group]

    def whereis(self, key: K) -> Owner | None:
        """Who holds the unique ``key``, or None.

        Not a checkpoint; safe from any thread; constant time.

        Raises:
            TypeError: ``key`` is not hashable.
            ValueError: The keys of this registry are not unique.
        """
        entry = self._entry(key)
        return None if entry is None else entry.owner

    @overload
    def keys(self) -> list[K]: ...
    @overload
    def keys(self, owner: Owner) -> list[K]: ...
    def keys(self, owner: object = _MISSING) -> list[K]:
        """The keys that ``owner`` (if none is given: the caller) holds here, each as often as it registered it.

        Not a checkpoint; safe from any thread if ``owner`` is given. Costs as much as it holds in this registry. An
        owner that has ended holds nothing.

        Raises:
            TypeError: ``owner`` is not an owner; None is not either, so what `whereis` did not find is an error.
            RuntimeError: No ``owner``, and no Trio task calls.
        """
        asked = _owner_or_caller(owner)
        keys: list[K] = []
        # First copied in one go: its run may be changing it.
        for key, token in dict(asked._keys(self._names)).items():
            keys.extend([key] * (len(token) if isinstance(token, dict) else 1))
        return keys

    @overload
    def values(self, key: K) -> list[V]: ...
    @overload
    def values(self, key: K, owner: Owner) -> list[V]: ...
    def values(self, key: K, owner: object = _MISSING) -> list[V]:
        """The values under which ``owner`` (if none is given: the caller) is registered as ``key``.

        Not a checkpoint; safe from any thread if ``owner`` is given. Costs as much as the owner has entries for the
        key.

        Raises:
            TypeError: ``key`` is not hashable, or ``owner`` is not an owner.
            RuntimeError: No ``owner``, and no Trio task calls.
        """
        asked = _owner_or_caller(owner)
        _require_hashable("key", key)
        return [entry.value for _, entry in self._names.held(asked, key)]

    def count(self) -> int:
        """How many entries there are. Not a checkpoint; safe from any thread; one step for each partition."""
        return self._names.count()

    # Registering

    @overload
    def register(self: _AcceptsNone, key: K, *, owner: Owner | None = ...) -> Owner: ...
    @overload
    def register(self, key: K, value: V, *, owner: Owner | None = ...) -> Owner: ...
    @enable_ki_protection
    def register(  # pyright: ignore[reportInconsistentOverload]  # it does not see that the default is a V there
        self,
        key: K,
        value: V = None,  # type: ignore[assignment]
        *,
        owner: Owner | None = None,
    ) -> Owner:
        """Register ``key``: all or nothing, and until the owner ends or `unregister` is called.

        Not a checkpoint; constant time.

        Args:
            key: Any hashable.
            value: What `lookup` shows beside the owner.
            owner: Whose name it is. By default the actor whose code is running (its handlers, its background
                tasks), or else the current Trio task.

        Returns:
            The owner.

        Raises:
            AlreadyRegistered: Keys are unique and this one is held; by the same owner too.
            ActorExited: ``owner`` has ended.
            TypeError: ``key`` is not hashable, ``owner`` is not an owner, or ``value`` is not a number where the
                registry keeps totals.
            RuntimeError: Called outside of the Trio run that hosts the owner, or the registry belongs to another run.
        """
        names = self._names
        owner = names.writer(owner)
        if names.totals is not None:
            _require_number("value", value)
        try:
            names.insert(owner, key, value)
        except TypeError as error:
            raise _unhashable("key", key, error) from None
        return owner

    @enable_ki_protection
    def unregister(self, key: K, *, owner: Owner | None = None) -> int:
        """Give ``key`` back: every entry that the owner has for it.

        Not a checkpoint; costs as much as the owner has entries for the key.

        Args:
            key: The key.
            owner: Whose entries; by default the caller's own.

        Returns:
            How many entries were removed: 0 if the owner did not hold the key.

        Raises:
            ActorExited: ``owner`` was given and has ended.
            TypeError: ``key`` is not hashable, or ``owner`` is not an owner.
            RuntimeError: As for `register`.
        """
        owner = self._names.writer(owner)
        try:
            return self._names.delete_all(owner, key)
        except TypeError as error:
            raise _unhashable("key", key, error) from None

    @enable_ki_protection
    def unregister_match(
        self,
        key: K,
        pattern: object,
        *,
        where: Callable[..., object] | None = None,
        owner: Owner | None = None,
    ) -> int:
        """Give back those entries for ``key`` whose value fits a pattern; the owner's others stay.

        Not a checkpoint; costs as much as the owner has entries for the key.

        Args:
            key: The key.
            pattern, where: As in `match`.
            owner: Whose entries; by default the caller's own.

        Returns:
            How many entries were removed.

        Raises:
            ActorExited, TypeError, RuntimeError: As for `unregister`; and what `match` raises for its arguments.
        """
        _require_hashable("key", key)
        fits = value_query(pattern, where)
        owner = self._names.writer(owner)
        # First all are asked, then all are removed: should the pattern raise, nothing has happened.
        numbers = [number for number, entry in self._names.held(owner, key) if run_user(fits, entry)]
        return sum(self._names.delete(owner, key, number) for number in numbers)

    @overload
    def hold(self: _AcceptsNone, key: K, *, owner: Owner | None = ...) -> AbstractContextManager[None]: ...
    @overload
    def hold(self, key: K, value: V, *, owner: Owner | None = ...) -> AbstractContextManager[None]: ...
    def hold(  # pyright: ignore[reportInconsistentOverload]  # it does not see that the default is a V there
        self,
        key: K,
        value: V = None,  # type: ignore[assignment]
        *,
        owner: Owner | None = None,
    ) -> AbstractContextManager[None]:
        """Hold a name for a block instead of for a whole life: ``with registry.hold("leader"): ...``.

        The entry is gone when the block is left or when its owner ends, whichever comes first; other entries of the
        same owner stay. Arguments, errors and costs are those of `register`, raised when the block is entered.
        """
        return _Hold(self, key, value, owner)

    @overload
    async def acquire(self: _AcceptsNone, key: K, *, owner: Owner | None = ...) -> Owner: ...
    @overload
    async def acquire(self, key: K, value: V, *, owner: Owner | None = ...) -> Owner: ...
    async def acquire(  # pyright: ignore[reportInconsistentOverload]  # it does not see that the default is a V there
        self,
        key: K,
        value: V = None,  # type: ignore[assignment]
        *,
        owner: Owner | None = None,
    ) -> Owner:
        """Wait until the unique ``key`` is free, then hold it: a leader election, a hot standby.

        First come first served: each release wakes one waiter, whose name it is before anybody can see it free. It is
        held as with `register`, until its owner ends or `unregister` is called. A checkpoint. Cancelled: it is out of
        the queue and holds nothing. Who is handed the name by `transfer` waits no longer. Constant time.

        Args:
            key, value, owner: As for `register`.

        Returns:
            The owner.

        Raises:
            ActorExited: ``owner`` has ended, or ends while it waits.
            ValueError: The keys of this registry are not unique.
            RuntimeError: The owner holds the key itself, and would wait for itself; or as for `register`.
            TypeError: As for `register`.
        """
        self._require_unique("acquire")
        _require_hashable("key", key)
        if self._names.totals is not None:
            _require_number("value", value)
        owner = self._names.writer(owner)
        await checkpoint_if_cancelled()
        owner = self._names.writer(owner)
        return await self._acquire(key, value, owner)

    @enable_ki_protection
    async def _acquire(self, key: K, value: V, owner: Owner) -> Owner:
        entry = self._names.entry(key)
        if entry is None:
            self._names.insert(owner, key, value)
            await trio.lowlevel.cancel_shielded_checkpoint()
        elif entry.owner is owner:
            raise RuntimeError(f"{owner!r} holds {key!r} in {self.name!r} already: it would wait for itself")
        else:
            await self._names.queues.wait(key, owner, value)
        return self._names.writer(owner)

    @enable_ki_protection
    def update_value(self, key: K, fn: Callable[[V], V], *, owner: Owner | None = None) -> tuple[V, V]:
        """Change the value beside a unique ``key`` that the caller (or ``owner``) holds.

        Not a checkpoint; constant time, plus what ``fn`` takes. Should ``fn`` raise, nothing has changed.

        Args:
            key: The key.
            fn: Gets the old value, gives the new one.
            owner: Who holds it; by default the caller.

        Returns:
            The new and the old value.

        Raises:
            NotRegistered: The owner does not hold the key (any more, when ``fn`` returns).
            ValueError: The keys of this registry are not unique.
            TypeError: ``key`` is not hashable, ``fn`` is not callable, is async or returns a coroutine, or ``owner`` is
                not an owner.
            RuntimeError, ActorExited: As for `register`.
        """
        self._require_unique("update_value")
        _require_hashable("key", key)
        require_sync("fn", fn)
        names = self._names
        owner = names.writer(owner)
        for number, entry in names.held(owner, key):
            new = sync_result("fn", fn, run_user(fn, entry.value))
            if names.totals is not None:
                _require_number("value", new)
            if owner._keys(names).get(key) == number:
                old = cast("Entry[V]", names.entry(key)).value
                names.replace(owner, key, number, new)
                return new, old
        raise NotRegistered(self.name, key, owner)

    @enable_ki_protection
    def transfer(self, key: K, to: Owner, *, owner: Owner | None = None) -> None:
        """Hand a unique name over, with its value: no moment without a holder, none with two.

        Not a checkpoint; constant time.

        Args:
            key: The name.
            to: The new holder.
            owner: The present holder; by default the caller.

        Raises:
            NotRegistered: The owner does not hold the key.
            ActorExited: ``to``, or ``owner``, has ended.
            ValueError: The keys of this registry are not unique.
            TypeError: ``key`` is not hashable, or ``to`` or ``owner`` is not an owner.
            RuntimeError: As for `register`.
        """
        self._require_unique("transfer")
        _require_hashable("key", key)
        as_owner("to", to)
        owner = self._names.writer(owner)
        to = self._names.writer(to)
        held = self._names.held(owner, key)
        if not held:
            raise NotRegistered(self.name, key, owner)
        if to is not owner:
            self._names.hand_over(key, owner, to, held[0][1].value)

    @overload
    def via(self: _AcceptsNone, key: K, *, wait: bool = ...) -> Via[K, V]: ...
    @overload
    def via(self, key: K, value: V, *, wait: bool = ...) -> Via[K, V]: ...
    @overload
    def via(self, key: K, *, wait: bool = ...) -> Address[Never]: ...
    def via(  # pyright: ignore[reportInconsistentOverload]  # it does not see that the default is a V there
        self,
        key: K,
        value: V = None,  # type: ignore[assignment]
        *,
        wait: bool = False,
    ) -> Via[K, V]:
        """An address that finds its actor by name, each time it is used: Elixir's ``{:via, Registry, ...}``.

        It goes wherever an `ActorRef` goes, and as ``name=`` into ``start_child``. Not a checkpoint; constant time.

        Args:
            key: The name.
            value: Where the address is used as ``name=``: what the actor is registered with. Without one, in a registry
                whose values can't be None, a type checker takes it for an address only, and for no ``name=``.
            wait: Whether the async forms (`~Address.call`, `~Address.cast`, `~Address.send`) wait for somebody to
                have the name who is not ending: through a restart. What has been sent once is not sent again.

        Raises:
            TypeError: ``key`` is not hashable.
            ValueError: The keys of this registry are not unique.
        """
        self._require_unique("via")
        _require_hashable("key", key)
        return (WaitingVia if wait else Via)(self, key, value)

    # Asking

    def match(self, key: K, pattern: object, *, where: Callable[..., object] | None = None) -> list[Entry[V]]:
        """The entries for ``key`` whose value fits a pattern.

        ::

            registry.match("topic", (ANY, int))
            registry.match("topic", (Var("low"), Var("high")), where=lambda low, high: low < high)

        Not a checkpoint; safe from any thread. Costs as much as there are entries for the key.

        Args:
            key: The key; never a pattern.
            pattern: A value, in which `ANY`, `Var`, and classes stand for others: see `Var`.
            where: A condition: gets the pattern's variables as keyword arguments or, if it has none, the value.

        Raises:
            TypeError, ValueError: ``key`` is not hashable, or ``pattern`` or ``where`` is not what is said above.
        """
        fits = value_query(pattern, where)
        return [entry for entry in self.lookup(key) if fits(entry)]

    def count_match(self, key: K, pattern: object, *, where: Callable[..., object] | None = None) -> int:
        """How many entries `match` would give. Same arguments, errors and cost."""
        return len(self.match(key, pattern, where=where))

    @overload
    async def select(
        self,
        key: object = ...,
        owner: object = ...,
        value: object = ...,
        *,
        where: Callable[..., object] | None = ...,
        into: None = ...,
    ) -> list[tuple[K, Owner, V]]: ...
    @overload
    async def select(
        self,
        key: object = ...,
        owner: object = ...,
        value: object = ...,
        *,
        where: Callable[..., object] | None = ...,
        into: Callable[..., T],
    ) -> list[T]: ...
    @overload
    async def select(
        self,
        key: object = ...,
        owner: object = ...,
        value: object = ...,
        *,
        where: Callable[..., object] | None = ...,
        into: object,
    ) -> list[object]: ...
    async def select(
        self,
        key: object = ANY,
        owner: object = ANY,
        value: object = ANY,
        *,
        where: Callable[..., object] | None = None,
        into: object = None,
    ) -> object:
        """Everything in the registry that fits a pattern for keys, one for owners and one for values.

        ::

            await registry.select(value=int)
            await registry.select(Var("name"), value=Var("rank"), where=lambda name, rank: rank > 7, into=Var("name"))

        A checkpoint; it lets other tasks run on the way. What holds the loop for longest is to copy a partition's table
        and to make one list of the results: some milliseconds for 100,000 entries. What was there all the time is among
        the results, with its value as it is now; what has gone by the time it returns is not. Costs as much as the
        registry has entries; where ``key`` or ``owner`` is given as a value, only as much as that one has.

        Args:
            key, owner, value: Patterns, as in `match`; the same variable may stand in several.
            where: A condition: gets the variables as keyword arguments or, if there are none, the (key, owner,
                value) tuple.
            into: The shape of a result: a callable that gets the variables as keyword arguments, or a tuple, list or
                dict with variables in it, or one variable. By default a (key, owner, value) tuple.

        Raises:
            TypeError, ValueError: An argument is not what is said above.
        """
        return await Query(self._names, key, owner, value, where, into).run()

    def select_nowait(
        self,
        key: object = ANY,
        owner: object = ANY,
        value: object = ANY,
        *,
        where: Callable[..., object] | None = None,
        into: object = None,
    ) -> list[Any]:
        """`select` in one go: not a checkpoint, and safe from any thread. In a large registry it holds the loop."""
        return Query(self._names, key, owner, value, where, into).run_nowait()

    async def count_select(
        self,
        key: object = ANY,
        owner: object = ANY,
        value: object = ANY,
        *,
        where: Callable[..., object] | None = None,
    ) -> int:
        """How many results `select` would give. Same arguments, errors and cost; a checkpoint."""
        return await Query(self._names, key, owner, value, where, None).count()

    async def wait_for(self, key: K) -> Owner:
        """Wait until somebody is registered as ``key``: at once if somebody is.

        A checkpoint; constant time.

        Returns:
            The holder (where keys are duplicate, the first of `lookup`), who has not ended when this returns.

        Raises:
            TypeError: ``key`` is not hashable.
            RuntimeError: The registry belongs to another Trio run.
        """
        _require_hashable("key", key)
        await checkpoint()
        while True:
            entry = self._names.first(key)
            if entry is not None:
                return entry.owner
            await self._hub().wait_registered(key)

    def watch(self, key: K = ANY) -> AbstractContextManager[trio.MemoryReceiveChannel[Event[K, V]]]:
        """Follow what happens: ``with registry.watch("leader") as events: async for event in events: ...``.

        The channel gives each `Registered` and `Unregistered` since the block was entered, in the order in which they
        happened; an `Unregistered` by a crash has the `Exit`. Nothing is lost: what is not received is kept. Not a
        checkpoint. Each change costs as much as there are those who watch its key.

        Args:
            key: The key to watch, or `ANY` (the default) for all.

        Raises:
            TypeError: ``key`` is not hashable.
            RuntimeError: The registry belongs to another Trio run.
        """
        everything = key is ANY
        if not everything:
            _require_hashable("key", key)
        return self._hub().watch(key, everything)

    # Telling others

    def dispatch(self, key: K, fn: Callable[[list[Entry[V]]], object]) -> int:
        """Call ``fn`` with the entries for ``key``, those of one partition at a time: a dispatcher, a local PubSub.

        ::

            registry.dispatch("topic", lambda entries: [owner.send_nowait("hello") for owner, _ in entries])

        It is never called with none. Not a checkpoint. Costs as much as there are entries for the key. What ``fn``
        raises leaves, and the partitions after it are not dispatched to.

        Returns:
            How many entries were dispatched to.

        Raises:
            TypeError: ``key`` is not hashable, ``fn`` is not callable, or it is async (or returns a coroutine, which
                nobody would await).
        """
        require_sync("fn", fn)
        _require_hashable("key", key)
        total = 0
        for entries in self._names.groups(key):
            total += len(entries)
            sync_result("fn", fn, fn(entries))
        return total

    async def dispatch_parallel(self, key: K, async_fn: Callable[[list[Entry[V]]], Awaitable[object]]) -> int:
        """`dispatch` with one task for each partition that has entries, side by side in a nursery.

        A checkpoint; it returns when all of them are done. Costs as much as there are entries for the key.

        Returns:
            How many entries were dispatched to.

        Raises:
            TypeError: ``key`` is not hashable, or ``async_fn`` is not callable.
            ExceptionGroup: What ``async_fn`` raised, as with any nursery; a `TypeError` if it is not async.
        """
        if not callable(async_fn):
            raise TypeError(f"async_fn must be callable, not {async_fn!r}")
        _require_hashable("key", key)
        await checkpoint()
        total = 0

        async def dispatch(partition: int) -> None:
            nonlocal total
            # Asked in the task's own first step: who has ended before it is not among them.
            entries = self._names.group(key, partition)
            if entries:
                total += len(entries)
                awaitable: object = async_fn(entries)
                if not isinstance(awaitable, Awaitable):
                    raise TypeError(f"async_fn must be an async function, and {async_fn!r} returned {awaitable!r}")
                await awaitable

        async with trio.open_nursery() as nursery:
            for partition in self._names.partitions_with(key):
                nursery.start_soon(dispatch, partition)
        return total

    def lock(self, key: Hashable) -> AbstractAsyncContextManager[None]:
        """Only one task at a time in the block: ``async with registry.lock(key): ...``.

        First come first served. The keys of locks are a namespace of their own. However the block is left, crash and
        cancellation included, the lock is free. Entering is a checkpoint; constant time.

        Raises:
            TypeError: ``key`` is not hashable.
            RuntimeError: When it is entered: this task has the lock, or the registry belongs to another Trio run.
        """
        _require_hashable("key", key)
        return KeyLock(self._locks, key)

    # Totals

    def total(self, key: K) -> Any:
        """The sum of the values of all entries for ``key``, kept up to date: an aggregated counter. 0 without any.

        With a float among the values it is a float, rounded once; infinite where that is too large for one.

        Not a checkpoint; safe from any thread; constant time.

        Raises:
            TypeError: ``key`` is not hashable.
            ValueError: The registry was made without ``totals=True``.
        """
        _require_hashable("key", key)
        total, floats = self._totals("total").get(key, (0, 0))
        if not floats:
            return int(total)
        try:
            return float(total)
        except OverflowError:
            return inf if total > 0 else -inf

    @enable_ki_protection
    def add(self, key: K, amount: V, *, owner: Owner | None = None) -> V:
        """Add to the value of the (oldest) entry for ``key`` that the caller (or ``owner``) holds: a counter.

        Not a checkpoint; constant time.

        Returns:
            The new value.

        Raises:
            NotRegistered: The owner does not hold the key.
            ValueError: The registry was made without ``totals=True``, or ``amount`` or the new value is not finite.
            TypeError: ``amount`` is not a number, ``key`` is not hashable, or ``owner`` is not an owner.
            RuntimeError, ActorExited: As for `register`.
        """
        self._totals("add")
        _require_hashable("key", key)
        _require_number("amount", amount)
        owner = self._names.writer(owner)
        for number, entry in self._names.held(owner, key, at_most=1):
            try:
                new = cast("V", cast("Any", entry.value) + amount)
            except OverflowError:
                raise ValueError(f"the new value must be finite: {entry.value!r} + {amount!r} is too large") from None
            _require_number("value", new)
            self._names.replace(owner, key, number, new)
            return new
        raise NotRegistered(self.name, key, owner)

    # Facts about the registry itself

    @overload
    def meta(self, key: Hashable) -> Any: ...
    @overload
    def meta(self, key: Hashable, default: T) -> Any | T: ...
    def meta(self, key: Hashable, default: object = _MISSING) -> Any:
        """What was put with `put_meta`; without a ``default``, `KeyError` if nothing was.

        Not a checkpoint; safe from any thread, as are `put_meta` and `delete_meta`; constant time. Facts about the
        registry belong to nobody and stay until they are deleted.
        """
        _require_hashable("key", key)
        found = self._meta.get(key, default)
        if found is _MISSING:
            raise KeyError(key)
        return found

    def put_meta(self, key: Hashable, value: object) -> None:
        """Keep a fact about the registry itself. `TypeError` if ``key`` is not hashable."""
        _require_hashable("key", key)
        self._meta[key] = value

    def delete_meta(self, key: Hashable) -> None:
        """Forget a fact, if it is there. `TypeError` if ``key`` is not hashable."""
        _require_hashable("key", key)
        self._meta.pop(key, None)

    # Showing

    def tables(self) -> list[Table]:
        """The tables of this registry, as Elixir's table viewer shows them: a key table and an owner table for each
        partition.

        Not a checkpoint; safe from any thread. Costs as much as there are entries: for people, not for programs.
        """
        partitions: Sequence[UniquePartition[K, V] | DuplicatePartition[K, V]] = self._names.partitions
        keys: list[Table] = []
        counts: list[dict[tuple[Owner, K, str], int]] = [{} for _ in partitions]
        for index, partition in enumerate(partitions):
            name = f"KeyPartition{index}"
            rows = [(key, entry.owner, entry.value) for key, entry in partition.rows()]
            keys.append(Table(name, ("key", "owner", "value"), tuple(rows), _size_of(partition)))
            for key, owner, _ in rows:
                count = counts[owner._number % len(partitions)]
                count[owner, key, name] = count.get((owner, key, name), 0) + 1
        owners: list[Table] = []
        for index, count in enumerate(counts):
            held = {id(owner): sys.getsizeof(owner._held) for owner, _, _ in count}
            rows_ = tuple((owner, key, TableName(name), number) for (owner, key, name), number in count.items())
            columns = ("owner", "key", "table", "entries")
            owners.append(Table(f"PIDPartition{index}", columns, rows_, sum(held.values())))
        return keys + owners

    def dump(self) -> str:
        """`tables`, laid out as text for people. Not a checkpoint; safe from any thread; costs what `tables` does."""
        return "\n".join([f"registry {self.name!r}, {self._kind} keys", *map(str, self.tables())])

    # What `Via` uses

    def _entry(self, key: K) -> Entry[V] | None:
        """The entry of a unique key."""
        try:
            if self._sole is not None:
                return self._sole.get(key)
            self._require_unique("whereis")
            return self._names.entry(key)
        except TypeError as error:
            raise _unhashable("key", key, error) from None

    def _succeed(self, key: K, value: V, owner: Owner, predecessor: Owner) -> bool:
        """Put ``owner`` in the place of ``predecessor``, who is ending. False: that one does not hold the key."""
        return self._names.hand_over(key, predecessor, owner, value, getattr(predecessor, "exit", None))

    def _hub(self) -> Hub[K, V]:
        self._names.enter(current_run())
        if self._names.hub is None:
            self._names.hub = Hub(())
        return self._names.hub

    def _totals(self, operation: str) -> dict[K, Total]:
        if self._names.totals is None:
            raise ValueError(f"{operation}() needs totals, and registry {self.name!r} was made without totals=True")
        return self._names.totals

    def _require_unique(self, operation: str) -> None:
        if not self._names.unique:
            raise ValueError(f"{operation}() needs unique keys, and those of registry {self.name!r} are duplicate")


class _Hold(AbstractContextManager[None], Generic[K, V]):
    __slots__ = ("_arguments", "_entered", "_registry")

    def __init__(self, registry: Registry[K, V], key: K, value: V, owner: Owner | None) -> None:
        self._registry = registry
        self._arguments = (key, value, owner)
        self._entered: tuple[Owner, int] | None = None

    @enable_ki_protection
    def __enter__(self) -> None:
        key, value, owner = self._arguments
        if self._entered is not None:
            raise RuntimeError(f"this hold({key!r}) is already entered: make another one")
        names = self._registry._names
        owner = names.writer(owner)
        if names.totals is not None:
            _require_number("value", value)
        try:
            self._entered = owner, names.insert(owner, key, value)
        except TypeError as error:
            raise _unhashable("key", key, error) from None

    @enable_ki_protection
    def __exit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        assert self._entered is not None
        owner, number = self._entered
        if owner.is_alive:
            owner._require_thread()
        self._entered = None
        self._registry._names.delete(owner, self._arguments[0], number)


def _owner_or_caller(owner: object) -> Owner:
    return current_owner() if owner is _MISSING else as_owner("owner", owner)


def _require_hashable(argument: str, value: object) -> None:
    try:
        hash(value)
    except TypeError as error:
        raise _unhashable(argument, value, error) from None


def _require_number(argument: str, value: object) -> None:
    if not isinstance(value, int | float):
        raise TypeError(f"{argument} must be a number in a registry with totals, not {value!r}")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{argument} must be a finite number in a registry with totals, not {value!r}")


def _unhashable(argument: str, value: object, error: TypeError) -> TypeError:
    return TypeError(f"{argument} must be hashable: {value!r} ({error})")


def _size_of(partition: UniquePartition[K, V] | DuplicatePartition[K, V]) -> int:
    if isinstance(partition, UniquePartition):
        return sys.getsizeof(partition.table) + sum(map(sys.getsizeof, list(partition.table.values())))
    size = sys.getsizeof(partition.table)
    for group in list(partition.table.values()):
        size += sys.getsizeof(group) + sum(map(sys.getsizeof, list(group.values())))
    return size
