"""The pages of a program with each kind of supervisor."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.observed import look
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ChildSpec,
    OnDemand,
    child,
    open_dynamic_supervisor,
    open_on_demand,
    open_partition_supervisor,
    open_pool,
    open_supervisor,
    receive,
)
from trioreg._observer import PAGES, Observation
from trioreg._runtime import current_run


class Till(Actor):
    def bang(self) -> None:
        raise Bang

    def note(self) -> None: ...


class Cart(Actor):
    def __init__(self, key: str) -> None:
        self.key = key

    def note(self) -> None: ...


async def listen() -> None:
    while True:
        await receive()


@asynccontextmanager
async def program() -> AsyncGenerator[None]:
    carts: OnDemand[str, Cart] = OnDemand("carts", Cart)
    async with (
        open_supervisor([ChildSpec(listen, id="ears")], name="shop", at_end="stop"),
        open_dynamic_supervisor(name="visitors", at_end="stop") as visitors,
        open_on_demand(carts),
        open_pool(Till, size=2) as pool,
        open_partition_supervisor(2, child(Till), at_end="stop"),
    ):
        await visitors.start_child(Till)
        await carts.via("a-17").call(Cart.note)
        await pool.call(Till.note)
        with pytest.raises(Exception):  # noqa: B017, PT011  # the caller of a call that crashes
            await pool.call(Till.bang)
        await wait_all_tasks_blocked()
        yield


@pytest.mark.parametrize("page", [page for page in PAGES if page.in_menu], ids=lambda page: page.name)
async def test_each_page_is_there(page: Any, autojump_clock: MockClock) -> None:
    async with program():
        assert await look(page)


async def test_each_kind_of_supervisor_is_in_the_tree(autojump_clock: MockClock) -> None:
    async with program():
        (tree,) = (page for page in PAGES if page.name == "tree")
        data = await look(tree)
        tops = [node["label"] for node in data["nodes"] if node["level"] == 0]
        assert tops[:3] == ["shop", "visitors", "carts"]
        assert len(tops) == 5
        assert {node["cls"] for node in data["nodes"]} == {"supervisor", "listen", "Till", "Cart"}


async def test_what_happens_below_each_kind_of_supervisor_is_noted_with_its_path(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    with observation.watching() as watch:
        async with program():
            await watch.look(trio.lowlevel.checkpoint)
        assert current_run().instruments is not None
    happened = observation.happenings.last(1000)
    assert {each["what"] for each in happened} == {"start", "crash", "restart", "exit"}
    assert {each["kind"] for each in happened} == {"listen", "Till", "Cart"}
    assert all(each["path"] for each in happened)
    assert observation.happenings.messages.total == 3
