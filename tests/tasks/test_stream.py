"""`open_stream`: one async function over many items, so many at a time."""

from __future__ import annotations

import gc
import itertools
import logging
import math
import signal
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from support.cancellation import Cancelling, sweep
from support.errors import leaves
from support.supervisors import supervised
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import Actor, CallCycle, Done, Failed, Outcome, Registry, TaskStream, current, open_stream
from trioreg._tasks.open_stream import OnError

T = TypeVar("T")

BOTH: list[OnError] = ["raise", "return"]


class Bang(Exception):
    """What goes wrong."""


class Work:
    """A function for items that are seconds: it sleeps as long, and counts.

    Attributes:
        started: The items it was called with, in order.
        running: How many are in work.
        peak: The most that have been in work at once.
        cancelled: The items that were cancelled.
    """

    def __init__(self) -> None:
        self.started: list[float] = []
        self.running = 0
        self.peak = 0
        self.cancelled: list[float] = []

    async def __call__(self, seconds: float) -> str:
        self.started.append(seconds)
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            if seconds < 0:
                raise Bang(seconds)
            await trio.sleep(seconds)
            return f"{seconds} s"
        except trio.Cancelled:
            self.cancelled.append(seconds)
            raise
        finally:
            self.running -= 1


async def double(number: int) -> int:
    await trio.lowlevel.checkpoint()
    return 2 * number


async def fail(item: object) -> None:
    raise Bang(item)


async def taken(stream: TaskStream[T]) -> list[T]:
    return [result async for result in stream]


class Gone:
    """Sees that a number of tasks that were there before is there again: none was left behind."""

    def __enter__(self) -> None:
        self.before = trio.lowlevel.current_statistics().tasks_living

    def __exit__(self, *_: object) -> None:
        assert trio.lowlevel.current_statistics().tasks_living == self.before


# Order


async def test_ordered_results_come_in_the_order_of_the_items(autojump_clock: MockClock) -> None:
    async with open_stream(Work(), [3, 1, 2], max_concurrency=3) as stream:
        assert await taken(stream) == ["3 s", "1 s", "2 s"]


async def test_unordered_results_come_as_they_are_ready(autojump_clock: MockClock) -> None:
    async with open_stream(Work(), [3, 1, 2], max_concurrency=3, ordered=False) as stream:
        assert await taken(stream) == ["1 s", "2 s", "3 s"]


@pytest.mark.parametrize("ordered", [True, False])
async def test_the_items_are_in_work_side_by_side(ordered: bool, autojump_clock: MockClock) -> None:
    async with open_stream(Work(), [1] * 10, max_concurrency=5, ordered=ordered) as stream:
        await taken(stream)
    assert trio.current_time() == pytest.approx(2)


@pytest.mark.parametrize("on_error", BOTH)
@pytest.mark.parametrize("items", [[], (), iter([])], ids=["list", "tuple", "iterator"])
async def test_without_items_there_are_no_results(
    items: Iterable[int], on_error: OnError, autojump_clock: MockClock
) -> None:
    async with open_stream(double, items, max_concurrency=1, on_error=on_error) as stream:
        assert await taken(stream) == []


async def test_at_the_end_it_stays_at_the_end(autojump_clock: MockClock) -> None:
    async with open_stream(double, [1], max_concurrency=1) as stream:
        assert await taken(stream) == [2]
        assert await taken(stream) == []


async def test_none_is_an_item_and_a_result(autojump_clock: MockClock) -> None:
    async def same(item: None) -> None:
        assert item is None

    async with open_stream(same, [None, None], max_concurrency=1) as stream:
        assert await taken(stream) == [None, None]


async def test_a_lambda_that_gives_an_awaitable_will_do(autojump_clock: MockClock) -> None:
    async with open_stream(lambda number: double(number + 1), [1, 2], max_concurrency=2) as stream:
        assert await taken(stream) == [4, 6]


# How much at once


