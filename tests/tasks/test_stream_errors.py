"""`open_stream`: errors of the items, of the input and of the block, in both modes."""

from __future__ import annotations

import gc
import itertools
import logging
import signal
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any

import pytest
import trio
from support.errors import Bang, a_cancelled_of_elsewhere, leaves
from support.streams import BOTH, Gone, OnError, Work, double, fail, taken
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Done, Failed, Outcome, TaskStream, open_stream

# Errors of the input


async def assert_bang_of_the_input_ends_the_stream(
    items: Iterable[float] | AsyncIterable[float], on_error: OnError
) -> None:
    work = Work()
    with Gone(), pytest.raises(ExceptionGroup) as caught:
        async with open_stream(work, items, max_concurrency=3, on_error=on_error) as stream:
            await taken(stream)
    assert [type(leaf) for leaf in leaves(caught.value)] == [Bang]
    assert work.cancelled == work.started  # an item that had not begun never does


@pytest.mark.parametrize("on_error", BOTH)
async def test_an_error_of_the_input_ends_the_stream_and_leaves_the_block(
    on_error: OnError, autojump_clock: MockClock
) -> None:
    def numbers() -> Generator[float]:
        yield 10
        raise Bang

    await assert_bang_of_the_input_ends_the_stream(numbers(), on_error)


@pytest.mark.parametrize("on_error", BOTH)
async def test_an_error_of_an_async_input_ends_the_stream_and_leaves_the_block(
    on_error: OnError, autojump_clock: MockClock
) -> None:
    async def numbers() -> AsyncIterator[float]:
        yield 10
        await trio.sleep(1)
        raise Bang

    await assert_bang_of_the_input_ends_the_stream(numbers(), on_error)


async def test_an_error_of_iter_is_an_error_of_the_input(autojump_clock: MockClock) -> None:
    class Wrong:
        def __iter__(self) -> Iterator[int]:
            raise Bang

    with pytest.raises(ExceptionGroup) as caught:
        async with open_stream(double, Wrong(), max_concurrency=3) as stream:
            await taken(stream)
    assert [type(leaf) for leaf in leaves(caught.value)] == [Bang]


async def test_an_error_in_the_clean_up_of_a_generator_leaves_the_block(autojump_clock: MockClock) -> None:
    def numbers() -> Generator[int]:
        try:
            yield from itertools.count()
        finally:
            raise Bang

    with pytest.raises(ExceptionGroup) as caught:
        async with open_stream(double, numbers(), max_concurrency=2) as stream:
            await anext(stream)
    assert [type(leaf) for leaf in leaves(caught.value)] == [Bang]


# Errors of the items


async def test_on_error_raise_the_first_error_cancels_the_others_and_leaves_the_block_in_a_group(
    autojump_clock: MockClock,
) -> None:
    work = Work()
    reached = False

    async def late(seconds: float) -> str:
        if seconds == 1:
            await trio.sleep(1)
            raise Bang(seconds)
        return await work(seconds)

    caught: list[Exception] = []
    with Gone():
        try:
            async with open_stream(late, [10, 1, 20], max_concurrency=3) as stream:
                await taken(stream)
                reached = True
        except* Bang as group:
            caught.extend(group.exceptions)
    assert [error.args for error in caught] == [(1,)]
    assert sorted(work.cancelled) == [10, 20]
    assert not reached
    assert trio.current_time() == pytest.approx(1)


async def test_on_error_raise_an_error_interrupts_the_block(autojump_clock: MockClock) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with open_stream(fail, [1], max_concurrency=3):
            await trio.sleep_forever()
    assert [type(leaf) for leaf in leaves(caught.value)] == [Bang]


async def test_on_error_raise_an_error_wakes_a_task_outside_of_the_block_that_waits_for_a_result(
    autojump_clock: MockClock,
) -> None:
    async def sleep_and_fail(seconds: float) -> None:
        await trio.sleep(seconds)
        raise Bang

    async def take(stream: TaskStream[None]) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await anext(stream)

    async with trio.open_nursery() as nursery:
        with pytest.raises(ExceptionGroup):
            async with open_stream(sleep_and_fail, [1], max_concurrency=3) as stream:
                nursery.start_soon(take, stream)
                await trio.sleep_forever()


async def test_on_error_return_each_item_has_its_outcome_and_the_others_go_on(autojump_clock: MockClock) -> None:
    async with open_stream(Work(), [2, -1, 1], max_concurrency=2, on_error="return") as stream:
        outcomes = await taken(stream)
    assert outcomes[0] == Done(2, "2 s")
    assert outcomes[2] == Done(1, "1 s")
    failed = outcomes[1]
    assert isinstance(failed, Failed)
    assert failed.item == -1
    assert isinstance(failed.error, Bang)


