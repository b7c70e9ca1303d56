"""What an instrument is told on the less common paths of a message, in pairs, whatever cuts a message off."""

from __future__ import annotations

import gc
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, sweep_steps
from support.checking import Checking
from support.supervisors import supervising
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorRef, Registry, Reply


class Cart(Actor):
    def add(self, item: str) -> str:
        return item

    async def pay(self) -> str:
        await trio.lowlevel.checkpoint()
        return "paid"

    def pay_later(self) -> Reply[str]:
        reply = Reply[str]()
        self.start_soon(self.answer, reply)
        return reply

    async def answer(self, reply: Reply[str]) -> None:
        await trio.lowlevel.checkpoint()
        reply.send("paid")


async def use_all(checking: Checking) -> None:
    names: Registry[str, None] = Registry("names", keys="duplicate")
    trioreg.add_instrument(checking)
    async with supervising() as supervisor:
        refs = [await supervisor.start_child(Cart) for _ in range(2)]
        for ref in refs:
            names.register("cart", owner=ref)
        names.cast_all("cart", Cart.add, "tea")
        await wait_all_tasks_blocked()
        async with trioreg.open_pool(Cart, size=2) as pool:
            async with pool.claim() as worker:
                await worker.call(Cart.add, "cake")
            async with pool.map(Cart.add, ["jam", "honey"]) as results:
                assert [result async for result in results] == ["jam", "honey"]


async def test_what_a_finalizer_sends_is_told_in_pairs(autojump_clock: MockClock) -> None:
    checking = Checking()
    trioreg.add_instrument(checking)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart)

        class Finalized:
            def __del__(self) -> None:
                ref.cast_nowait(Cart.add, "milk")

        cycle: Any = Finalized()
        cycle.itself = cycle
        del cycle
        gc.collect()
        await wait_all_tasks_blocked()
    trioreg.remove_instrument(checking)
    assert checking.faults == []
    assert checking.unfinished() == []
    assert checking.told["handling"] == 1


def test_groups_and_pools_are_told_in_pairs_in_two_runs_at_once() -> None:
    both = [Checking(), Checking()]
    threads = [threading.Thread(target=trio.run, args=[use_all, checking]) for checking in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for checking in both:
        assert checking.faults == []
        assert checking.unfinished() == []
        assert checking.told["handling"] == 5


async def call(ref: ActorRef[Cart]) -> None:
    await ref.call(Cart.pay)


async def call_in_turn(ref: ActorRef[Cart]) -> None:
    await ref.call(Cart.add, "tea")


async def call_for_a_reply(ref: ActorRef[Cart]) -> None:
    await ref.call(Cart.pay_later)


async def cast(ref: ActorRef[Cart]) -> None:
    await ref.cast(Cart.pay)


async def send_to_full_mailbox(ref: ActorRef[Cart]) -> None:
    for _ in range(4):
        await ref.cast(Cart.pay)


@pytest.mark.parametrize("operation", [call, call_in_turn, call_for_a_reply, cast, send_to_full_mailbox])
@pytest.mark.parametrize("end", ["stop", "cancel", "kill"])
async def test_a_message_whose_sender_is_cancelled_at_any_step_is_told_in_pairs(
    operation: Callable[[ActorRef[Cart]], Awaitable[None]], end: str, autojump_clock: MockClock
) -> None:
    class Small(Cart):
        mailbox_size = 1

    async def attempt(cancelling: Cancelling[None]) -> None:
        checking = Checking()
        trioreg.add_instrument(checking)
        async with supervising() as supervisor:
            ref = await supervisor.start_child(Small, restart="temporary")
            await cancelling.run(lambda: operation(ref))
            if end == "stop":
                await ref.stop()
            else:
                getattr(ref, end)()
                await ref.wait()
        trioreg.remove_instrument(checking)
        assert checking.faults == []
        assert checking.unfinished() == []

    await sweep_steps(attempt)
