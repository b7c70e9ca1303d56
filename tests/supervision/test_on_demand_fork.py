"""After a fork the child has no actors on demand of its parent's run, and can run its own."""

from __future__ import annotations

import sys

import pytest
from support.processes import in_a_fork, run_in_a_new_thread
from trio.testing import MockClock

from trioreg import Actor, NotRegistered, NotRunning, OnDemand, open_on_demand

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")


class Counter(Actor):
    def __init__(self, key: str) -> None:
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("max_running", [1, 10])
async def test_after_a_fork_the_child_has_no_actors_on_demand_and_can_run_its_own(
    max_running: int, autojump_clock: MockClock
) -> None:
    counters: OnDemand[str, Counter] = OnDemand("counters", Counter, max_running=max_running)
    kept = counters.via("kept")

    async def run_own() -> None:
        async with open_on_demand(counters):
            assert await kept.call(Counter.add) == 1

    def check() -> None:
        assert len(counters) == 0
        assert counters.items() == []
        assert counters.whereis("kept") is None
        with pytest.raises(NotRunning):
            kept.cast_nowait(Counter.add)
        with pytest.raises(NotRegistered):
            kept.kill()
        run_in_a_new_thread(run_own)
        assert len(counters) == 0

    async with open_on_demand(counters):
        assert await kept.call(Counter.add) == 1
        in_a_fork(check)
        assert await kept.call(Counter.add) == 2
        assert len(counters) == 1
