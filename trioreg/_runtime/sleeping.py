"""Put a task to sleep, and wake it: `trio.lowlevel.wait_task_rescheduled` and `reschedule`, with less garbage.

Trio's functions make five objects for each sleep: a coroutine, a generator that yields, a message to the scheduler with
a `dict`, and an `outcome.Value`. With ten thousand sleeping actors, the garbage collector spends its time on those. The
message and the outcome are always the same, so here they are made once. Only the generator is made for each sleep.

A sleeping task says so in its ``custom_sleep_data``. Trio clears that in the moment in which the task is rescheduled,
for any reason. So it is always true, and there is no other record to keep.

`wake` does not leave that to Trio: first it puts `WOKEN` there. Otherwise a ``__del__`` that runs inside of Trio's
`reschedule` could send to the same actor, and wake its task twice. If Trio raises, because the stack is full, `WOKEN`
shows how far Trio has come. So either the task is woken, or nothing has changed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from types import coroutine
from typing import TypeVar, cast

from outcome import Outcome  # Trio's own: it is in the signature of `reschedule`, and there wherever Trio is
from trio.lowlevel import Abort, RaiseCancelT, Task, current_trio_token, reschedule, wait_task_rescheduled

from .finalizers import COLLECTING, is_finalizing

R = TypeVar("R")


class _Woken(Outcome[None]):
    __slots__ = ()

    def __repr__(self) -> str:
        return "<woken>"

    def unwrap(self) -> None:
        return None

    def send(self, gen: Generator[R, None, object]) -> R:
        return gen.send(None)  # pragma: no cover  # abstract in Outcome, and a sleeper only unwraps it

    async def asend(self, agen: AsyncGenerator[R, None]) -> R:
        return await agen.asend(None)  # pragma: no cover  # the same


WOKEN = _Woken()
"""The outcome for a task that is woken and gets no value: ``reschedule(task, WOKEN)``."""


def wake(task: Task) -> None:
    """Wake a sleeping task, or raise and change nothing. While the garbage collector runs, it is woken a little later.

    In between it may be cancelled. If it must not, its abort function says so.
    """
    data = task.custom_sleep_data
    task.custom_sleep_data = WOKEN
    if COLLECTING and is_finalizing():
        current_trio_token().run_sync_soon(_wake_later, task)
        return
    try:
        reschedule(task, WOKEN)
    except BaseException:
        if task.custom_sleep_data is WOKEN:
            task.custom_sleep_data = data
            raise
        finish_waking(task)


def _wake_later(task: Task) -> None:
    if task.custom_sleep_data is WOKEN:  # else it has been cancelled meanwhile
        reschedule(task, WOKEN)


def finish_waking(task: Task) -> None:
    """`reschedule` has raised, and has cleared the ``custom_sleep_data`` before that: do what is left to do.

    Trio puts the task into its queue as the last step. Before, it has taken away all by which the task could be woken
    again, and it has no public function that goes on from there.
    """
    queue = task._runner.runq
    if task not in queue:
        queue.append(task)


def _abort(_: RaiseCancelT) -> Abort:
    return Abort.SUCCEEDED


def _message_of_a_sleeper() -> object:
    """The message that `wait_task_rescheduled` sends to Trio's scheduler.

    This uses no private name of Trio's, but it relies on something that Trio does not document: the message is one
    object, yielded once. It says only how to abort, so it can be sent again, and another abort function makes another
    message of its kind. An outcome comes back.
    tests/runtime/test_inside_sleeping.py fails if Trio changes that.
    """
    sleeper = wait_task_rescheduled(_abort)  # noqa: ASYNC105  # run by hand
    try:
        return sleeper.send(None)
    finally:
        sleeper.close()


MESSAGE = _message_of_a_sleeper()
"""A task that yields this to Trio's scheduler sleeps until it is woken or cancelled. Then it is sent an outcome."""


# Makes the message of one sleeper, for `sleep_with`.
_new_message = cast("Callable[[Callable[[RaiseCancelT], Abort]], object]", type(MESSAGE))


@coroutine
def sleep_until_woken() -> Generator[object, Outcome[object], None]:
    """Sleep until another task calls `wake`, or until this one is cancelled. A checkpoint.

    The caller sets ``custom_sleep_data`` of its task first. Code that finds it set may wake the task, once.
    """
    (yield MESSAGE).unwrap()


@coroutine
def sleep_with(abort: Callable[[RaiseCancelT], Abort]) -> Generator[object, Outcome[object], None]:
    """``wait_task_rescheduled(abort)``, without its coroutine: that is a twentieth of a start. A checkpoint."""
    (yield _new_message(abort)).unwrap()
