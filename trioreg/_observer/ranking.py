"""The first ones of very many things, by a key that each has; and no step that is long.

If few are asked for, only the best of those so far are kept. If many are, they are sorted in pieces, and merged as far
as is asked for. Numbers are in arrays: a list of 100,000 objects would hold the loop when the garbage collector runs.
"""

from __future__ import annotations

from array import array
from heapq import merge
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import MutableSequence

    from .pace import Pace

Key: TypeAlias = float | str

PIECE = 1000
"""How many keys are sorted in one step."""


class Ranking:
    """Things in the order of their keys. Among equal keys, the one that was added first comes first.

    Args:
        end: How many of them are asked for at most.
        down: Whether the largest key comes first.
        texts: Whether the keys are texts. Else they are numbers.
        columns: How many objects there are for each thing.

    Attributes:
        count: How many there are.
    """

    __slots__ = ("_columns", "_down", "_end", "_keys", "_pieces", "_texts", "count")

    def __init__(self, end: int, *, down: bool, texts: bool = False, columns: int = 1) -> None:
        self._end = end
        self._down = down
        self._texts = texts
        self._keys: MutableSequence[Any] = [] if texts else array("d")
        self._columns: list[list[Any]] = [[] for _ in range(columns)]
        self._pieces: list[array[int]] = []
        self.count = 0

    def add(self, key: Key, *things: Any) -> None:
        """One more. Constant time, as a rule; now and then some are sorted."""
        self.count += 1
        self._keys.append(key)
        for column, thing in zip(self._columns, things, strict=True):
            column.append(thing)
        if self._end > PIECE:
            if len(self._keys) % PIECE == 0:
                self._sort(len(self._keys) - PIECE)
        elif len(self._keys) >= self._end + PIECE:
            self._forget()

    def _order(self, begin: int) -> list[int]:
        return sorted(range(begin, len(self._keys)), key=self._keys.__getitem__, reverse=self._down)

    def _sort(self, begin: int) -> None:
        self._pieces.append(array("L", self._order(begin)))

    def _forget(self) -> None:
        """Keep those that can still be asked for."""
        best = self._order(0)[: self._end]
        keys = [self._keys[number] for number in best]
        self._keys = keys if self._texts else array("d", keys)
        self._columns = [[column[number] for number in best] for column in self._columns]

    async def part(self, begin: int, end: int, pace: Pace) -> list[tuple[Any, ...]]:
        """The objects of those from ``begin`` to ``end``. Call it once, when all have been added.

        If very many were asked for, the cost grows with ``end``.
        """
        if self._end > PIECE and len(self._keys) % PIECE:
            self._sort(len(self._pieces) * PIECE)
        elif self._end <= PIECE:
            self._sort(0)
        key: Any = self._keys.__getitem__
        found: list[tuple[Any, ...]] = []
        for place, number in enumerate(merge(*self._pieces, key=key, reverse=self._down)):
            if place >= end:
                break
            if place >= begin:
                found.append(tuple(column[number] for column in self._columns))
            if pace.is_over():
                await pace.rest()
        return found