async def test_on_error_return_unordered_outcomes_come_as_they_are_ready(autojump_clock: MockClock) -> None:
    async with open_stream(Work(), [2, -1, 1], max_concurrency=3, on_error="return", ordered=False) as stream:
        assert [outcome.item async for outcome in stream] == [-1, 1, 2]


async def test_an_outcome_can_be_matched(autojump_clock: MockClock) -> None:
    def shown(outcome: Outcome[float, str]) -> str:
        match outcome:
            case Done(item, value):
                return f"{item}: {value}"
            case Failed(item, Bang()):
                return f"{item}: bang"
            case Failed():
                raise AssertionError

    async with open_stream(Work(), [1, -1], max_concurrency=3, on_error="return") as stream:
        assert [shown(outcome) async for outcome in stream] == ["1: 1 s", "-1: bang"]


async def test_on_error_return_an_exception_group_is_an_error_like_any_other(autojump_clock: MockClock) -> None:
    async def fail_in_a_nursery(item: int) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail, item)

    async with open_stream(fail_in_a_nursery, [1], max_concurrency=3, on_error="return") as stream:
        (failed,) = await taken(stream)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ExceptionGroup)


@pytest.mark.parametrize("on_error", BOTH)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_ctrl_c_and_exit_leave_the_block_in_either_mode(
    error: type[BaseException], on_error: OnError, autojump_clock: MockClock
) -> None:
    async def interrupted(item: int) -> None:
        raise error

    with Gone(), pytest.raises(BaseExceptionGroup) as caught:
        async with open_stream(interrupted, [1], max_concurrency=3, on_error=on_error) as stream:
            await taken(stream)
    assert [type(leaf) for leaf in leaves(caught.value)] == [error]


async def test_on_error_return_a_group_with_ctrl_c_in_it_leaves_the_block(autojump_clock: MockClock) -> None:
    async def interrupted(item: int) -> None:
        raise BaseExceptionGroup("two", [Bang(), KeyboardInterrupt()])

    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_stream(interrupted, [1], max_concurrency=3, on_error="return") as stream:
            await taken(stream)
    assert [type(leaf) for leaf in leaves(caught.value)] == [Bang, KeyboardInterrupt]


@pytest.mark.parametrize("where", ["function", "input", "async input"])
def test_ctrl_c_is_raised_in_the_users_code(where: str) -> None:
    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it was protected")

    async def work(item: int) -> None:
        if where == "function":
            interrupt()

    def numbers() -> Generator[int]:
        yield 1
        if where == "input":
            interrupt()

    async def async_numbers() -> AsyncIterator[int]:
        yield 1
        interrupt()

    async def main() -> None:
        items = async_numbers() if where == "async input" else numbers()
        async with open_stream(work, items, max_concurrency=1) as stream:
            await taken(stream)

    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(main)
    assert [type(leaf) for leaf in leaves(caught.value)] == [KeyboardInterrupt]


@pytest.mark.parametrize("on_error", BOTH)
async def test_a_stream_names_a_function_that_is_not_async(on_error: OnError, autojump_clock: MockClock) -> None:
    wrong: Any = len
    with pytest.raises(ExceptionGroup) as caught:
        async with open_stream(wrong, ["text"], max_concurrency=1, on_error=on_error) as stream:
            await taken(stream)
    (error,) = leaves(caught.value)
    assert str(error) == "async_fn must be an async function, but <built-in function len> returned 4"


async def test_an_item_limits_its_own_time(autojump_clock: MockClock) -> None:
    async def fetch(seconds: float) -> str:
        with trio.fail_after(5):
            await trio.sleep(seconds)
            return "page"

    async with open_stream(fetch, [1, 10], max_concurrency=2, on_error="return") as stream:
        done, failed = await taken(stream)
    assert done == Done(1, "page")
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, trio.TooSlowError)
    assert trio.current_time() == pytest.approx(5)


# Errors at the end


