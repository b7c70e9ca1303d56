"""`open_stream`: order, concurrency, and the input."""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from support.streams import BOTH, Gone, OnError, Work, double, taken
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Done, Outcome, open_stream

# Order


async def test_ordered_results_come_in_the_order_of_the_items(autojump_clock: MockClock) -> None:
    async with open_stream(Work(), [3, 1, 2], max_concurrency=3) as stream:
        assert await taken(stream) == ["3 s", "1 s", "2 s"]


async def test_unordered_results_come_as_they_are_ready(autojump_clock: MockClock) -> None:
    async with open_stream(Work(), [3, 1, 2], max_concurrency=3, ordered=False) as stream:
        assert await taken(stream) == ["1 s", "2 s", "3 s"]


@pytest.mark.parametrize("ordered", [True, False])
async def test_items_are_worked_on_at_the_same_time(ordered: bool, autojump_clock: MockClock) -> None:
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


async def test_an_exhausted_stream_stays_exhausted(autojump_clock: MockClock) -> None:
    async with open_stream(double, [1], max_concurrency=1) as stream:
        assert await taken(stream) == [2]
        assert await taken(stream) == []


async def test_none_is_an_item_and_a_result(autojump_clock: MockClock) -> None:
    async def same(item: None) -> None:
        assert item is None

    async with open_stream(same, [None, None], max_concurrency=1) as stream:
        assert await taken(stream) == [None, None]


async def test_a_lambda_that_returns_an_awaitable_is_accepted(autojump_clock: MockClock) -> None:
    async with open_stream(lambda number: double(number + 1), [1, 2], max_concurrency=2) as stream:
        assert await taken(stream) == [4, 6]


async def test_a_function_that_returns_an_awaitable_object_is_accepted(autojump_clock: MockClock) -> None:
    class Later:
        def __await__(self) -> Generator[Any, Any, int]:
            return double(3).__await__()

    later: Callable[[int], Awaitable[int]] = lambda _: Later()  # noqa: E731
    async with open_stream(later, [1], max_concurrency=1) as stream:
        assert await taken(stream) == [6]


# Concurrency and buffer


@pytest.mark.parametrize("ordered", [True, False])
async def test_at_most_max_concurrency_items_are_worked_on_at_once(ordered: bool, autojump_clock: MockClock) -> None:
    work = Work()
    async with open_stream(work, [1, 5, 2, 2, 3, 1, 1], max_concurrency=3, ordered=ordered) as stream:
        await taken(stream)
    assert work.peak == 3


async def test_an_endless_input_is_pulled_only_while_there_is_room(autojump_clock: MockClock) -> None:
    pulled = itertools.count()
    async with open_stream(double, pulled, max_concurrency=2, buffer=3) as stream:
        await wait_all_tasks_blocked()
        assert next(pulled) == 2 + 3
        assert await anext(stream) == 0
        await wait_all_tasks_blocked()
        assert next(pulled) == 2 + 3 + 2  # one of the numbers was taken by this test


async def test_behind_a_slow_first_item_only_as_many_items_begin_as_the_buffer_holds(autojump_clock: MockClock) -> None:
    work = Work()
    async with open_stream(work, itertools.chain([100], itertools.repeat(1)), max_concurrency=2, buffer=3) as stream:
        await trio.sleep(50)
        assert work.started == [100, 1, 1, 1, 1]
        assert await anext(stream) == "100 s"
    assert work.peak == 2


async def test_the_buffer_is_by_default_as_large_as_max_concurrency(autojump_clock: MockClock) -> None:
    work = Work()
    async with open_stream(work, itertools.repeat(1), max_concurrency=3):
        await trio.sleep(50)
    assert len(work.started) == 6


async def test_unordered_results_that_are_not_taken_hold_the_input_back(autojump_clock: MockClock) -> None:
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


async def test_results_come_while_an_async_input_has_no_next_item_yet(autojump_clock: MockClock) -> None:
    send, receive = trio.open_memory_channel[int](0)
    async with send, open_stream(double, receive, max_concurrency=2) as stream:
        await send.send(1)
        assert await anext(stream) == 2
        await send.send(2)
        assert await anext(stream) == 4
        await send.aclose()
        assert await taken(stream) == []


async def test_an_input_that_is_both_is_used_as_async(autojump_clock: MockClock) -> None:
    class Both:
        def __iter__(self) -> Iterator[int]:
            raise AssertionError("it blocks")

        async def __aiter__(self) -> AsyncIterator[int]:
            yield 7

    async with open_stream(double, Both(), max_concurrency=2) as stream:
        assert await taken(stream) == [14]


async def take_one(items: Iterable[int] | AsyncIterable[int]) -> None:
    """Take one result, and leave the block while the items are still referred to."""
    async with open_stream(double, items, max_concurrency=2) as stream:
        async for _ in stream:
            break


async def test_a_generator_is_closed_when_the_block_is_left(autojump_clock: MockClock) -> None:
    closed: list[bool] = []

    def numbers() -> Generator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    await take_one(numbers())
    assert closed == [True]


async def test_an_async_generator_is_closed_when_the_block_is_left(autojump_clock: MockClock) -> None:
    closed: list[bool] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in itertools.count():
                yield number
        finally:
            closed.append(True)

    await take_one(numbers())
    assert closed == [True]


async def test_a_channel_stays_open_when_the_block_is_left(autojump_clock: MockClock) -> None:
    send, receive = trio.open_memory_channel[int](math.inf)
    async with send, receive:
        for number in range(10):
            send.send_nowait(number)
        async with open_stream(double, receive, max_concurrency=2, buffer=0) as stream:
            await wait_all_tasks_blocked()
            assert await anext(stream) == 0
        assert receive.receive_nowait() >= 2


# Arguments


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
def test_open_stream_names_wrong_arguments_at_once(arguments: Any, options: Any, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        open_stream(*arguments, **options)
    assert str(caught.value) == str(error)


# Several consumers


async def test_each_result_goes_to_one_of_several_tasks(autojump_clock: MockClock) -> None:
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


# Against a plain loop


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
            assert pulled - len(got) <= limit + 1  # the consumer has one more that it has not noted yet
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
