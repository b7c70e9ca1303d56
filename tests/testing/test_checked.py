"""`checked`: a block in which no actor crashes unexpectedly, and which leaves nothing behind."""

from __future__ import annotations

import re

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    OnDemand,
    PubSub,
    Registry,
    current_owner,
    open_on_demand,
    open_pool,
    open_supervisor,
)
from trioreg.testing import checked, expect_crash


class Cart(Actor):
    def add(self, item: str) -> None:
        raise KeyError(item)

    def ping(self) -> None:
        pass

    async def wait(self) -> None:
        await trio.sleep_forever()


class Basket(Cart):
    def __init__(self, key: str) -> None:
        self.key = key


async def test_a_block_that_leaves_nothing_passes(autojump_clock: MockClock) -> None:
    carts: Registry[str, None] = Registry("carts")
    async with checked(), open_supervisor(at_end="stop") as supervisor:
        cart = await supervisor.start_child(Cart, name=carts.via("a"))
        async with expect_crash(KeyError):
            await cart.cast(Cart.add, "tea")


async def test_a_crash_leaves_the_block_even_if_the_actor_was_restarted(autojump_clock: MockClock) -> None:
    async with open_supervisor(at_end="stop") as supervisor:
        cart = await supervisor.start_child(Cart)
        with pytest.raises(KeyError, match="tea") as caught:
            async with checked():
                await cart.cast(Cart.add, "tea")
                await wait_all_tasks_blocked()
        (note,) = caught.value.__notes__
        assert note.startswith(f"Cart #{cart._number} under supervisor crashed, and the test does not expect it.")
        assert caught.traceback[-1].name == "add"


async def test_ctrl_c_in_an_actor_is_no_crash(autojump_clock: MockClock) -> None:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(BaseExceptionGroup) as caught:
        async with checked(), open_supervisor() as supervisor:
            await supervisor.start_child(interrupted)
            await trio.sleep_forever()
    (error,) = caught.value.exceptions
    assert isinstance(error, KeyboardInterrupt)
    assert not hasattr(error, "__notes__")


async def test_an_actor_that_fails_because_another_was_stopped_before_it_is_no_crash(autojump_clock: MockClock) -> None:
    carts: Registry[str, None] = Registry("carts")

    async def customer() -> None:
        await carts.via("a", wait=True).call(Cart.wait)

    async with checked(), open_supervisor(at_end="stop") as supervisor:
        ref = await supervisor.start_child(customer)
        await supervisor.start_child(Cart, name=carts.via("a"))
        await wait_all_tasks_blocked()
    assert isinstance((await ref.wait()).error, ActorExited)


async def test_a_block_in_a_block_notes_a_crash_once(autojump_clock: MockClock) -> None:
    async with open_supervisor(at_end="stop") as supervisor:
        ended = await supervisor.start_child(Cart, id="ended")
        await supervisor.terminate_child(ended)
        cart = await supervisor.start_child(Cart)
        with pytest.raises(KeyError, match="tea") as caught:
            async with checked(), checked():
                await cart.cast(Cart.add, "tea")
                await wait_all_tasks_blocked()
        assert len(caught.value.__notes__) == 1


async def test_an_actor_on_demand_is_checked_too(autojump_clock: MockClock) -> None:
    carts: OnDemand[str, Cart] = OnDemand("carts", Basket)
    async with open_on_demand(carts):
        await carts.via("a").call(Cart.ping)
        async with expect_crash(KeyError) as crashes:
            await carts.via("a").cast(Cart.add, "tea")
            await carts.via("b").cast(Cart.add, "salt")
        assert len(crashes) == 2


async def test_a_restart_is_no_leak(autojump_clock: MockClock) -> None:
    carts: Registry[str, None] = Registry("carts")
    async with open_supervisor(at_end="stop") as supervisor:
        cart = await supervisor.start_child(Cart, name=carts.via("a"))
        async with checked():
            async with expect_crash(KeyError):
                await cart.cast(Cart.add, "tea")
            assert carts.whereis("a") is not cart


async def test_several_crashes_leave_in_one_group(autojump_clock: MockClock) -> None:
    async with open_supervisor(at_end="stop") as supervisor:
        with pytest.RaisesGroup(KeyError, KeyError):
            async with checked():
                for number in range(2):
                    cart = await supervisor.start_child(Cart, id=number)
                    await cart.cast(Cart.add, "tea")
                await wait_all_tasks_blocked()
                await supervisor.terminate_child(0)
                await supervisor.terminate_child(1)


