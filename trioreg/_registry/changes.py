"""What has changed in a registry while a selection let other tasks run."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from .entry import Entry

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Changes(Generic[K, V]):
    """What has become of entries since a selection began.

    Attributes:
        replaced: By the id of an entry, what is in its place now: None if nothing is. With the entry itself, as an id
            is used again when its object is gone.
        unapplied: What the selection has not heard of yet: key, old entry, new entry.
    """

    __slots__ = ("replaced", "unapplied")

    def __init__(self) -> None:
        self.replaced: dict[int, tuple[Entry[V], Entry[V] | None]] = {}
        self.unapplied: deque[tuple[K, Entry[V], Entry[V] | None]] = deque()

    def record(self, key: K, old: Entry[V], new: Entry[V] | None) -> None:
        self.replaced[id(old)] = (old, new)
        self.unapplied.append((key, old, new))

    def current(self, entry: Entry[V]) -> Entry[V] | None:
        """What is in the place of an entry now."""
        current: Entry[V] | None = entry
        # No more steps than there are changes now: a writer in another thread may go on adding. Those are not applied yet.
        for _ in range(len(self.replaced)):
            if current is None or id(current) not in self.replaced:
                break
            current = self.replaced[id(current)][1]
        return current
