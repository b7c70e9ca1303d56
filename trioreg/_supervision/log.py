"""What a supervisor writes into the log: one line for each start, end, restart and give-up.

Ordinary starts and ends are at DEBUG. A restart without an error is at INFO, and a block that waits for permanent
children. A child that is dropped without an error is at WARNING. A crash, with its traceback, and a supervisor that
gives up are at ERROR.

A line that tells both of an end and of what follows has the event of what follows.
"""

from __future__ import annotations

import logging
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from .._actors import crash_details
from .._runtime import SafeLogger, counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._actors import Cell
    from .._runtime import EventName, Exit
    from .child import Child

logger = SafeLogger("trioreg.supervision")

SHOWN = 3
"""How many children one line names."""


class SupervisionLog:
    """The lines of one supervisor.

    Attributes:
        is_enabled_for: Whether lines of a level are written.
    """

    __slots__ = ("_label", "_logger", "is_enabled_for")

    def __init__(self, label: str, logger: SafeLogger) -> None:
        self._label = label
        self._logger = logger
        self.is_enabled_for = logger.isEnabledFor

    def starting(self, child: Child, cell: Cell) -> None:
        """At DEBUG. Its callers ask `is_enabled_for` first: most starts do not come here."""
        count = f", restart {child.restarts}" if child.restarts else ""
        message = "%s: child %s: starting as %r%s"
        args = (self._label, child, cell.ref, count)
        fields = child.log_fields(cell.ref)
        cell.ref._run.after_step(partial(self._logger.debug, "actor_starting", message, *args, **fields))

    def not_started(self, child: Child, cell: Cell, exit: Exit) -> None:
        """At DEBUG: the task that started it gets the error."""
        self._ended(logging.DEBUG, "actor_exited", child, cell, exit, "did not start", "")

    def ended(self, child: Child, cell: Cell, exit: Exit) -> None:
        """For good, or because its supervisor has ended it. (Ctrl-C and `SystemExit` are no crash.)"""
        level = (
            logging.DEBUG
            if exit.error is None
            else logging.ERROR
            if isinstance(exit.error, Exception)
            else logging.INFO
        )
        if self.is_enabled_for(level):
            self._ended(level, "actor_exited", child, cell, exit, "ended", _after(child))

    def restarting(self, child: Child, cell: Cell, exit: Exit, seconds: float | None = None, *, is_later: bool) -> None:
        """A child has ended, or failed to start, and is restarted: now, after ``seconds``, or together with others."""
        level = logging.INFO if exit.error is None else logging.ERROR
        wait = "" if seconds is None else f" in {counted(seconds, 'second')}"
        event: EventName = "restarting" if is_later else "restarted"
        self._ended(level, event, child, cell, exit, "ended", f": restart {child.restarts}{wait}", seconds)

    def restarting_too(self, child: Child, last: Cell) -> None:
        """A child was ended for a group restart, and is started again."""
        if self.is_enabled_for(logging.INFO):
            message = "%s: child %s is restarted with another: restart %d"
            exit = last.life.exit
            assert exit is not None  # it has ended
            fields = child.log_fields(last.ref)
            fields["exit"] = exit.reason
            self._logger.info("restarted", message, self._label, child, child.restarts, **fields)

    def drops(self, child: Child, cell: Cell, exit: Exit, limit: str) -> None:
        """A child has ended, and is not restarted: that would be one restart too many."""
        level = logging.WARNING if exit.error is None else logging.ERROR
        self._ended(level, "child_dropped", child, cell, exit, "ended", f": dropped, {limit}")

    def gives_up(self, child: Child, cell: Cell, exit: Exit, limit: str) -> None:
        self._ended(logging.ERROR, "gave_up", child, cell, exit, "ended", f": giving up, {limit}")

    def block_waits(self, children: Iterable[Child]) -> None:
        """The end of the supervisor's block is reached. With a permanent child, it is not left without a `stop`."""
        if self.is_enabled_for(logging.INFO):
            permanent = (str(child) for child in children if child.spec.restart == "permanent" and child.is_kept_alive)
            some = list(islice(permanent, SHOWN + 1))
            if some:
                more = ", ..." if len(some) > SHOWN else ""
                message = (
                    "%s: the block waits for its children, and permanent ones never end by themselves (%s%s): "
                    "call stop(), or open it with at_end='stop'"
                )
                args = (self._label, ", ".join(some[:SHOWN]), more)
                self._logger.info("block_waits", message, *args, supervisor=self._label)

    def shutdown_timed_out(self, child: Child, cell: Cell) -> None:
        """Its time to end is over."""
        message = "%s: child %s, %r, is killed: its %s to end are over"
        args = (self._label, child, cell.ref, counted(child.shutdown, "second"))
        about = partial(child.log_fields, cell.ref)
        self._logger.warning("shutdown_timed_out", message, *args, about=about, seconds=child.shutdown)

    def start_cancelled(self, child: Child, cell: Cell, error: BaseException) -> None:
        """The task that started the child is being cancelled, and can't raise this error."""
        message = "%s: child %s, %r, failed while its start was cancelled"
        args = (self._label, child, cell.ref)
        about = partial(child.log_fields, cell.ref)
        self._logger.error("start_failed", message, *args, exc_info=error, about=about, exit="crashed")

    def not_started_too_late(self, error: BaseException) -> None:
        """A child of the list did not start, and no caller gets the error any more."""
        message = "%s: a child did not start, and the supervisor is ending"
        self._logger.error("start_failed", message, self._label, exc_info=error, supervisor=self._label)

    def _ended(
        self,
        level: int,
        event: EventName,
        child: Child,
        cell: Cell,
        exit: Exit,
        what: str,
        then: str,
        seconds: float | None = None,
    ) -> None:
        if self.is_enabled_for(level):
            message = "%s: child %s, %r, %s (%s%s)%s"
            args = (self._label, child, cell.ref, what, exit, crash_details(cell), then)
            fields = child.log_fields(cell.ref)
            fields |= {"exit": exit.reason, "seconds": seconds}
            write = partial(self._logger.log, level, event, message, *args, exc_info=exit.error, **fields)
            # Not before the names of that life are gone: a log handler may look for them.
            cell.ref._run.after_step(write)


def _after(child: Child) -> str:
    return f", after {counted(child.restarts, 'restart')}" if child.restarts else ""
