"""Tests the inside: Ctrl-C at each line of the blocks of a registry, and of a selection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from support.inside import assert_nothing_left_behind
from support.interrupts import interrupted_at_each_line

from trioreg import ANY, Registry

Names = Registry[str, None]


async def watches_all(names: Names) -> None:
    with names.watch() as events:
        names.register("bond")
        await events.receive()
        names.unregister("bond")


async def watches_one(names: Names) -> None:
    with names.watch("bond"):
        names.register("bond")
        await trio.lowlevel.checkpoint()


async def holds(names: Names) -> None:
    with names.hold("bond"):
        await trio.lowlevel.checkpoint()


async def locks(names: Names) -> None:
    async with names.lock("bond"):
        await trio.lowlevel.checkpoint()


async def selects(names: Names) -> None:
    names.register("bond")
    assert await names.select(ANY, ANY, ANY)
    assert await names.count_select(ANY, ANY, ANY)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("block", [watches_all, watches_one, holds, locks, selects])
def test_ctrl_c_at_any_line_of_a_block_leaves_nothing_behind(
    block: Callable[[Names], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    names: Names = Registry("names")

    async def main() -> None:
        await block(names)

    for place, errors in interrupted_at_each_line(main):
        assert errors <= {KeyboardInterrupt}, place
        assert_nothing_left_behind(names)
        assert not caplog.records, place  # Trio logs an instrument of ours that raises
