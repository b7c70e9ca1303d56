"""The tables of owners, ``PIDPartition0`` and so on. There are no such tables: they are made of the entries.

To count the rows of each means to look at all entries. So the counts are kept for a while: as long as it takes to make
the time for them a small part of the program's.
"""

from __future__ import annotations

import sys
from contextlib import aclosing
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import attrs

from .chunks import chunks, entries_of
from .pace import Pace

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .._registry import Entry, Names
    from .._runtime import Owner

SHARE = 0.02
"""Which part of the time counting may take."""


@attrs.define
class Counts:
    """What is known of the tables of owners of one registry.

    Attributes:
        objects: How many rows each table has.
        sizes: How many bytes the owners use to keep them.
        until: When to count again, as `time.perf_counter`.
    """

    objects: list[int]
    sizes: list[int]
    until: float


class OwnerRows:
    """Some rows of a table of owners, as columns: owner, key, number of the key table, number of entries."""

    __slots__ = ("entries", "keys", "owners", "partitions")

    def __init__(self, owners: list[Owner], keys: list[Any], partitions: list[int], entries: list[int]) -> None:
        self.owners = owners
        self.keys = keys
        self.partitions = partitions
        self.entries = entries

    def add(self, owner: Owner, key: Any, partition: int, entries: int) -> None:
        """One more."""
        self.owners.append(owner)
        self.keys.append(key)
        self.partitions.append(partition)
        self.entries.append(entries)


class OwnerTables:
    """The counts of one observer. It keeps no registry."""

    def __init__(self) -> None:
        self._counts: WeakKeyDictionary[Names[Any, Any], Counts] = WeakKeyDictionary()

    async def counts(self, names: Names[Any, Any], pace: Pace) -> Counts:
        """How many rows each table has. The cost grows with the entries, in slices, if they are counted."""
        known = self._counts.get(names)
        if known is not None and perf_counter() < known.until:
            return known
        own = Pace()
        counts = Counts([0] * names.n, [0] * names.n, 0.0)
        async with aclosing(owner_rows(names, None, own)) as parts:
            async for rows in parts:
                for owner in rows.owners:
                    if own.is_over():
                        await own.rest()
                    table = owner._number % names.n
                    counts.objects[table] += 1
                    counts.sizes[table] += _share_of(owner, names)
        seconds = own.done()
        counts.until = perf_counter() + (seconds / SHARE if seconds > 0.001 else 0.0)
        self._counts[names] = counts
        return counts


def _share_of(owner: Owner, names: Names[Any, Any]) -> int:
    """The bytes for one key of an owner: those in which it keeps all its keys of the registry, divided by these."""
    held = owner._held
    if not isinstance(held, dict):
        return sys.getsizeof(held)
    keys = held.get(names)
    return sys.getsizeof(keys) // len(keys) if keys else 0


async def owner_rows(names: Names[Any, Any], table: int | None, pace: Pace) -> AsyncGenerator[OwnerRows, None]:
    """The rows of a table of owners (of all of them, with None), some at a time: each owner with each of its keys, and
    with the number of its entries for that."""
    if names.unique:
        for number in range(names.n):
            async with entries_of(names, number, pace) as parts:
                async for keys, entries in parts:
                    yield _of_unique(names, table, number, keys, entries)
        return
    for number in range(names.n):
        if names.by_owner and table is not None and number != table:
            continue  # all its owners are in the table of the same number
        async with entries_of(names, number, pace) as parts:
            async for keys, groups in parts:
                rows = OwnerRows([], [], [], [])
                for key, group in zip(keys, groups, strict=True):
                    if pace.is_over():
                        await pace.rest()
                    for owner, count in _first_owner(group) or (await _owners_of(group, pace)).items():
                        if table is None or owner._number % names.n == table:
                            rows.add(owner, key, number, count)
                yield rows


def _of_unique(
    names: Names[Any, Any], table: int | None, number: int, keys: list[Any], entries: list[Entry[Any]]
) -> OwnerRows:
    if table is not None and names.n > 1:
        pairs = [
            (entry[0], key) for key, entry in zip(keys, entries, strict=True) if entry[0]._number % names.n == table
        ]
        owners, keys = [owner for owner, _ in pairs], [key for _, key in pairs]
    else:
        owners = [entry[0] for entry in entries]
    return OwnerRows(owners, keys, [number] * len(keys), [1] * len(keys))


def _first_owner(group: dict[int, Entry[Any]]) -> list[tuple[Owner, int]] | None:
    """The owner of the only entry of a key, as most topics have one; None if there are more."""
    return [(next(iter(group.values()))[0], 1)] if len(group) == 1 else None


async def _owners_of(group: dict[int, Entry[Any]], pace: Pace) -> dict[Owner, int]:
    """The owners of the entries of one key, each with how many it has."""
    counts: dict[Owner, int] = {}
    async with aclosing(chunks(group, pace)) as parts:
        async for _, entries in parts:
            for entry in entries:
                if pace.is_over():
                    await pace.rest()
                counts[entry[0]] = counts.get(entry[0], 0) + 1
    return counts
