"""Actors on demand: a caller that gives up, at any step of a start, of the wait for room or of a retirement."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.carts import Cart, Shop
from support.steps import AtStep
from trio.testing import MockClock

from trioreg import Backoff, Exit, open_on_demand


@pytest.mark.parametrize("mailbox_size", [None, 1])
@pytest.mark.parametrize(
    "options",
    [{}, {"max_running": 1}, {"max_running": 1, "backoff": Backoff(initial=1, maximum=2)}, {"retire_after": 1}],
    ids=str,
)
async def test_a_caller_that_gives_up_at_any_step_takes_only_its_own_message_back(
    options: dict[str, Any], mailbox_size: int | None, autojump_clock: MockClock
) -> None:
    class Slow(Cart):
        async def on_start(self) -> None:
            await trio.lowlevel.checkpoint()

        async def on_stop(self, exit: Exit) -> None:
            await trio.lowlevel.checkpoint()
            await super().on_stop(exit)

    Slow.mailbox_size = mailbox_size
    n = 0
    is_over = False
    while not is_over:
        shop = Shop()
        shop.stop_takes = 1
        carts: Any = shop.carts(Slow, **options)
        answered: set[str] = set()
        scope = trio.CancelScope()

        async def ask(key: str, what: str, carts: Any = carts, answered: set[str] = answered) -> None:
            await carts.via(key).call(Cart.note, what)
            answered.add(what)

        async def ask_until_given_up(scope: trio.CancelScope = scope, ask: Any = ask) -> None:
            with scope:
                await ask("b", "given up")

        step = AtStep(n, scope.cancel)
        async with open_on_demand(carts):
            trio.lowlevel.add_instrument(step)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, "a", "a1")
                nursery.start_soon(ask_until_given_up)
                nursery.start_soon(ask, "b", "b1")
                await trio.sleep(1.05)  # in the middle of a retirement
                nursery.start_soon(ask, "a", "a2")
            trio.lowlevel.remove_instrument(step)
            is_over = not step.is_done
            await trio.sleep(10)
            await ask("a", "a3")
            await ask("b", "b2")
        assert answered - {"given up"} == {"a1", "a2", "a3", "b1", "b2"}, n
        assert shop.handled["a"] == ["a1", "a2", "a3"], n
        assert [what for what in shop.handled["b"] if what != "given up"] == ["b1", "b2"], n
        assert shop.handled["b"].count("given up") <= 1, n
        assert (len(carts), carts.registry.count()) == (0, 0)
        n += 1
    assert n > 10
