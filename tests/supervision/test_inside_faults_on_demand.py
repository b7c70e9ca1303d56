"""Tests the inside: a failure at any call within the first message of a key leaves nothing half-done."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.carts import Cart, Shop
from support.faults import AtCall, Fault, WithRoom, fails_at_every_call
from trio.testing import wait_all_tasks_blocked

from trioreg import open_on_demand


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # it was made, and then no task
@pytest.mark.parametrize("kind", [AtCall, WithRoom])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_first_message_that_fails_on_its_way_leaves_a_life_with_a_task_or_none(kind: Any, is_first: bool) -> None:
    async def scenario(fault: Fault) -> None:
        shop = Shop()
        shop.stop_takes = 1
        carts = shop.carts()
        address = carts.via("a")
        try:
            async with open_on_demand(carts) as supervisor, trio.open_nursery() as nursery:
                if not is_first:  # the life before it is on its way out
                    await address.call(Cart.note, "before")
                    nursery.start_soon(address.stop)
                    await wait_all_tasks_blocked(0.01)
                done = fault(lambda: address.cast_nowait(Cart.note, 1))
                await trio.sleep(5)
                handled = [each for each in shop.handled["a"] if each != "before"]
                assert handled == ([1] if done else handled[:1])
                with trio.fail_after(10):
                    await address.call(Cart.note, 2)
                assert len(supervisor.which_children()) == len(carts) == carts.registry.count() == 1
        except* (MemoryError, RuntimeError):
            pass
        assert (len(carts), carts.registry.count()) == (0, 0)

    fails_at_every_call(kind, scenario)
