"""Tests the inside: Ctrl-C at every line of a start, a retirement, a change of room and a shutdown."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.carts import Cart, Shop
from support.inside import assert_nothing_left_behind
from support.interrupts import interrupted_at_each_line

from trioreg import open_on_demand
from trioreg._actors import PassingCell

FILES = ("on_demand_lives.py", "on_demand_room.py", "on_demand_supervisor.py")

OPTIONS: dict[str, dict[str, Any]] = {
    "retirement": {"retire_after": 10},
    "room": {"max_running": 1},
}


@pytest.mark.usefixtures("interruptible")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # it was made, and then Ctrl-C came
@pytest.mark.parametrize("how", OPTIONS)
def test_ctrl_c_at_any_line_loses_no_message_and_leaves_nothing_behind(how: str) -> None:
    shop = Shop()
    carts = shop.carts()
    sent: list[object] = []

    def tell(key: str, what: str) -> None:
        carts.via(key).cast_nowait(Cart.note, what)
        sent.append(what)

    async def main() -> None:
        nonlocal shop, carts, sent
        shop, sent = Shop(), []
        shop.stop_takes = 0.1
        carts = shop.carts(**OPTIONS[how])
        async with open_on_demand(carts):
            tell("a", "first")
            if how == "retirement":
                await trio.sleep(10.05)
                tell("a", "second")
            else:
                carts.via("a").cast_nowait(Cart.note_slowly, "slow")
                await trio.sleep(0.5)
                tell("b", "second")
                await trio.sleep(2)
                tell("a", "third")

    for place, errors in interrupted_at_each_line(main, *FILES):
        assert errors <= {KeyboardInterrupt}, place
        assert_nothing_left_behind(carts.registry)
        assert len(carts) == 0, place
        handled: list[object] = [what for messages in shop.handled.values() for what in messages if what != "slow"]
        assert sorted(handled, key=str) == sorted(sent, key=str), place


async def test_each_step_of_a_retirement_is_protected(autojump_clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    protected: list[bool] = []
    stop = PassingCell.stop

    def noted(cell: PassingCell) -> None:
        protected.append(trio.lowlevel.currently_ki_protected())
        stop(cell)

    monkeypatch.setattr(PassingCell, "stop", noted)
    shop = Shop()
    carts = shop.carts(retire_after=10)
    async with open_on_demand(carts):
        await carts.via("a").call(Cart.note, 1)
        await trio.sleep(20)
        assert len(carts) == 0
    assert protected == [True]
