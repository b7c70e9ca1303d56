"""A message of the runtime's own in the mailbox of an actor. No instrument sees it.

It is a `Call`, because a call that is left in the mailbox of an ended actor is not counted as unhandled. It has no
caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .call import Call
from .message import NO_KWARGS

if TYPE_CHECKING:
    from .cell import Cell
    from .handler import RuntimeHandler


class RuntimeCall(Call):
    """The base of such messages.

    Attributes:
        cell: The actor's cell.
        longest: `Mailbox.longest` before it was put in.
    """

    __slots__ = ("cell", "longest")

    def __init__(self, cell: Cell, handler: RuntimeHandler, args: tuple[object, ...] = ()) -> None:
        super().__init__(cell.ref, None, handler, args, NO_KWARGS)
        self.cell = cell
        self.longest = cell.longest

    def correct_peak(self) -> None:
        """Take the call, which has left the mailbox, out of the peak: it is no message of a user's."""
        self.cell.longest = max(self.longest, self.cell.longest - 2)
