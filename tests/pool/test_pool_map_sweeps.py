"""`Pool.map`, cancelled at each step of its task, and with a worker that is killed at each step of any task."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, sweep_steps
from support.pools import Hand, Site, assert_whole
from support.steps import AtStep
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorExited, Done, Failed, Pool, open_pool

ITEMS = [*range(5)]


@pytest.fixture(autouse=True)
def _no_log() -> Any:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("other", [False, True])
async def test_a_map_that_is_cancelled_at_any_step_loses_no_worker(
    ordered: bool, other: bool, autojump_clock: MockClock
) -> None:
    async def map_over(pool: Pool[Hand]) -> list[object]:
        async with pool.map(Hand.work, ITEMS, ordered=ordered) as results:
            return [result async for result in results]

    async def attempt(cancelling: Cancelling[list[object]]) -> None:
        site = Site()
        async with open_pool(Hand, site, size=2) as pool, trio.open_nursery() as nursery:
            if other:
                nursery.start_soon(pool.call, Hand.work, "other")
                await wait_all_tasks_blocked()
            if await cancelling.run(lambda: map_over(pool)):
                assert sorted(map(str, cancelling.value)) == sorted(map(str, ITEMS))
            await trio.sleep(5)
            done = [what for what in site.done if what != "other"]
            assert len(done) == len({*done}), "no item is done twice"
            await assert_whole(pool, 2)

    await sweep_steps(attempt)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("retries", [0, 1])
def test_a_map_whose_worker_is_killed_at_any_step_has_an_outcome_for_each_item(ordered: bool, retries: int) -> None:
    failures: list[int] = []

    async def main(step: int) -> bool:
        site = Site()
        async with open_pool(Hand, site, size=2) as pool:
            victim = pool.workers()[0]
            killing = AtStep(step, victim.kill)
            trio.lowlevel.add_instrument(killing)
            options: Any = {"retries": retries, "idempotent": True} if retries else {}
            with trio.fail_after(50):
                async with pool.map(Hand.work, ITEMS, ordered=ordered, on_error="return", **options) as results:
                    outcomes = [outcome async for outcome in results]
            trio.lowlevel.remove_instrument(killing)
            failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
            assert all(isinstance(outcome.error, ActorExited) for outcome in failed)
            assert len(failed) <= (0 if retries else 1)
            failures.append(len(failed))
            done = [outcome.value for outcome in outcomes if isinstance(outcome, Done)]
            assert len(done) + len(failed) == len(ITEMS)
            if ordered:
                assert done == sorted(done, key=str)
            await assert_whole(pool, 2)
        return killing.is_done

    step = 0
    while trio.run(main, step, clock=MockClock(autojump_threshold=0)):
        step += 1
    assert step > 20
    assert any(failures) is not bool(retries)
