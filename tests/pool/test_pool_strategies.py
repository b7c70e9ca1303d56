"""Pools: which worker a caller gets, how the size changes, and when a call is tried again."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, sweep_steps
from support.errors import Bang
from support.pools import Hand, Site
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, Backoff, CallCycle, NotRunning, Pool, PoolFull, open_pool
from trioreg._pool.strategy import jump
from trioreg._supervision import number_of


@pytest.fixture(autouse=True)
def _no_log() -> Any:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


async def who(pool: Pool[Hand], **options: Any) -> int:
    return await pool.call(Hand.who, **options)


def numbers(pool: Pool[Hand]) -> list[int]:
    return [ref._number for ref in pool.workers()]


# Strategies


async def test_idle_first_gives_the_worker_that_has_been_idle_the_longest(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=3) as pool:
        assert [await who(pool) for _ in range(6)] == numbers(pool) * 2


async def test_round_robin_gives_the_next_worker_in_turn_even_if_it_is_busy(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=3, strategy="round_robin") as pool:
        workers = numbers(pool)
        assert [await who(pool) for _ in range(4)] == [*workers, workers[0]]
        await pool.cast(Hand.work, 1)  # the second one
        assert [await who(pool) for _ in range(2)] == [workers[2], workers[0]]
        assert trio.current_time() == 0
        assert await who(pool) == workers[1]
        assert trio.current_time() == 1


async def test_least_loaded_gives_the_worker_with_the_fewest_callers(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=3, strategy="least_loaded") as pool, trio.open_nursery() as nursery:
        for number in range(7):
            nursery.start_soon(pool.call, Hand.work, number)
            await wait_all_tasks_blocked()
        assert sorted(place.load for place in _places(pool)) == [2, 2, 3]
        await trio.sleep(1.5)
        assert sorted(place.load for place in _places(pool)) == [1, 1, 2]


def _places(pool: Pool[Any]) -> list[Any]:
    assert pool._engine is not None
    return pool._engine.desk.places


@pytest.mark.parametrize("strategy", ["round_robin", "least_loaded"])
async def test_a_worker_that_is_not_there_is_passed_over(strategy: Any, autojump_clock: MockClock) -> None:
    backoff = Backoff(100, 100, jitter=0)
    async with open_pool(Hand, Site(), size=3, strategy=strategy, backoff=backoff) as pool:
        first = pool.workers()[0]
        first.kill()
        await wait_all_tasks_blocked()
        got = {await who(pool) for _ in range(6)}
        assert got == {*numbers(pool)}
        assert len(got) == 2
        assert trio.current_time() == 0


@pytest.mark.parametrize("strategy", ["round_robin", "least_loaded"])
async def test_callers_that_wait_for_a_worker_that_ends_go_to_another_one(
    strategy: Any, autojump_clock: MockClock
) -> None:
    backoff = Backoff(100, 100, jitter=0)
    site = Site()
    async with (
        open_pool(Hand, site, size=2, strategy=strategy, backoff=backoff) as pool,
        trio.open_nursery() as nursery,
    ):
        for number in range(6):
            nursery.start_soon(pool.cast, Hand.work, number)
            await wait_all_tasks_blocked()
        pool.workers()[0].kill()
        await trio.sleep(6)
        assert sorted(site.done) == [1, 2, 3, 4, 5]
        assert site.done == sorted(site.done)


async def test_callers_that_have_moved_to_another_worker_count_there_once(autojump_clock: MockClock) -> None:
    site = Site()
    backoff = Backoff(100, 100, jitter=0)
    async with open_pool(Hand, site, size=2, strategy="least_loaded", backoff=backoff) as pool:
        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(pool.cast, Hand.work, number)
                await wait_all_tasks_blocked()
            pool.workers()[0].kill()
        await trio.sleep(200)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(2):
                nursery.start_soon(pool.call, Hand.work, number)
                await wait_all_tasks_blocked()
        assert trio.current_time() - began == 1  # at the same time: each has a worker of its own
        assert {await who(pool) for _ in range(2)} == {*numbers(pool)}


async def test_by_key_gives_the_same_worker_for_the_same_key_also_after_a_restart(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=4, strategy="by_key", max_restarts=100) as pool:
        for key in ["a", "b", "c", None, 5, (1, 2)]:
            worker = await who(pool, key=key)
            assert await who(pool, key=key) == worker
            async with pool.claim(key=key) as ref:
                assert ref._number == worker
                place = numbers(pool).index(worker)
                ref.kill()
            await wait_all_tasks_blocked()
            assert await who(pool, key=key) == numbers(pool)[place] != worker


async def test_by_key_waits_for_the_worker_of_the_key(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=4, strategy="by_key") as pool:

        async def work(number: int) -> None:
            await pool.call(Hand.work, number, key="a")

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(work, number)
        assert trio.current_time() == 3


async def test_by_key_needs_a_key_and_no_other_strategy_takes_one(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1, strategy="by_key") as pool:
        with pytest.raises(TypeError, match="key is missing"):
            await pool.call(Hand.note, 1)
        with pytest.raises(TypeError, match="key is missing"):
            pool.claim()
        with pytest.raises(TypeError, match="key must be hashable"):
            await pool.call(Hand.note, 1, key=[])  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    async with open_pool(Hand, Site(), size=1) as pool:
        for ask in (pool.call(Hand.note, 1, key="a"), pool.cast(Hand.note, 1, key="a")):
            with pytest.raises(TypeError, match="key must not be given"):
                await ask


@pytest.mark.parametrize("size", [1, 2, 5, 8, 50])
def test_from_n_to_n_and_one_about_one_key_in_n_and_one_moves_and_each_to_the_new_worker(size: int) -> None:
    count = 20_000
    moved = 0
    shares: Counter[int] = Counter()
    for number in range(count):
        before, after = jump(number, size), jump(number, size + 1)
        shares[before] += 1
        if before != after:
            moved += 1
            assert after == size
    assert set(shares) == {*range(size)}
    assert 0.8 < moved / count * (size + 1) < 1.2
    assert all(0.7 < share / count * size < 1.3 for share in shares.values())


def test_the_worker_of_a_key_is_the_same_in_every_process() -> None:
    # As stored data may rely on it: never change these.
    assert [jump(number_of(key), 8) for key in ["a", "b", "nyse.ibm", b"bytes", 5]] == [5, 6, 2, 2, 4]


# The size


async def test_more_workers_serve_those_that_wait(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool, trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(pool.call, Hand.work, number)
        await wait_all_tasks_blocked()
        await pool.resize(3)
        assert (len(pool), pool.statistics().waiting, pool.statistics().busy) == (3, 0, 3)


async def test_fewer_workers_wait_for_the_busy_ones(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=3) as pool, trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(pool.call, Hand.work, number, number + 1)
            await wait_all_tasks_blocked()
        await pool.resize(1)
        assert (trio.current_time(), len(pool), len(pool.workers()), site.stopped) == (3, 1, 1, 2)
    assert sorted(site.done) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("strategy", ["round_robin", "least_loaded"])
async def test_callers_that_wait_for_a_worker_that_leaves_go_to_another_one(
    strategy: Any, autojump_clock: MockClock
) -> None:
    site = Site()
    async with open_pool(Hand, site, size=3, strategy=strategy) as pool, trio.open_nursery() as nursery:
        for number in range(9):
            nursery.start_soon(pool.call, Hand.work, number)
            await wait_all_tasks_blocked()
        await pool.resize(1)
        await trio.sleep(20)
        assert sorted(site.done) == [*range(9)]


@pytest.mark.parametrize("sizes", [(4, 5), (5, 4), (1, 3), (3, 1)])
async def test_by_key_a_caller_that_waits_goes_where_its_key_goes(
    sizes: tuple[int, int], autojump_clock: MockClock
) -> None:
    async with open_pool(Hand, Site(), size=sizes[0], strategy="by_key") as pool:
        got: dict[str, int] = {}

        async def ask(key: str) -> None:
            async with pool.claim(key=key) as worker:
                got[key] = worker._number

        async with trio.open_nursery() as nursery:
            keys = [f"key {number}" for number in range(40)]
            held = [pool.claim(key=key) for key in _one_key_for_each(sizes[0])]
            for claim in held:
                await claim.__aenter__()
            for key in keys:
                nursery.start_soon(ask, key)
            await wait_all_tasks_blocked()
            nursery.start_soon(pool.resize, sizes[1])
            await wait_all_tasks_blocked()
            for claim in held:
                await claim.__aexit__(None, None, None)
        assert got == {key: await who(pool, key=key) for key in keys}


def _one_key_for_each(size: int) -> list[str]:
    found: dict[int, str] = {}
    for number in range(1000):
        key = f"held {number}"
        found.setdefault(jump(number_of(key), size), key)
    return list(found.values())


@pytest.mark.parametrize("sizes", [(2, 4), (4, 1)])
async def test_a_change_of_the_size_that_is_cancelled_at_any_step_loses_no_worker(
    sizes: tuple[int, int], autojump_clock: MockClock
) -> None:
    before, after = sizes

    async def attempt(cancelling: Cancelling[None]) -> None:
        async with open_pool(Hand, Site(), size=before) as pool:
            await pool.cast(Hand.work, 1)
            is_done = await cancelling.run(lambda: pool.resize(after))
            await trio.sleep(2)
            size = len(pool)
            assert size == after or (size == before and not is_done)
            assert (len(pool.workers()), pool.statistics().idle) == (size, size)
            await pool.resize(3)
            assert (len(pool.workers()), pool.statistics().idle) == (3, 3)

    await sweep_steps(attempt)


@pytest.mark.parametrize("strategy", ["idle_first", "round_robin", "least_loaded"])
async def test_callers_of_one_moment_are_served_in_their_order(strategy: Any, autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1, strategy=strategy) as pool, trio.open_nursery() as nursery:
        began: list[int] = []

        async def ask(number: int) -> None:
            began.append(number)  # Trio starts tasks of one moment in any order
            await pool.call(Hand.work, number)

        for number in range(20):
            nursery.start_soon(ask, number)
        await trio.sleep(30)
        assert site.done == began


class Moody:
    """A key whose hash raises while it is in a bad mood."""

    def __init__(self) -> None:
        self.is_bad = False

    def __hash__(self) -> int:
        if self.is_bad:
            raise Bang("hash")
        return 1


async def test_a_key_whose_hash_raises_costs_only_its_own_caller_the_place_in_line(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1, strategy="by_key") as pool, trio.open_nursery() as nursery:
        moody = Moody()

        async def ask() -> None:
            with pytest.raises(Bang):
                await pool.call(Hand.note, "moody", key=moody)

        async with pool.claim(key=0):
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            nursery.start_soon(lambda: pool.call(Hand.note, "other", key="x"))
            await wait_all_tasks_blocked()
            moody.is_bad = True
            await pool.resize(2)
            assert pool.statistics().waiting <= 1
        await wait_all_tasks_blocked()
        assert (site.done, pool.statistics().idle) == (["other"], 2)


async def test_a_change_of_the_size_that_is_cancelled_goes_on(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=2) as pool:
        async with pool.claim(), pool.claim():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(pool.resize, 1)
                await wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            assert (len(pool), len(pool.workers())) == (1, 2)
        await wait_all_tasks_blocked()
        assert (len(pool), len(pool.workers())) == (1, 1)


async def test_a_place_is_filled_again_when_the_worker_that_leaves_it_has_ended(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=2) as pool:
        for number in range(2):
            await pool.cast(Hand.work, number, 3)
        with trio.move_on_after(1):
            await pool.resize(1)
        await pool.resize(2)
        assert (trio.current_time(), len(pool), len(pool.workers())) == (3, 2, 2)


async def test_a_worker_that_does_not_start_leaves_the_size_as_it_was(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=2) as pool:
        start = site.started

        async def fail_the_second() -> None:
            await trio.sleep(1.5)
            assert site.started == start + 1
            site.fails = 1

        site.start_takes = 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_the_second)
            with pytest.raises(Bang):
                await pool.resize(5)
        await wait_all_tasks_blocked()
        assert (len(pool), len(pool.workers())) == (2, 2)


@pytest.mark.parametrize(("size", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError)])
async def test_a_size_is_an_int_of_at_least_one(size: Any, error: type[Exception], autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool:
        with pytest.raises(error, match="size"):
            await pool.resize(size)


async def test_a_pool_that_does_not_run_has_no_size(autojump_clock: MockClock) -> None:
    hands: Pool[Hand] = Pool("hands", Hand, Site(), size=1)
    with pytest.raises(NotRunning):
        await hands.resize(2)
    with pytest.raises(NotRunning):
        hands.statistics()
    assert len(hands) == 0


class Shrinker(Actor):
    def __init__(self, pools: list[Pool[Any]]) -> None:
        self.pools = pools

    async def shrink(self) -> str:
        try:
            await self.pools[0].resize(1)
        except CallCycle:
            return "refused"
        return "done"


async def test_a_worker_that_would_wait_for_its_own_end_is_refused(autojump_clock: MockClock) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Shrinker, pools, size=2) as pool:
        pools.append(pool)
        assert await pool.call(Shrinker.shrink) == "done"  # the first worker, which stays
        assert len(pool) == 1
    async with open_pool(Shrinker, pools, size=2) as pool:
        pools[0] = pool
        async with pool.claim():
            assert await pool.call(Shrinker.shrink) == "refused"
        assert len(pool) == 2


class Recursive(Actor):
    def __init__(self, pools: list[Pool[Any]]) -> None:
        self.pools = pools

    async def ask(self, key: int) -> str:
        try:
            return str(await self.pools[0].call(Recursive.answer, key=key))
        except CallCycle:
            return "refused"

    async def answer(self) -> str:
        return "answered"


async def test_a_worker_that_would_wait_for_itself_is_refused(autojump_clock: MockClock) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Recursive, pools, size=2, strategy="by_key") as pool:
        pools.append(pool)
        assert jump(0, 2) != jump(4, 2)
        assert await pool.call(Recursive.ask, 0, key=0) == "refused"
        assert await pool.call(Recursive.ask, 4, key=0) == "answered"
        assert (pool.statistics().waiting, pool.statistics().idle) == (0, 2)


async def test_workers_that_would_wait_for_each_other_are_refused(autojump_clock: MockClock) -> None:
    pools: list[Pool[Any]] = []
    async with open_pool(Recursive, pools, size=2, strategy="by_key") as pool, trio.open_nursery() as nursery:
        pools.append(pool)
        got: list[str] = []

        async def ask(key: int, other: int) -> None:
            got.append(await pool.call(Recursive.ask, other, key=key))

        nursery.start_soon(ask, 0, 4)
        nursery.start_soon(ask, 4, 0)
        await trio.sleep(1)
        assert sorted(got) == ["answered", "refused"]


# Another try


class Fragile(Hand):
    """A worker whose handler crashes it as often as the site says."""

    async def work_or_crash(self, what: object) -> object:
        self.site.done.append(what)
        if self.site.fails_at_work:
            self.site.fails_at_work -= 1
            raise Bang("work")
        return what


async def test_a_call_that_is_idempotent_is_tried_again(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Fragile, site, size=2, max_restarts=100) as pool:
        site.fails_at_work = 2
        assert await pool.call(Fragile.work_or_crash, 1, retries=2, idempotent=True) == 1
        assert site.done == [1, 1, 1]
        site.fails_at_work = 2
        with pytest.raises(ActorExited):
            await pool.call(Fragile.work_or_crash, 2, retries=1, idempotent=True)
        await wait_all_tasks_blocked()


async def test_a_call_that_has_begun_is_not_tried_again_unless_it_is_idempotent(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Fragile, site, size=2) as pool:
        site.fails_at_work = 1
        with pytest.raises(ActorExited):
            await pool.call(Fragile.work_or_crash, 1, retries=5)
        await wait_all_tasks_blocked()
        assert site.done == [1]


async def test_a_further_try_that_gets_no_worker_shows_the_end_of_the_last_one(
    autojump_clock: MockClock,
) -> None:
    site = Site()
    async with open_pool(Fragile, site, size=1, queue_limit=0) as pool:
        site.fails_at_work = 1
        with pytest.raises(PoolFull) as caught:
            await pool.call(Fragile.work_or_crash, 1, retries=1, idempotent=True)
        assert isinstance(caught.value.__cause__, ActorExited)
        assert isinstance(caught.value.__cause__.__cause__, Bang)
        await wait_all_tasks_blocked()


async def test_a_call_that_has_not_begun_is_tried_again(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1) as pool:
        (worker,) = pool.workers()
        async with trio.open_nursery() as nursery:
            worker.cast_nowait(Hand.work, "in the way")  # behind the pool's back
            nursery.start_soon(lambda: pool.call(Hand.note, "tried again", retries=1))
            await wait_all_tasks_blocked()
            worker.kill()
        assert site.done == ["tried again"]


async def test_without_retries_it_is_not(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool, trio.open_nursery() as nursery:
        (worker,) = pool.workers()
        worker.cast_nowait(Hand.work, "in the way")

        async def ask() -> None:
            with pytest.raises(ActorExited) as info:
                await pool.call(Hand.note, 1)
            assert info.value.was_sent
            assert not info.value.was_begun

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        worker.kill()


@pytest.mark.parametrize(
    ("options", "error"),
    [({"retries": -1}, "retries must be at least 0"), ({"retries": 1.5}, "retries"), ({"idempotent": 1}, "idempotent")],
)
async def test_an_option_that_is_wrong_is_an_error(
    options: dict[str, Any], error: str, autojump_clock: MockClock
) -> None:
    async with open_pool(Hand, Site(), size=1) as pool:
        with pytest.raises((TypeError, ValueError), match=error):
            await pool.call(Hand.note, 1, **options)
