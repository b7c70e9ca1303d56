"""A turnstile: when very many tasks have something costly to do at the same time, a few of them do it in each turn.

Trio runs all tasks that can run, one after the other, before it looks at time and I/O again. Ten thousand actors that
crash together would hold it for a second. A task that comes alone goes through at once.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import trio
from trio.lowlevel import Abort, RaiseCancelT, cancel_shielded_checkpoint, current_task, wait_task_rescheduled

from .sleeping import wake

if TYPE_CHECKING:
    from trio.lowlevel import Task

PER_TURN = 20
"""How many tasks go through in one turn of Trio's scheduler."""

_WINDOW = 0.002
"""After how many seconds a turn is over in any case: it can't be seen from here."""


class Turnstile:
    """Lets a few tasks through in each turn, in the order in which they come."""

    __slots__ = ("_is_led", "_turn_ends", "_waiting", "_went")

    def __init__(self) -> None:
        self._went = 0
        self._turn_ends = 0.0
        self._is_led = False
        self._waiting: deque[Task] = deque()

    async def go_through(self) -> None:
        """Wait until it is this task's turn. Can't be cancelled; a checkpoint only if it waits.

        If it raises, for want of memory, no other task waits because of it.
        """
        now = trio.current_time()
        if not self._is_led and now >= self._turn_ends:
            self._went = 0
            self._turn_ends = now + _WINDOW
        if self._went < PER_TURN:
            self._went += 1
            return
        if self._is_led:
            task = current_task()
            self._waiting.append(task)
            try:
                await wait_task_rescheduled(_go_on)
            except (MemoryError, RecursionError):
                if task in self._waiting:
                    self._waiting.remove(task)  # it does not sleep, so nothing may wake it
                raise
            return
        # The first that has to wait leads the others, and goes last.
        self._is_led = True
        try:
            await cancel_shielded_checkpoint()
            while self._waiting:
                for _ in range(min(PER_TURN, len(self._waiting))):
                    self._let_next()
                await cancel_shielded_checkpoint()
        except (MemoryError, RecursionError):
            while self._waiting:
                self._let_next()  # no other task would
            raise
        finally:
            self._is_led = False
        self._went = 1
        self._turn_ends = trio.current_time() + _WINDOW

    def _let_next(self) -> None:
        task = self._waiting[0]
        wake(task)
        # This is no call and can not fail: a task that has been woken is not woken again.
        del self._waiting[0]


def _go_on(_: RaiseCancelT) -> Abort:
    return Abort.FAILED
