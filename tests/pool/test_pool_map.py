"""`Pool.map`: a method of the workers over many items, as a stream of results."""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.pools import Hand, Site
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, Done, Failed, NotRunning, Pool, PoolSupervisor, open_pool, raises


@pytest.fixture(autouse=True)
def _no_log() -> Any:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class Sleeper(Actor):
    async def sleep(self, seconds: float) -> float:
        await trio.sleep(seconds)
        return seconds

    @raises(ValueError)
    def half(self, number: int) -> int:
        if number % 2:
            raise ValueError(number)
        return number // 2


async def test_the_results_come_in_the_order_of_the_items(autojump_clock: MockClock) -> None:
    async with open_pool(Sleeper, size=2) as pool, pool.map(Sleeper.sleep, [3.0, 1.0, 2.0]) as results:
        assert [result async for result in results] == [3, 1, 2]
        assert trio.current_time() == 3


async def test_unordered_results_come_as_they_are_ready(autojump_clock: MockClock) -> None:
    async with open_pool(Sleeper, size=3) as pool, pool.map(Sleeper.sleep, [3.0, 1.0, 2.0], ordered=False) as results:
        assert [result async for result in results] == [1, 2, 3]


async def test_an_endless_input_is_taken_only_as_far_as_there_is_room(autojump_clock: MockClock) -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    async with open_pool(Hand, Site(), size=2) as pool, pool.map(Hand.work, endless(), buffer=1) as results:
        await trio.sleep(100)
        assert taken == 3
        assert [await anext(results) for _ in range(3)] == [1, 2, 3]


async def test_other_callers_have_their_turn_between_the_items(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=2) as pool, pool.map(Hand.work, range(100)) as results:
        await anext(results)
        await pool.call(Hand.note, "between")
        assert trio.current_time() <= 2


async def test_an_error_ends_the_stream_and_leaves_the_block(autojump_clock: MockClock) -> None:
    async with open_pool(Sleeper, size=2) as pool:
        with pytest.raises(ExceptionGroup) as info:
            async with pool.map(Sleeper.half, [2, 3, 4]) as results:
                assert [result async for result in results] == [1]
        assert info.group_contains(ValueError)
        assert pool.statistics().idle == 2


async def test_an_error_is_a_result_if_you_ask_for_that(autojump_clock: MockClock) -> None:
    async with open_pool(Sleeper, size=2) as pool, pool.map(Sleeper.half, [2, 3], on_error="return") as results:
        first, second = [result async for result in results]
        assert first == Done(2, 1)
        assert isinstance(second, Failed)
        assert isinstance(second.error, ValueError)


async def test_an_item_that_crashes_a_worker_is_a_failure_of_that_item(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=2, max_restarts=10) as pool:
        async with pool.map(Hand.crash_later, [1.0, 2.0], on_error="return") as results:
            got = [result async for result in results]
        assert [isinstance(each, Failed) and type(each.error) for each in got] == [ActorExited, ActorExited]
        await wait_all_tasks_blocked()
        assert pool.statistics().idle == 2


async def test_a_block_that_is_left_gives_up_what_is_in_work_and_no_worker_is_lost(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=2) as pool:
        async with pool.map(Hand.work, range(10)) as results:
            await anext(results)
            await trio.sleep(0.5)
        assert await pool.call(Hand.note, "next") == "next"
        assert trio.current_time() == 2
        assert sorted(map(str, site.done)) == ["0", "1", "2", "3", "next"]


async def test_progress_is_told_with_each_item_that_is_done(autojump_clock: MockClock) -> None:
    told: list[tuple[int, int | None]] = []

    def note(done: int, total: int | None) -> None:
        told.append((done, total))

    async with open_pool(Sleeper, size=2) as pool:
        async with pool.map(Sleeper.half, [2, 3, 4], on_error="return", on_progress=note) as results:
            assert len([result async for result in results]) == 3
        assert told == [(1, 3), (2, 3), (3, 3)]
        told.clear()
        async with pool.map(Sleeper.half, iter([2]), on_progress=note) as halves:
            assert [half async for half in halves] == [1]
        assert told == [(1, None)]


async def test_progress_counts_what_is_done_whatever_the_order_of_the_results(autojump_clock: MockClock) -> None:
    told: list[tuple[float, int]] = []

    def note(done: int, total: int | None) -> None:
        told.append((trio.current_time(), done))

    async with (
        open_pool(Sleeper, size=3) as pool,
        pool.map(Sleeper.sleep, [3.0, 1.0, 2.0], on_progress=note) as results,
    ):
        assert [result async for result in results] == [3, 1, 2]
        assert told == [(1, 1), (2, 2), (3, 3)]


