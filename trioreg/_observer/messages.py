"""How many messages all actors have handled together, although actors come and go.

Each actor counts its own messages, and the count goes with it. So an actor is noted when it begins, and its count is
taken once more when it ends. In between, a look at the tree takes it.

It keeps no actor alive: it has a number and a weak reference for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref as weak

if TYPE_CHECKING:
    from .._actors import Cell


class Messages:
    """The messages of one run, while it is watched.

    Attributes:
        total: How many were handled since then, as far as they are counted.
    """

    __slots__ = ("_cells", "_counted", "total")

    def __init__(self) -> None:
        self.total = 0
        self._cells: dict[int, weak[Cell]] = {}
        self._counted: dict[int, int] = {}

    def began(self, cell: Cell) -> None:
        """An actor begins."""
        number = cell.ref._number
        self._cells[number] = weak(cell)
        self._counted[number] = 0

    def seen(self, cell: Cell) -> None:
        """A look at the tree is at this actor. What an unknown one has handled was before it was watched."""
        number, handled = cell.ref._number, cell.handled
        before = self._counted.get(number)
        if before == handled:
            return
        if before is None:
            self._cells[number] = weak(cell)
        else:
            self.total += handled - before
        self._counted[number] = handled

    def ended(self, number: int) -> Cell | None:
        """An actor is in its last step. Gives its record, if it is known."""
        reference = self._cells.pop(number, None)
        before = self._counted.pop(number, 0)
        cell = None if reference is None else reference()
        if cell is not None:
            self.total += cell.handled - before
        return cell

    def forget(self) -> None:
        """Nobody watches any more."""
        self._cells.clear()
        self._counted.clear()
