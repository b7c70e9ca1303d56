"""What an actor writes into the log by itself. What its supervisor writes of its life is in `_supervision/log.py`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .._runtime import SafeLogger
from .cell import ENDED

if TYPE_CHECKING:
    from .._runtime import Exit, Fields
    from .cell import Cell, Reference
    from .handler import Handler

logger = SafeLogger("trioreg.actors")


def log_declared(cell: Cell, handler: Handler, error: BaseException) -> None:
    """A handler raised an error that it declares, and no caller gets it."""
    text = "%r: %s failed with a declared error"
    args = (cell.ref, handler.name)
    logger.error("handler_failed", text, *args, exc_info=error, about=partial(_fields_of, cell), method=handler.name)


def log_left(cell: Cell, exit: Exit, count: int) -> None:
    """An actor has ended with messages in its mailbox that have no caller."""
    messages = "message" if count == 1 else "messages"
    text = f"%s, %r, ended (%s) with %d unhandled {messages} in its mailbox"
    args = (cell.life.child.log_name, cell.ref, exit, count)
    logger.warning("message_left", text, *args, about=partial(_fields_of, cell), exit=exit.reason, count=count)


def log_unexpected(ref: Reference, message: object) -> None:
    """An actor got an object, and has no `on_message`."""
    about = partial(_fields_of, ref._cell)
    logger.warning("unexpected_message", "%r got an unexpected message: %r", ref, message, about=about, actor=ref)


def _fields_of(cell: Cell | None) -> Fields:
    return {} if cell is None or cell.state == ENDED else cell.life.child.log_fields(cell.ref)
