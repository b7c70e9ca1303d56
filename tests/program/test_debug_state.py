"""`trioreg.debug`: the state of a live actor is shown, and replaced between two messages."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import attrs
import pytest
import trio
from support.held import Cart, Shopper, items
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    OnDemand,
    debug,
    open_on_demand,
)


async def test_the_state_of_an_actor_that_blocks_the_program_is_seen_from_another_thread(
    autojump_clock: MockClock,
) -> None:
    class Blocking(Cart):
        def block(self) -> None:
            self.items.append("begun")
            asked.set()
            assert answered.wait(10)

    def other() -> None:
        assert asked.wait(10)
        seen.append(list(items(ref)))
        answered.set()

    seen: list[list[object]] = []
    asked, answered = threading.Event(), threading.Event()
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Blocking)
        thread = threading.Thread(target=other)
        thread.start()
        await ref.call(Blocking.block)
        thread.join()
    assert seen == [["begun"]]


@attrs.define(eq=False, slots=True)
class Slotted(Actor):
    one: int = 1
    late: str = attrs.field(init=False)


async def test_the_state_has_attributes_and_slots_and_none_of_the_runtime(autojump_clock: MockClock) -> None:
    class Both(Slotted):
        def __init__(self) -> None:
            super().__init__()
            self.more = "more"

    async with supervised() as supervisor:
        both = await supervisor.start_child(Both)
        assert debug.state(both) == {"one": 1, "more": "more"}
        copy = debug.state(both)
        copy["one"] = 2
        assert debug.state(both)["one"] == 1


async def test_an_actor_that_is_not_made_yet_has_an_empty_state(autojump_clock: MockClock) -> None:
    shoppers: OnDemand[str, Shopper] = OnDemand("shoppers", Shopper, max_running=1)
    async with open_on_demand(shoppers) as supervisor:
        await shoppers.via("a").cast(Cart.pay)
        await shoppers.via("b").cast(Cart.pay)
        assert debug.state(shoppers.via("b")) == {}
        supervisor.stop()


async def test_no_code_of_the_actor_runs_for_its_state(autojump_clock: MockClock) -> None:
    class Hostile(Slotted):
        def __getattr__(self, name: str) -> object:
            raise AssertionError(name)

        def __getattribute__(self, name: str) -> Any:
            if name == "one":
                raise AssertionError(name)
            return object.__getattribute__(self, name)

    async with supervised() as supervisor:
        assert debug.state(await supervisor.start_child(Hostile)) == {"one": 1}


async def test_a_property_in_the_place_of_the_dict_does_not_run(autojump_clock: MockClock) -> None:
    class Hiding(Cart):
        @property
        def __dict__(self) -> Any:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
            raise AssertionError

    def change(actor: Any) -> None:
        actor.items, actor.more = [1], 1
        raise KeyError

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Hiding)
        assert debug.state(ref) == {"items": []}
        with pytest.raises(KeyError):
            await debug.replace_state(ref, change)
        assert debug.state(ref) == {"items": []}


async def test_an_attribute_whose_name_is_no_text_is_shown(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)
        await debug.replace_state(ref, lambda cart: cast("dict[object, object]", vars(cart)).update({1: "one"}))
        assert debug.state(ref) == {"items": [], 1: "one"}


@pytest.mark.parametrize("is_held", [False, True])
async def test_the_state_is_replaced_between_two_messages_and_before_those_that_wait(
    is_held: bool, autojump_clock: MockClock
) -> None:
    def change(cart: Cart) -> None:
        assert trioreg.current() is ref
        cart.items = [*cart.items, "changed"]

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)
        if is_held:
            await debug.suspend(ref)
        else:
            ref.cast_nowait(Cart.pay)
            await wait_all_tasks_blocked()
        ref.cast_nowait(Cart.add, "tea")
        await debug.replace_state(ref, change)
        assert debug.is_suspended(ref) is is_held
        await debug.resume(ref)
        await wait_all_tasks_blocked()
        assert items(ref) == (["changed", "tea"] if is_held else ["paid", "changed", "tea"])


async def test_a_change_that_waits_does_not_wait_for_the_resume(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Cart)
        ref.cast_nowait(Cart.pay)
        await wait_all_tasks_blocked()
        nursery.start_soon(debug.suspend, ref)
        await wait_all_tasks_blocked()
        await debug.replace_state(ref, lambda cart: cart.items.append("changed"))
        assert debug.is_suspended(ref)
        assert items(ref) == ["paid", "changed"]
        await debug.resume(ref)


@pytest.mark.parametrize("is_held", [False, True])
@pytest.mark.parametrize("slotted", [False, True])
async def test_a_change_that_fails_leaves_the_state_and_the_caller_gets_the_error(
    is_held: bool, slotted: bool, autojump_clock: MockClock
) -> None:
    class Frozen(Slotted):
        __slots__ = ("kept",)

    def change(actor: Any) -> None:
        if slotted:
            actor.one, actor.late = 2, "late"
            del actor.kept
        else:
            actor.items, actor.more = [], 1
        raise KeyError("tea")

    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Frozen if slotted else Cart)
        if slotted:
            await debug.replace_state(ref, lambda actor: setattr(actor, "kept", 3))
        before = debug.state(ref)
        if is_held:
            await debug.suspend(ref)
        with pytest.raises(KeyError, match="tea"):
            await debug.replace_state(ref, change)
        assert debug.state(ref) == before
        await debug.resume(ref)
        assert ref.state == "running"
        assert (await debug.replace_state(ref, lambda actor: None)) == before


def empty_it(cart: Cart) -> None:
    vars(cart).clear()
    vars(cart).update(items=["saved"])


def give_it_another_dict(cart: Cart) -> None:
    cart.__dict__ = {"items": ["saved"]}


@pytest.mark.parametrize("change", [empty_it, give_it_another_dict])
async def test_all_attributes_may_be_replaced_and_it_is_still_an_actor(
    change: Callable[[Cart], None], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)
        assert await debug.replace_state(ref, change) == {"items": ["saved"]}
        await ref.call(Cart.remind, 1)
        await trio.sleep(2)
        assert items(ref) == ["saved", "reminded"]


async def test_a_change_that_fails_gives_the_dict_and_the_class_back_and_leaves_others_alone(
    autojump_clock: MockClock,
) -> None:
    class Other(Cart): ...

    saved: dict[str, Any] = {"items": ["saved"]}

    def change(cart: Cart) -> None:
        actors.append(cart)
        cart.__dict__ = saved
        cart.__class__ = Other
        raise KeyError

    actors: list[Cart] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)
        with pytest.raises(KeyError):
            await debug.replace_state(ref, change)
        assert type(actors.pop()) is Cart
        assert items(ref) == []
        assert saved == {"items": ["saved"]}


@pytest.mark.parametrize("slotted", [False, True])
async def test_what_a_failed_change_leaves_is_thrown_away_only_when_all_is_put_back(
    slotted: bool, autojump_clock: MockClock
) -> None:
    class Noisy:
        def __init__(self, actor: Any) -> None:
            self.actor = actor

        def __del__(self) -> None:
            seen.append((self.actor.ref, debug.state(self.actor.ref)))

    def change(actor: Any) -> None:
        for name in ("one", "late") if slotted else ("items", "more"):
            setattr(actor, name, Noisy(actor))
        raise KeyError

    seen: list[tuple[object, object]] = []
    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Slotted if slotted else Cart)
        before = debug.state(ref)
        with pytest.raises(KeyError):
            await debug.replace_state(ref, change)
        assert seen == [(ref, before)] * 2


async def test_a_change_that_blocks_the_program_is_named(autojump_clock: MockClock) -> None:
    def block(_cart: Cart) -> None:
        asked.set()
        assert answered.wait(10)

    def other() -> None:
        assert asked.wait(10)
        seen.append(ref.statistics().handling)
        answered.set()

    seen: list[str | None] = []
    asked, answered = threading.Event(), threading.Event()
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)
        thread = threading.Thread(target=other)
        thread.start()
        await debug.suspend(ref)
        await debug.replace_state(ref, block)
        thread.join()
        assert ref.statistics().handling == "trioreg.debug.suspend"
        await debug.resume(ref)
    assert seen == ["trioreg.debug.replace_state"]


async def test_a_change_that_is_async_or_returns_something_is_refused(autojump_clock: MockClock) -> None:
    async def later(cart: Cart) -> None: ...

    def call(function: Callable[[Cart], object], cart: Cart) -> object:
        return function(cart)

    def attributes(cart: Cart) -> object:
        return {"items": cart.items}

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)
        with pytest.raises(TypeError, match="fn must be a sync function"):
            await debug.replace_state(ref, cast("Any", later))
        with pytest.raises(TypeError, match="fn must be a sync function"):
            await debug.replace_state(ref, cast("Any", partial(call, later)))
        with pytest.raises(TypeError, match="fn must be callable"):
            await debug.replace_state(ref, cast("Any", None))
        with pytest.raises(TypeError, match=r"must change the actor in place and return None, not \{'items'"):
            await debug.replace_state(ref, cast("Any", attributes))
        assert items(ref) == []


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("is_held", [False, True])
async def test_a_change_may_end_the_actor(end: str, is_held: bool, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Cart, restart="temporary")
        if is_held:
            await debug.suspend(ref)
        else:
            ref.cast_nowait(Cart.pay)
            await wait_all_tasks_blocked()

        async def expect_exit() -> None:
            with pytest.raises(ActorExited):
                await debug.suspend(ref)

        await debug.replace_state(ref, lambda cart: getattr(cart.ref if end == "kill" else cart, end)())
        if not is_held:
            nursery.start_soon(expect_exit)
        assert (await ref.wait()).reason == {"stop": "normal", "kill": "killed"}[end]