async def test_an_error_of_the_block_cancels_the_running_items_and_leaves_in_a_group(autojump_clock: MockClock) -> None:
    work = Work()
    with Gone(), pytest.raises(ExceptionGroup) as caught:
        async with open_stream(work, [10, 10], max_concurrency=2):
            await wait_all_tasks_blocked()
            raise Bang
    assert [type(leaf) for leaf in leaves(caught.value)] == [Bang]
    assert work.cancelled == [10, 10]


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
async def test_on_error_return_an_error_in_the_clean_up_of_a_cancelled_item_is_logged(
    ordered: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail_at_the_end(item: int) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Bang

    async with open_stream(fail_at_the_end, [1, 2], max_concurrency=2, on_error="return", ordered=ordered):
        await wait_all_tasks_blocked()
    assert [record.getMessage() for record in caplog.records] == [
        "a stream ended with 2 failures that you did not take; the first:"
    ]


async def test_on_error_return_an_error_beside_the_cancellation_of_an_item_is_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail_at_the_end() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Bang

    async def fail_beside_a_task(item: int) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_at_the_end)
            await trio.sleep_forever()

    with trio.CancelScope() as scope:
        async with open_stream(fail_beside_a_task, [1], max_concurrency=2, on_error="return"):
            await wait_all_tasks_blocked()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    (record,) = caplog.records
    assert record.getMessage() == "a stream ended with 1 failure that you did not take; the first:"
    assert record.exc_info is not None
    assert record.exc_info[1] is not None
    assert [type(leaf) for leaf in leaves(record.exc_info[1])] == [Bang]


async def test_on_error_raise_an_error_in_the_clean_up_of_a_cancelled_item_leaves_the_block(
    autojump_clock: MockClock,
) -> None:
    async def fail_at_the_end(item: int) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Bang

    with pytest.raises(ExceptionGroup) as caught:
        async with open_stream(fail_at_the_end, [1, 2], max_concurrency=2):
            await wait_all_tasks_blocked()
    assert [type(leaf) for leaf in leaves(caught.value)] == [Bang, Bang]


@pytest.mark.parametrize("on_error", BOTH)
async def test_an_item_that_raises_the_cancellation_of_another_scope_has_failed(
    on_error: OnError, autojump_clock: MockClock
) -> None:
    async def raise_an_old_cancellation(item: int) -> None:
        with trio.move_on_after(0):
            try:
                await trio.sleep_forever()
            except trio.Cancelled as cancelled:
                old.append(cancelled)
                raise
        raise old[0]

    old: list[trio.Cancelled] = []
    if on_error == "return":
        async with open_stream(raise_an_old_cancellation, [1], max_concurrency=1, on_error=on_error) as stream:
            (failed,) = await taken(stream)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, RuntimeError)
    else:
        with pytest.raises(ExceptionGroup) as caught:
            async with open_stream(raise_an_old_cancellation, [1], max_concurrency=1, on_error=on_error) as results:
                await taken(results)
        assert [type(leaf) for leaf in leaves(caught.value)] == [RuntimeError]


async def test_on_error_return_failures_that_were_not_taken_are_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "trioreg"):
        async with open_stream(fail, [1, 2, 3], max_concurrency=3, on_error="return") as stream:
            await wait_all_tasks_blocked()
            await anext(stream)
    (record,) = caplog.records
    assert record.getMessage() == "a stream ended with 2 failures that you did not take; the first:"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], Bang)


async def test_a_taken_failure_is_not_kept_alive_by_a_reference_cycle(autojump_clock: MockClock) -> None:
    gc.collect()
    gc.disable()
    try:
        async with open_stream(fail, [1], max_concurrency=3, on_error="return") as stream:
            (failed,) = await taken(stream)
        assert isinstance(failed, Failed)
        alive = weakref.ref(failed.error)
        del failed
        assert alive() is None
    finally:
        gc.enable()


OLD_CANCELLED = a_cancelled_of_elsewhere()


def begins_and_fails() -> Generator[int]:
    yield 1
    raise OLD_CANCELLED


async def begins_and_fails_later() -> AsyncIterator[int]:
    yield 1
    await trio.lowlevel.checkpoint()
    raise OLD_CANCELLED


@pytest.mark.parametrize("on_error", BOTH)
@pytest.mark.parametrize("items", [begins_and_fails, begins_and_fails_later])
async def test_an_input_that_raises_the_cancellation_of_another_scope_is_an_error_and_no_end(
    items: Callable[[], Iterable[int] | AsyncIterable[int]], on_error: OnError, autojump_clock: MockClock
) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with open_stream(Work(), items(), max_concurrency=2, on_error=on_error) as stream:
            await taken(stream)
    (error,) = leaves(caught.value)
    assert isinstance(error, RuntimeError)
    assert error.__cause__ is OLD_CANCELLED
