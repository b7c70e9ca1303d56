"""`trioreg.debug.trace`: what an actor handles, as a feed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import pytest
import trio
from support.cancellation import Cancelling, sweep_steps
from support.held import Cart, Shopper
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    ActorExited,
    OnDemand,
    Registry,
    debug,
    open_on_demand,
)
from trioreg._runtime import UNUSUAL

carts: Registry[str, None] = Registry("carts")

pytestmark = pytest.mark.unwatched("it is about what is left without an instrument")


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert not UNUSUAL


async def test_a_trace_gives_each_message_with_its_result(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart, restart="temporary")
        asker = await supervisor.start_child(Cart)
        other = await supervisor.start_child(Cart)
        ref.cast_nowait(Cart.add, "from before")
        await wait_all_tasks_blocked()
        async with debug.trace(ref) as feed:
            await ref.call(Cart.add, "tea")
            await other.call(Cart.add, "not traced")
            await asker.call(Cart.ask, ref)
            ref.send_nowait("hello")
            await debug.suspend(ref)
            await debug.resume(ref)
            with pytest.raises(ActorExited):
                await ref.call(Cart.fail)
            handled = [each async for each in feed]
        assert not UNUSUAL
    first, second, third, fourth = handled
    assert (first.kind, first.method, first.args, dict(first.kwargs), first.value) == (
        "call",
        "Cart.add",
        ("tea",),
        {},
        "tea",
    )
    assert (first.ref, first.sender, first.error, first.seconds) == (ref, None, None, 0)
    assert (second.method, second.sender) == ("Cart.pay", asker)
    assert second.seconds == pytest.approx(1)
    assert second.began_at == second.sent_at
    assert (third.kind, third.args) == ("send", ("hello",))
    assert isinstance(fourth.error, OSError)
    assert [str(each) for each in handled] == [
        "call Cart.add('tea') -> 'tea', in 0 seconds",
        "call Cart.pay() -> None, in 1 second",
        "send Cart.on_message('hello') -> None, in 0 seconds",
        "call Cart.fail() raised OSError('no disk'), in 0 seconds",
    ]


async def test_a_trace_of_a_name_goes_on_over_restarts(autojump_clock: MockClock) -> None:
    via = carts.via("a", of=Cart)
    async with supervised() as supervisor, debug.trace(via) as feed:
        first = await supervisor.start_child(Cart, name=via)
        with pytest.raises(ActorExited):
            await via.call(Cart.fail)
        await first.wait()
        assert await via.call(Cart.add, "tea") == "tea"
        assert [(each.method, each.ref is first) for each in (feed.receive_nowait(), feed.receive_nowait())] == [
            ("Cart.fail", True),
            ("Cart.add", False),
        ]


async def test_a_trace_of_a_key_on_demand_sees_a_life_on_its_way_out(autojump_clock: MockClock) -> None:
    shoppers: OnDemand[str, Shopper] = OnDemand("shoppers", Shopper)
    via = shoppers.via("a")
    async with open_on_demand(shoppers) as supervisor, trio.open_nursery() as nursery, debug.trace(via) as feed:
        via.cast_nowait(Cart.pay)
        via.cast_nowait(Cart.add, "tea")
        await wait_all_tasks_blocked()
        nursery.start_soon(via.stop)
        await wait_all_tasks_blocked()
        via.cast_nowait(Cart.add, "milk")  # to the next life, which is there already
        await trio.sleep(5)
        handled = await feed.receive_some()
        assert [(each.method, each.args) for each in handled] == [
            ("Shopper.pay", ()),
            ("Shopper.add", ("tea",)),
            ("Shopper.add", ("milk",)),
        ]
        assert handled[1].ref is not handled[2].ref
        supervisor.stop()


async def test_a_slow_reader_loses_the_oldest_and_the_feed_counts_them(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)
        async with debug.trace(ref, buffer=2) as feed:
            for number in range(5):
                await ref.call(Cart.add, number)
            assert feed.dropped == 3
            assert [(await feed.receive()).value, (await feed.receive()).value] == [3, 4]


async def test_a_trace_works_for_a_function_actor(autojump_clock: MockClock) -> None:
    async def function() -> None:
        for _ in range(2):
            await trioreg.receive()
            await trio.sleep(2)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(function)
        async with debug.trace(ref) as feed:
            ref.send_nowait("go")
            await trio.sleep(5)
            ref.send_nowait("end")
            handled = [each async for each in feed]
    assert [(str(each), each.method) for each in handled] == [
        ("send message('go') -> None, in 5 seconds", None),
        ("send message('end') -> None, in 2 seconds", None),
    ]


async def test_a_trace_costs_nothing_before_and_after_its_block_and_can_be_cancelled_at_each_step(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)

        async def use() -> None:
            async with debug.trace(ref) as feed:
                await ref.call(Cart.add, "tea")
                await feed.receive()

        async def attempt(cancelling: Cancelling[Any]) -> None:
            await cancelling.run(use)
            assert not UNUSUAL

        assert await sweep_steps(attempt) == 4
        block = debug.trace(ref)
        assert not UNUSUAL
        async with block:
            with pytest.raises(RuntimeError, match="is already entered"):
                await block.__aenter__()
        async with block as feed:
            feed.close()
            assert not UNUSUAL


async def test_arguments_of_a_trace_are_checked(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart, restart="temporary")
        with pytest.raises(ValueError, match="buffer must be at least 1, not 0"):
            debug.trace(ref, buffer=0)
        with pytest.raises(TypeError, match=r"buffer must be an int or math\.inf, not 'x'"):
            debug.trace(ref, buffer=cast("int", "x"))
        debug.trace(ref, buffer=math.inf)
        await ref.stop()
        with pytest.raises(ActorExited):
            async with debug.trace(ref):
                pass


async def test_a_trace_of_a_name_that_nobody_has_sees_nothing(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, debug.trace(carts.via("nobody", of=Cart)) as feed:
        ref = await supervisor.start_child(Cart)
        assert await ref.call(Cart.add, "tea") == "tea"
        assert feed.statistics().buffered == 0
