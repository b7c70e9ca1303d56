"""How many messages all actors have handled together, although actors come and go.

Each actor counts its own messages, and the count goes with it. So an actor is noted when it begins, and its count is
taken once more when it ends. In between, a look at the tree takes it.

It keeps no actor alive: it has a number and a weak reference for each.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import ref as weak

import trio

if TYPE_CHECKING:
    from .._actors import Cell

BLOCK = 1024
"""How many numbers are in one block. A table of 100,000 would hold the loop for ten milliseconds when it grows, and
when it is let go."""


class _Block:
    """Some actors that were seen, by their numbers."""

    __slots__ = ("cells", "counted")

    def __init__(self) -> None:
        self.cells: dict[int, weak[Cell]] = {}
        self.counted: dict[int, int] = {}


class Messages:
    """The messages of one run, while it is watched.

    Attributes:
        total: How many were handled since then, as far as they are counted.
    """

    __slots__ = ("_blocks", "total")

    def __init__(self) -> None:
        self.total = 0
        self._blocks: dict[int, _Block] = {}

    def began(self, cell: Cell) -> None:
        """An actor begins."""
        number = cell.ref._number
        block = self._block(number)
        block.cells[number] = weak(cell)
        block.counted[number] = 0

    def seen(self, cell: Cell) -> None:
        """A look at the tree is at this actor. What an unknown one has handled was before it was watched."""
        number, handled = cell.ref._number, cell.handled
        block = self._block(number)
        before = block.counted.get(number)
        if before == handled:
            return
        if before is None:
            block.cells[number] = weak(cell)
        else:
            self.total += handled - before
        block.counted[number] = handled

    def ended(self, number: int) -> Cell | None:
        """An actor is in its last step. Gives its record, if it is known."""
        block = self._blocks.get(number // BLOCK)
        if block is None:
            return None
        reference = block.cells.pop(number, None)
        before = block.counted.pop(number, 0)
        if not block.counted:
            del self._blocks[number // BLOCK]
        cell = None if reference is None else reference()
        if cell is not None:
            self.total += cell.handled - before
        return cell

    def forget(self, token: trio.lowlevel.TrioToken) -> None:
        """Nobody watches any more. Not a checkpoint; constant time: very many are let go a few at a time, later."""
        blocks, self._blocks = self._blocks, {}
        _let_go(token, blocks)

    def _block(self, number: int) -> _Block:
        block = self._blocks.get(number // BLOCK)
        if block is None:
            block = self._blocks[number // BLOCK] = _Block()
        return block


def _let_go(token: trio.lowlevel.TrioToken, blocks: dict[int, _Block]) -> None:
    if blocks:
        blocks.popitem()
    if blocks:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(_let_go, token, blocks)
