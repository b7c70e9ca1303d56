"""The open live pages: when each has its next look, and how much of the loop's time all of them take."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest
import trio
from support.children import ref_of
from support.errors import Bang
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ChildSpec, open_supervisor
from trioreg._observer import Observation, Page, Params, Watch
from trioreg._observer import timed as timed_module
from trioreg._observer.timed import timed
from trioreg._runtime import current_run


class Till(Actor):
    def bang(self) -> None:
        raise Bang


async def nothing(observation: Observation, params: Params) -> dict[str, object]:
    await trio.lowlevel.checkpoint()
    return {}


SLOW = Page("slow", "Slow", nothing, seconds=2.0)
EAGER = Page("eager", "Eager", nothing, seconds=2.0, is_eager=True)


class FakeTime:
    """A clock for what a look costs: it moves only if it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    clock = FakeTime()
    monkeypatch.setattr(timed_module, "perf_counter", clock)
    return clock


async def times(watch: Watch, page: Page, count: int, look: Callable[[], Awaitable[object]]) -> list[float]:
    """When the next looks begin, from now on."""
    begin = trio.current_time()
    found: list[float] = []
    for _ in range(count):
        await watch.next_look(page)
        found.append(round(trio.current_time() - begin, 2))
        await watch.look(look)
    return found


async def cheap() -> None:
    await trio.lowlevel.checkpoint()


async def test_the_first_look_is_now_and_the_next_ones_come_in_the_rhythm_of_the_page(
    autojump_clock: MockClock, costs: FakeTime
) -> None:
    with Observation(current_run()).watching() as watch:
        assert await times(watch, SLOW, 4, cheap) == [0, 2, 4, 6]


async def test_an_eager_page_has_a_look_soon_after_something_has_happened(
    autojump_clock: MockClock, costs: FakeTime
) -> None:
    async with open_supervisor([ChildSpec(Till, id="till")], at_end="stop") as shop:
        with Observation(current_run()).watching() as watch:
            await times(watch, EAGER, 1, cheap)
            begin = trio.current_time()
            await trio.sleep(1)
            ref_of(shop, "till").cast_nowait(Till.bang)
            await watch.next_look(EAGER)
            assert trio.current_time() - begin <= 1.25


async def test_an_eager_page_has_at_most_four_looks_a_second_however_much_happens(
    autojump_clock: MockClock, costs: FakeTime
) -> None:
    async def bang() -> None:
        ref_of(shop, "till").cast_nowait(Till.bang)
        await wait_all_tasks_blocked()

    async with open_supervisor([ChildSpec(Till, id="till")], at_end="stop", max_restarts=100) as shop:
        with Observation(current_run()).watching() as watch:
            assert await times(watch, EAGER, 5, bang) == [0, 0.25, 0.5, 0.75, 1]


async def test_an_eager_page_without_news_keeps_its_rhythm(autojump_clock: MockClock, costs: FakeTime) -> None:
    with Observation(current_run()).watching() as watch:
        assert await times(watch, EAGER, 3, cheap) == [0, 2, 4]


async def test_looks_that_cost_much_come_less_often(autojump_clock: MockClock, costs: FakeTime) -> None:
    async def dear() -> None:
        costs.now += 1  # one second of the loop's time
        await trio.lowlevel.checkpoint()

    with Observation(current_run()).watching() as watch:
        assert await times(watch, SLOW, 4, dear) == [0, 9, 18, 27]


async def test_many_pages_share_a_tenth_of_the_time(autojump_clock: MockClock, costs: FakeTime) -> None:
    observation = Observation(current_run())

    async def dear() -> None:
        costs.now += 0.1
        await trio.lowlevel.checkpoint()

    async def page() -> None:
        with observation.watching() as watch:
            while True:
                await watch.next_look(SLOW)
                await watch.look(dear)

    with trio.move_on_after(300):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(page)
    assert 25 <= costs.now <= 35


async def test_the_looks_of_several_pages_come_one_after_the_other(autojump_clock: MockClock, costs: FakeTime) -> None:
    observation = Observation(current_run())
    begins: list[float] = []
    now = 0

    async def dear() -> None:
        nonlocal now
        now += 1
        begins.append(trio.current_time())
        assert now == 1
        for _ in range(3):
            costs.now += 0.1
            await trio.lowlevel.checkpoint()
        now -= 1

    async def page() -> None:
        with observation.watching() as watch:
            await watch.next_look(SLOW)
            await watch.look(dear)

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(page)
    assert [round(second - first, 1) for first, second in pairwise(begins)] == [2.7, 2.7, 2.7]


