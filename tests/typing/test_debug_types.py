"""The types of `trioreg.debug`: the class of the actor for a change of its state, and no `Any` in what comes back."""

from __future__ import annotations

from typing import assert_type

from trio.testing import MockClock

import trioreg
from trioreg import Actor, ActorRef, Feed, Registry, debug, open_dynamic_supervisor


class Cart(Actor):
    def __init__(self) -> None:
        self.items: list[str] = []

    def add(self, item: str) -> None:
        self.items.append(item)


class Other(Actor):
    def other(self) -> None:
        pass


carts: Registry[str, None] = Registry("carts")


def of_any(actor: Actor) -> None:
    assert actor.ref.is_alive


def of_other(actor: Other) -> None:
    pass


def counted(actor: Cart) -> int:
    return len(actor.items)


async def function() -> None:
    await trioreg.receive()


async def test_what_comes_back_has_exact_types(autojump_clock: MockClock) -> None:
    async with open_dynamic_supervisor() as supervisor:
        via = carts.via("a", of=Cart)
        cart = await supervisor.start_child(Cart, name=via)
        await debug.suspend(cart)
        await debug.suspend(via)
        assert_type(debug.is_suspended(via), bool)
        assert_type(debug.state(via), dict[str, object])
        assert_type(await debug.replace_state(cart, lambda actor: actor.items.append("tea")), dict[str, object])
        await debug.replace_state(via, of_any)
        await debug.resume(cart)
        async with debug.trace(via, buffer=10) as feed:
            assert_type(feed, Feed[debug.Handled])
            await cart.call(Cart.add, "tea")
            handled = await feed.receive()
            assert_type(handled.ref, ActorRef[object])
            assert_type(handled.sender, ActorRef[object] | None)
            assert_type(handled.args, tuple[object, ...])
            assert_type(handled.value, object)
        supervisor.stop()


async def wrong(cart: ActorRef[Cart]) -> None:
    await debug.replace_state(cart, of_other)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await debug.replace_state(cart, counted)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await debug.replace_state(cart, lambda actor: actor.gone())  # type: ignore[attr-defined]  # pyright: ignore
    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(function)
        await debug.suspend(ref)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await debug.resume(ref)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        debug.state(ref)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        async with debug.trace(ref) as feed:
            assert_type(feed, Feed[debug.Handled])
    await debug.suspend("a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
