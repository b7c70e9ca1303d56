"""What the tests of `dump` share: a shop that hangs, actors that wait for much, and the parts of a dump."""

from __future__ import annotations

from typing import Any

import trio

from trioreg import (
    Actor,
    ActorRef,
    ChildSpec,
    Pool,
    Registry,
    Supervisor,
)

names: Registry[str, None] = Registry("names")


class Stock(Actor):
    def __init__(self) -> None:
        self.is_ready = trio.Event()

    async def reserve(self, item: str) -> None:
        await self.is_ready.wait()

    def restock(self) -> None:
        self.is_ready.set()


class Cart(Actor):
    async def pay(self) -> None:
        await names.via("stock", of=Stock).call(Stock.reserve, "tea")


class Web(Actor):
    async def checkout(self) -> None:
        await names.via("cart", of=Cart).call(Cart.pay)


SHOP = [
    ChildSpec(Stock, name=names.via("stock")),
    ChildSpec(Supervisor, ([ChildSpec(Cart, name=names.via("cart"))],), id="carts"),
    ChildSpec(Web, name=names.via("web")),
]


def part(text: str, title: str) -> list[str]:
    """The lines of one part of a dump; none if it has no such part."""
    for each in text.split("\n\n"):
        head, *lines = each.splitlines()
        if head == title:
            return [line.removeprefix("  ") for line in lines]
    return []


def found(name: str) -> ActorRef[Any]:
    ref = names.whereis(name)
    assert isinstance(ref, ActorRef)
    return ref  # pyright: ignore[reportUnknownVariableType]  # isinstance() loses the parameter


class Works(Actor):
    async def hang(self) -> None:
        await trio.sleep_forever()

    async def ask(self, pool: Pool[Any]) -> None:
        await pool.call(Works.hang)

    async def lock(self, key: str) -> None:
        async with names.lock(key):
            await trio.sleep_forever()

    async def lock_beside(self, key: str) -> None:
        is_locked = trio.Event()

        async def beside() -> None:
            async with names.lock(key):
                is_locked.set()
                await trio.sleep_forever()

        self.start_soon(beside)
        await is_locked.wait()
        await self.lock(key)

    async def lock_and_call(self, key: str, other: str) -> None:
        async with names.lock(key):
            await trio.sleep(1)
            await names.via(other, of=Works).call(Works.hang)

    async def hang_with_background_task(self, other: str) -> None:
        self.start_soon(names.via(other, of=Works).call, Works.hang)
        await trio.sleep_forever()


WORKS = [ChildSpec(Works, name=names.via(name)) for name in "abc"]
