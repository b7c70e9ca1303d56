"""What a claim costs does not depend on the number of workers. Calls are counted, not seconds."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.calls import counted_calls
from trio.testing import MockClock

from trioreg import Actor, open_pool


class Worker(Actor):
    def work(self) -> None:
        pass


@pytest.mark.parametrize("strategy", ["idle_first", "round_robin", "by_key"])
async def test_a_call_costs_the_same_whatever_the_number_of_workers(strategy: Any, autojump_clock: MockClock) -> None:
    options = {"key": "a"} if strategy == "by_key" else {}
    costs: list[float] = []
    for size in (1, 30, 300):
        async with open_pool(Worker, size=size, strategy=strategy) as pool:
            await pool.call(Worker.work, **options)
            await trio.sleep(1)
            with counted_calls() as calls:
                for _ in range(50):
                    await pool.call(Worker.work, **options)
            costs.append(calls.count / 50)
    assert max(costs) <= min(costs) * 1.1 + 5
