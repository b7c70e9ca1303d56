"""Messages that an actor sends to itself later: `Actor.send_after`, `Actor.cast_after`, and the same again and again.

A timer is a background task of its actor, so it lives and dies with the actor.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import trio
from trio.lowlevel import enable_ki_protection
from trio_util import periodic  # pyright: ignore[reportUnknownVariableType]

from .._runtime import Identity, counted, do_later, is_finalizing, require_number, require_room
from .cell import STOPPING
from .handler import Timed
from .message import CAST, TICK, Tick
from .start_soon import start_background_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .cell import Cell


class Timer(Identity):
    """A message that comes later, or again and again.

    From `Actor.send_after`, `Actor.send_every`, `Actor.cast_after` and `Actor.cast_every`.
    """

    __slots__ = ("_cell", "_kind", "_payload", "_scope", "_seconds", "_tick")

    def __init__(self, cell: Cell, seconds: float, kind: object, payload: object, tick: Tick, *, repeats: bool) -> None:
        require_number("seconds", seconds, zero=not repeats)
        self._cell = cell
        self._seconds = seconds
        self._kind = kind
        self._payload = payload
        self._tick = tick
        self._scope = trio.CancelScope()
        start_background_task(cell, self._send_every if repeats else self._send_after, what="timer")

    def __repr__(self) -> str:
        return f"<Timer, {'cancelled' if self._scope.cancel_called else counted(self._seconds, 'second')}>"

    @enable_ki_protection
    def cancel(self) -> None:
        """Send no more messages. One that is in the mailbox already stays there. Not a checkpoint; constant time.

        Raises:
            RuntimeError: This is not the thread of the Trio run.
        """
        if is_finalizing():
            do_later(self._cell.ref._run.token, self.cancel)
        else:
            self._cell.ref._require_thread()
            require_room()  # a scope that is cancelled half-way can't be cancelled again
            self._scope.cancel()

    @enable_ki_protection
    async def _send_after(self) -> None:
        with self._scope:
            await trio.sleep(self._seconds)
            await self._send()

    @enable_ki_protection
    async def _send_every(self) -> None:
        with self._scope:
            await trio.sleep(self._seconds)
            # Closed here: it may be left while a message waits for room.
            async with aclosing(periodic(self._seconds)) as ticks:
                async for _ in ticks:
                    # If the actor has not come to the last message yet, leave this one out.
                    if not self._tick.is_waiting:
                        await self._send()

    async def _send(self) -> None:
        # A stopping actor takes nothing new, and a timer has no caller to tell. A message that waits for room when the
        # actor is asked to stop is counted as unhandled.
        if self._cell.state < STOPPING:
            self._tick.is_waiting = True
            if await self._cell.put_when_room(self._kind, self._payload):
                self._cell.note_own()


def message_timer(cell: Cell, seconds: float, message: object, *, repeats: bool) -> Timer:
    """A timer for any object, which comes to ``on_message`` or ``receive()``."""
    tick = Tick(message)
    return Timer(cell, seconds, TICK, tick, tick, repeats=repeats)


def cast_timer(
    cell: Cell,
    seconds: float,
    method: object,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    *,
    repeats: bool,
) -> Timer:
    """A timer for a method of the actor's class. `TypeError` if it has no such method, or the arguments do not fit."""
    tick = Tick(None)
    handler = Timed(cell.handlers.find(method, args, kwargs), tick)
    return Timer(cell, seconds, CAST, (handler, args, kwargs), tick, repeats=repeats)
