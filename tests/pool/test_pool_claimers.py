"""However the holder of a claim ends, its worker is given back, and not before it is done."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.inside import plain_holders
from support.pools import Hand, Site
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, Pool, open_pool, open_supervisor


@pytest.fixture(autouse=True)
def _no_log() -> Any:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class Stop(BaseException):
    """An error that is no `Exception`."""


# A task that has a claim. Each of these ends with its worker at work until three seconds have passed.


async def returns(pool: Pool[Hand]) -> None:
    async with pool.claim() as worker:
        worker.cast_nowait(Hand.work, "last", 3)
        return


async def raises(pool: Pool[Hand]) -> None:
    async with pool.claim() as worker:
        worker.cast_nowait(Hand.work, "last", 3)
        raise Bang("claimer")


async def raises_no_exception(pool: Pool[Hand]) -> None:
    async with pool.claim() as worker:
        worker.cast_nowait(Hand.work, "last", 3)
        raise Stop


async def is_cancelled(pool: Pool[Hand]) -> None:
    with trio.move_on_after(1):
        async with pool.claim() as worker:
            await worker.call(Hand.work, "last", 3)


async def is_cancelled_before_it_does_anything(pool: Pool[Hand]) -> None:
    with trio.CancelScope() as scope:
        async with pool.claim() as worker:
            worker.cast_nowait(Hand.work, "last", 3)
            scope.cancel()
            await trio.lowlevel.checkpoint()


async def leaves_it_open(pool: Pool[Hand]) -> None:
    worker = await pool.claim().__aenter__()
    worker.cast_nowait(Hand.work, "last", 3)


async def leaves_it_open_and_crashes(pool: Pool[Hand]) -> None:
    await leaves_it_open(pool)
    raise Bang("claimer")


async def leaves_it_open_and_is_cancelled(pool: Pool[Hand]) -> None:
    with trio.move_on_after(1):
        await leaves_it_open(pool)
        await trio.sleep_forever()


TASKS = [
    returns,
    raises,
    raises_no_exception,
    is_cancelled,
    is_cancelled_before_it_does_anything,
    leaves_it_open,
    leaves_it_open_and_crashes,
    leaves_it_open_and_is_cancelled,
]


@pytest.mark.parametrize("claimer", TASKS, ids=lambda claimer: claimer.__name__)
async def test_however_a_task_with_a_claim_ends_its_worker_is_given_back_when_it_is_done(
    claimer: Callable[[Pool[Hand]], Awaitable[None]], autojump_clock: MockClock
) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1) as pool:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(claimer, pool)
        except* (Bang, Stop):
            pass
        assert (pool.statistics().idle, pool.statistics().busy, site.done) == (0, 1, [])
        assert await pool.call(Hand.note, "next") == "next"
        assert (trio.current_time(), site.done) == (3, ["last", "next"])
        assert (pool.statistics().idle, len(pool.workers())) == (1, 1)


# An actor that has a claim: in a handler, in a background task, or left open


class Claimer(Actor):
    def __init__(self, pool: Pool[Hand]) -> None:
        self.pool = pool

    async def hold(self) -> None:
        async with self.pool.claim() as worker:
            worker.cast_nowait(Hand.work, "last", 3)
            await trio.sleep_forever()

    async def take(self) -> None:
        await leaves_it_open(self.pool)

    def hold_behind(self) -> None:
        self.start_soon(self.hold)

    def crash(self) -> None:
        raise Bang("claimer")


async def crash(ref: ActorRef[Claimer]) -> None:
    with pytest.raises(ActorExited):
        await ref.call(Claimer.crash)


async def stop(ref: ActorRef[Claimer]) -> None:
    await ref.stop()


async def cancel(ref: ActorRef[Claimer]) -> None:
    ref.cancel()


async def kill(ref: ActorRef[Claimer]) -> None:
    ref.kill()


ENDS = [
    *((how, end) for how in (Claimer.take, Claimer.hold_behind) for end in (crash, stop, cancel, kill)),
    (Claimer.hold, cancel),  # its handler never ends, so no other message has its turn
    (Claimer.hold, kill),
]


@pytest.mark.parametrize(("how", "end"), ENDS, ids=lambda function: function.__name__)
async def test_however_an_actor_with_a_claim_ends_its_worker_is_given_back_when_it_is_done(
    how: Any, end: Callable[[ActorRef[Claimer]], Awaitable[None]], autojump_clock: MockClock
) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1) as pool, open_supervisor(at_end="stop") as supervisor:
        claimer = await supervisor.start_child(Claimer, pool, restart="temporary")
        claimer.cast_nowait(how)
        await wait_all_tasks_blocked()
        assert pool.statistics().busy == 1
        await end(claimer)
        await claimer.wait()
        assert (pool.statistics().idle, pool.statistics().busy, site.done) == (0, 1, [])
        assert await pool.call(Hand.note, "next") == "next"
        assert (trio.current_time(), site.done) == (3, ["last", "next"])


async def test_a_claimer_that_dies_while_it_waits_leaves_the_line(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool, open_supervisor(at_end="stop") as supervisor:
        async with pool.claim():
            claimer = await supervisor.start_child(Claimer, pool, restart="temporary")
            claimer.cast_nowait(Claimer.hold)
            await wait_all_tasks_blocked()
            assert pool.statistics().waiting == 1
            claimer.kill()
            await claimer.wait()
            assert pool.statistics().waiting == 0
        assert pool.statistics().idle == 1


async def test_a_claim_that_its_holder_left_open_ends_once(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool:
        claim = pool.claim()

        async def take() -> None:
            await claim.__aenter__()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take)
        await wait_all_tasks_blocked()
        async with pool.claim() as worker:
            await claim.__aexit__(None, None, None)  # the claim of a task that is gone: the worker has another caller
            assert pool.statistics().busy == 1
            assert await worker.call(Hand.note, 1) == 1


async def test_nothing_is_kept_of_a_claim_that_is_over(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool:
        async with pool.claim():
            assert plain_holders() == 1
        assert plain_holders() == 0
