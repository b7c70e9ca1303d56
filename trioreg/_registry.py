"""Names for actors and tasks, each tied to the life of the one that holds it.

A `Registry` owns its partitions and decides who may register what; the lease that gives the names back when their
holder ends is the holder's own (`_owner.py`). Nothing here waits, and nothing here knows what an actor is.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

from trio.lowlevel import enable_ki_protection

from ._entry import Entry
from ._errors import ActorExited, AlreadyRegistered
from ._exit import Exit
from ._owner import Owner, Token, current_owner, in_run_of
from ._partition import DuplicatePartition, UniquePartition
from ._table_viewer import Table, TableName
from ._via import Via

if TYPE_CHECKING:
    from types import TracebackType

    from ._run import Run

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

KeysKind: TypeAlias = Literal["unique", "duplicate"] | tuple[Literal["duplicate"], Literal["owner", "key"]]

_numbers = count()


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
    it belongs to the run whose tasks hold names in it until the last of them is gone. Reading is safe from any
    thread. The idea is Elixir's `Registry`.

    Args:
        name: What the registry is called in errors and tables.
        keys: ``"unique"``: one holder for each key. ``"duplicate"``: any number, partitioned by owner.
            ``("duplicate", "key")``: any number, partitioned by key, so that a look-up reads one partition.
        partitions: How many partitions, at least 1.

    Raises:
        TypeError: ``name`` is not a str, or ``partitions`` is not an int.
        ValueError: ``keys`` is none of the above, or ``partitions`` is less than 1.
    """

    def __init__(self, name: str, *, keys: KeysKind = "unique", partitions: int = 1) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {name!r}")
        if not isinstance(partitions, int) or isinstance(partitions, bool):
            raise TypeError(f"partitions must be an int, not {partitions!r}")
        if partitions < 1:
            raise ValueError(f"partitions must be at least 1, not {partitions!r}")
        if keys not in ("unique", "duplicate", ("duplicate", "owner"), ("duplicate", "key")):
            raise ValueError(f"keys must be 'unique', 'duplicate' or ('duplicate', 'key'), not {keys!r}")
        self._name = name
        self._n = partitions
        self._run: Run | None = None
        self._by_owner = keys in ("duplicate", ("duplicate", "owner"))
        self._keys: Literal["unique", "duplicate"] = "unique" if keys == "unique" else "duplicate"
        self._unique: list[UniquePartition[K, V]] = []
        self._duplicate: list[DuplicatePartition[K, V]] = []
        if keys == "unique":
            self._unique = [UniquePartition() for _ in range(partitions)]
        else:
            self._duplicate = [DuplicatePartition() for _ in range(partitions)]
        # The table itself where there is only one: the look-up of a name is the hottest path there is.
        self._sole: dict[K, Entry[V]] | None = self._unique[0].table if keys == "unique" and partitions == 1 else None

    @property
    def name(self) -> str:
        """The name it was made with."""
        return self._name

    @property
    def partitions(self) -> int:
        """How many partitions it has."""
        return self._n

    def __repr__(self) -> str:
        return f"<Registry {self._name!r}, {self._keys} keys, {self.count()} registered>"

    # Looking

    def lookup(self, key: K) -> list[Entry[V]]:
        """Everybody registered as ``key``, in the order in which they came: at most one where keys are unique.

        Not a checkpoint; safe from any thread. Costs as much as there are entries for the key, however many other
        keys there are (and one step for each partition, where keys are partitioned by owner).

        Raises:
            TypeError: ``key`` is not hashable.
        """
        try:
            if self._sole is not None:
                entry = self._sole.get(key)
                return [] if entry is None else [entry]
            if self._unique:
                entry = self._unique[hash(key) % self._n].table.get(key)
                return [] if entry is None else [entry]
            if not self._by_owner:
                return self._duplicate[hash(key) % self._n].entries(key)
            return [entry for partition in self._duplicate for entry in partition.entries(key)]
        except TypeError as error:
            raise _unhashable("key", key, error) from None

    def whereis(self, key: K) -> Owner | None:
        """Who holds the unique ``key``, or None.

        Not a checkpoint; safe from any thread; constant time.

        Raises:
            TypeError: ``key`` is not hashable.
            ValueError: The keys of this registry are not unique.
        """
        entry = self._entry(key)
        return None if entry is None else entry.owner

    def keys(self, owner: Owner | None = None) -> list[K]:
        """The keys that ``owner`` (by default: the caller) holds here, each as often as it registered it.

        Not a checkpoint; safe from any thread if ``owner`` is given. Costs as much as it holds in this registry. An
        owner that has ended holds nothing.
        """
        owner = _owner_or_current(owner)
        keys: list[K] = []
        for key, token in list(owner._keys(self).items()):
            keys.extend([key] * (len(token) if isinstance(token, dict) else 1))
        return keys

    def values(self, key: K, owner: Owner | None = None) -> list[V]:
        """The values under which ``owner`` (by default: the caller) is registered as ``key``.

        Not a checkpoint; safe from any thread if ``owner`` is given. Costs as much as the owner has entries for the
        key.
        """
        owner = _owner_or_current(owner)
        try:
            token = owner._keys(self).get(key)
        except TypeError as error:
            raise _unhashable("key", key, error) from None
        if token is None:
            return []
        if self._unique:
            entry = self._entry(key)
            return [entry.value] if entry is not None and entry.owner is owner else []
        group = self._duplicates_of(owner, key).table.get(key, {})
        return [group[number].value for number in _numbers_in(token) if number in group]

    def count(self) -> int:
        """How many entries there are. Not a checkpoint; safe from any thread; one step for each partition."""
        return sum(map(len, self._unique or self._duplicate))

    # Registering

    @enable_ki_protection
    def register(self, key: K, value: V = None, *, owner: Owner | None = None) -> Owner:  # type: ignore[assignment]
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
            TypeError: ``key`` is not hashable, or ``owner`` is not an owner.
            RuntimeError: Called outside of the Trio run that hosts the owner, or while the tasks of another run hold
                names here.
        """
        owner = self._writer(owner)
        self._insert(owner, key, value)
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
        owner = self._writer(owner)
        try:
            token = owner._keys(self).get(key)
        except TypeError as error:
            raise _unhashable("key", key, error) from None
        if token is None:
            return 0
        owner._drop(self, key)
        return self._remove(owner, key, token)

    def hold(self, key: K, value: V = None, *, owner: Owner | None = None) -> AbstractContextManager[None]:  # type: ignore[assignment]
        """Hold a name for a block instead of for a whole life: ``with registry.hold("leader"): ...``.

        The entry is gone when the block is left or when its owner ends, whichever comes first; other entries of the
        same owner stay. Arguments, errors and costs are those of `register`, raised when the block is entered.
        """
        return _Hold(self, key, value, owner)

    def via(self, key: K, value: V = None) -> Via[K, V]:  # type: ignore[assignment]
        """An address that finds its actor by name, each time it is used: Elixir's ``{:via, Registry, ...}``.

        It goes wherever an `ActorRef` goes, and as ``name=`` into ``start_child``. Not a checkpoint; constant time.

        Args:
            key: The name.
            value: Where the address is used as ``name=``: what the actor is registered with.

        Raises:
            TypeError: ``key`` is not hashable.
            ValueError: The keys of this registry are not unique.
        """
        self._require_unique("via")
        try:
            hash(key)
        except TypeError as error:
            raise _unhashable("key", key, error) from None
        return Via(self, key, value)

    # Showing

    def tables(self) -> list[Table]:
        """The tables of this registry, as Elixir's table viewer shows them: a key table and an owner table for each
        partition.

        Not a checkpoint; safe from any thread. Costs as much as there are entries: for people, not for programs.
        """
        key_tables: list[list[tuple[object, ...]]] = [[] for _ in range(self._n)]
        owner_tables: list[dict[tuple[Owner, K, str], int]] = [{} for _ in range(self._n)]
        partitions: Sequence[UniquePartition[K, V] | DuplicatePartition[K, V]] = self._unique or self._duplicate
        for index, partition in enumerate(partitions):
            for key, entry in partition.rows():
                key_tables[index].append((key, entry.owner, entry.value))
                row = (entry.owner, key, f"KeyPartition{index}")
                rows = owner_tables[hash(entry.owner) % self._n]
                rows[row] = rows.get(row, 0) + 1
        tables: list[Table] = []
        for index, (keys, owners) in enumerate(zip(key_tables, owner_tables, strict=True)):
            size = _size_of(partitions[index])
            tables.append(Table(f"KeyPartition{index}", ("key", "owner", "value"), tuple(keys), size))
            rows_ = tuple((owner, key, TableName(table), n) for (owner, key, table), n in owners.items())
            held = {id(owner): sys.getsizeof(owner._held) for owner, _, _ in owners}
            tables.append(
                Table(f"PIDPartition{index}", ("owner", "key", "table", "entries"), rows_, sum(held.values()))
            )
        return tables

    def dump(self) -> str:
        """`tables`, laid out as text for people. Not a checkpoint; safe from any thread; costs what `tables` does."""
        return "\n".join([f"registry {self._name!r}, {self._keys} keys", *map(str, self.tables())])

    # What owners, `Via` and supervisors use

    def _entry(self, key: K) -> Entry[V] | None:
        """The entry of a unique key."""
        try:
            if self._sole is not None:
                return self._sole.get(key)
            self._require_unique("whereis")
            return self._unique[hash(key) % self._n].table.get(key)
        except TypeError as error:
            raise _unhashable("key", key, error) from None

    def _succeed(self, key: K, value: V, owner: Owner, predecessor: Owner) -> bool:
        """Put ``owner`` in the place of ``predecessor``, who is ending: no moment without a holder, none with two.

        Returns False, having done nothing, if the predecessor does not hold the key any more.
        """
        table = self._unique[hash(key) % self._n].table
        entry = table.get(key)
        if entry is None or entry.owner is not predecessor:
            return False
        table[key] = Entry(owner, value)
        predecessor._drop(self, key)
        owner._take(self, key, next(_numbers))
        return True

    def _reclaim(self, owner: Owner, keys: Mapping[Any, Token], exit: Exit | None) -> None:
        """The owner has ended (`Lessor`): forget its entries. Must not raise, and must not leave one behind."""
        for key, token in keys.items():
            try:
                self._remove(owner, key, token)
            except Exception:
                # Only a key whose `__hash__` or `__eq__` does not do today what it did when it was registered gets
                # here. Its entries still must go: look for them by their owner instead.
                self._purge(owner)

    def _purge(self, owner: Owner) -> None:
        for unique in self._unique:
            kept = [(key, entry) for key, entry in unique.table.items() if entry.owner is not owner]
            unique.table.clear()
            unique.table.update(kept)
        for duplicate in self._duplicate:
            for group in list(duplicate.table.values()):
                for number in [number for number, entry in group.items() if entry.owner is owner]:
                    del group[number]
                    duplicate.count -= 1

    def _insert(self, owner: Owner, key: K, value: V) -> int:
        """Add an entry, or raise and change nothing. Returns the number that tells it from every other one."""
        entry = Entry(owner, value)
        number = next(_numbers)
        try:
            if self._unique:
                # One dict operation both asks and takes: should the key's own `__eq__` raise, nothing has happened.
                taken = self._unique[hash(key) % self._n].table.setdefault(key, entry)
                if taken is not entry:
                    raise AlreadyRegistered(self._name, key, taken.owner, taken.value)
                owner._take(self, key, number)
                return number
            token = owner._keys(self).get(key)
            self._duplicates_of(owner, key).add(key, number, entry)
        except TypeError as error:
            raise _unhashable("key", key, error) from None
        if token is None:
            owner._take(self, key, number)
        elif isinstance(token, dict):
            token[number] = None
        else:
            owner._take(self, key, {token: None, number: None})
        return number

    def _delete(self, owner: Owner, key: K, number: int) -> bool:
        """Remove one entry of an owner, if it is still there."""
        token = owner._keys(self).get(key)
        if token is None:
            return False
        if token == number:
            owner._drop(self, key)
            self._remove(owner, key, token)
        elif isinstance(token, dict) and number in token:
            del token[number]
            self._duplicates_of(owner, key).remove(key, number)
            if not token:
                owner._drop(self, key)
        else:
            return False
        return True

    def _remove(self, owner: Owner, key: K, token: Token) -> int:
        if self._unique:
            del self._unique[hash(key) % self._n].table[key]
            return 1
        partition = self._duplicates_of(owner, key)
        numbers = _numbers_in(token)
        for number in numbers:
            partition.remove(key, number)
        return len(numbers)

    def _duplicates_of(self, owner: Owner, key: K) -> DuplicatePartition[K, V]:
        return self._duplicate[hash(owner if self._by_owner else key) % self._n]

    def _writer(self, owner: Owner | None) -> Owner:
        """The owner to write for, once it is certain that it may be written for, from here, now."""
        if owner is None:
            try:
                owner = current_owner()
            except RuntimeError:
                raise RuntimeError(
                    f"registry {self._name!r} can only be written from inside the Trio run that hosts the owner"
                ) from None
        else:
            owner = _owner_or_current(owner)
            if not owner.is_alive:
                raise ActorExited(owner, getattr(owner, "exit", None) or Exit("normal"))
            if not in_run_of(owner):
                raise RuntimeError(
                    f"registry {self._name!r} can only be written from inside the Trio run that hosts the owner, "
                    f"and {owner!r} lives in another one"
                )
        if owner._run is not self._run:
            if self._run is not None and self.count():
                raise RuntimeError(f"registry {self._name!r} is in use by another Trio run ({self._run!r})")
            self._run = owner._run
        return owner

    def _require_unique(self, operation: str) -> None:
        if not self._unique:
            raise ValueError(f"{operation}() needs unique keys, and those of registry {self._name!r} are duplicate")


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
        owner = self._registry._writer(owner)
        self._entered = owner, self._registry._insert(owner, key, value)

    @enable_ki_protection
    def __exit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        assert self._entered is not None
        (owner, number), self._entered = self._entered, None
        self._registry._delete(owner, self._arguments[0], number)


def _owner_or_current(owner: Owner | None) -> Owner:
    if owner is None:
        return current_owner()
    if not isinstance(owner, Owner):
        raise TypeError(f"owner must be an ActorRef or a TaskOwner, not {owner!r}")
    return owner._canonical()


def _numbers_in(token: Token) -> list[int]:
    return list(token) if isinstance(token, dict) else [token]


def _unhashable(argument: str, value: object, error: TypeError) -> TypeError:
    return TypeError(f"{argument} must be hashable: {value!r} ({error})")


def _size_of(partition: UniquePartition[K, V] | DuplicatePartition[K, V]) -> int:
    if isinstance(partition, UniquePartition):
        return sys.getsizeof(partition.table) + sum(map(sys.getsizeof, list(partition.table.values())))
    size = sys.getsizeof(partition.table)
    for group in list(partition.table.values()):
        size += sys.getsizeof(group) + sum(map(sys.getsizeof, list(group.values())))
    return size
