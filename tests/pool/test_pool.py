"""Pools: each call, cast and claim gets a worker, in order, and never a worker that is ending or still at work."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import trio
from support.cancellation import AtCheckpoint, Cancelling, sweep_steps
from support.errors import Bang
from support.pools import Hand, Site
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    NotRunning,
    Pool,
    PoolFull,
    PoolSupervisor,
    RestartLimitExceeded,
    Supervisor,
    open_dynamic_supervisor,
    open_pool,
    open_supervisor,
)


@pytest.fixture(autouse=True)
def _no_log() -> Any:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def idle_and_busy(pool: Pool[Any]) -> tuple[int, int]:
    statistics = pool.statistics()
    return statistics.idle, statistics.busy


# Calls


async def test_a_call_goes_to_a_free_worker_and_gives_its_result(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=2) as pool:
        assert await pool.call(Hand.note, 1) == 1
        assert await pool.call(Hand.work, 2) == 2
        assert await pool.call(Hand.work, what=3) == 3


async def test_as_many_calls_as_there_are_workers_run_side_by_side(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=3) as pool, trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(pool.call, Hand.work, number)
        await trio.sleep(0.5)
        assert (idle_and_busy(pool), pool.statistics().waiting) == ((0, 3), 3)
        await trio.sleep(1)
        assert (idle_and_busy(pool), pool.statistics().waiting) == ((0, 3), 0)
        await trio.sleep(1)
        assert idle_and_busy(pool) == (3, 0)


async def test_callers_that_wait_are_served_in_the_order_in_which_they_came(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1) as pool, trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(pool.call, Hand.work, number)
            await wait_all_tasks_blocked()
    assert site.done == list(range(50))


async def test_a_new_caller_does_not_overtake_one_that_has_just_been_woken(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1) as pool, trio.open_nursery() as nursery:
        async with pool.claim():
            nursery.start_soon(pool.call, Hand.note, "first")
            await wait_all_tasks_blocked()
        await pool.call(Hand.note, "second")  # in the very step in which the first one is woken
    assert site.done == ["first", "second"]


async def test_ten_thousand_callers_wait_and_every_second_one_gives_up(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1) as pool, trio.open_nursery() as nursery:
        scopes: list[trio.CancelScope] = []

        async def ask(number: int, scope: trio.CancelScope, came: trio.Event) -> None:
            with scope:
                came.set()
                await pool.call(Hand.note, number)

        async with pool.claim():
            for number in range(10_000):
                scopes.append(trio.CancelScope())
                came = trio.Event()
                nursery.start_soon(ask, number, scopes[-1], came)
                await came.wait()
            assert pool.statistics().waiting == 10_000
            for scope in scopes[::2]:
                scope.cancel()
            await wait_all_tasks_blocked()
            assert pool.statistics().waiting == 5_000
    assert site.done == list(range(1, 10_000, 2))


async def test_arguments_that_do_not_fit_are_an_error_before_the_caller_waits(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool, pool.claim():
        wrong: Any = pool
        with pytest.raises(TypeError, match="note"):
            await wrong.call(Hand.note)
        with pytest.raises(TypeError, match="note"):
            await wrong.cast(Hand.note)
    async with open_pool(Hand, Site(), size=1) as pool:
        wrong = pool
        with pytest.raises(TypeError, match="note"):
            await wrong.call(Hand.note, 1, 2)
        assert idle_and_busy(pool) == (1, 0)


async def test_a_worker_whose_caller_has_given_up_is_not_handed_out_before_it_is_done(
    autojump_clock: MockClock,
) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1) as pool:
        with trio.move_on_after(1):
            await pool.call(Hand.work, "given up", 5)
        assert (trio.current_time(), idle_and_busy(pool)) == (1, (0, 1))
        async with pool.claim() as worker:
            assert trio.current_time() == 5
            assert await worker.call(Hand.note, "next") == "next"
    assert site.done == ["given up", "next"]


async def test_a_worker_whose_caller_has_given_up_may_crash_then(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool:
        with trio.move_on_after(1):
            await pool.call(Hand.crash_later, 5)
        assert await pool.call(Hand.note, 1) == 1
        assert (trio.current_time(), pool.statistics().crashes) == (5, 1)
        assert idle_and_busy(pool) == (1, 0)


async def test_a_round_through_the_mailbox_is_not_counted_as_a_message(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool:
        await pool.cast(Hand.note, 1)
        await wait_all_tasks_blocked()
        assert pool.workers()[0].statistics().handled == 1


# Casts


async def test_a_cast_waits_for_a_free_worker_and_not_for_the_result(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1) as pool:
        await pool.cast(Hand.work, 1)
        assert (trio.current_time(), idle_and_busy(pool)) == (0, (0, 1))
        await pool.cast(Hand.work, 2)
        assert (trio.current_time(), site.done) == (1, [1])
        await pool.call(Hand.note, 3)
        assert (trio.current_time(), site.done) == (2, [1, 2, 3])


async def test_a_cast_that_is_cancelled_while_it_waits_sends_nothing(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1) as pool:
        await pool.cast(Hand.work, "work", 2)
        with trio.move_on_after(1):
            await pool.cast(Hand.note, 1)
        await trio.sleep(2)
        assert (site.done, idle_and_busy(pool)) == (["work"], (1, 0))


async def test_a_cast_that_crashes_its_worker_takes_nothing_from_the_pool(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool:
        await pool.cast(Hand.crash)
        assert await pool.call(Hand.note, 1) == 1
        assert pool.statistics().crashes == 1


# Claims


async def test_a_claim_is_exclusive_and_ends_with_its_block(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=2) as pool:
        async with pool.claim() as first, pool.claim() as second:
            assert first is not second
            assert idle_and_busy(pool) == (0, 2)
        assert idle_and_busy(pool) == (2, 0)


async def test_a_claim_whose_block_raises_is_given_back(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool:
        with pytest.raises(Bang):
            async with pool.claim():
                raise Bang("block")
        assert idle_and_busy(pool) == (1, 0)


async def test_what_is_sent_in_a_claim_is_done_before_the_next_one(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1) as pool:
        async with pool.claim() as worker:
            for number in range(3):
                worker.cast_nowait(Hand.work, number)
        async with pool.claim() as worker:
            assert (trio.current_time(), site.done) == (3, [0, 1, 2])


async def test_a_claim_that_its_task_has_left_open_ends_with_the_task(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool:

        async def take() -> None:
            await pool.claim().__aenter__()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take)
        await wait_all_tasks_blocked()
        assert idle_and_busy(pool) == (1, 0)


class Claimer(Actor):
    def __init__(self, pool: Pool[Hand]) -> None:
        self.pool = pool

    async def hold(self) -> None:
        async with self.pool.claim() as worker:
            await worker.call(Hand.work, "held")
            await trio.sleep_forever()

    async def hold_and_crash(self) -> None:
        async with self.pool.claim():
            raise Bang("claimer")

    async def take(self) -> None:
        await self.pool.claim().__aenter__()

    async def hold_in_the_background(self) -> None:
        self.start_soon(self.hold)


ENDS: dict[str, Callable[[ActorRef[Claimer]], object]] = {
    "cancel": lambda ref: ref.cancel(),
    "kill": lambda ref: ref.kill(),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("how", [Claimer.hold, Claimer.take, Claimer.hold_in_the_background])
async def test_a_claim_ends_when_the_actor_that_has_it_ends(end: str, how: Any, autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool, open_supervisor(at_end="stop") as supervisor:
        claimer = await supervisor.start_child(Claimer, pool, restart="temporary")
        claimer.cast_nowait(how)
        await trio.sleep(5)
        assert idle_and_busy(pool) == (0, 1)
        ENDS[end](claimer)
        await claimer.wait()
        await wait_all_tasks_blocked()
        assert idle_and_busy(pool) == (1, 0)


async def test_a_claim_ends_when_the_handler_that_has_it_crashes(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool, open_supervisor(at_end="stop") as supervisor:
        claimer = await supervisor.start_child(Claimer, pool, restart="temporary")
        with pytest.raises(ActorExited):
            await claimer.call(Claimer.hold_and_crash)
        await claimer.wait()
        assert idle_and_busy(pool) == (1, 0)


async def test_a_claim_is_entered_once(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=2) as pool:
        claim = pool.claim()
        async with claim:
            with pytest.raises(RuntimeError, match="already entered"):
                await claim.__aenter__()
        assert idle_and_busy(pool) == (2, 0)


async def enter_and_leave(pool: Pool[Hand]) -> None:
    async with pool.claim():
        pass


async def call(pool: Pool[Hand]) -> None:
    await pool.call(Hand.work, 1)


async def cast(pool: Pool[Hand]) -> None:
    await pool.cast(Hand.work, 1)


@pytest.mark.parametrize("operation", [enter_and_leave, call, cast])
@pytest.mark.parametrize("waits", [False, True])
async def test_a_cancellation_at_any_step_loses_no_worker_and_no_place(
    operation: Callable[[Pool[Hand]], Awaitable[None]], waits: bool, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[None]) -> None:
        async with open_pool(Hand, Site(), size=1) as pool, trio.open_nursery() as nursery:
            if waits:
                nursery.start_soon(pool.call, Hand.work, 0)
                await wait_all_tasks_blocked()
            nursery.start_soon(cancelling.run, lambda: operation(pool))
            nursery.start_soon(pool.call, Hand.note, 2)
            await trio.sleep(10)
            assert (idle_and_busy(pool), pool.statistics().waiting) == ((1, 0), 0)
            assert await pool.call(Hand.note, 3) == 3

    await sweep_steps(attempt)


async def open_and_leave(hands: Pool[Hand]) -> None:
    async with open_pool(hands):
        await hands.cast(Hand.work, 1)


async def test_a_block_that_is_cancelled_at_any_step_leaves_no_worker_behind(autojump_clock: MockClock) -> None:
    async def attempt(cancelling: Cancelling[None]) -> None:
        hands: Pool[Hand] = Pool("hands", Hand, Site(), size=2)
        await cancelling.run(lambda: open_and_leave(hands))
        assert (len(hands), hands.workers(), len(hands.registry)) == (0, [], 0)

    await sweep_steps(attempt)


# A worker ends


@pytest.mark.parametrize("end", ["cancel", "kill", "crash", "finish"])
async def test_a_worker_that_ends_while_idle_is_replaced(end: str, autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=2) as pool:
        worker = pool.workers()[0]
        if end in ("cancel", "kill"):
            getattr(worker, end)()
        else:
            worker.cast_nowait(getattr(Hand, end))
            await wait_all_tasks_blocked()
        assert await pool.call(Hand.note, 1) == 1
        await wait_all_tasks_blocked()
        assert (idle_and_busy(pool), site.started, len(pool.workers())) == ((2, 0), 3, 2)


@pytest.mark.parametrize("end", ["cancel", "kill", "crash", "finish"])
async def test_a_claimed_worker_that_ends_is_replaced_and_the_claim_does_not_go_over(
    end: str, autojump_clock: MockClock
) -> None:
    async with open_pool(Hand, Site(), size=1) as pool:
        async with pool.claim() as worker:
            if end in ("cancel", "kill"):
                getattr(worker, end)()
            else:
                worker.cast_nowait(getattr(Hand, end))
            await worker.wait()
            with pytest.raises(ActorExited):
                await worker.call(Hand.note, 1)
            assert await pool.call(Hand.note, 2) == 2  # the next life is free
            async with pool.claim():
                assert idle_and_busy(pool) == (0, 1)
        assert idle_and_busy(pool) == (1, 0)


async def test_a_worker_that_ends_before_its_caller_has_its_turn_is_not_handed_out(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool, trio.open_nursery() as nursery:
        got: list[tuple[str, bool]] = []

        async def take(who: str) -> None:
            async with pool.claim() as worker:
                got.append((who, worker.state == "running"))

        async with pool.claim() as worker:
            nursery.start_soon(take, "first")
            await wait_all_tasks_blocked()
            nursery.start_soon(take, "second")
            await wait_all_tasks_blocked()
        worker.kill()  # it has been given to the first in this step
        await wait_all_tasks_blocked()
        assert got == [("first", True), ("second", True)]
        assert idle_and_busy(pool) == (1, 0)


async def test_a_worker_that_ends_while_its_caller_is_at_the_checkpoint_is_not_handed_out(
    autojump_clock: MockClock,
) -> None:
    async with open_pool(Hand, Site(), size=1) as pool:
        (worker,) = pool.workers()
        claim = pool.claim()
        with AtCheckpoint(worker.kill):
            got = await claim.__aenter__()
        assert got is not worker
        assert got.state == "running"
        await claim.__aexit__(None, None, None)
        assert idle_and_busy(pool) == (1, 0)


async def test_a_worker_that_is_stopping_is_not_handed_out(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool, trio.open_nursery() as nursery:
        (worker,) = pool.workers()
        worker.cast_nowait(Hand.work, 1)
        nursery.start_soon(worker.stop)
        await wait_all_tasks_blocked()
        async with pool.claim() as other:
            assert other is not worker
            assert trio.current_time() == 1


async def test_a_worker_is_handed_out_only_when_it_has_started(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1) as pool:
        site.start_takes = 3
        with pytest.raises(ActorExited):
            await pool.call(Hand.crash)
        assert idle_and_busy(pool) == (0, 0)
        await pool.call(Hand.note, 1)
        assert trio.current_time() == 3


async def test_a_worker_whose_restart_is_delayed_or_fails_comes_back(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1, backoff=Backoff(1, 60, jitter=0)) as pool:
        site.fails = 2
        with pytest.raises(ActorExited):
            await pool.call(Hand.crash)
        await pool.call(Hand.note, 1)
        assert (trio.current_time(), pool.statistics().crashes) == (1 + 2 + 4, 3)


async def test_a_pool_whose_workers_crash_too_often_gives_up(autojump_clock: MockClock) -> None:
    with pytest.raises(ExceptionGroup) as info:
        async with open_pool(Hand, Site(), size=2, max_restarts=1) as pool, trio.open_nursery() as nursery:
            nursery.start_soon(pool.cast, Hand.crash)
            await trio.sleep(1)
            await pool.cast(Hand.crash)
            await trio.sleep(1)
            raise AssertionError("it has given up")
    assert info.group_contains(RestartLimitExceeded)
    assert info.group_contains(Bang)


async def test_an_end_of_a_worker_is_told_to_its_caller(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool:
        with pytest.raises(ActorExited) as info:
            await pool.call(Hand.crash)
        assert isinstance(info.value.__cause__, Bang)
        assert info.value.was_begun
        await wait_all_tasks_blocked()  # a crash that is not over at the end of the block would leave it


# Start and end of the pool


async def test_a_worker_that_does_not_start_is_an_error_of_the_block(autojump_clock: MockClock) -> None:
    site = Site()
    site.fails = 1
    with pytest.raises(ExceptionGroup) as info:
        async with open_pool(Hand, site, size=2):
            raise AssertionError("not entered")
    assert info.group_contains(Bang)


class SlowerAndSlower(Hand):
    """Each start takes one second longer than the one before."""

    async def on_start(self) -> None:
        self.site.start_takes += 1
        await super().on_start()


@pytest.mark.parametrize("how", ["a start fails", "the block is cancelled", "the supervisor stops"])
async def test_workers_that_have_started_run_their_on_stop_if_the_pool_never_opens(
    how: str, autojump_clock: MockClock
) -> None:
    site = Site()
    pool = Pool("hands", SlowerAndSlower, site, size=3)
    with suppress(ExceptionGroup), trio.CancelScope() as scope:
        async with open_supervisor(at_end="stop") as supervisor, trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.start_child, ChildSpec(PoolSupervisor, (pool,)))
            await trio.sleep(4)
            assert (site.started, site.stopped) == (2, 0)
            if how == "a start fails":
                site.fails = 1
                await trio.sleep(3)
            elif how == "the block is cancelled":
                scope.cancel()
            else:
                supervisor.stop()
    assert (site.started, site.stopped) == (2, 2)


async def test_workers_that_are_being_added_run_their_on_stop_if_the_pool_ends(autojump_clock: MockClock) -> None:
    site = Site()

    async def grow(pool: Pool[Any]) -> None:
        with suppress(NotRunning, ActorExited):
            await pool.resize(3)

    async with trio.open_nursery() as nursery, open_pool(SlowerAndSlower, site, size=1) as pool:
        nursery.start_soon(grow, pool)
        await trio.sleep(3)
        assert (site.started, site.stopped) == (2, 0)
    assert (site.started, site.stopped) == (2, 2)


async def test_at_the_end_a_worker_finishes_what_it_has_and_no_other_caller_gets_it(autojump_clock: MockClock) -> None:
    site = Site()
    async with trio.open_nursery() as nursery:
        async with open_pool(Hand, site, size=2) as pool:
            refused: list[int] = []

            async def ask(number: int) -> None:
                try:
                    await pool.call(Hand.work, number, 3)
                except NotRunning:
                    refused.append(number)

            for number in range(4):
                nursery.start_soon(ask, number)
                await wait_all_tasks_blocked()
        assert trio.current_time() == 3
        await wait_all_tasks_blocked()
        assert (sorted(site.done), sorted(refused), site.stopped) == ([0, 1], [2, 3], 2)
        with pytest.raises(NotRunning, match="no workers"):
            await pool.call(Hand.note, 1)


async def test_at_the_end_a_claim_may_go_on_within_the_time(autojump_clock: MockClock) -> None:
    site = Site()
    async with trio.open_nursery() as nursery:
        async with open_pool(Hand, site, size=1) as pool:

            async def use() -> None:
                async with pool.claim() as worker:
                    await worker.call(Hand.work, 1)
                    await worker.call(Hand.work, 2)

            nursery.start_soon(use)
            await wait_all_tasks_blocked()
        assert (trio.current_time(), site.done, site.stopped) == (2, [1, 2], 1)


async def test_at_the_end_a_worker_that_takes_too_long_is_killed(autojump_clock: MockClock) -> None:
    site = Site()
    async with trio.open_nursery() as nursery:
        async with open_pool(Hand, site, size=1, shutdown=2) as pool:

            async def ask() -> None:
                with pytest.raises(ActorExited):
                    await pool.call(Hand.work, 1, 10)

            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
        assert (trio.current_time(), site.done) == (2, [])


async def test_with_shutdown_kill_nothing_is_finished(autojump_clock: MockClock) -> None:
    site = Site()
    async with open_pool(Hand, site, size=1, shutdown="kill") as pool:
        await pool.cast(Hand.work, 1)
        await wait_all_tasks_blocked()
    assert (trio.current_time(), site.done, site.stopped) == (0, [], 0)


async def test_a_block_that_is_cancelled_ends_the_pool_in_order(autojump_clock: MockClock) -> None:
    site = Site()
    with trio.move_on_after(1):
        async with open_pool(Hand, site, size=2) as pool:
            await pool.cast(Hand.work, 1, 3)
            await trio.sleep_forever()
    assert (trio.current_time(), site.done, site.stopped) == (3, [1], 2)


async def test_a_pool_is_a_child_of_a_tree(autojump_clock: MockClock) -> None:
    hands: Pool[Hand] = Pool("hands", Hand, Site(), size=2)
    with pytest.raises(NotRunning):
        await hands.call(Hand.note, 1)
    async with open_supervisor([ChildSpec(PoolSupervisor, (hands,), id="hands")], at_end="stop") as supervisor:
        assert await hands.call(Hand.note, 1) == 1
        assert "Hand" in supervisor.tree()
        for _ in range(2):
            old = hands.workers()
            info = supervisor.which_child("hands")
            assert info.ref is not None
            info.ref.kill()
            await wait_all_tasks_blocked()
            assert await hands.call(Hand.note, 2) == 2
            assert not {*old} & {*hands.workers()}
    assert len(hands) == 0


async def test_a_pool_is_run_by_one_supervisor_at_a_time(autojump_clock: MockClock) -> None:
    hands: Pool[Hand] = Pool("hands", Hand, Site(), size=1)
    async with open_pool(hands):
        with pytest.raises(ExceptionGroup) as info:
            async with open_pool(hands):
                raise AssertionError("not entered")
        assert info.group_contains(RuntimeError, match="another supervisor")
        assert await hands.call(Hand.note, 1) == 1


async def test_only_resize_starts_and_ends_workers(autojump_clock: MockClock) -> None:
    hands: Pool[Hand] = Pool("hands", Hand, Site(), size=1)
    async with open_supervisor(at_end="stop") as supervisor:
        ref: Any = await supervisor.start_child(PoolSupervisor, hands)
        with pytest.raises(TypeError, match="resize"):
            await ref.call(PoolSupervisor.start_child, Hand)
        with pytest.raises(TypeError, match="resize"):
            await ref.call(PoolSupervisor.terminate_child, hands.workers()[0])


# Arguments


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"size": 0}, "size must be at least 1, not 0"),
        ({"size": 1.5}, "size must be an int"),
        ({"size": True}, "size must be an int"),
        ({"size": 1, "strategy": "lifo"}, "strategy must be one of"),
        ({"size": 1, "queue_limit": -1}, "queue_limit must be at least 0"),
        ({"size": 1, "queue_limit": 1.5}, "queue_limit must be an int"),
        ({"size": 1, "max_restarts": -1}, "max_restarts"),
        ({"size": 1, "shutdown": -1}, "shutdown"),
        ({"size": 1, "backoff": 1}, "backoff"),
        ({"size": 1, "name": 1}, "name must be a str"),
    ],
)
def test_an_argument_that_is_wrong_is_an_error_that_names_it(options: dict[str, Any], error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        open_pool(Hand, Site(), **options)


def test_workers_are_actors() -> None:
    wrong: Any = trio.sleep
    with pytest.raises(TypeError, match="factory must be an Actor class"):
        open_pool(wrong, 1, size=1)


@pytest.mark.parametrize("factory", [partial(Supervisor, ()), DynamicSupervisor])
def test_workers_are_no_supervisors(factory: Any) -> None:
    with pytest.raises(TypeError, match=r"factory must not be a supervisor, but is \w*Supervisor: .* Write an Actor"):
        open_pool(factory, size=1)


class Foreman(Actor):
    """A worker with a supervisor of its own, as the error says."""

    def __init__(self) -> None:
        self.supervisor: DynamicSupervisor | None = None
        self.is_open = trio.Event()

    async def on_start(self) -> None:
        self.start_soon(self.supervise)
        await self.is_open.wait()

    async def supervise(self) -> None:
        async with open_dynamic_supervisor() as self.supervisor:
            self.is_open.set()
            await trio.sleep_forever()

    async def hire(self) -> int:
        assert self.supervisor is not None
        await self.supervisor.start_child(Hand, Site())
        return self.supervisor.count_children().active


async def test_a_worker_may_have_a_supervisor_of_its_own(autojump_clock: MockClock) -> None:
    async with open_pool(Foreman, size=1) as pool:
        async with pool.claim() as worker:
            assert await worker.call(Foreman.hire) == 1
            assert await worker.call(Foreman.hire) == 2
            worker.kill()
        assert await pool.call(Foreman.hire) == 1


@pytest.mark.parametrize("factory", [Hand, partial(Hand), partial(partial(Hand))])
async def test_a_pool_without_a_name_is_called_after_its_class(factory: Any, autojump_clock: MockClock) -> None:
    async with open_pool(factory, Site(), size=1, queue_limit=0) as pool, pool.claim():
        with pytest.raises(PoolFull, match="the pool 'pool of Hand' is full"):
            await pool.call(Hand.note, 1)


async def test_a_pool_with_a_queue_limit_refuses_one_more_caller(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1, queue_limit=1) as pool, trio.open_nursery() as nursery:
        async with pool.claim():
            nursery.start_soon(pool.call, Hand.note, 1)
            await wait_all_tasks_blocked()
            for ask in (pool.call(Hand.note, 2), pool.cast(Hand.note, 2), pool.claim().__aenter__()):
                with pytest.raises(PoolFull, match="1 caller may wait"):
                    await ask
        await wait_all_tasks_blocked()
        assert await pool.call(Hand.note, 3) == 3


async def test_a_pool_with_no_queue_never_lets_a_caller_wait(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1, queue_limit=0) as pool:
        assert await pool.call(Hand.note, 1) == 1
        async with pool.claim():
            with pytest.raises(PoolFull):
                await pool.call(Hand.note, 1)


async def test_a_caller_whose_worker_ends_at_the_checkpoint_does_not_wait_beyond_the_limit(
    autojump_clock: MockClock,
) -> None:
    async with open_pool(Hand, Site(), size=1, queue_limit=0) as pool:
        (worker,) = pool.workers()
        with AtCheckpoint(worker.kill), pytest.raises(PoolFull):
            await pool.claim().__aenter__()
        await wait_all_tasks_blocked()
        assert (pool.statistics().waiting, idle_and_busy(pool)) == (0, (1, 0))
        assert await pool.call(Hand.note, 1) == 1


async def test_statistics_say_how_long_callers_wait(autojump_clock: MockClock) -> None:
    async with open_pool(Hand, Site(), size=1) as pool, trio.open_nursery() as nursery:
        nursery.start_soon(pool.call, Hand.work, 1, 4)
        await wait_all_tasks_blocked()
        nursery.start_soon(pool.call, Hand.work, 2, 4)
        await trio.sleep(1)
        nursery.start_soon(pool.call, Hand.work, 3, 4)
        await trio.sleep(1)
        now = pool.statistics()
        assert (now.size, now.waiting, now.longest_wait, now.waits) == (1, 2, 2, 0)
        await trio.sleep(20)
        now = pool.statistics()
        assert (now.waiting, now.longest_wait, now.waits, now.total_wait, now.max_wait) == (0, 0, 2, 4 + 7, 7)
