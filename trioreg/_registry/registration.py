"""Registrations: take a name, change its value, hand it over, give it back."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, overload

import trio
from trio.lowlevel import checkpoint_if_cancelled, enable_ki_protection

from .._actors import ActorRef
from .._runtime import (
    AlreadyRegistered,
    NotRegistered,
    Owner,
    current_owner,
    require_hashable,
    require_room,
    require_sync,
    run_user,
    sync_result,
    unhashable,
)
from .arguments import AcceptsNone, as_owner
from .class_of_holder import as_actor, as_class
from .core import RegistryCore
from .entry import Entry, new_entry
from .names import entry_numbers
from .query import value_query
from .totals import require_summand

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
A = TypeVar("A")


class Registration(RegistryCore[K, V]):
    """The methods that change registrations."""

    @overload
    def register(self: AcceptsNone, key: K, *, owner: Owner | None = ...) -> Owner: ...
    @overload
    def register(self, key: K, value: V, *, owner: Owner | None = ...) -> Owner: ...
    @enable_ki_protection
    def register(  # pyright: ignore[reportInconsistentOverload]  # it does not see that the default is a V there
        self,
        key: K,
        value: V = None,  # type: ignore[assignment]
        owner: Owner | None = None,  # by keyword only, as the overloads say; a star here costs each call a twentieth
    ) -> Owner:
        """Register ``key`` until its owner ends or calls `unregister`.

        If this raises, nothing has changed. Not a checkpoint; constant time.

        Args:
            key: Any hashable.
            value: `lookup` gives it together with the owner.
            owner: The owner of the name. By default the actor whose code is running (its handlers, its background
                tasks), or else the current Trio task.

        Returns:
            The owner.

        Raises:
            AlreadyRegistered: Keys are unique and this one is held, maybe by the same owner.
            ActorExited: ``owner`` has ended.
            TypeError: ``key`` is not hashable, ``owner`` is not an owner, or ``value`` is not a number where the
                registry keeps totals.
            RuntimeError: The call comes from outside the owner's Trio run, or the registry belongs to another run.
        """
        names = self._names
        # `Names.writable_owner`, written out for the caller itself.
        if owner is None:
            try:
                owner = current_owner()
            except RuntimeError:
                owner = names.writable_owner(None)  # it says what is wrong
            if owner._run is not names._run:
                names.bind_to_run(owner._run)
        else:
            owner = names.writable_owner(owner)
        if names.plain is None:
            if names.totals is not None:
                require_summand("value", value)
            try:
                names.insert(owner, key, value)
            except TypeError as error:
                raise unhashable("key", key, error) from None
            return owner
        try:
            # `Names.insert`, written out.
            entry: Entry[V] = new_entry(Entry, (owner, value))
            number = next(entry_numbers)
            table = names.plain
            if table is None:  # to make those has run the garbage collector, and a `__del__` that follows the registry
                names.insert(owner, key, value)
                return owner
            taken = table.setdefault(key, entry)
            if taken is not entry:
                raise AlreadyRegistered(names.name, key, taken.owner, taken.value)
            try:
                owner._take(names, key, number)
            except BaseException:
                table.popitem()
                raise
        except TypeError as error:
            raise unhashable("key", key, error) from None
        return owner

    @overload
    def unregister(self, key: K) -> int: ...
    @overload
    def unregister(self, key: K, *, owner: Owner | None) -> int: ...
    @enable_ki_protection
    def unregister(self, key: K, owner: Owner | None = None) -> int:
        """Give ``key`` back: remove every entry that the owner has for it.

        Not a checkpoint; the cost grows with the owner's entries for the key.

        Args:
            key: The key.
            owner: The owner of the entries; by default the caller.

        Returns:
            The number of entries that were removed: 0 if the owner did not hold the key.

        Raises:
            ActorExited: ``owner`` was given and has ended.
            TypeError: ``key`` is not hashable, or ``owner`` is not an owner.
            RuntimeError: As for `register`.
        """
        names = self._names
        # `Names.writable_owner`, written out, as in `register`.
        if owner is None:
            try:
                owner = current_owner()
            except RuntimeError:
                owner = names.writable_owner(None)
            if owner._run is not names._run:
                names.bind_to_run(owner._run)
        else:
            owner = names.writable_owner(owner)
        table = names.plain
        held = owner._held
        try:
            if table is None or type(held) is not tuple or held[1] is not key or held[0] is not names:
                return names.delete_all(owner, key)
            if names.queues.by_key or names.selections:
                return names.delete_all(owner, key)
            # `Names._remove_all`, written out for an owner without another name.
            owner._held = None
            try:  # noqa: SIM105  # it costs nothing
                owner._holds_nothing()
            except (RecursionError, MemoryError):
                pass
            try:
                entry = table.pop(key)
                if entry[0] is not owner:
                    table[key] = entry
                    raise KeyError(key)
            except BaseException:
                owner._undrop(held, names, key, held[2])
                raise
            return 1
        except TypeError as error:
            raise unhashable("key", key, error) from None

    @enable_ki_protection
    def unregister_match(
        self,
        key: K,
        pattern: object,
        *,
        where: Callable[..., object] | None = None,
        owner: Owner | None = None,
    ) -> int:
        """Remove the owner's entries for ``key`` whose values match a pattern. Its other entries stay.

        Not a checkpoint; the cost grows with the owner's entries for the key.

        Args:
            key: The key.
            pattern, where: As for `match`.
            owner: The owner of the entries; by default the caller.

        Returns:
            The number of entries that were removed.

        Raises:
            ActorExited, RuntimeError: As for `unregister`.
            TypeError, ValueError: As for `unregister` and `match`.
        """
        require_hashable("key", key)
        fits = value_query(pattern, where)
        owner = self._names.writable_owner(owner)
        # Ask about all entries first, remove them then: if the pattern raises, nothing has changed.
        numbers = [number for number, entry in self._names.entries_of(owner, key) if run_user(fits, entry)]
        removed = 0
        for number in numbers:
            removed += self._names.delete(owner, key, number)
        return removed

    @overload
    async def acquire(self: AcceptsNone, key: K, *, owner: Owner | None = ...) -> Owner: ...
    @overload
    async def acquire(self, key: K, value: V, *, owner: Owner | None = ...) -> Owner: ...
    async def acquire(  # pyright: ignore[reportInconsistentOverload]  # it does not see that the default is a V there
        self,
        key: K,
        value: V = None,  # type: ignore[assignment]
        *,
        owner: Owner | None = None,
    ) -> Owner:
        """Wait until the unique ``key`` is free, then register it: for a leader election or a hot standby.

        First come, first served. A name that is given back goes straight to the first waiter, and is never seen free
        in between. The owner then holds it as after `register`. An owner that gets the name by `transfer` stops
        waiting too. A checkpoint; if it is cancelled, the caller leaves the queue and holds nothing. Constant time.

        Args:
            key, value, owner: As for `register`.

        Returns:
            The owner.

        Raises:
            ActorExited: ``owner`` has ended, or ends while it waits.
            ValueError: The keys of this registry are not unique.
            RuntimeError: The owner already holds the key, and would wait for itself. Or as for `register`.
            TypeError: As for `register`.
        """
        self._require_unique("acquire")
        require_hashable("key", key)
        if self._names.totals is not None:
            require_summand("value", value)
        owner = self._names.writable_owner(owner)
        await checkpoint_if_cancelled()
        return await self._acquire(key, value, owner)

    @enable_ki_protection
    async def _acquire(self, key: K, value: V, owner: Owner) -> Owner:
        require_room()
        names = self._names
        entry = names.entry(key)
        if entry is None:
            names.insert(owner, key, value)
        elif entry.owner is owner:
            raise RuntimeError(f"{owner!r} holds {key!r} in {self.name!r} already: it would wait for itself")
        else:
            await names.queues.wait(key, owner, value)
        try:
            if entry is None:
                await trio.lowlevel.cancel_shielded_checkpoint()
            return names.writable_owner(owner)
        except BaseException:
            names.delete_all(owner, key)  # the caller gets an error, so it would not know that it has the name
            raise

    @enable_ki_protection
    def update_value(self, key: K, fn: Callable[[V], V], *, owner: Owner | None = None) -> tuple[V, V]:
        """Change the value of a unique ``key`` that the caller (or ``owner``) holds.

        If ``fn`` raises, nothing has changed. Not a checkpoint; constant time, plus the time of ``fn``.

        Args:
            key: The key.
            fn: A function that takes the old value and returns the new one.
            owner: The owner of the key; by default the caller.

        Returns:
            The new and the old value.

        Raises:
            NotRegistered: The owner does not hold the key, or no longer holds it when ``fn`` returns.
            ValueError: The keys of this registry are not unique.
            TypeError: ``key`` is not hashable, ``fn`` is not callable, is async or returns a coroutine, or ``owner`` is
                not an owner.
            RuntimeError, ActorExited: As for `register`.
        """
        self._require_unique("update_value")
        require_hashable("key", key)
        require_sync("fn", fn)
        names = self._names
        owner = names.writable_owner(owner)
        for number, entry in names.entries_of(owner, key):
            new = sync_result("fn", fn, run_user(fn, entry.value))
            if names.totals is not None:
                require_summand("value", new)
            while [each for each, _ in names.entries_of(owner, key)] == [number]:
                old = names.replace(owner, key, number, new)
                if old is not None:
                    return new, old.value
        raise NotRegistered(self.name, key, owner)

    @enable_ki_protection
    def transfer(self, key: K, to: Owner, *, owner: Owner | None = None) -> None:
        """Hand a unique name to another owner, with its value. At every moment it has exactly one owner.

        Not a checkpoint; constant time.

        Args:
            key: The name.
            to: The new owner.
            owner: The present owner; by default the caller.

        Raises:
            NotRegistered: The owner does not hold the key.
            ActorExited: ``to``, or ``owner``, has ended.
            ValueError: The keys of this registry are not unique.
            TypeError: ``key`` is not hashable, or ``to`` or ``owner`` is not an owner.
            RuntimeError: As for `register`.
        """
        self._require_unique("transfer")
        require_hashable("key", key)
        as_owner("to", to)
        owner = self._names.writable_owner(owner)
        to = self._names.writable_owner(to)
        held = self._names.entries_of(owner, key)
        if not held:
            raise NotRegistered(self.name, key, owner)
        if to is not owner:
            self._names.hand_over(key, owner, to, held[0][1].value)

    @overload
    def take(self: AcceptsNone, key: K, *, owner: Owner | None = ...) -> Owner | None: ...
    @overload
    def take(self: AcceptsNone, key: K, *, owner: Owner | None = ..., of: type[A]) -> ActorRef[A] | None: ...
    @overload
    def take(self, key: K, value: V, *, owner: Owner | None = ...) -> Owner | None: ...
    @overload
    def take(self, key: K, value: V, *, owner: Owner | None = ..., of: type[A]) -> ActorRef[A] | None: ...
    @enable_ki_protection
    def take(  # pyright: ignore[reportInconsistentOverload]  # it does not see that the default is a V there
        self,
        key: K,
        value: V = None,  # type: ignore[assignment]
        *,
        owner: Owner | None = None,
        of: type[Any] | None = None,
    ) -> Owner | None:
        """Register a unique ``key``, and take it from any owner that has it: for a client that connects again.

        ::

            former = sessions.take(user, of=Session)  # an ActorRef, or None
            if former is not None: ...  # an older session of this user: tell it, or end it

        It happens in one step: at every moment the name has exactly one owner. The former owner is not told and lives
        on. Watchers and listeners get an `Unregistered` and a `Registered`, as for `transfer`. Tasks that wait in
        `acquire` go on waiting; if the new owner is one that waits, it has the name now. Not a checkpoint; constant
        time.

        A supervisor can't restart a child whose ``name=`` was taken: the name is held then. So give such children the
        name by `take`, in their ``on_start``, or start them with ``restart="temporary"``.

        Args:
            key, value, owner: As for `register`.
            of: The class of the actor that you expect to have the key. A type checker then knows the class of the
                reference that you get.

        Returns:
            The former owner. None if the key was free, or if the same owner had it already: then only the value
            changes.

        Raises:
            ActorExited: ``owner`` has ended.
            ValueError: The keys of this registry are not unique.
            TypeError: As for `register`. Or ``of`` is not a class, or another owner that is not an actor of that class
                has the key.
            RuntimeError: As for `register`.
        """
        self._require_unique("take")
        require_hashable("key", key)
        cls = None if of is None else as_class(of)
        names = self._names
        owner = names.writable_owner(owner)
        if names.totals is not None:
            require_summand("value", value)
        while True:
            entry = names.entry(key)
            if entry is None:
                names.insert(owner, key, value)
                return None
            if entry.owner is owner:
                held = names.entries_of(owner, key)
                if not held or names.replace(owner, key, held[0][0], value) is not None:
                    return None
                continue  # a `__del__` has just given it back: look again
            if cls is not None:
                as_actor(entry.owner, cls, key, self.name)  # before anything changes
            if names.hand_over(key, entry.owner, owner, value):
                return entry.owner
            # The key's own `__eq__` has changed the registry in between: look again.
