"""Look-ups: the owners of a key, the actors of a class among them, and the keys of an owner."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeVar, cast, overload

from .._actors import ActorRef
from .._runtime import Owner, require_hashable, unhashable
from .arguments import as_owner, needs_owner
from .class_of_holder import as_actor, as_class
from .core import RegistryCore
from .entry import Entry

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
A = TypeVar("A")


class Lookup(RegistryCore[K, V]):
    """The methods that look names up."""

    def lookup(self, key: K) -> list[Entry[V]]:
        """All entries for ``key``: at most one where keys are unique.

        Entries of duplicate keys are in the order in which they were registered, one partition after the other.

        Not a checkpoint; safe from any thread. The cost grows with the entries for this key, not with the number of
        keys (plus one step for each partition, where keys are partitioned by owner).

        Raises:
            TypeError: ``key`` is not hashable.
        """
        try:
            # `Tables.entry`, written out.
            if self._sole is not None:
                entry = self._sole.get(key)
                return [] if entry is None else [entry]
            if self._gets:
                entry = self._gets[hash(key) % self._n](key)
                return [] if entry is None else [entry]
            groups = [*self._names.groups(key)]
        except TypeError as error:
            raise unhashable("key", key, error) from None
        if len(groups) == 1:
            return groups[0]
        entries: list[Entry[V]] = []
        for group in groups:
            entries += group
        return entries

    @overload
    def whereis(self, key: K) -> Owner | None: ...
    @overload
    def whereis(self, key: K, *, of: type[A]) -> ActorRef[A] | None: ...
    def whereis(self, key: K, *, of: type[Any] | None = None) -> Owner | None:
        """The owner of the unique ``key``, or None.

        ::

            bond = agents.whereis("James Bond", of=SecretAgent)  # an ActorRef, or None

        Not a checkpoint; safe from any thread; constant time.

        Args:
            key: The key.
            of: The class of the actor that you expect. A type checker then knows the class of the reference.

        Raises:
            TypeError: ``key`` is not hashable, or ``of`` is not a class. Or the owner is not an actor of that class.
            ValueError: The keys of this registry are not unique.
        """
        try:
            # `Tables.entry`, written out.
            if self._sole is not None:
                entry = self._sole.get(key)
            else:
                if not self._gets:
                    self._require_unique("whereis")
                entry = self._gets[hash(key) % self._n](key)
        except TypeError as error:
            raise unhashable("key", key, error) from None
        if of is not None:
            cls = as_class(of)
            return None if entry is None else as_actor(entry.owner, cls, key, self.name)
        return None if entry is None else entry.owner

    @overload
    def refs(self, key: K) -> list[ActorRef[Any]]: ...
    @overload
    def refs(self, key: K, *, of: type[A]) -> list[ActorRef[A]]: ...
    def refs(self, key: K, *, of: type[Any] | None = None) -> list[ActorRef[Any]]:
        """The actors that hold ``key``, each once, in the order of `lookup`.

        ::

            for session in rooms.refs("lobby", of=Session):  # each an ActorRef[Session]
                await session.call(Session.close)

        Not a checkpoint; safe from any thread. It costs as much as `lookup`. To send one message to all of them, use
        `Registry.cast_all`.

        Args:
            key: The key.
            of: The class of the actors. A type checker then knows the class of the references.

        Raises:
            TypeError: ``key`` is not hashable, or ``of`` is not a class. Or an owner is not an actor (of that class).
        """
        cls = None if of is None else as_class(of)
        owners = dict.fromkeys([entry.owner for entry in self.lookup(key)])
        return [as_actor(owner, cls, key, self.name) for owner in owners]

    @needs_owner("keys(owner)")
    def keys(self, owner: Owner) -> list[K]:
        """The keys that ``owner`` holds in this registry, each as often as it is registered.

        ::

            registry.keys(trioreg.current_owner())      # your own

        An owner that has ended holds nothing. Not a checkpoint; safe from any thread. The cost grows with the keys that
        the owner holds here.

        Raises:
            TypeError: ``owner`` is missing, or is not an owner. None is not one either: check what `whereis` returns.
        """
        keys: list[K] = []
        for key, token in as_owner("owner", owner)._keys(self._names):
            keys.extend([key] * (len(token) if isinstance(token, dict) else 1))
        return keys

    @needs_owner("values(key, owner)")
    def values(self, key: K, owner: Owner) -> list[V]:
        """The values that ``owner`` has registered under ``key``, oldest first.

        Not a checkpoint; safe from any thread. The cost grows with the owner's entries for the key.

        Raises:
            TypeError: ``key`` is not hashable, or ``owner`` is missing or is not an owner.
        """
        owner = as_owner("owner", owner)
        require_hashable("key", key)
        return [entry.value for _, entry in self._names.entries_of(owner, key)]

    def items(self) -> list[tuple[K, Entry[V]]]:
        """All entries, each as a (key, `Entry`) pair: everything that is in this registry now.

        ::

            for key, (owner, value) in registry.items():
                ...

        The entries come partition by partition, and in each the oldest key first. Not a checkpoint; safe from
        any thread. The cost grows with the entries in the registry: in a large one, `Registry.select` lets other tasks
        run on the way.
        """
        return [row for partition in self._names.partitions for row in partition.rows()]

    def count(self) -> int:
        """The number of entries, as ``len(registry)``. Not a checkpoint; safe from any thread; one step for each
        partition."""
        return self._names.count()

    def __len__(self) -> int:
        return self._names.count()

    def __contains__(self, key: object) -> bool:
        """Whether ``key`` has an entry. Safe from any thread; constant time (plus one step for each partition, where
        keys are partitioned by owner). `TypeError` if ``key`` is not hashable."""
        try:
            some = cast("K", key)
            if self._gets:
                return some in self._names.table_of(some)
            return any(some in self._names.partitions[number].table for number in self._names.partitions_with(some))
        except TypeError as error:
            raise unhashable("key", key, error) from None
