"""Something that happens at the n-th step of a Trio run."""

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
