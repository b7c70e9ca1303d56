"""Arguments that are no pool, no method, or given beside a pool: one clear error."""

from __future__ import annotations

from typing import Any

import pytest
from support.pools import Hand, Site
from trio.testing import MockClock

from trioreg import Pool, PoolSupervisor, open_pool


def test_a_pool_supervisor_is_for_a_pool() -> None:
    hands: Any = [Hand]
    with pytest.raises(TypeError, match=r"^pool must be a Pool, not \[<class '.*Hand'>\]$"):
        PoolSupervisor(hands)


def test_options_of_a_pool_are_not_given_beside_it() -> None:
    pool: Any = Pool("hands", Hand, Site(), size=1)
    with pytest.raises(TypeError, match=r"^size must be given to the Pool, not beside it: 2$"):
        open_pool(pool, size=2)


async def test_map_is_for_a_method_of_the_workers(autojump_clock: MockClock) -> None:
    pool: Any = Pool("hands", Hand, Site(), size=1)
    async with open_pool(pool):
        with pytest.raises(TypeError, match=r"^method must be a method of the workers' class, not 'work'$"):
            async with pool.map("work", [1]):
                pass
        for method in (len, Hand.crash):  # no method of that class, and one that takes no item
            with pytest.raises(TypeError):
                pool.map(method, [1], on_error="return")
