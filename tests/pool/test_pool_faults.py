"""Faults that a pool had once: each with its smallest case."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.pools import Hand, Site
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ChildSpec, Exit, NotRunning, Pool, PoolSupervisor, open_pool, open_supervisor
from trioreg._pool.strategy import jump
from trioreg._supervision import number_of


@pytest.fixture(autouse=True)
def _no_log() -> Any:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class Tidy(Hand):
    """It takes two seconds to tidy up."""

    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep(2)
        await super().on_stop(exit)


async def test_at_the_end_a_worker_that_is_done_does_not_wait_for_the_others(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Tidy, site, size=2, shutdown=5) as pool:
        await pool.cast(Hand.work, "long", 2.5)
        await pool.cast(Hand.work, "short", 1)
    assert (trio.current_time(), site.done, site.stopped) == (4.5, ["short", "long"], 2)
    began = trio.current_time()
    async with open_pool(Tidy, site, size=2, shutdown=5) as pool:
        await pool.cast(Hand.work, "too long", 4.5)
        await pool.cast(Hand.work, "short again", 1)
    assert (trio.current_time() - began, site.done[2:], site.stopped) == (5, ["short again", "too long"], 3)


class SlowStarter(Hand):
    async def on_start(self) -> None:
        starts: list[float] = self.site.done
        if starts:
            await trio.sleep(starts.pop(0))
        self.site.started += 1

    async def work(self, what: object, seconds: float = 0) -> object:
        return what


@pytest.mark.parametrize("strategy", ["round_robin", "least_loaded"])
@pytest.mark.parametrize("callers", [1, 2, 6])
async def test_callers_that_came_while_no_worker_was_there_go_to_the_first_one_that_is(
    callers: int, strategy: Any, autojump_clock: MockClock
) -> None:
    site = Site()
    async with open_pool(SlowStarter, site, size=2, strategy=strategy) as pool:
        site.done = [100.0, 1.0]
        for worker in pool.workers():
            worker.kill()
        await wait_all_tasks_blocked()
        got: list[int] = []

        async def ask(number: int) -> None:
            await pool.call(SlowStarter.work, number)
            got.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(callers):
                nursery.start_soon(ask, number)
                await wait_all_tasks_blocked()
        assert (trio.current_time(), got) == (1, [*range(callers)])


@pytest.mark.parametrize("end", ["kill", "cancel", "stop"])
async def test_a_change_of_the_size_does_not_outlast_the_supervisor(end: str, autojump_clock: MockClock) -> None:
    hands: Pool[Hand] = Pool("hands", Hand, Site(), size=2)
    children = [ChildSpec(PoolSupervisor, (hands,), id="hands", restart="temporary")]
    async with open_supervisor(children, at_end="stop") as supervisor, trio.open_nursery() as nursery:
        over: list[BaseException | None] = []

        async def resize() -> None:
            try:
                await hands.resize(1)
            except NotRunning as error:
                over.append(error)
            else:
                over.append(None)

        for number in range(2):
            await hands.cast(Hand.work, number, 100)
        nursery.start_soon(resize)
        await wait_all_tasks_blocked()
        ref = supervisor.which_child("hands").ref
        assert ref is not None
        if end == "stop":
            nursery.start_soon(ref.stop)
        else:
            getattr(ref, end)()
        await trio.sleep(200)
        assert len(over) == 1


class Moody:
    """A key whose hash raises when it is in a bad mood."""

    def __init__(self) -> None:
        self.is_bad = False

    def __hash__(self) -> int:
        if self.is_bad:
            raise Bang("hash")
        return 4


async def test_a_key_whose_hash_raises_when_its_worker_ends_is_an_error_of_its_caller_only(
    autojump_clock: MockClock,
) -> None:
    async with open_pool(Hand, Site(), size=2, strategy="by_key") as pool:
        moody = Moody()
        place = jump(number_of(moody), 2)
        assert place == 1, "the place that leaves"
        refused: list[str] = []

        async def ask() -> None:
            with pytest.raises(Bang):
                await pool.call(Hand.note, "moody", key=moody)
            refused.append("moody")

        async with trio.open_nursery() as nursery:
            async with pool.claim(key=moody) as worker:
                nursery.start_soon(ask)
                await wait_all_tasks_blocked()
            # All in one step: the worker is given to the caller, leaves, and ends.
            assert pool._engine is not None
            place_that_leaves = pool._engine.desk.shrink(1)[0]
            moody.is_bad = True
            cell = worker._cell
            assert cell is not None
            pool._engine.desk.ended(place_that_leaves, cell)
        assert refused == ["moody"]
        pool._engine.desk.places.append(place_that_leaves)  # for the end of the pool
        assert await pool.call(Hand.note, "other", key=0) == "other"


async def test_a_claim_whose_checkpoint_fails_gives_its_worker_back(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def fail() -> None:
        raise MemoryError

    async with open_pool(Hand, Site(), size=1) as pool:
        with monkeypatch.context() as patched:
            patched.setattr("trioreg._pool.desk.cancel_shielded_checkpoint", fail)
            with pytest.raises(MemoryError):
                await pool.claim().__aenter__()
        assert (pool.statistics().idle, pool.statistics().busy) == (1, 0)


class Stumbling(Hand):
    """A worker whose first restart fails at once."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        site.done.append("made")
        if len(site.done) == 2:
            raise Bang("restart")


async def test_a_worker_whose_restart_fails_at_once_has_one_caller_after_the_next_restart(
    autojump_clock: MockClock,
) -> None:
    # Trio runs the task that looks at the failing life before it, or after it has ended: by chance.
    for _ in range(20):
        holders: list[object] = []

        async def hold(pool: Pool[Stumbling], holders: list[object] = holders) -> None:
            async with pool.claim() as worker:
                assert worker not in holders
                holders.append(worker)
                await trio.sleep(1)
                holders.remove(worker)

        async with (
            open_pool(Stumbling, Site(), size=1) as pool,
            trio.open_nursery() as nursery,
            pool.claim() as worker,
        ):
            worker.kill()
            nursery.start_soon(hold, pool)
            nursery.start_soon(hold, pool)
            await wait_all_tasks_blocked()
            assert pool.statistics().waiting == 1


async def test_a_pool_that_gives_up_hands_out_no_worker_from_that_step_on(autojump_clock: MockClock) -> None:
    site = Site()
    refused: list[int] = []

    async def call_after_the_crash(number: int) -> None:
        await worker.wait()
        with pytest.raises(NotRunning):
            await pool.call(Hand.note, number)
        refused.append(number)

    async with trio.open_nursery() as nursery:
        with pytest.raises(ExceptionGroup, match="gave up"):
            async with open_pool(Hand, site, size=2, max_restarts=0) as pool:
                worker = pool.workers()[0]
                for number in range(50):  # some of them have their turn before the pool has
                    nursery.start_soon(call_after_the_crash, number)
                await wait_all_tasks_blocked()
                worker.cast_nowait(Hand.crash)
                await trio.sleep_forever()
    assert (len(refused), site.done) == (50, [])
