"""How many messages all actors have handled together, although actors come and go.

Each actor counts its own messages, and the count goes with it. So an actor is noted when it begins, and its count is
taken once more when it ends. In between, a look at the tree takes it.

It keeps no actor alive: it has a weak reference to each.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import ReferenceType

import trio

if TYPE_CHECKING:
    from .._actors import Cell

BLOCK = 1024
"""How many numbers are in one block. A table of 100,000 actors would hold the loop for milliseconds when it grows, and
when it is let go."""


class _Note(ReferenceType["Cell"]):
    """An actor, and how many of its messages are counted. One object: there may be very many."""

    __slots__ = ("counted",)

    counted: int


class Messages:
    """The messages of one run, while it is watched.

    Attributes:
        total: How many were handled since then, as far as they are counted.
    """

    __slots__ = ("_blocks", "total")

    def __init__(self) -> None:
        self.total: int = 0
        self._blocks: dict[int, dict[int, _Note]] = {}

    def __len__(self) -> int:
        """How many actors are noted."""
        return sum(map(len, self._blocks.values()))

    def began(self, cell: Cell) -> None:
        """An actor begins."""
        number = cell.ref._number
        note = self._block(number)[number] = _Note(cell)
        note.counted = 0

    def seen(self, cell: Cell) -> None:
        """A look at the tree is at this actor. What an unknown one has handled was before it was watched."""
        number = cell.ref._number
        block = self._block(number)
        note = block.get(number)
        if note is None:
            note = block[number] = _Note(cell)
        else:
            self.total += cell.handled - note.counted
        note.counted = cell.handled

    def ended(self, number: int) -> Cell | None:
        """An actor is in its last step. Gives its record, if it is known."""
        block = self._blocks.get(number // BLOCK, {})
        note = block.pop(number, None)
        cell = None if note is None else note()
        if note is not None:
            if cell is not None:
                self.total += cell.handled - note.counted
            if not block:
                del self._blocks[number // BLOCK]
        return cell

    def forget(self, token: trio.lowlevel.TrioToken) -> None:
        """Nobody watches any more. Not a checkpoint; constant time: very many are let go a few at a time, later."""
        blocks, self._blocks = self._blocks, {}
        _let_go(token, blocks)

    def _block(self, number: int) -> dict[int, _Note]:
        block = self._blocks.get(number // BLOCK)
        if block is None:
            block = self._blocks[number // BLOCK] = {}
        return block


def _let_go(token: trio.lowlevel.TrioToken, blocks: dict[int, dict[int, _Note]]) -> None:
    if blocks:
        blocks.popitem()
    if blocks:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(_let_go, token, blocks)
