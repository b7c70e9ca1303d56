"""The limit for handlers: `Actor.handler_timeout`.

An actor with a limit has a background task, its `Watchdog`, from its first async handler on. It sleeps until the time
of the handler is up. Then it notes where the handler stands, and crashes the actor: at once, even if the handler
shields itself or waits for a thread. A task beside the handler can do that; a cancel scope around the handler could
not.

A sync handler runs in one step: nothing can stop it, so it has no limit. Classes without a limit pay for none of this.
"""

from __future__ import annotations

import math
from traceback import format_list
from typing import TYPE_CHECKING, Any, cast

import trio
from trio.lowlevel import enable_ki_protection

from .._runtime import HandlerTimeout, stack_of
from .cell import ENDING
from .current import current_cell
from .start_soon import start_background_task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .cell import Cell
    from .handler import Limit


def limit_of(seconds: float) -> Limit:
    """What gives the async functions of a class a limit of that many seconds."""

    def limit(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        async def run(actor: object, /, *args: object, **kwargs: object) -> object:
            cell = current_cell()
            assert cell is not None  # this is its code
            watchdog = _watchdog_of(cell, seconds)
            if watchdog is None:
                return await function(actor, *args, **kwargs)
            watchdog.begin(name, args, kwargs)
            try:
                return await function(actor, *args, **kwargs)
            finally:
                watchdog.end()

        return run

    return limit


def _watchdog_of(cell: Cell, seconds: float) -> Watchdog | None:
    """The watchdog of an actor, made for its first async handler. None if the actor is ending: that is the limit."""
    background = cell.life.background
    watchdog = None if background is None else background.watchdog
    if watchdog is None:
        if cell.state >= ENDING:
            return None
        watchdog = Watchdog(cell, seconds)
        start_background_task(cell, watchdog.keep, what="handler_timeout")
        background = cell.life.background
        assert background is not None
        background.watchdog = watchdog
    return cast("Watchdog", watchdog)


class Watchdog:
    """The time of one actor's handlers, one at a time."""

    __slots__ = ("_cell", "_deadline", "_handling", "_scope", "_seconds")

    def __init__(self, cell: Cell, seconds: float) -> None:
        self._cell = cell
        self._seconds = seconds
        self._deadline = math.inf
        self._scope: trio.CancelScope | None = None
        self._handling: tuple[str, tuple[object, ...], Mapping[str, object]] | None = None

    def begin(self, name: str, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        """A handler begins."""
        self._handling = (name, args, kwargs)
        self._set_deadline(trio.current_time() + self._seconds)

    def end(self) -> None:
        """The handler has ended."""
        self._handling = None
        self._set_deadline(math.inf)

    def _set_deadline(self, deadline: float) -> None:
        self._deadline = deadline
        if self._scope is not None:
            self._scope.deadline = deadline

    @enable_ki_protection
    async def keep(self) -> None:
        """The background task."""
        while True:
            with trio.CancelScope(deadline=self._deadline) as self._scope:
                await trio.sleep_forever()
            # The handler may have ended in the meantime, and another one may have begun.
            if self._handling is not None and trio.current_time() >= self._deadline:
                self._expire(self._handling)
                return

    def _expire(self, handling: tuple[str, tuple[object, ...], Mapping[str, object]]) -> None:
        cell = self._cell
        task = cell.task
        if cell.state >= ENDING or task is None:
            return
        error = HandlerTimeout(cell.ref, handling[0], self._seconds, stack_of(task))
        error.add_note("The handler stood here (most recent call last):\n" + "".join(format_list(error.stack)).rstrip())
        cell.life.crashed_in = handling
        cell.fail(error)
