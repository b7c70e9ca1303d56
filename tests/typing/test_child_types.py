"""What a type checker says of specs that `child` makes: checked by mypy and pyright, as in test_types.py."""

from __future__ import annotations

from typing import Any, assert_type

import trioreg
from trioreg import (
    ActorRef,
    Backoff,
    ChildSpec,
    Function,
    Partitions,
    Registry,
    RestartLimit,
    child,
    open_partition_supervisor,
    open_supervisor,
)


class Cart(trioreg.Actor):
    def __init__(self, key: str, *, size: int = 3) -> None:
        self.key = key
        self.size = size

    def add(self, thing: str, count: int = 1) -> int:
        return count


class Till(trioreg.Actor):
    pass


async def poll(url: str, *, every: float) -> bytes:
    return url.encode()


def specs(names: Registry[str, None]) -> list[ChildSpec]:
    assert_type(child(Cart, "a", size=3), ChildSpec[Cart])
    assert_type(child(Cart, "a"), ChildSpec[Cart])
    assert_type(child(poll, "url", every=1), ChildSpec[Function[bytes]])
    assert_type(child(trioreg.Agent[int], lambda: 0), ChildSpec[trioreg.Agent[int]])
    cart = child(Cart, "a", size=3).named(names.via("a")).with_id("a").within(3).within("kill")
    assert_type(cart.restarted("transient", backoff=Backoff(), limit=RestartLimit()), ChildSpec[Cart])
    assert_type(cart.restarted("transient").as_significant(), ChildSpec[Cart])
    assert_type(ChildSpec(Cart, ("a",)), ChildSpec[Any])
    plain: list[ChildSpec] = [cart, ChildSpec(poll), child(Till)]
    return plain


def wrong_specs(names: Registry[str, None]) -> None:
    child(Cart, 7)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    child(Cart)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    child(Cart, "a", size="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    child(Cart, "a", sise=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    child(poll, "url")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    child(len, "url")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    child(Till).named("till")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    child(Till).restarted("sometimes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    child(Till).within("5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    child(Till).restarted(limit=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def starts(
    supervisor: trioreg.DynamicSupervisor, names: Registry[str, None], rooms: Partitions[trioreg.DynamicSupervisor]
) -> None:
    cart = await supervisor.start_child(child(Cart, "a", size=3))
    assert_type(cart, ActorRef[Cart])
    assert_type(await cart.call(Cart.add, "tea", count=2), int)
    assert_type(await supervisor.start_or_get(child(Cart, "a").named(names.via("a"))), ActorRef[Cart])
    assert_type(await supervisor.start_child(child(poll, "url", every=1)), ActorRef[Function[bytes]])
    assert_type(await supervisor.start_child(ChildSpec(Cart, ("a",))), ActorRef[Any])
    assert_type(await rooms.start_child(0, child(Cart, "a")), ActorRef[Cart])
    await supervisor.start_child(Cart, "a", limit=RestartLimit(3, 60, "escalate"))
    await supervisor.start_child(Cart, "a", limit=3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert_type(supervisor.which_child(cart), trioreg.ChildInfo)


async def blocks(tills: Partitions[Till]) -> None:
    async with open_supervisor([child(Cart, "a"), child(Till)], at_end="stop"):
        pass
    async with open_partition_supervisor(3, child(Till), at_end="stop") as supervisor:
        assert_type(supervisor.partitions, Partitions[Till])
    async with open_partition_supervisor(tills, child(Till)) as other:
        assert_type(other.partitions, Partitions[Till])
    open_supervisor(at_end="cancel")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    trioreg.run(child(Cart, "a"))


def test_a_limit_is_positional_too() -> None:
    assert RestartLimit(3, 60.0, "escalate") == RestartLimit(max_restarts=3, max_seconds=60, then="escalate")
