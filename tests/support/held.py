"""An actor that is held, looked into and changed by `trioreg.debug`."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import cast

import trio

from trioreg import Actor, ActorRef, debug


class Cart(Actor):
    """Notes what it handles, and when."""

    def __init__(self) -> None:
        self.items: list[object] = []

    def add(self, item: object) -> object:
        self.items.append(item)
        return item

    async def pay(self, seconds: float = 1) -> None:
        await trio.sleep(seconds)
        self.items.append("paid")

    def wrapped(self) -> Awaitable[None]:
        self.items.append("begun")
        return self.pay()

    def fail(self) -> None:
        raise OSError("no disk")

    async def on_message(self, message: object) -> None:
        self.items.append(message)

    def remind(self, seconds: float) -> None:
        self.cast_after(seconds, Cart.add, "reminded")

    async def ask(self, other: ActorRef[Cart]) -> None:
        await other.call(Cart.pay)

    async def let_hold(self, other: ActorRef[Cart]) -> None:
        await other.call(Cart.hold, self.ref)

    async def hold(self, other: ActorRef[Cart]) -> None:
        await debug.suspend(other)

    async def change(self, other: ActorRef[Cart]) -> None:
        await debug.replace_state(other, lambda cart: cart.items.clear())


class Shopper(Cart):
    def __init__(self, key: str) -> None:
        super().__init__()


def items(ref: ActorRef[Cart]) -> list[object]:
    return cast("list[object]", debug.state(ref)["items"])
