"""What a type checker says of actors on demand: nothing in here runs; see `test_types.py`."""

from __future__ import annotations

import functools
import math
from typing import assert_type

from trioreg import (
    Actor,
    ActorRef,
    Address,
    Backoff,
    ChildSpec,
    OnDemand,
    OnDemandSupervisor,
    Registry,
    Reply,
    RestartLimit,
    open_on_demand,
    open_supervisor,
)


class Cart(Actor):
    def __init__(self, key: str) -> None:
        self.key = key

    def add(self, what: str, count: int) -> int:
        return count

    async def total(self) -> float:
        return 0.0

    def pay(self) -> Reply[bool]:
        return Reply()


class Sized(Cart):
    def __init__(self, key: str, size: int) -> None:
        super().__init__(key)


class Other(Actor):
    def __init__(self, key: int) -> None: ...

    def add(self, what: str, count: int) -> int:
        return count


carts: OnDemand[str, Cart] = OnDemand("carts", Cart, retire_after=300)
sized: OnDemand[str, Sized] = OnDemand("sized", Sized, 3, max_running=10, backoff=Backoff())
others: OnDemand[int, Other] = OnDemand("others", Other, shutdown=math.inf, limit=RestartLimit(3, 60))
partial: OnDemand[str, Sized] = OnDemand("partial", functools.partial(Sized, size=3))


async def opening(names: Registry[str, None]) -> None:
    async with open_on_demand(carts) as supervisor:
        assert_type(supervisor, OnDemandSupervisor)
    async with open_supervisor([ChildSpec(OnDemandSupervisor, (carts,))]):
        pass
    inferred = OnDemand("inferred", Cart, registry=names)
    assert_type(inferred, OnDemand[str, Cart])
    assert_type(inferred.registry, Registry[str, None])


def values(sums: Registry[str, float | None], texts: Registry[str, str]) -> None:
    assert_type(OnDemand("carts", Cart, registry=sums), OnDemand[str, Cart])
    OnDemand("carts", Cart, registry=texts)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def messages() -> None:
    address = carts.via("a-17")
    assert_type(address, Address[Cart])
    assert_type(await address.call(Cart.add, "tea", 2), int)
    assert_type(await address.call(Cart.total), float)
    assert_type(await address.call(Cart.pay), bool)
    assert_type(await sized.via("x").call(Cart.add, "tea", 2), int)
    assert_type(carts.whereis("a-17"), ActorRef[Cart] | None)
    assert_type(others.items(), list[tuple[int, ActorRef[Other]]])
    await address.call(Cart.add, "tea", "2")  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await address.call(Cart.add, "tea")  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue]
    await address.call(Other.add, "tea", 2)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]
    address.cast_nowait(Other.add, "tea", 2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    carts.via(17)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    carts.whereis(17)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    others.via("a-17")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def not_an_actor(key: str) -> None: ...


def wrong(names: Registry[int, None]) -> None:
    assert_type(OnDemand("carts", Cart), OnDemand[int, Cart])  # type: ignore[assert-type]  # pyright: ignore[reportAssertTypeFailure]
    OnDemand("sized", Sized, "3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    OnDemand("sized", Sized)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    OnDemand("carts", Cart, registry=names)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    OnDemand("function", not_an_actor)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
