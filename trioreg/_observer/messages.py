"""How many messages all actors have handled together, although actors come and go.

Each actor counts its own messages, and the count goes with it. So an actor is noted when it begins, and its count is
taken once more when it ends. In between, a look at the tree takes it.

It keeps no actor alive: it has a weak reference to each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ReferenceType

if TYPE_CHECKING:
    from .._actors import Cell


class _Note(ReferenceType["Cell"]):
    """An actor, and how many of its messages are counted. One object: there may be very many."""

    __slots__ = ("counted",)

    counted: int


class Messages:
    """The messages of one run, while it is watched.

    Attributes:
        total: How many were handled since then, as far as they are counted.
    """

    __slots__ = ("_notes", "total")

    def __init__(self) -> None:
        self.total = 0
        self._notes: dict[int, _Note] = {}

    def __len__(self) -> int:
        """How many actors are noted."""
        return len(self._notes)

    def began(self, cell: Cell) -> None:
        """An actor begins."""
        note = self._notes[cell.ref._number] = _Note(cell)
        note.counted = 0

    def seen(self, cell: Cell) -> None:
        """A look at the tree is at this actor. What an unknown one has handled was before it was watched."""
        note = self._notes.get(cell.ref._number)
        if note is None:
            note = self._notes[cell.ref._number] = _Note(cell)
        else:
            self.total += cell.handled - note.counted
        note.counted = cell.handled

    def ended(self, number: int) -> Cell | None:
        """An actor is in its last step. Gives its record, if it is known."""
        note = self._notes.pop(number, None)
        cell = None if note is None else note()
        if note is not None and cell is not None:
            self.total += cell.handled - note.counted
        return cell

    def forget(self) -> None:
        """Nobody watches any more."""
        self._notes.clear()
