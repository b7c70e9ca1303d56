"""One key table: where a registry keeps its entries.

A registry has one or more partitions, all of one kind. A partition owns one dict and keeps one promise: an entry is
in it whole, or not at all. It knows nothing of tasks, runs or other partitions. Everything here is synchronous, and
safe to *read* from any thread: a reader makes one dict operation, or one copy in C.

Elixir keeps a second table for owners (``PIDPartition0``). Here each owner keeps its own keys (`owner.py`), and
`Registry.tables` makes the table of owners from the entries.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from itertools import islice
from typing import Generic, TypeAlias, TypeVar

from .._runtime import Owner, items_of
from .entry import Entry

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

Rows: TypeAlias = list[tuple[K, Entry[V]]]

_SPARSE = 500
"""The bytes for each entry from which a dict is copied to make it smaller. A full dict has 110 for each."""


class UniquePartition(Generic[K, V]):
    """At most one entry for each key."""

    __slots__ = ("table",)

    def __init__(self) -> None:
        self.table: dict[K, Entry[V]] = {}

    def rows(self) -> Collection[tuple[K, Entry[V]]]:
        """All entries, in the order in which their keys came. It is a snapshot: the table may change meanwhile."""
        return items_of(self.table)

    def purge(self, owner: Owner) -> tuple[Rows[K, V], Rows[K, V]]:
        """Remove all entries of an owner without looking up a key, as a key may be impossible to find.

        The cost grows with the table. Returns the owner's entries, and the entries of other owners that are lost:
        their keys can't be put back.
        """
        rows = list(self.table.items())
        purged = [(key, entry) for key, entry in rows if entry.owner is owner]
        lost = _without(self.table, rows, [entry.owner is owner for _, entry in rows])
        return purged, lost

    def clear(self) -> None:
        """Remove all entries."""
        self.table.clear()

    def __len__(self) -> int:
        return len(self.table)


class DuplicatePartition(Generic[K, V]):
    """Any number of entries for each key, in the order in which they came.

    Each entry has a number of its own, so the end of one subscriber among 150,000 is one deletion.

    Attributes:
        count: The number of entries.
        changes: Another number after each change: what a reader has kept of the table holds while it is the same.
    """

    __slots__ = ("changes", "count", "table")

    def __init__(self) -> None:
        self.table: dict[K, dict[int, Entry[V]]] = {}
        self.count = 0
        self.changes = 0

    def add(self, key: K, number: int, entry: Entry[V]) -> dict[int, Entry[V]]:
        """Add an entry. Returns the group of its key."""
        self.changes += 1
        group = self.table.get(key)
        if group is None:
            group = self.table[key] = {number: entry}
        else:
            group[number] = entry
        self.count += 1
        return group

    def undo_add(self, group: dict[int, Entry[V]]) -> None:
        """Undo the last `add`. It removes the last item of a dict, so no key is compared."""
        self.changes += 1
        group.popitem()
        if not group:
            self.table.popitem()
        self.count -= 1

    def sort(self, key: K) -> None:
        """Bring the entries of a key into the order of their numbers again."""
        self.changes += 1
        self.table[key] = dict(sorted(self.table[key].items()))

    def remove(self, key: K, numbers: list[int]) -> list[Entry[V]]:
        """Remove entries of a key: all of them, or none if the key's own `__eq__` raises."""
        group = self.table[key]
        removed = [group[number] for number in numbers]
        size = len(numbers)
        self.changes += 1
        # From here on no call, until all are gone. Deleting the key may raise, and then nothing has changed.
        if len(group) == size:
            del self.table[key]
        for number in numbers:
            del group[number]
        self.count -= size
        try:
            # A dict does not shrink by itself: to read the last entry of 150,000 would take as long as to read all.
            if group and group.__sizeof__() > _SPARSE * (len(group) + 8):
                self.table[key] = group.copy()
        except Exception:  # the key's `__eq__` raised, or the stack is full: the group stays as it is
            return removed
        return removed

    def entries(self, key: K, at_most: int | None = None) -> list[Entry[V]]:
        """The entries of a key, oldest first."""
        group = self.table.get(key)
        if group is None:
            return []
        if at_most is None:
            return list(group.values())
        while True:
            try:
                return list(islice(group.values(), at_most))
            except RecursionError:
                raise
            except RuntimeError:
                continue  # another thread changed the group since the iterator was made

    def rows(self) -> Iterator[tuple[K, Entry[V]]]:
        """All entries, one key after the other. Each group is a snapshot: the table may change meanwhile."""
        for key, group in items_of(self.table):
            for entry in list(group.values()):
                yield key, entry

    def purge(self, owner: Owner) -> tuple[Rows[K, V], Rows[K, V]]:
        """As `UniquePartition.purge`."""
        self.changes += 1
        groups = list(self.table.items())
        purged: Rows[K, V] = []
        for key, group in groups:
            for number in [number for number, entry in group.items() if entry.owner is owner]:
                purged.append((key, group.pop(number)))
        lost = [
            (key, entry)
            for key, group in _without(self.table, groups, [not group for _, group in groups])
            for entry in group.values()
        ]
        self.count -= len(purged) + len(lost)
        return purged, lost

    def clear(self) -> None:
        """Remove all entries."""
        self.changes += 1
        self.table.clear()
        self.count = 0

    def __len__(self) -> int:
        return self.count


def _without(table: dict[K, T], rows: list[tuple[K, T]], leaves: list[bool]) -> list[tuple[K, T]]:
    """Take some rows out of a dict: all its rows are given, and whether each leaves.

    No key is hashed or compared before the first row that leaves. Those after it are taken out and put back. Returns
    the rows that could not be put back, as their keys raise.
    """
    if True not in leaves:
        return []
    first = leaves.index(True)
    for _ in rows[first:]:
        table.popitem()
    return [
        (key, value)
        for (key, value), is_leaving in zip(rows[first:], leaves[first:], strict=True)
        if not (is_leaving or _put(table, key, value) or _put(table, key, value))  # it may raise once only
    ]


def _put(table: dict[K, T], key: K, value: T) -> bool:
    try:
        table[key] = value
    except BaseException:
        return False
    return True
