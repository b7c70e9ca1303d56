"""Very many keys in order, and no step that is long: they are sorted in pieces, and merged as far as is asked for."""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from .pace import Pace

Key: TypeAlias = float | str

PIECE = 1000
"""How many keys are sorted in one step."""


class Ranking:
    """The order of some things, by a key that each of them has.

    It knows the things by their number only: 0 is the first one that was added. Among equal keys, the one that was
    added first comes first, in both directions. No object is made for each of them that the garbage collector would
    visit.

    Args:
        down: Whether the largest key comes first.
    """

    __slots__ = ("_down", "_keys", "_pieces")

    def __init__(self, *, down: bool) -> None:
        self._down = down
        self._keys: list[Key] = []
        self._pieces: list[list[int]] = []

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: Key) -> None:
        """One more. All keys are numbers, or all are texts."""
        self._keys.append(key)
        if len(self._keys) % PIECE == 0:
            self._sort(len(self._keys) - PIECE)

    def _sort(self, begin: int) -> None:
        key: Any = self._keys.__getitem__
        self._pieces.append(sorted(range(begin, len(self._keys)), key=key, reverse=self._down))

    async def part(self, begin: int, end: int, pace: Pace) -> list[int]:
        """The numbers of those from ``begin`` to ``end`` in that order. Call it once, when all have been added.

        The cost grows with ``end``, and with the number of pieces.
        """
        if len(self._keys) % PIECE:
            self._sort(len(self._pieces) * PIECE)
        key: Any = self._keys.__getitem__
        found: list[int] = []
        for place, number in enumerate(merge(*self._pieces, key=key, reverse=self._down)):
            if place >= end:
                break
            if place >= begin:
                found.append(number)
            if pace.is_over():
                await pace.rest()
        return found
