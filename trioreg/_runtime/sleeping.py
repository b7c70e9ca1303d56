"""Parking a task, and waking it: what `trio.lowlevel.wait_task_rescheduled` and `reschedule` do, without the garbage.

Trio's own make five objects for each sleep: a coroutine, a generator that yields, a message to the scheduler with a
`dict` of its own, an `outcome.Value`. Where ten thousand actors sleep, those are what the garbage collector spends its
time on. But the message and the outcome are the same each time, so here they are made once: what is left is the
generator.

Whoever is parked says so in the task's ``custom_sleep_data``, which Trio clears in the moment in which the task is
rescheduled, for whatever reason. So nobody else has to keep a record, and there is no time in which it is not true.

Who wakes it clears it first all the same: Trio makes an object before it does, so the garbage collector may run, and in
it a ``__del__`` that sends to the same actor and would wake it twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from types import coroutine
from typing import TypeVar

from outcome import Outcome  # Trio's own: it is in the signature of `reschedule`, and there wherever Trio is
from trio.lowlevel import Abort, RaiseCancelT, Task, reschedule, wait_task_rescheduled

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


def _abort(_: RaiseCancelT) -> Abort:
    return Abort.SUCCEEDED


def _message_of_a_sleeper() -> object:
    """What `wait_task_rescheduled` says to Trio's scheduler.

    No private name of Trio's, but something that it does not show: that this is one object, yielded once, which says
    nothing but how to abort (and so can be said again), and that an outcome comes back.
    tests/runtime/test_inside_sleeping.py would notice a change.
    """
    sleeper = wait_task_rescheduled(_abort)  # noqa: ASYNC105  # stepped by hand
    try:
        return sleeper.send(None)
    finally:
        sleeper.close()


_MESSAGE = _message_of_a_sleeper()


@coroutine
def park() -> Generator[object, Outcome[object], None]:
    """Sleep until somebody wakes this task, or until it is cancelled. A checkpoint.

    The caller has put something into its task's ``custom_sleep_data``: who finds that there may wake it, once.
    """
    (yield _MESSAGE).unwrap()
