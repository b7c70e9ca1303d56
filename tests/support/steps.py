"""Something that happens at the n-th step of a Trio run; the steps of one pass of the scheduler."""

from __future__ import annotations

from typing import Any

import trio
from trio.lowlevel import Task


class AtStep(trio.abc.Instrument):
    """Calls a function after the n-th step of any task."""

    def __init__(self, n: int, function: Any) -> None:
        self.n = n
        self.function = function
        self.is_done = False

    def after_task_step(self, task: Task) -> None:
        self.n -= 1
        if self.n < 0 and not self.is_done:
            self.is_done = True
            self.function()


class Passes(trio.abc.Instrument):
    """The greatest number of steps in one pass of the scheduler: so long the loop is held."""

    def __init__(self) -> None:
        self.most = 0
        self._steps = 0

    def after_task_step(self, task: Task) -> None:
        self._steps += 1

    def before_io_wait(self, timeout: float) -> None:
        self.most = max(self.most, self._steps)
        self._steps = 0
