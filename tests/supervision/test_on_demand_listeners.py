"""A listener of the registry that the names of actors on demand are in: it is told in the middle of a start."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio
from support.carts import Cart, Shop
from trio.testing import wait_all_tasks_blocked

from trioreg import ActorRef, Registered, Registry, open_on_demand


class World:
    """A shop whose carts get a second message, in the same step as their name."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.events: list[str] = []
        self.registry: Registry[str, None] = Registry("carts", listeners=[self.listen])
        self.shop = Shop()
        self.carts = self.shop.carts(registry=self.registry)

    def listen(self, event: Any) -> None:
        self.events.append(type(event).__name__)
        if isinstance(event, Registered):
            ref = cast("ActorRef[Cart]", event.owner)
            if self.how == "kill":
                ref.kill()
            elif self.how == "cast to its reference":
                ref.cast_nowait(Cart.note, "welcome")
            elif self.how == "send to its reference":
                ref.send_nowait("welcome")
            elif self.how == "cast to its key":
                self.carts.via("a").cast_nowait(Cart.note, "welcome")
            else:
                self.events.append(f"found: {self.carts.whereis('a') is ref}")


@pytest.mark.parametrize("how", ["cast to its reference", "send to its reference", "cast to its key"])
async def test_a_message_of_a_listener_that_is_told_of_the_start_is_handled(how: str) -> None:
    world = World(how)
    async with open_on_demand(world.carts):
        await world.carts.via("a").call(Cart.note, 1)
        await wait_all_tasks_blocked()
        assert world.registry.whereis("a") is world.carts.whereis("a")
        assert world.events == ["Registered"]
    assert sorted(map(str, world.shop.handled["a"])) == ["1", "welcome"]
    assert world.shop.lives == {"a": 1}


async def test_a_listener_that_is_told_of_the_start_finds_the_actor_under_its_key() -> None:
    world = World("look")
    async with open_on_demand(world.carts):
        await world.carts.via("a").call(Cart.note, 1)
    assert world.events == ["Registered", "found: True", "Unregistered"]


async def test_an_actor_that_a_listener_kills_in_its_start_ends_once() -> None:
    world = World("kill")
    async with open_on_demand(world.carts):
        world.carts.via("a").cast_nowait(Cart.note, 1)
        with trio.fail_after(5):
            await wait_all_tasks_blocked()
        assert len(world.carts) == 0
        assert world.registry.count() == 0
    assert world.shop.lives == {}
    assert world.events == ["Registered", "Unregistered"]
