"""Tests the inside: a failure at any call within a use of a pool loses no worker, and forgets no caller."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.faults import AtCall, Fault, Stepped, WithRoom, fails_at_every_call, inside
from support.pools import Hand, Site, assert_whole
from trio.testing import wait_all_tasks_blocked

from trioreg import ActorExited, Failed, Pool, open_pool
from trioreg._pool.desk import Desk


@pytest.fixture(autouse=True)
def _no_log() -> Any:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def key_for(pool: Pool[Any]) -> dict[str, Any]:
    return {"key": "a"} if pool._settings.strategy == "by_key" else {}


async def call(pool: Pool[Hand], fault: Fault) -> None:
    await Stepped(pool.call(Hand.note, "faulty", **key_for(pool)), fault)


async def call_slowly(pool: Pool[Hand], fault: Fault) -> None:
    await Stepped(pool.call(Hand.work, "faulty", **key_for(pool)), fault)


async def cast(pool: Pool[Hand], fault: Fault) -> None:
    await Stepped(pool.cast(Hand.work, "faulty", **key_for(pool)), fault)


async def enter(pool: Pool[Hand], fault: Fault) -> None:
    claim = pool.claim(**key_for(pool))
    worker = await Stepped(claim.__aenter__(), fault)
    assert worker.state == "running"
    await worker.call(Hand.note, "claimed")
    await claim.__aexit__(None, None, None)


async def leave(pool: Pool[Hand], fault: Fault) -> None:
    claim = pool.claim(**key_for(pool))
    await claim.__aenter__()
    await Stepped(claim.__aexit__(None, None, None), fault)


async def leave_at_work(pool: Pool[Hand], fault: Fault) -> None:
    claim = pool.claim(**key_for(pool))
    worker = await claim.__aenter__()
    worker.cast_nowait(Hand.work, "left behind")
    await Stepped(claim.__aexit__(None, None, None), fault)


async def map_over(pool: Pool[Hand], fault: Fault) -> None:
    """The way of the first item to a worker fails: that is the outcome of this item, and of no other."""

    def key_of(item: object) -> str:
        return "a"

    key: dict[str, Any] = {"key": key_of} if pool._settings.strategy == "by_key" else {}
    with inside(Desk, "check_out", fault):
        async with pool.map(Hand.note, ["faulty", "third", "fourth"], on_error="return", **key) as results:
            outcomes = [result async for result in results]
    assert len(outcomes) == 3
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert len(failed) <= 1, failed


USES = [call, call_slowly, cast, enter, leave, leave_at_work, map_over]

Use = Callable[[Pool[Hand], Fault], Awaitable[None]]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("strategy", ["idle_first", "by_key", "least_loaded"])
@pytest.mark.parametrize("kind", [AtCall, WithRoom])
@pytest.mark.parametrize("use", USES)
def test_a_use_that_fails_at_any_call_loses_no_worker_and_forgets_no_caller(
    use: Use, kind: Any, strategy: Any, waits: bool
) -> None:
    async def scenario(fault: Fault) -> None:
        site = Site()
        async with (
            open_pool(Hand, site, size=1, strategy=strategy) as pool,
            trio.open_nursery() as nursery,
        ):
            if waits:
                await pool.cast(Hand.work, "first", **key_for(pool))

            async def use_it() -> None:
                with suppress(MemoryError, RecursionError, ActorExited):
                    await use(pool, fault)

            async def stand_by() -> None:
                with trio.fail_after(20):
                    assert await pool.call(Hand.note, "second", **key_for(pool)) == "second"

            nursery.start_soon(use_it)
            await wait_all_tasks_blocked()
            nursery.start_soon(stand_by)
            await assert_whole(pool, 1)
            assert site.done.count("second") == 1
            assert site.done.count("faulty") <= 1

    fails_at_every_call(kind, scenario)
