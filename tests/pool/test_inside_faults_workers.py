"""Tests the inside: a failure at any call within a worker's end, a restart, a change of the size, or a pool's end.

Either the pool goes on, and has all its workers. Or it ends with the error: then no caller waits for ever, and no
worker and no name is left.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.errors import Bang, leaves
from support.faults import AtCall, Fault, Stepped, fails_at_every_call, inside
from support.pools import Hand, Site, assert_whole
from trio.testing import wait_all_tasks_blocked

from trioreg import ActorExited, NotRunning, Pool, open_pool
from trioreg._pool.desk import Desk
from trioreg._pool.pool_engine import PoolEngine

KEYS = [0, 4]  # of two workers, one for each

Change = Callable[[Pool[Hand], Fault], Awaitable[Any]]


@pytest.fixture(autouse=True)
def _no_log() -> Any:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class Company:
    """Callers of a pool, each of which must be over at the end, with a result or with an error."""

    def __init__(self, pool: Pool[Hand]) -> None:
        self.pool = pool
        self.begun = 0
        self.over: list[object] = []

    async def ask(self, number: int) -> None:
        self.begun += 1
        key: Any = {"key": KEYS[number % 2]} if self.pool._settings.strategy == "by_key" else {}
        try:
            await (self.pool.cast if number == 3 else self.pool.call)(Hand.work, number, **key)
            self.over.append(number)
        except (ActorExited, NotRunning, MemoryError) as error:
            self.over.append(error)


async def scenario_of(strategy: Any, fault: Fault, change: Change, *, callers: int = 5) -> None:
    site = Site()
    pools: list[Pool[Hand]] = []
    companies: list[Company] = []
    raised: list[BaseException] = []
    is_whole = False
    async with trio.open_nursery() as outside:
        try:
            async with open_pool(Hand, site, size=2, strategy=strategy, max_restarts=math.inf, shutdown=30) as pool:
                pools.append(pool)
                companies.append(Company(pool))
                for number in range(callers):
                    outside.start_soon(companies[0].ask, number)
                    await wait_all_tasks_blocked()
                sizes = await change(pool, fault)
                await trio.sleep(50)
                size = len(pool)
                assert size in (sizes or (2,))
                await assert_whole(pool, size)
                assert len(companies[0].over) == callers
                is_whole = True
        except BaseExceptionGroup as group:
            raised = leaves(group)
        except (MemoryError, NotRunning, ActorExited) as error:
            raised = [error]
        await trio.sleep(50)
        assert [len(company.over) for company in companies] == [company.begun for company in companies]
    assert {type(error) for error in raised} <= {MemoryError, NotRunning, ActorExited, Bang}, raised
    assert is_whole or fault.is_reached
    for pool in pools:
        assert (len(pool), pool.workers(), len(pool.registry)) == (0, [], 0)


async def grow(pool: Pool[Hand], fault: Fault) -> object:
    try:
        await Stepped(pool.resize(4), fault)
    except MemoryError:
        return (2, 4)
    return (4,)


async def shrink(pool: Pool[Hand], fault: Fault) -> object:
    try:
        await Stepped(pool.resize(1), fault)
    except MemoryError:
        return (1, 2)
    return (1,)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # it was made, and then no task
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("strategy", ["idle_first", "by_key", "round_robin"])
@pytest.mark.parametrize("change", [grow, shrink])
def test_a_change_of_the_size_that_fails_at_any_call_loses_no_worker(change: Change, strategy: Any) -> None:
    async def scenario(fault: Fault) -> None:
        await scenario_of(strategy, fault, change)

    fails_at_every_call(AtCall, scenario)


def kill(pool: Pool[Hand]) -> None:
    pool.workers()[0].kill()


def crash(pool: Pool[Hand]) -> None:
    pool.workers()[0].cast_nowait(Hand.crash)


STEPS: list[tuple[type, str]] = [
    (PoolEngine, "child_ended"),
    (PoolEngine, "_wait_started"),
    (Desk, "started"),
    (Desk, "ended"),
    (Desk, "_came_round"),
    (Desk, "give_back"),
]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("strategy", ["idle_first", "by_key", "round_robin"])
@pytest.mark.parametrize("end", [kill, crash])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[1])
def test_an_end_of_a_worker_that_fails_at_any_call_loses_no_worker_and_no_caller(
    step: tuple[type, str], end: Callable[[Pool[Hand]], None], strategy: Any
) -> None:
    async def scenario(fault: Fault) -> None:
        async def change(pool: Pool[Hand], fault: Fault) -> None:
            with inside(*step, fault, of=lambda *args: step[1] != "give_back" or args[1].is_running):
                end(pool)
                await trio.sleep(20)

        await scenario_of(strategy, fault, change)

    fails_at_every_call(AtCall, scenario)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("strategy", ["idle_first", "by_key"])
@pytest.mark.parametrize(
    "step", [(PoolEngine, "_shut_down"), (PoolEngine, "_retire"), (Desk, "close")], ids=lambda step: step[1]
)
def test_an_end_of_a_pool_that_fails_at_any_call_leaves_no_worker_and_no_caller(
    step: tuple[type, str], strategy: Any
) -> None:
    async def scenario(fault: Fault) -> None:
        with inside(*step, fault):
            site = Site()
            async with trio.open_nursery() as outside:
                companies: list[Company] = []
                pools: list[Pool[Hand]] = []
                try:
                    async with open_pool(Hand, site, size=2, strategy=strategy, shutdown=30) as pool:
                        pools.append(pool)
                        companies.append(Company(pool))
                        for number in range(5):
                            outside.start_soon(companies[0].ask, number)
                            await wait_all_tasks_blocked()
                        if step[1] == "_retire":
                            outside.start_soon(shrink_until_closed, pool)
                            await wait_all_tasks_blocked()
                except* MemoryError:
                    pass
                await trio.sleep(50)
                assert len(companies[0].over) == companies[0].begun
            assert trio.current_time() <= 50 + 30
            for pool in pools:
                assert (len(pool), pool.workers(), len(pool.registry)) == (0, [], 0)

    fails_at_every_call(AtCall, scenario)


async def shrink_until_closed(pool: Pool[Hand]) -> None:
    with suppress(NotRunning):
        await pool.resize(1)
