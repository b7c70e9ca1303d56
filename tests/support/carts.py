"""Actors on demand that note what they handle, and that check in each handler that they are the only life of a key."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import trio

from support.errors import Bang
from trioreg import Actor, ActorRef, Exit, OnDemand, raises


class Shop:
    """What all carts of a test note.

    Attributes:
        handled: What each key has handled, in order.
        lives: How many lives each key has had.
        refs: The last life of each key.
        most: The most lives that ran at once.
        fails: How many starts of a key fail next.
    """

    def __init__(self) -> None:
        self.handled: defaultdict[str, list[Any]] = defaultdict(list)
        self.lives: Counter[str] = Counter()
        self.refs: dict[str, ActorRef[Cart]] = {}
        self.most = 0
        self.fails: Counter[str] = Counter()
        self.on_demand: OnDemand[str, Cart]
        self.start_takes = 0.0
        self.stop_takes = 0.0

    def begin(self, cart: Cart) -> None:
        """A life begins to run the user's code: the one before it has ended."""
        last = self.refs.get(cart.key)
        assert last is None or not last.is_alive or last is cart.ref, f"two lives of {cart.key}"
        self.refs[cart.key] = cart.ref
        self.lives[cart.key] += 1
        self.most = max(self.most, sum(ref.is_alive for ref in self.refs.values()) if len(self.refs) < 100 else 0)

    def carts(self, factory: type[Cart] | None = None, **options: Any) -> OnDemand[str, Cart]:
        self.on_demand = OnDemand("carts", factory or Cart, self, **options)
        return self.on_demand


class Cart(Actor):
    def __init__(self, key: str, shop: Shop) -> None:
        self.key = key
        self.shop = shop
        shop.begin(self)
        self._check()

    def _check(self) -> None:
        assert self.shop.on_demand.registry.whereis(self.key) is self.ref

    async def on_start(self) -> None:
        await trio.sleep(self.shop.start_takes)
        if self.shop.fails[self.key]:
            self.shop.fails[self.key] -= 1
            raise Bang(self.key)

    async def on_stop(self, exit: Exit) -> None:
        self._check()
        try:
            await trio.sleep(self.shop.stop_takes)
        finally:
            self._check()

    def note(self, what: object) -> object:
        self._check()
        self.shop.handled[self.key].append(what)
        return what

    async def note_slowly(self, what: object, seconds: float = 1) -> object:
        self._check()
        self.shop.handled[self.key].append(what)
        await trio.sleep(seconds)
        return what

    @raises(ValueError)
    def refuse(self, what: object) -> None:
        raise ValueError(what)

    def crash(self) -> None:
        raise Bang(self.key)

    def finish(self) -> None:
        self.stop()

    async def on_message(self, message: object) -> None:
        self.note(message)