@pytest.mark.parametrize("ordered", [True, False])
async def test_never_more_than_max_concurrency_are_in_work(ordered: bool, autojump_clock: MockClock) -> None:
    work = Work()
    async with open_stream(work, [1, 5, 2, 2, 3, 1, 1], max_concurrency=3, ordered=ordered) as stream:
        await taken(stream)
    assert work.peak == 3


async def test_an_endless_input_is_pulled_only_as_there_is_room(autojump_clock: MockClock) -> None:
    pulled = itertools.count()
    async with open_stream(double, pulled, max_concurrency=2, buffer=3) as stream:
        await wait_all_tasks_blocked()
        assert next(pulled) == 2 + 3
        assert await anext(stream) == 0
        await wait_all_tasks_blocked()
        assert next(pulled) == 2 + 3 + 2  # one of the numbers was taken by this test


async def test_behind_a_slow_first_item_no_more_is_begun_than_fits_in_the_buffer(autojump_clock: MockClock) -> None:
    work = Work()
    async with open_stream(work, itertools.chain([100], itertools.repeat(1)), max_concurrency=2, buffer=3) as stream:
        await trio.sleep(50)
        assert work.started == [100, 1, 1, 1, 1]
        assert await anext(stream) == "100 s"
    assert work.peak == 2


async def test_the_buffer_is_as_large_as_the_concurrency_unless_told(autojump_clock: MockClock) -> None:
    work = Work()
    async with open_stream(work, itertools.repeat(1), max_concurrency=3):
        await trio.sleep(50)
    assert len(work.started) == 6


async def test_unordered_results_that_nobody_takes_hold_the_input_back(autojump_clock: MockClock) -> None:
    work = Work()
    async with open_stream(work, itertools.repeat(1), max_concurrency=2, buffer=1, ordered=False):
        await trio.sleep(50)
    assert len(work.started) == 3


async def test_with_no_buffer_and_one_at_a_time_each_result_is_taken_before_the_next_item(
    autojump_clock: MockClock,
) -> None:
    happened: list[str] = []

    async def note(item: int) -> int:
        happened.append(f"work {item}")
        return item

    async with open_stream(note, range(3), max_concurrency=1, buffer=0) as stream:
        async for item in stream:
            happened.append(f"take {item}")
            await wait_all_tasks_blocked()
    assert happened == ["work 0", "take 0", "work 1", "take 1", "work 2", "take 2"]


async def test_other_tasks_run_between_the_items_of_a_long_input(autojump_clock: MockClock) -> None:
    steps = 0

    async def count() -> None:
        nonlocal steps
        while True:
            steps += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        async with open_stream(double, range(100), max_concurrency=1000) as stream:
            await taken(stream)
        assert steps > 100
        nursery.cancel_scope.cancel()


# The input


async def test_an_async_iterable_is_an_input(autojump_clock: MockClock) -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(4):
            await trio.sleep(1)
            yield number

    async with open_stream(double, numbers(), max_concurrency=2) as stream:
        assert await taken(stream) == [0, 2, 4, 6]


async def test_results_come_while_an_async_input_keeps_its_next_item_waiting(autojump_clock: MockClock) -> None:
    send, receive = trio.open_memory_channel[int](0)
    async with send, open_stream(double, receive, max_concurrency=2) as stream:
        await send.send(1)
        assert await anext(stream) == 2
        await send.send(2)
        assert await anext(stream) == 4
        await send.aclose()
        assert await taken(stream) == []


async def test_what_is_both_is_taken_as_async(autojump_clock: MockClock) -> None:
    class Both:
        def __iter__(self) -> Iterator[int]:
            raise AssertionError("it blocks")

        async def __aiter__(self) -> AsyncIterator[int]:
            yield 7

    async with open_stream(double, Both(), max_concurrency=2) as stream:
        assert await taken(stream) == [14]


@pytest.mark.parametrize("on_error", BOTH)
async def test_an_error_of_the_input_ends_the_stream_and_leaves_the_block(
    on_error: OnError, autojump_clock: MockClock
) -> None:
    def numbers() -> Generator[float]:
        yield 10
        raise Bang

    work = Work()
    with Gone(), pytest.raises(ExceptionGroup) as caught:
        async with open_stream(work, numbers(), max_concurrency=3, on_error=on_error) as stream:
            await taken(stream)
    assert [type(leaf) for leaf in leaves(caught.value)] == [Bang]
    assert work.cancelled == [10]