async def test_an_error_that_several_actors_raise_is_told_once_with_a_note_for_each(autojump_clock: MockClock) -> None:
    error = OSError("the disk is full")

    class Writer(Actor):
        def write(self) -> None:
            raise error

    async with open_supervisor(at_end="stop") as supervisor:
        with pytest.raises(OSError, match="the disk is full") as caught:
            async with checked():
                for number in range(2):
                    writer = await supervisor.start_child(Writer, id=number)
                    await writer.cast(Writer.write)
                await wait_all_tasks_blocked()
                await supervisor.terminate_child(0)
                await supervisor.terminate_child(1)
        assert len(caught.value.__notes__) == 2


async def test_the_error_of_the_block_has_the_crash_as_a_note(autojump_clock: MockClock) -> None:
    async with open_supervisor(at_end="stop") as supervisor:
        cart = await supervisor.start_child(Cart)
        with pytest.raises(ValueError, match="mine") as caught:
            async with checked():
                await cart.cast(Cart.add, "tea")
                await wait_all_tasks_blocked()
                raise ValueError("mine")
        (note,) = caught.value.__notes__
        assert note.startswith("Also:\n  Traceback (most recent call last):\n")
        assert "KeyError: 'tea'" in note


async def test_each_thing_that_is_left_is_told_once_with_its_owner(autojump_clock: MockClock) -> None:
    carts: Registry[str, None] = Registry("carts")
    ticks: PubSub[str, str] = PubSub("ticks")

    async def watch() -> None:
        async with ticks.subscribe("tea"):
            await trio.sleep_forever()

    carts.register("from before")
    async with (
        open_supervisor(at_end="stop", name="shop") as shop,
        open_pool(Cart, size=1, name="tills") as tills,
        trio.open_nursery() as nursery,
    ):
        claim = tills.claim()
        block = checked()
        await block.__aenter__()
        cart = await shop.start_child(Cart, id="first", name=carts.via("a"))
        await cart.cast(Cart.wait)
        carts.register("mine")
        nursery.start_soon(watch, name="watcher")
        till = await claim.__aenter__()
        await wait_all_tasks_blocked()
        with pytest.raises(AssertionError) as caught:
            await block.__aexit__(None, None, None)
        await claim.__aexit__(None, None, None)
        nursery.cancel_scope.cancel()
    text = re.sub(r'File ".*", line \d+', "File", str(caught.value))
    assert text.splitlines() == [
        "the block is over, and this is still there:",
        f"  the actor Cart #{cart._number} 'a'  running",
        "    under          shop, child 'first'",
        "    names          carts 'a'",
        "    messages       0 waiting (peak 1), 0 handled",
        "    handling       Cart.wait, for 0.0 seconds",
        "    stands at",
        "      File, in wait",
        "        await trio.sleep_forever()",
        f"  the name 'mine' in 'carts', of {current_owner()!r}",
        "  the subscription to 'tea' in 'ticks', of <task watcher>",
        f"  the claim of {till!r} in the pool 'tills', by task {trio.lowlevel.current_task().name}",
        "  the task watcher, which stands at",
        "      File, in watch",
        "        await trio.sleep_forever()",
    ]


async def test_many_of_a_kind_are_counted(autojump_clock: MockClock) -> None:
    async with open_supervisor(at_end="stop") as supervisor:
        with pytest.raises(AssertionError, match=r"\n  and 2 more actors$"):
            async with checked():
                for number in range(12):
                    await supervisor.start_child(Cart, id=number)
    names: Registry[int, None] = Registry("names")
    with pytest.raises(AssertionError) as caught:
        async with checked():
            for number in range(1_234):
                names.register(number)
    lines = str(caught.value).splitlines()
    assert len(lines) == 12
    assert lines[-1] == "  and 1,224 more names"


async def test_a_crash_leaves_the_block_even_if_the_block_is_cancelled(autojump_clock: MockClock) -> None:
    with pytest.raises(KeyError, match="tea"), trio.move_on_after(1):
        async with checked(), open_supervisor(at_end="stop") as supervisor:
            cart = await supervisor.start_child(Cart)
            await cart.cast(Cart.add, "tea")
            await trio.sleep_forever()


async def test_a_block_that_is_cancelled_is_not_looked_through_for_what_is_left(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    with trio.move_on_after(1) as scope:
        async with checked():
            names.register("a")
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_a_task_that_only_runs_a_function_of_trio_is_told(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        with pytest.raises(AssertionError, match=r"\n  the task trio\.sleep_forever$"):
            async with checked():
                nursery.start_soon(trio.sleep_forever)
        nursery.cancel_scope.cancel()


async def test_it_is_entered_once() -> None:
    block = checked()
    async with block:
        pass
    with pytest.raises(RuntimeError, match="make another one"):
        await block.__aenter__()
