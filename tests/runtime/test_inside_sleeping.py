"""Tests the inside: `sleep_until_woken` and `wake`, and what they rely on in Trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from outcome import Value
from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, wait_task_rescheduled
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg._runtime.sleeping import WOKEN, sleep_until_woken, sleep_with, wake


class Sleeper:
    """It parks again each time it is woken."""

    def __init__(self) -> None:
        self.task: Task | None = None
        self.woken = 0
        self.is_cancelled = False

    async def run(self) -> None:
        self.task = current_task()
        try:
            while True:
                self.task.custom_sleep_data = self
                await sleep_until_woken()
                self.woken += 1
        except trio.Cancelled:
            self.is_cancelled = True
            raise

    @property
    def is_parked(self) -> bool:
        return self.task is not None and self.task.custom_sleep_data is self

    def wake(self) -> None:
        assert self.task is not None
        wake(self.task)


async def test_wait_task_rescheduled_yields_only_the_abort_function(autojump_clock: MockClock) -> None:
    def abort(_: RaiseCancelT) -> Abort:
        raise AssertionError("never called")

    first, second = wait_task_rescheduled(abort), wait_task_rescheduled(abort)  # noqa: ASYNC105  # stepped by hand
    messages = first.send(None), second.send(None)
    for sleeper, message in zip((first, second), messages, strict=True):
        assert vars(message) == {"abort_func": abort}
        assert type(message)(abort) == message
        with pytest.raises(StopIteration) as stopped:
            sleeper.send(Value("the outcome"))
        assert stopped.value.value == "the outcome"
    assert messages[0] is not messages[1] and messages[0] == messages[1]


async def test_a_parked_task_is_woken_any_number_of_times(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        sleepers = [Sleeper() for _ in range(3)]
        for sleeper in sleepers:
            nursery.start_soon(sleeper.run)
        await wait_all_tasks_blocked()
        for number in range(5):
            for sleeper in sleepers[1:]:
                sleeper.wake()
            await wait_all_tasks_blocked()
            assert [sleeper.woken for sleeper in sleepers] == [0, number + 1, number + 1]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_task_is_not_marked_as_parked_after_the_step_that_wakes_or_cancels_it(
    is_cancelled: bool, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        sleeper = Sleeper()
        nursery.start_soon(sleeper.run)
        await wait_all_tasks_blocked()
        assert sleeper.is_parked
        if is_cancelled:
            nursery.cancel_scope.cancel()
        else:
            sleeper.wake()
        assert not sleeper.is_parked
        nursery.cancel_scope.cancel()
    assert (sleeper.woken, sleeper.is_cancelled) == (int(not is_cancelled), True)


async def test_park_in_a_cancelled_scope_ends_at_once(autojump_clock: MockClock) -> None:
    sleeper = Sleeper()
    with trio.CancelScope() as scope:
        scope.cancel()
        await sleeper.run()
    assert (sleeper.woken, sleeper.is_cancelled, sleeper.is_parked) == (0, True, False)


async def test_park_is_a_checkpoint(autojump_clock: MockClock) -> None:
    task = current_task()

    async def wake_it() -> None:
        wake(task)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wake_it)
        with assert_checkpoints():
            await sleep_until_woken()


@pytest.mark.parametrize("sleep", [wait_task_rescheduled, sleep_with])
async def test_a_sleep_with_an_abort_function_asks_it_and_gives_what_wakes_the_task(
    sleep: Callable[[Callable[[RaiseCancelT], Abort]], Awaitable[object]], autojump_clock: MockClock
) -> None:
    task = current_task()
    asked: list[RaiseCancelT] = []

    def abort(raise_cancel: RaiseCancelT) -> Abort:
        asked.append(raise_cancel)
        return Abort.FAILED

    async def cancel_and_wake() -> None:
        scope.cancel()
        assert len(asked) == 1
        await trio.sleep(1)
        wake(task)

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            nursery.start_soon(cancel_and_wake)
            with assert_checkpoints():
                await sleep(abort)
            with pytest.raises(trio.Cancelled):
                asked[0]()
            assert trio.current_time() == 1


def test_the_woken_outcome_has_a_repr() -> None:
    assert repr(WOKEN) == "<woken>"
