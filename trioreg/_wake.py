"""Waking a task that is parked in `trio.lowlevel.wait_task_rescheduled`, for nothing but to wake it.

Trio hands a sleeper an `outcome.Value`, made anew for each. Where there is nothing to hand over, one that can be used
any number of times does as well: a message to a waiting actor then leaves nothing for the garbage collector.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import TypeVar

from outcome import Outcome  # Trio's own: it is in the signature of `reschedule`, and there wherever Trio is
from trio.lowlevel import Task, reschedule

R = TypeVar("R")


class _Woken(Outcome[None]):
    __slots__ = ()

    def __repr__(self) -> str:
        return "<woken>"

    def unwrap(self) -> None:
        return None

    def send(self, gen: Generator[R, None, object]) -> R:
        return gen.send(None)

    async def asend(self, agen: AsyncGenerator[R, None]) -> R:
        return await agen.asend(None)


WOKEN = _Woken()
"""What a task that is woken for nothing but to be woken is given: ``reschedule(task, WOKEN)``."""


def wake(task: Task) -> None:
    """Let a parked task go on."""
    reschedule(task, WOKEN)