@pytest.mark.parametrize("on_error", BOTH)
async def test_an_error_of_an_async_input_ends_the_stream_and_leaves_the_block(
    on_error: OnError, autojump_clock: MockClock
) -> None:
    async def numbers() -> AsyncIterator[float]:
        yield 10
        await trio.sleep(1)
        raise Bang

    work = Work()
    with Gone(), pytest.raises(ExceptionGroup) as caught:
        async with open_stream(work, numbers(), max_concurrency=3, on_error=on_error) as stream:
            await taken(stream)
    assert [type(leaf) for leaf in leaves(caught.value)] == [Bang]
    assert work.cancelled == [10]


async def test_an_iterable_that_can_not_be_begun_is_an_error_of_the_input(autojump_clock: MockClock) -> None:
    class Wrong:
        def __iter__(self) -> Iterator[int]:
            raise Bang

    with pytest.raises(ExceptionGroup) as caught:
        async with open_stream(double, Wrong(), max_concurrency=3) as stream:
            await taken(stream)
    assert [type(leaf) for leaf in leaves(caught.value)] == [Bang]


async def test_a_generator_is_closed_when_the_block_is_left(autojump_clock: MockClock) -> None:
    closed: list[bool] = []

    def numbers() -> Generator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    generator = numbers()
    async with open_stream(double, generator, max_concurrency=2) as stream:
        async for _ in stream:
            break
    assert closed == [True]


async def test_an_async_generator_is_closed_when_the_block_is_left(autojump_clock: MockClock) -> None:
    closed: list[bool] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in itertools.count():
                yield number
        finally:
            closed.append(True)

    generator = numbers()
    async with open_stream(double, generator, max_concurrency=2) as stream:
        async for _ in stream:
            break
    assert closed == [True]


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


async def test_a_channel_stays_open_when_the_block_is_left(autojump_clock: MockClock) -> None:
    send, receive = trio.open_memory_channel[int](math.inf)
    async with send, receive:
        for number in range(10):
            send.send_nowait(number)
        async with open_stream(double, receive, max_concurrency=2, buffer=0) as stream:
            await wait_all_tasks_blocked()
            assert await anext(stream) == 0
        assert receive.receive_nowait() >= 2


# Errors


