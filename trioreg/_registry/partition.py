"""One key table: where a registry keeps its entries.

A registry has one or more partitions, all of one kind. A partition owns one dict and keeps one promise: an entry is
in it whole, or not at all. It knows nothing of tasks, runs or other partitions. Everything here is synchronous, and
safe to *read* from any thread: a reader makes one dict operation, or one copy in C.

Elixir keeps a second table for owners (``PIDPartition0``). Here each owner keeps its own keys (`owner.py`), and
`Registry.tables` makes the table of owners from the entries.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import islice
from typing import Generic, TypeVar

from .._runtime import Owner
from .entry import Entry

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_SPARSE = 500
"""The bytes for each entry from which a dict is copied to make it smaller. A full dict has 110 for each."""


class UniquePartition(Generic[K, V]):
    """At most one entry for each key."""

    __slots__ = ("table",)

    def __init__(self) -> None:
        self.table: dict[K, Entry[V]] = {}

    def rows(self) -> Iterator[tuple[K, Entry[V]]]:
        """All entries, in the order in which their keys came. It is a snapshot: the table may change meanwhile."""
        # Copying a dict is one call in C, and makes no tuple for each row: a million names take some milliseconds.
        return iter(self.table.copy().items())

    def purge(self, owner: Owner) -> list[tuple[K, Entry[V]]]:
        """Remove all entries of an owner without looking up a key, as a key may be impossible to find. The cost grows
        with the table."""
        rows = list(self.table.items())
        self.table.clear()
        self.table.update((key, entry) for key, entry in rows if entry.owner is not owner)
        return [(key, entry) for key, entry in rows if entry.owner is owner]

    def __len__(self) -> int:
        return len(self.table)


class DuplicatePartition(Generic[K, V]):
    """Any number of entries for each key, in the order in which they came.

    Each entry has a number of its own, so the end of one subscriber among 150,000 is one deletion.
    """

    __slots__ = ("count", "table")

    def __init__(self) -> None:
        self.table: dict[K, dict[int, Entry[V]]] = {}
        self.count = 0

    def add(self, key: K, number: int, entry: Entry[V]) -> dict[int, Entry[V]]:
        """Add an entry. Returns the group of its key."""
        group = self.table.get(key)
        if group is None:
            group = self.table[key] = {number: entry}
        else:
            group[number] = entry
        self.count += 1
        return group

    def undo_add(self, group: dict[int, Entry[V]]) -> None:
        """Undo the last `add`. It removes the last item of a dict, so no key is compared."""
        group.popitem()
        if not group:
            self.table.popitem()
        self.count -= 1

    def remove(self, key: K, numbers: list[int]) -> list[Entry[V]]:
        """Remove entries of a key: all of them, or none if the key's own `__eq__` raises."""
        group = self.table[key]
        removed = [group[number] for number in numbers]
        size = len(numbers)
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
        group = self.table.get(key)
        if group is None:
            return []
        return list(group.values() if at_most is None else islice(group.values(), at_most))

    def rows(self) -> Iterator[tuple[K, Entry[V]]]:
        for key, group in self.table.copy().items():
            for entry in list(group.values()):
                yield key, entry

    def purge(self, owner: Owner) -> list[tuple[K, Entry[V]]]:
        """Remove all entries of an owner without looking up a key, as a key may be impossible to find. The cost grows
        with the table."""
        groups = list(self.table.items())
        purged: list[tuple[K, Entry[V]]] = []
        for key, group in groups:
            for number in [number for number, entry in group.items() if entry.owner is owner]:
                purged.append((key, group.pop(number)))
        self.table.clear()
        self.table.update((key, group) for key, group in groups if group)
        self.count -= len(purged)
        return purged

    def __len__(self) -> int:
        return self.count
