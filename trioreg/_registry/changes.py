"""The changes to a registry since a selection began. (A selection lets other tasks run, and they may make changes.)"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from trio.lowlevel import enable_ki_protection

from .entry import Entry

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Changes(Generic[K, V]):
    """The entries that were replaced or removed since a selection began.

    Attributes:
        replaced: For the id of an entry: that entry and its replacement, None if it was removed. Keeping the entry
            keeps its id from being used again.
        unapplied: Changes that the selection has not applied yet: key, old entry, new entry.
    """

    __slots__ = ("replaced", "unapplied")

    def __init__(self) -> None:
        self.replaced: dict[int, tuple[Entry[V], Entry[V] | None]] = {}
        self.unapplied: deque[tuple[K, Entry[V], Entry[V] | None]] = deque()

    def record(self, key: K, old: Entry[V], new: Entry[V] | None) -> None:
        self.replaced[id(old)] = (old, new)
        self.unapplied.append((key, old, new))

    def undo(self, key: K, old: Entry[V], new: Entry[V] | None) -> None:
        """A change that may have been recorded is not made: the old entry is there. A selection looks at it again."""
        self.unapplied.append((key, old if new is None else new, old))
        self.replaced.pop(id(old), None)

    def current(self, entry: Entry[V]) -> Entry[V] | None:
        """The entry that is in the place of an entry now, or None."""
        current: Entry[V] | None = entry
        # No more steps than there are changes now. A writer in another thread may go on adding: those are not applied
        # yet.
        for _ in range(len(self.replaced)):
            if current is None or id(current) not in self.replaced:
                break
            current = self.replaced[id(current)][1]
        return current


class Removals(Changes[K, V]):
    """Only counts the entries that were replaced or removed.

    Attributes:
        count: How many.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def record(self, key: K, old: Entry[V], new: Entry[V] | None) -> None:
        self.count += 1

    def undo(self, key: K, old: Entry[V], new: Entry[V] | None) -> None:
        self.count += 1


class Selection(Generic[K, V]):
    """The time of a selection, as a block: what changes meanwhile is recorded.

    It is a class with protected ends. Ctrl-C between the beginning and a ``try`` would leave the record in the registry
    for ever.
    """

    __slots__ = ("_changes", "_selections")

    def __init__(self, selections: list[Changes[K, V]], changes: Changes[K, V] | None = None) -> None:
        self._selections = selections
        self._changes: Changes[K, V] = Changes() if changes is None else changes

    @enable_ki_protection
    def __enter__(self) -> Changes[K, V]:
        self._selections.append(self._changes)
        return self._changes

    @enable_ki_protection
    def __exit__(self, *_: object) -> None:
        self._selections.remove(self._changes)
