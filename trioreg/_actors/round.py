"""A round: a message of the runtime's own that shows when an actor has handled what was in its mailbox before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .handler import runtime_handler
from .message import CALL
from .runtime_call import RuntimeCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from .cell import Cell


def ask_round(cell: Cell, came_round: Callable[[], object]) -> None:
    """Have a function called when an actor has handled all that is in its mailbox now. Not a checkpoint.

    It is called in the turn of the actor, so it must be short, and must not raise. It is not called if the actor ends
    first. A mailbox that is full takes a round all the same.
    """
    cell.put(CALL, _Round(cell, came_round))


class _Round(RuntimeCall):
    """The message. Its answer is that the actor has come to it."""

    __slots__ = ("_came_round",)

    def __init__(self, cell: Cell, came_round: Callable[[], object]) -> None:
        super().__init__(cell, _HANDLER, (cell,))
        self._came_round: Callable[[], object] | None = came_round

    def _done(self) -> None:
        super()._done()
        came_round, self._came_round = self._came_round, None
        if self.error is None and came_round is not None:
            came_round()


def _pass(_actor: object, cell: Cell) -> None:
    cell.handled -= 1  # the runtime sent it, not a user


_HANDLER = runtime_handler("round", _pass, 1)
