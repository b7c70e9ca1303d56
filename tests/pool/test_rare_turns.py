"""Turns at the desk of a pool that come rarely: a worker or the memory fails between two steps. No worker is lost."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from attrs import define
from support.errors import Bang
from support.faults import fail_once
from support.pools import Hand, Site
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import NotRunning, Pool, TaskOwner, open_pool
from trioreg._pool import desk as desk_module
from trioreg._pool.desk import Desk
from trioreg._pool.line import Line
from trioreg._pool.place import Place, Ticket
from trioreg._pool.pool_engine import PoolEngine


def engine_of(pool: Pool[Any]) -> PoolEngine:
    engine = pool._engine
    assert isinstance(engine, PoolEngine)
    return engine


async def all_are_free(pool: Pool[Hand], size: int = 1) -> bool:
    """Whether each worker can be claimed."""
    await wait_all_tasks_blocked()
    with trio.move_on_after(1):
        async with pool.claim():
            return pool.statistics().idle == size - 1
    return False


@pytest.fixture
def site() -> Site:
    return Site()


@define
class Person:
    """What stands in a line."""

    number: int
    line: Any = None


def test_a_caller_that_comes_back_stands_behind_those_that_came_before_it() -> None:
    line: Line[Any] = Line()
    for number in (1, 2, 5):
        line.add(Person(number))
    line.put_back(Person(3))
    line.put_back(Person(0))
    assert [person.number for person in line] == [0, 1, 2, 3, 5]


@pytest.mark.parametrize(
    ("owner", "name"),
    [(TaskOwner, "_take"), (desk_module, "cancel_shielded_checkpoint")],
    ids=["when it is noted", "at its checkpoint"],
)
async def test_a_claim_that_fails_gives_its_worker_back_even_if_that_fails_at_first(
    owner: Any, name: str, site: Site, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with open_pool(Hand, site, size=1) as pool:
        with monkeypatch.context() as patch:
            fail_once(patch, owner, name, Bang)
            failed = fail_once(patch, Desk, "give_back")
            with pytest.raises(Bang):
                async with pool.claim():
                    raise AssertionError("it must not begin")
            await wait_all_tasks_blocked()
        assert failed
        assert await all_are_free(pool)


async def test_a_caller_that_is_cancelled_before_it_could_be_woken_gives_its_worker_back(
    site: Site, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    scope = trio.CancelScope()

    async def claim() -> None:
        with scope:
            async with pool.claim():
                await trio.sleep_forever()

    async with open_pool(Hand, site, size=1) as pool, trio.open_nursery() as nursery:
        async with pool.claim():
            nursery.start_soon(claim)
            await wait_all_tasks_blocked()
            with monkeypatch.context() as patch:
                failed = fail_once(patch, Ticket, "wake")
                desk = engine_of(pool).desk
                worker = desk.places[0].worker
                assert worker is not None
                desk.give_back(worker)  # to the caller that waits, which is not woken at once
                scope.cancel()
            assert failed
        await wait_all_tasks_blocked()
        assert scope.cancelled_caught
        assert await all_are_free(pool)


async def given(pool: Pool[Hand], nursery: trio.Nursery, answers: list[object]) -> Desk:
    """A caller that waits in line is given the only worker, and has not had its turn."""

    async def call() -> None:
        try:
            answers.append(await pool.call(Hand.note, "work"))
        except Exception as error:
            answers.append(type(error))

    desk = engine_of(pool).desk
    worker = desk.places[0].worker
    assert worker is not None
    async with pool.claim():
        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        desk.give_back(worker)
        assert worker.ticket is not None
        return desk


async def test_a_caller_whose_worker_has_ended_before_its_turn_is_refused_if_the_pool_has_closed_meanwhile(
    site: Site, autojump_clock: MockClock
) -> None:
    answers: list[object] = []
    async with open_pool(Hand, site, size=1) as pool, trio.open_nursery() as nursery:
        desk = await given(pool, nursery, answers)
        place = desk.places[0]
        assert place.worker is not None
        ticket = place.worker.ticket
        assert ticket is not None
        desk.is_closed = True
        desk.ended(place, place.worker.cell)
        await wait_all_tasks_blocked()
        assert answers == [NotRunning]


async def test_a_caller_whose_worker_has_ended_before_its_turn_takes_another_one_that_is_free(
    site: Site, autojump_clock: MockClock
) -> None:
    answers: list[object] = []

    async def call() -> None:
        answers.append(await pool.call(Hand.note, "work"))

    async with open_pool(Hand, site, size=2) as pool, trio.open_nursery() as nursery:
        desk = engine_of(pool).desk
        async with pool.claim() as first, pool.claim() as second:
            nursery.start_soon(call)
            await wait_all_tasks_blocked()
            for place in desk.places:
                assert place.worker is not None
                desk.give_back(place.worker)
            given_to_the_caller = next(place for place in desk.places if place.worker and place.worker.ticket)
            (first, second)[given_to_the_caller.number].kill()
            await wait_all_tasks_blocked()
            assert answers == ["work"]


async def test_a_worker_that_is_given_back_twice_goes_to_one_caller(site: Site, autojump_clock: MockClock) -> None:
    began: list[float] = []

    async with open_pool(Hand, site, size=1) as pool, trio.open_nursery() as nursery:

        async def claim() -> None:
            async with pool.claim():
                began.append(trio.current_time())
                await trio.sleep(1)

        async with pool.claim():
            for _ in range(2):
                nursery.start_soon(claim)
            await wait_all_tasks_blocked()
            desk = engine_of(pool).desk
            worker = desk.places[0].worker
            assert worker is not None
            desk.give_back(worker)  # the claim does it once more
    assert began == [0, 1]


async def test_a_worker_that_ends_while_it_is_given_back_is_told_once(site: Site, autojump_clock: MockClock) -> None:
    async with open_pool(Hand, site, size=1) as pool:
        desk = engine_of(pool).desk
        worker = desk.places[0].worker
        assert worker is not None
        desk._came_round(worker)  # it is idle: there is nothing to do
        assert pool.statistics().idle == 1
        assert await all_are_free(pool)


async def test_a_worker_that_ends_in_a_claim_leaves_a_pool_that_shrinks(site: Site, autojump_clock: MockClock) -> None:
    async with open_pool(Hand, site, size=2) as pool, trio.open_nursery() as nursery:
        async with pool.claim() as first, pool.claim() as second:
            nursery.start_soon(pool.resize, 1)
            await wait_all_tasks_blocked()
            for ref in (first, second):
                ref.kill()
        await wait_all_tasks_blocked()
        assert pool.statistics().size == 1


async def test_a_caller_that_can_not_line_up_again_gets_the_error(
    site: Site, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    answers: list[object] = []
    async with open_pool(Hand, site, size=1) as pool, trio.open_nursery() as nursery:
        desk = await given(pool, nursery, answers)
        place = desk.places[0]
        assert place.worker is not None
        with monkeypatch.context() as patch:
            fail_once(patch, Desk, "_line_up_again", Bang)
            with pytest.raises(Bang):
                desk.ended(place, place.worker.cell)
        await wait_all_tasks_blocked()
        assert answers == [Bang]


async def test_a_caller_that_is_refused_gets_its_error_even_if_it_can_not_be_woken_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    answers: list[object] = []
    async with open_pool(Hand, site, size=1) as pool, trio.open_nursery() as nursery:
        desk = await given(pool, nursery, answers)
        place = desk.places[0]
        assert place.worker is not None
        ticket = place.worker.ticket
        assert ticket is not None
        ticket.worker = place.worker.ticket = None
        with monkeypatch.context() as patch:
            failed = fail_once(patch, Ticket, "wake")
            desk._refuse(ticket, Bang())
            await wait_all_tasks_blocked()
        assert failed
        assert answers == [Bang]


async def test_the_end_of_an_earlier_run_of_a_pool_is_not_the_end_of_the_present_one(
    site: Site, autojump_clock: MockClock
) -> None:
    pool = Pool("hands", Hand, site, size=1)
    async with open_pool(pool):
        earlier = engine_of(pool)
    async with open_pool(pool):
        earlier.forget_run()
        assert await pool.call(Hand.note, "work") == "work"


class Early(Hand):
    """The first one crashes while the second one starts, and takes long to start again."""

    async def on_start(self) -> None:
        self.site.started += 1
        if self.site.started == 1:
            self.start_soon(self.crash_later, 1)
        else:
            await trio.sleep(self.site.started)


async def test_a_worker_that_crashes_while_the_others_start_joins_when_it_has_started_again(
    site: Site, autojump_clock: MockClock
) -> None:
    async with open_pool(Early, site, size=2) as pool:
        await wait_all_tasks_blocked()
        assert pool.statistics().idle == 1
        await trio.sleep(10)
        assert pool.statistics().idle == 2


async def test_the_size_of_a_pool_that_ends_does_not_change(site: Site, autojump_clock: MockClock) -> None:
    class Slow(Hand):
        async def on_stop(self, exit: object) -> None:
            with pytest.raises(NotRunning):
                await engine.resize(3)
            site.stopped += 1

    async with open_pool(Slow, site, size=1, shutdown=5) as pool:
        engine = engine_of(pool)
    assert site.stopped == 1


@pytest.mark.parametrize("looks", [0, 1])
async def test_a_worker_that_has_gone_again_before_it_is_added_ends_the_change_of_the_size(
    looks: int, site: Site, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    child_of = PoolEngine._child_of
    seen: list[object] = []

    def gone(self: PoolEngine, spec: Any) -> Any:
        seen.append(spec)
        return None if len(seen) == looks + 1 else child_of(self, spec)

    async with open_pool(Hand, site, size=1) as pool:
        with monkeypatch.context() as patch:
            patch.setattr(PoolEngine, "_child_of", gone)
            with pytest.raises(NotRunning):
                await pool.resize(2)
        await wait_all_tasks_blocked()
        assert pool.statistics().size == 1
        assert await all_are_free(pool)


class Panic(BaseException):
    """No `Exception`, as `KeyboardInterrupt` is none."""


@pytest.mark.parametrize("error", [Bang, Panic])
async def test_a_worker_whose_end_fails_ends_the_pool_with_that_error(
    error: type[BaseException], site: Site, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    failed = fail_once(monkeypatch, Place, "wait_free", error)
    with pytest.raises(BaseExceptionGroup) as raised:
        async with open_pool(Hand, site, size=2) as pool:
            await pool.resize(1)
            await trio.sleep_forever()
    assert failed
    assert raised.value.split(error)[1] is None