async def test_progress_comes_before_the_result_is_taken(autojump_clock: MockClock) -> None:
    told: list[int] = []

    def note(done: int, total: int | None) -> None:
        told.append(done)

    async with (
        open_pool(Sleeper, size=2) as pool,
        pool.map(Sleeper.sleep, [1.0] * 9, buffer=0, on_progress=note) as results,
    ):
        await trio.sleep(100)
        assert told == [1, 2]  # there is no room for more
        assert await anext(results) == 1


async def test_an_async_input_has_no_total(autojump_clock: MockClock) -> None:
    told: list[tuple[int, int | None]] = []

    async def numbers() -> AsyncIterator[int]:
        yield 2
        yield 4

    def note(done: int, total: int | None) -> None:
        told.append((done, total))

    async with open_pool(Sleeper, size=1) as pool:
        async with pool.map(Sleeper.half, numbers(), on_progress=note) as halves:
            assert [half async for half in halves] == [1, 2]
        assert told == [(1, None), (2, None)]


async def test_an_item_that_is_given_up_is_no_progress(autojump_clock: MockClock) -> None:
    told: list[int] = []

    def note(done: int, total: int | None) -> None:
        told.append(done)

    async with open_pool(Sleeper, size=2) as pool:
        async with pool.map(Sleeper.sleep, [1.0, 50.0], on_progress=note) as results:
            assert await anext(results) == 1
        await trio.sleep(100)
        assert told == [1]


async def test_an_error_of_the_progress_callback_is_the_failure_of_its_item(autojump_clock: MockClock) -> None:
    def fail_once(done: int, total: int | None) -> None:
        if done == 1:
            raise Bang("progress")

    async with open_pool(Sleeper, size=1) as pool:
        async with pool.map(Sleeper.half, [2, 4], on_error="return", on_progress=fail_once) as results:
            first, second = [result async for result in results]
        assert isinstance(first, Failed)
        assert isinstance(first.error, Bang)
        assert second == Done(4, 2)


async def test_an_error_of_the_progress_callback_is_an_error_of_its_item(autojump_clock: MockClock) -> None:
    def fail(done: int, total: int | None) -> None:
        raise Bang("progress")

    async with open_pool(Sleeper, size=2) as pool:
        with pytest.raises(ExceptionGroup) as info:
            async with pool.map(Sleeper.half, [2], on_progress=fail) as results:
                await anext(results)
        assert info.group_contains(Bang)


async def test_with_by_key_a_function_gives_the_key_of_an_item(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=8, strategy="by_key") as pool:
        async with pool.map(Hand.work, ["a", "a", "b"], key=str) as results:
            assert [result async for result in results] == ["a", "a", "b"]
        assert trio.current_time() == 2


async def test_the_arguments_of_map_are_checked(autojump_clock: MockClock) -> None:
    hands: Pool[Hand] = Pool("hands", Hand, Site(), size=1)
    with pytest.raises(NotRunning):
        hands.map(Hand.note, [1])
    async with open_pool(hands):
        for options, error in [
            ({"retries": -1}, "retries"),
            ({"key": str}, "key must not be given"),
            ({"on_progress": trio.sleep}, "on_progress"),
            ({"ordered": 1}, "ordered"),
            ({"max_concurrency": 0}, "max_concurrency"),
        ]:
            wrong: Any = options
            with pytest.raises((TypeError, ValueError), match=error):
                hands.map(Hand.note, [1], **wrong)


async def test_with_by_key_a_map_needs_a_function_for_the_keys(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1, strategy="by_key") as pool:
        with pytest.raises(TypeError, match=r"^key is missing"):  # it would be the failure of each item
            pool.map(Hand.note, [1], on_error="return")


@pytest.mark.parametrize("size", [1, 3])
async def test_with_errors_as_results_the_end_of_the_pool_ends_the_map(size: int, autojump_clock: MockClock) -> None:
    hands: Pool[Hand] = Pool("hands", Hand, Site(), size=size)
    got: list[object] = []
    async with supervised() as supervisor:
        pool = await supervisor.start_child(PoolSupervisor, hands, restart="temporary")
        with pytest.raises(ExceptionGroup) as caught:
            async with hands.map(Hand.note, itertools.count(), on_error="return") as results:
                async for result in results:
                    got.append(result)
                    assert len(got) < 100
                    if len(got) == 5:
                        await pool.stop()
    assert caught.value.split(NotRunning)[1] is None


async def test_with_errors_as_results_not_running_of_something_else_is_a_result(autojump_clock: MockClock) -> None:
    closed: Pool[Hand] = Pool("closed", Hand, Site(), size=1)

    class Caller(Actor):
        @raises(NotRunning)
        async def pass_on(self, what: int) -> None:
            await closed.call(Hand.note, what)

    async with open_pool(Caller, size=1) as pool, pool.map(Caller.pass_on, [1, 2], on_error="return") as results:
        assert [isinstance(each, Failed) and type(each.error) async for each in results] == [NotRunning, NotRunning]
