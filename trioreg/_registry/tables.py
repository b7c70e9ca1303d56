"""All tables of one registry: which partition a key is in, and its entries there."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import islice
from typing import Generic, Literal, TypeVar

from .._runtime import Owner, Token
from .entry import Entry
from .partition import DuplicatePartition, UniquePartition

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Tables(Generic[K, V]):
    """The partitions of a registry, for reading, which is safe from any thread. `Names` changes them.

    Attributes:
        unique, duplicate: The partitions. One of the two lists is empty.
        sole: The table of the only partition, if keys are unique; else None. Look-ups go straight to it.
        n: The number of partitions.
        by_owner: Whether duplicate keys are partitioned by owner (else by key).
    """

    __slots__ = ("by_owner", "duplicate", "n", "sole", "unique")

    def __init__(self, kind: str, partitions: int, *, by_owner: bool) -> None:
        self.n: int = partitions
        self.by_owner: bool = by_owner
        is_unique = kind == "unique"
        self.unique: list[UniquePartition[K, V]] = [UniquePartition() for _ in range(partitions)] if is_unique else []
        self.duplicate: list[DuplicatePartition[K, V]] = (
            [] if is_unique else [DuplicatePartition() for _ in range(partitions)]
        )
        self.sole: dict[K, Entry[V]] | None = self.unique[0].table if is_unique and partitions == 1 else None

    @property
    def kind(self) -> Literal["unique", "duplicate"]:
        """The kind of keys."""
        return "unique" if self.unique else "duplicate"

    @property
    def partitions(self) -> Sequence[UniquePartition[K, V] | DuplicatePartition[K, V]]:
        """All of them, of either kind."""
        return self.unique or self.duplicate

    def count(self) -> int:
        """The number of entries. One step for each partition."""
        return sum(map(len, self.partitions))

    def entry(self, key: K) -> Entry[V] | None:
        """The entry of a unique key."""
        if self.sole is not None:
            return self.sole.get(key)
        return self.table_of(key).get(key)

    def table_of(self, key: K) -> dict[K, Entry[V]]:
        """The table for a unique key."""
        return self.unique[hash(key) % self.n].table

    def groups(self, key: K) -> Iterator[list[Entry[V]]]:
        """The entries of a key: one list for each partition that has some."""
        for partition in self.partitions_with(key):
            entries = self.group(key, partition)
            if entries:
                yield entries

    def partitions_with(self, key: K) -> list[int]:
        """The numbers of the partitions that may have entries of a key."""
        return list(range(self.n)) if self.duplicate and self.by_owner else [hash(key) % self.n]

    def first(self, key: K) -> Entry[V] | None:
        """The first entry of a key. Constant time, even if there are many."""
        return next((entry for n in self.partitions_with(key) for entry in self.group(key, n, at_most=1)), None)

    def group(self, key: K, partition: int, at_most: int | None = None) -> list[Entry[V]]:
        """The entries of a key in one partition."""
        if self.duplicate:
            return self.duplicate[partition].entries(key, at_most)
        entry = self.unique[partition].table.get(key)
        return [] if entry is None else [entry]

    def partition_of(self, owner: Owner, key: K) -> int:
        """The number of the partition that an entry is in."""
        return (owner._number if self.duplicate and self.by_owner else hash(key)) % self.n


def numbers_in(token: Token, at_most: int | None = None) -> list[int]:
    """The numbers of an owner's entries for a key, oldest first, from what the owner keeps for them."""
    if not isinstance(token, dict):
        return [token]
    # One call in C copies all of it, so another thread's run can't change it meanwhile. A part needs an iterator.
    return list(token) if at_most is None else list(islice(token, at_most))