async def test_raise_the_first_error_cancels_the_others_and_leaves_the_block_as_from_a_nursery(
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


async def test_raise_an_error_interrupts_what_the_block_does_otherwise(autojump_clock: MockClock) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with open_stream(fail, [1], max_concurrency=3):
            await trio.sleep_forever()
    assert [type(leaf) for leaf in leaves(caught.value)] == [Bang]


async def test_raise_an_error_wakes_a_task_outside_of_the_block_that_waits_for_a_result(
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


async def test_return_each_item_has_its_outcome_and_the_rest_goes_on(autojump_clock: MockClock) -> None:
    async with open_stream(Work(), [2, -1, 1], max_concurrency=2, on_error="return") as stream:
        outcomes = await taken(stream)
    assert outcomes[0] == Done(2, "2 s")
    assert outcomes[2] == Done(1, "1 s")
    failed = outcomes[1]
    assert isinstance(failed, Failed)
    assert failed.item == -1
    assert isinstance(failed.error, Bang)


async def test_return_unordered_outcomes_come_as_they_are_ready(autojump_clock: MockClock) -> None:
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


async def test_return_a_group_is_an_error_as_any_other(autojump_clock: MockClock) -> None:
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


@pytest.mark.parametrize("where", ["function", "input", "async input"])
def test_ctrl_c_gets_into_the_users_code(where: str) -> None:
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
async def test_a_function_that_is_not_async_is_named(on_error: OnError, autojump_clock: MockClock) -> None:
    wrong: Any = len
    with pytest.raises(ExceptionGroup) as caught:
        async with open_stream(wrong, ["text"], max_concurrency=1, on_error=on_error) as stream:
            await taken(stream)
    (error,) = leaves(caught.value)
    assert str(error) == "async_fn must be an async function, but <built-in function len> returned 4"


async def test_what_takes_too_long_says_so_itself(autojump_clock: MockClock) -> None:
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


# Leaving


async def test_leaving_the_block_cancels_what_is_in_work_and_waits_for_it(autojump_clock: MockClock) -> None:
    over: list[float] = []

    async def clean_up(seconds: float) -> None:
        try:
            await trio.sleep(seconds)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(100)
            over.append(seconds)

    with Gone():
        async with open_stream(clean_up, [1, 1000, 1000], max_concurrency=3) as stream:
            async for _ in stream:
                break
    assert over == [1, 1000, 1000]
    assert trio.current_time() == pytest.approx(201)


async def test_an_error_of_the_block_cancels_what_is_in_work_and_leaves_in_a_group(autojump_clock: MockClock) -> None:
    work = Work()
    with Gone(), pytest.raises(ExceptionGroup) as caught:
        async with open_stream(work, [10, 10], max_concurrency=2):
            await wait_all_tasks_blocked()
            raise Bang
    assert [type(leaf) for leaf in leaves(caught.value)] == [Bang]
    assert work.cancelled == [10, 10]


async def test_return_an_error_in_the_clean_up_of_what_is_cancelled_leaves_the_block(autojump_clock: MockClock) -> None:
    async def fail_at_the_end(item: int) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Bang

    with pytest.raises(ExceptionGroup) as caught:
        async with open_stream(fail_at_the_end, [1, 2], max_concurrency=2, on_error="return"):
            await wait_all_tasks_blocked()
    assert [type(leaf) for leaf in leaves(caught.value)] == [Bang, Bang]


async def test_return_failures_that_nobody_has_taken_are_logged(
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


async def test_a_failure_that_was_taken_is_not_kept_alive_by_a_cycle(autojump_clock: MockClock) -> None:
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


async def test_after_the_block_there_is_nothing_to_take(autojump_clock: MockClock) -> None:
    async with open_stream(double, [1, 2], max_concurrency=2) as stream:
        pass
    with pytest.raises(trio.ClosedResourceError):
        await anext(stream)
    assert repr(stream) == "<TaskStream, closed>"


async def test_its_repr_says_how_much_is_going_on(autojump_clock: MockClock) -> None:
    async with open_stream(Work(), [1, 1, 5], max_concurrency=3) as stream:
        await trio.sleep(2)
        assert repr(stream) == "<TaskStream, 1 running, 2 waiting>"


# Several consumers


async def test_several_tasks_may_take_and_each_result_goes_to_one_of_them(autojump_clock: MockClock) -> None:
    got: list[tuple[int, str]] = []

    async def take(consumer: int) -> None:
        async for result in stream:
            got.append((consumer, result))
            await trio.sleep(0.5)

    work = Work()
    async with open_stream(work, [1] * 9, max_concurrency=3) as stream, trio.open_nursery() as nursery:
        for consumer in range(3):
            nursery.start_soon(take, consumer)
    assert [result for _, result in got] == ["1 s"] * 9
    assert {consumer for consumer, _ in got} == {0, 1, 2}


# Cancellation and checkpoints


async def test_entering_taking_and_leaving_are_checkpoints(autojump_clock: MockClock) -> None:
    opened = open_stream(double, [1], max_concurrency=1)
    with assert_checkpoints():
        stream = await opened.__aenter__()
    await wait_all_tasks_blocked()
    with assert_checkpoints():
        assert await anext(stream) == 2
    with assert_checkpoints(), pytest.raises(StopAsyncIteration):
        await anext(stream)
    with assert_checkpoints():
        await opened.__aexit__(None, None, None)
    with assert_checkpoints(), pytest.raises(trio.ClosedResourceError):
        await anext(stream)


@pytest.mark.parametrize("seconds", [0, 1])
async def test_a_taking_that_is_cancelled_anywhere_takes_nothing(seconds: float, autojump_clock: MockClock) -> None:
    async def attempt(cancelling: Cancelling[str]) -> None:
        async with open_stream(Work(), [seconds, 2], max_concurrency=2) as stream:
            got: list[str] = []
            if await cancelling.run(stream.__anext__):
                assert cancelling.value is not None
                got.append(cancelling.value)
            assert got + await taken(stream) == [f"{seconds} s", "2 s"]

    await sweep(attempt)


@pytest.mark.parametrize("on_error", BOTH)
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("is_async", [True, False])
async def test_a_stream_that_is_cancelled_anywhere_leaves_nothing_behind(
    is_async: bool, ordered: bool, on_error: OnError, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    registry: Registry[int, None] = Registry("at work")

    async def attempt(cancelling: Cancelling[list[int | Outcome[int, int]]]) -> None:
        closed: list[bool] = []
        active = 0

        async def work(item: int) -> int:
            nonlocal active
            active += 1
            try:
                registry.register(item)
                await trio.sleep(item % 3)
                return item
            finally:
                active -= 1

        def numbers() -> Generator[int]:
            try:
                yield from range(5)
            finally:
                closed.append(True)

        async def async_numbers() -> AsyncIterator[int]:
            try:
                for number in range(5):
                    await trio.lowlevel.checkpoint()
                    yield number
            finally:
                closed.append(True)

        async def operation() -> list[int | Outcome[int, int]]:
            items = async_numbers() if is_async else numbers()
            async with open_stream(work, items, max_concurrency=2, ordered=ordered, on_error=on_error) as stream:
                return await taken(stream)

        with Gone():
            if await cancelling.run(operation):
                assert cancelling.value is not None
                values = [each.value if isinstance(each, Done) else each for each in cancelling.value]
                assert sorted(values, key=repr) == list(range(5))
                assert closed == [True]
        assert active == 0
        assert registry.count() == 0
        assert closed in ([], [True])

    await sweep(attempt)
    assert caplog.records == []


# What surrounds an item


async def test_each_item_has_a_copy_of_the_callers_context(autojump_clock: MockClock) -> None:
    variable: ContextVar[str] = ContextVar("variable")
    seen: list[str] = []

    def numbers() -> Iterator[int]:
        for number in range(3):
            variable.set("the input's")
            yield number

    async def work(item: int) -> None:
        seen.append(variable.get())
        variable.set("another item's")

    variable.set("the caller's")
    async with open_stream(work, numbers(), max_concurrency=1) as stream:
        variable.set("of later")
        await taken(stream)
    assert seen == ["the caller's"] * 3
    assert variable.get() == "of later"


async def test_a_name_that_an_item_takes_goes_with_it(autojump_clock: MockClock) -> None:
    registry: Registry[str, None] = Registry("at work")
    held: list[list[str]] = []

    async def work(name: str) -> None:
        registry.register(name)
        await trio.sleep(1)
        held.append(registry.keys())

    async with open_stream(work, ["James Bond", "Mr. White"], max_concurrency=1) as stream:
        await taken(stream)
        assert registry.keys() == []
    assert held == [["James Bond"], ["Mr. White"]]


async def test_the_items_of_a_stream_in_an_actor_are_that_actors_code(autojump_clock: MockClock) -> None:
    async def who(item: int) -> object:
        return current()

    class Own(Actor):
        async def ask(self) -> list[object]:
            async with open_stream(who, [1, 2], max_concurrency=2) as stream:
                return await taken(stream)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Own)
        assert await ref.call(Own.ask) == [ref, ref]


async def test_an_item_that_calls_the_actor_that_waits_for_the_stream_is_a_cycle(autojump_clock: MockClock) -> None:
    class Own(Actor):
        async def ask(self) -> list[object]:
            async with open_stream(self.ask_again, [1], max_concurrency=2, on_error="return") as stream:
                return [type(each.error) async for each in stream if isinstance(each, Failed)]

        async def ask_again(self, item: int) -> object:
            return await self.ref.call(Own.ask)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Own)
        assert await ref.call(Own.ask) == [CallCycle]


async def test_the_task_of_an_item_is_named_after_the_function(autojump_clock: MockClock) -> None:
    async def fetch(item: int) -> str:
        return trio.lowlevel.current_task().name

    async with open_stream(fetch, [1], max_concurrency=2) as stream:
        (name,) = await taken(stream)
    assert name.endswith("fetch")


# Bad input


WRONG: list[tuple[tuple[Any, ...], dict[str, Any], Exception]] = [
    ((7, []), {"max_concurrency": 1}, TypeError("async_fn must be an async function, not 7")),
    ((double, 7), {"max_concurrency": 1}, TypeError("items must be an iterable or an async iterable, not 7")),
    ((double, []), {"max_concurrency": 0}, ValueError("max_concurrency must be at least 1, not 0")),
    ((double, []), {"max_concurrency": True}, TypeError("max_concurrency must be an int, not True")),
    ((double, []), {"max_concurrency": 1.5}, TypeError("max_concurrency must be an int, not 1.5")),
    ((double, []), {"max_concurrency": 1, "buffer": -1}, ValueError("buffer must be at least 0, not -1")),
    ((double, []), {"max_concurrency": 1, "buffer": "1"}, TypeError("buffer must be an int, not '1'")),
    ((double, []), {"max_concurrency": 1, "ordered": "no"}, TypeError("ordered must be a bool, not 'no'")),
    (
        (double, []),
        {"max_concurrency": 1, "on_error": "exit"},
        ValueError("on_error must be 'raise' or 'return', not 'exit'"),
    ),
]


@pytest.mark.parametrize(("arguments", "options", "error"), WRONG)
def test_wrong_arguments_are_named_at_once(arguments: Any, options: Any, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        open_stream(*arguments, **options)
    assert str(caught.value) == str(error)


# Against a model


@given(
    items=st.lists(st.integers(-2, 4), max_size=12),
    max_concurrency=st.integers(1, 5),
    buffer=st.none() | st.integers(0, 5),
    ordered=st.booleans(),
    is_async=st.booleans(),
    pauses=st.lists(st.integers(0, 3), min_size=12, max_size=12),
)
def test_a_stream_does_what_a_plain_loop_does(
    items: list[int], max_concurrency: int, buffer: int | None, ordered: bool, is_async: bool, pauses: list[int]
) -> None:
    work = Work()
    pulled = 0
    got: list[Outcome[float, str]] = []
    limit = max_concurrency + (max_concurrency if buffer is None else buffer)

    def numbers() -> Iterator[int]:
        nonlocal pulled
        for item in items:
            pulled += 1
            assert pulled - len(got) <= limit + 1  # one that the consumer has got and not noted yet
            yield item

    async def async_numbers() -> AsyncIterator[int]:
        for item in numbers():
            await trio.sleep(abs(item) % 2)
            yield item

    async def main() -> None:
        source = async_numbers() if is_async else numbers()
        with Gone():
            async with open_stream(
                work, source, max_concurrency=max_concurrency, buffer=buffer, ordered=ordered, on_error="return"
            ) as stream:
                async for outcome in stream:
                    got.append(outcome)
                    await trio.sleep(pauses[len(got) - 1])

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert work.peak <= max_concurrency
    assert work.started == items
    expected = [(item, None if item < 0 else f"{item} s") for item in items]
    found = [(each.item, each.value if isinstance(each, Done) else None) for each in got]
    assert found == expected if ordered else sorted(found, key=repr) == sorted(expected, key=repr)


async def test_awaiting_an_awaitable_object_will_do(autojump_clock: MockClock) -> None:
    class Later:
        def __await__(self) -> Generator[Any, Any, int]:
            return double(3).__await__()

    later: Callable[[int], Awaitable[int]] = lambda _: Later()  # noqa: E731
    async with open_stream(later, [1], max_concurrency=1) as stream:
        assert await taken(stream) == [6]
