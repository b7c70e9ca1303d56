"""Who holds how many names, and which keys have how many entries: for people who look for a leak of names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Any, TypeVar

from .._runtime import Owner, items_of
from .names import Names

K = TypeVar("K", bound=Hashable)

Holders = list[tuple[Owner, int]]


def holders_of(names: Names[Any, Any]) -> Holders:
    """Each owner in a registry with the number of its entries, the largest number first. Safe from any thread.

    The cost grows with the entries.
    """
    owners: dict[int, Owner] = {}
    counts: Counter[int] = Counter()
    for partition in names.partitions:
        # By identity: one owner object holds all the names of a task. Its own `__eq__` need not be asked.
        some = [entry[0] for _, entry in partition.rows()]
        counts.update(map(id, some))
        owners.update(zip(map(id, some), some, strict=True))
    return [(owners[number], count) for number, count in counts.most_common()]


def keys_of(names: Names[K, Any]) -> list[tuple[K, int]]:
    """Each key of a registry with duplicate keys, with the number of its entries, the largest number first.

    The cost grows with the keys. Partitioned by owner, a key is in several partitions: these are added up.
    """
    counts: dict[int, tuple[K, int]] = {}
    by_key: dict[K, int] = {}
    for partition in names.duplicate:
        for key, group in items_of(partition.table):
            try:
                number = by_key.setdefault(key, id(key))
            except Exception:
                number = id(key)  # its `__hash__` or `__eq__` raises: it counts for itself
            first, count = counts.get(number, (key, 0))
            counts[number] = first, count + len(group)
    return sorted(counts.values(), key=lambda each: -each[1])