async def test_a_page_that_is_closed_during_its_look_gives_its_turn_away(costs: FakeTime) -> None:
    observation = Observation(current_run())
    with observation.watching() as watch, observation.watching() as other:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch.look, trio.sleep_forever)
            await wait_all_tasks_blocked(0.01)
            nursery.cancel_scope.cancel()
        looked = trio.Event()

        async def look() -> None:
            looked.set()

        with trio.fail_after(5):
            await other.look(look)
        assert looked.is_set()


async def test_what_other_tasks_take_while_a_look_rests_is_not_its_cost(costs: FakeTime) -> None:
    noted: list[float] = []

    async def look() -> str:
        costs.now += 1
        await trio.lowlevel.checkpoint()
        costs.now += 2
        return "done"

    async def other() -> None:
        costs.now += 100

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        assert await timed(look(), noted.append) == "done"
    assert sum(noted) == 3


async def test_a_look_that_is_cancelled_costs_what_it_has_taken(autojump_clock: MockClock, costs: FakeTime) -> None:
    async def dear() -> None:
        costs.now += 1
        await trio.sleep_forever()

    with Observation(current_run()).watching() as watch:
        await watch.next_look(SLOW)
        with trio.move_on_after(1) as scope:
            await watch.look(dear)
        assert scope.cancelled_caught
        begin = trio.current_time()
        await watch.next_look(SLOW)
        assert trio.current_time() - begin == pytest.approx(9)


async def test_an_error_of_a_look_leaves_it_and_is_not_kept(costs: FakeTime) -> None:
    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise Bang

    with Observation(current_run()).watching() as watch:
        error: weakref.ref[Bang] | None = None
        try:
            await watch.look(fail)
        except Bang as raised:
            error = weakref.ref(raised)
        assert error is not None
        assert error() is None


async def test_the_values_and_errors_of_a_timed_coroutine_go_both_ways(costs: FakeTime) -> None:
    async def work() -> list[str]:
        seen: list[str] = []
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                seen.append("cancelled")
                raise
        seen.append(await trio.to_thread.run_sync(str, 5))
        return seen

    assert await timed(work(), lambda seconds: None) == ["cancelled", "5"]


def test_a_timed_coroutine_that_is_closed_closes_what_it_runs() -> None:
    closed: list[bool] = []

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            closed.append(True)

    running: Any = timed(work(), lambda seconds: None)
    running.send(None)
    running.close()
    assert closed == [True]


def test_an_error_that_a_timed_coroutine_has_caught_is_not_kept() -> None:
    async def work() -> None:
        try:
            await trio.sleep_forever()
        except Bang:
            return

    running: Any = timed(work(), lambda seconds: None)
    running.send(None)
    error = Bang()
    kept = weakref.ref(error)
    with pytest.raises(StopIteration):
        running.throw(error)
    del error
    assert kept() is None


@pytest.mark.unwatched("the instrument of that would be there, too")
async def test_a_page_that_is_closed_by_an_error_takes_its_instrument_along() -> None:
    run = current_run()
    with pytest.raises(Bang), Observation(run).watching():
        assert run.instruments is not None
        raise Bang
    assert run.instruments is None


@pytest.mark.unwatched("the instrument of that would be there, too")
async def test_two_observers_do_not_disturb_each_other() -> None:
    run = current_run()
    first, second = Observation(run), Observation(run)
    with first.watching():
        with second.watching():
            pass
        async with open_supervisor([ChildSpec(Till)], at_end="stop"):
            pass
        assert first.happenings.number == 2
        assert second.happenings.number == 0
    assert run.instruments is None


def test_a_page_that_is_closed_after_the_run_is_no_error() -> None:
    opened = ExitStack()

    async def main() -> None:
        opened.enter_context(Observation(current_run()).watching())
        await trio.lowlevel.checkpoint()

    trio.run(main, clock=MockClock())
    opened.close()


async def test_an_observation_that_is_dropped_is_garbage(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "trioreg")
    observation = Observation(current_run())
    with observation.watching() as watch:
        await watch.look(cheap)
    kept = weakref.ref(observation.happenings)
    del observation, watch
    gc.collect()
    assert kept() is None
