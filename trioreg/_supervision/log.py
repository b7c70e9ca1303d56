"""What a supervisor writes into the log: one line for each start, end, restart and give-up.

All lines go to the logger ``trioreg``. Ordinary starts and ends are at DEBUG. A restart without an error is at INFO,
and a block that waits for permanent children. A child that is dropped without an error is at WARNING. A crash, with its
traceback, and a supervisor that gives up are at ERROR.
"""

from __future__ import annotations

import logging
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from .._actors import crash_details
from .._runtime import counted, logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._actors import Cell
    from .._runtime import Exit
    from .child import Child

SHOWN = 3
"""How many children one line names."""


class SupervisionLog:
    """The lines of one supervisor."""

    __slots__ = ("_label",)

    def __init__(self, label: str) -> None:
        self._label = label

    def starting(self, child: Child, cell: Cell) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            count = f", restart {child.restarts}" if child.restarts else ""
            message = "%s: child %s: starting as %r%s"
            cell.ref._run.after_step(partial(logger.debug, message, self._label, child, cell.ref, count))

    def not_started(self, child: Child, cell: Cell, exit: Exit) -> None:
        """At DEBUG: the task that started it gets the error."""
        self._ended(logging.DEBUG, child, cell, exit, "did not start", "")

    def ended(self, child: Child, cell: Cell, exit: Exit) -> None:
        """For good, or because its supervisor has ended it. (Ctrl-C and `SystemExit` are no crash.)"""
        level = (
            logging.DEBUG
            if exit.error is None
            else logging.ERROR
            if isinstance(exit.error, Exception)
            else logging.INFO
        )
        if logger.isEnabledFor(level):
            self._ended(level, child, cell, exit, "ended", _after(child))

    def restarting(self, child: Child, cell: Cell, exit: Exit, seconds: float | None = None) -> None:
        """It has ended, or failed to start, and is restarted: at once, or after ``seconds``."""
        level = logging.INFO if exit.error is None else logging.ERROR
        wait = "" if seconds is None else f" in {counted(seconds, 'second')}"
        self._ended(level, child, cell, exit, "ended", f": restart {child.restarts}{wait}")

    def restarting_too(self, child: Child) -> None:
        """It was ended for a group restart, and is started again."""
        if logger.isEnabledFor(logging.INFO):
            logger.info("%s: child %s is restarted with another: restart %d", self._label, child, child.restarts)

    def drops(self, child: Child, cell: Cell, exit: Exit, limit: str) -> None:
        """It has ended, and is not restarted: that was one restart too many."""
        level = logging.WARNING if exit.error is None else logging.ERROR
        self._ended(level, child, cell, exit, "ended", f": dropped, {limit}")

    def gives_up(self, child: Child, cell: Cell, exit: Exit, limit: str) -> None:
        self._ended(logging.ERROR, child, cell, exit, "ended", f": giving up, {limit}")

    def block_waits(self, children: Iterable[Child]) -> None:
        """The end of the supervisor's block is reached. With a permanent child, it is not left without a `stop`."""
        if logger.isEnabledFor(logging.INFO):
            permanent = (str(child) for child in children if child.spec.restart == "permanent" and child.is_kept_alive)
            some = list(islice(permanent, SHOWN + 1))
            if some:
                more = ", ..." if len(some) > SHOWN else ""
                message = (
                    "%s: the block waits for its children, and permanent ones never end by themselves (%s%s): "
                    "call stop(), or open it with at_end='stop'"
                )
                logger.info(message, self._label, ", ".join(some[:SHOWN]), more)

    def shutdown_timed_out(self, child: Child, cell: Cell) -> None:
        """Its time to end is over."""
        message = "%s: child %s, %r, is killed: its %s to end are over"
        logger.warning(message, self._label, child, cell.ref, counted(child.shutdown, "second"))

    def start_cancelled(self, child: Child, cell: Cell, error: BaseException) -> None:
        """The task that started the child is being cancelled, and can't raise this error."""
        message = "%s: child %s, %r, failed while its start was cancelled"
        logger.error(message, self._label, child, cell.ref, exc_info=error)

    def not_started_too_late(self, error: BaseException) -> None:
        """A child of the list did not start, and nobody gets the error any more."""
        logger.error("%s: a child did not start, and the supervisor is ending", self._label, exc_info=error)

    def _ended(self, level: int, child: Child, cell: Cell, exit: Exit, what: str, then: str) -> None:
        if logger.isEnabledFor(level):
            message = "%s: child %s, %r, %s (%s%s)%s"
            args = (self._label, child, cell.ref, what, exit, crash_details(cell), then)
            # Not before the names of that life are gone: a log handler may look for them.
            cell.ref._run.after_step(partial(logger.log, level, message, *args, exc_info=exit.error))


def _after(child: Child) -> str:
    return f", after {counted(child.restarts, 'restart')}" if child.restarts else ""
