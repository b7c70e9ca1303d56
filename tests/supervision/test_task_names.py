"""What Trio shows of an actor: the name of its task, and of its background tasks."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest
from support.supervisors import supervised, supervising
from trio.lowlevel import current_task
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorRef, OnDemand, Registry, open_on_demand, who

carts: Registry[Any, None] = Registry("carts")


class Cart(Actor):
    def __init__(self, key: str = "") -> None:
        self.background = ""

    def task(self) -> tuple[str, str]:
        return current_task().name, self.background

    async def own_task(self) -> tuple[str, str]:
        return self.task()

    async def refresh(self) -> None:
        self.background = current_task().name

    def start(self) -> None:
        self.start_soon(self.refresh)

    def remind(self) -> None:
        self.cast_after(5, Cart.start)


def number(ref: ActorRef[Any]) -> str:
    return repr(ref)[1:-1]


class Odd:
    def __repr__(self) -> str:
        raise OSError("no words")


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("a-17", " 'a-17'"),
        (17, " 17"),
        (("cart", 17), " ('cart', 17)"),
        ("x" * 100, f" '{'x' * 60}...'"),
        (("x" * 1000,), " ..."),
        (10**10_000, " ..."),
        (Odd(), ""),
        ((Odd(),), ""),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_the_task_of_an_actor_is_named_after_its_class_its_number_and_its_name(
    key: Hashable, shown: str, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart, name=carts.via(key))
        name, _ = await ref.call(Cart.own_task)
        assert name == who(ref).label == f"{number(ref)}{shown}"


async def test_an_actor_without_a_name_has_its_number(autojump_clock: MockClock) -> None:
    async def work() -> str:
        return current_task().name

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)
        assert (await ref.call(Cart.own_task))[0] == number(ref) == f"Cart #{ref._number}"
        worker = await supervisor.start_child(work, restart="temporary")
        assert await worker.result() == number(worker)


async def test_each_life_has_a_number_of_its_own(autojump_clock: MockClock) -> None:
    async with supervising() as supervisor:
        await supervisor.start_child(Cart, name=carts.via("a-17"))
        seen: set[str] = set()
        for _ in range(2):
            (child,) = supervisor.which_children()
            assert child.ref is not None
            (name, _) = await child.ref.call(Cart.own_task)
            assert name == f"{number(child.ref)} 'a-17'"
            seen.add(name)
            child.ref.kill()
            await wait_all_tasks_blocked()
        assert len(seen) == 2


async def test_an_actor_on_demand_is_named_after_its_key(autojump_clock: MockClock) -> None:
    on_demand: OnDemand[str, Cart] = OnDemand("carts", Cart)
    async with open_on_demand(on_demand):
        name, _ = await on_demand.via("a-17").call(Cart.own_task)
        assert name.startswith("Cart #") and name.endswith(" 'a-17'")


async def test_background_tasks_are_named_after_the_actor_and_the_function(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart, name=carts.via("a-17"))
        ref.cast_nowait(Cart.start)
        await wait_all_tasks_blocked()
        name, background = await ref.call(Cart.own_task)
        assert background == f"{name}, Cart.refresh"
