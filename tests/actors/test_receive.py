"""`receive`: how a function actor takes its messages."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, sweep
from support.supervisors import supervised
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import Actor, Registry, current, receive


async def test_receive_takes_messages_in_order(autojump_clock: MockClock) -> None:
    got: list[object] = []

    async def worker() -> None:
        while True:
            got.append(await receive())

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker)
        ref.send_nowait(0)
        for number in range(1, 5):
            await ref.send(number)
        ref.send_nowait(None)
        await wait_all_tasks_blocked()
        assert got == [0, 1, 2, 3, 4, None]


async def test_receive_with_a_timeout_loses_nothing(autojump_clock: MockClock) -> None:
    got: list[object] = []

    async def worker() -> None:
        while True:
            with trio.move_on_after(1):
                got.append(await receive())
                continue
            got.append("nothing")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker)
        await trio.sleep(2.5)
        ref.send_nowait("message")
        await trio.sleep(0.25)
        assert got == ["nothing", "nothing", "message"]


async def test_a_receive_cancelled_at_any_checkpoint_loses_and_doubles_nothing(autojump_clock: MockClock) -> None:
    for waits_first in (False, True):

        async def attempt(cancelling: Cancelling[Any], waits_first: bool = waits_first) -> None:
            got: list[object] = []
            done = trio.Event()

            async def worker() -> None:
                if await cancelling.run(receive):
                    got.append(cancelling.value)
                done.set()
                while True:
                    got.append(await receive())

            async with supervised() as supervisor:
                names: Registry[str, None] = Registry("names")
                via = names.via("worker")
                if waits_first:
                    await supervisor.start_child(worker, name=via)
                    via.send_nowait("a")
                else:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(functools.partial(supervisor.start_child, worker, name=via))
                        while names.count() == 0:
                            await trio.lowlevel.checkpoint()
                        via.send_nowait("a")
                via.send_nowait("b")
                await wait_all_tasks_blocked()
                assert done.is_set()
                assert got == ["a", "b"]

        await sweep(attempt)


async def test_receive_is_a_checkpoint_even_if_there_is_a_message(autojump_clock: MockClock) -> None:
    done = trio.Event()

    async def worker() -> None:
        current().send_nowait("to myself")
        with assert_checkpoints():
            assert await receive() == "to myself"
        done.set()

    async with supervised() as supervisor:
        await supervisor.start_child(worker)
        await done.wait()


async def test_two_tasks_cannot_wait_in_receive_at_once(autojump_clock: MockClock) -> None:
    refused = trio.Event()

    async def second() -> None:
        await wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="waiting in receive"):
            await receive()
        refused.set()

    got: list[object] = []

    async def worker() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second)
            got.append(await receive())

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker)
        await refused.wait()
        await ref.send("for the first")
        assert (await ref.wait()).reason == "normal"
    assert got == ["for the first"]


async def test_receive_is_not_for_actor_classes(autojump_clock: MockClock) -> None:
    class Wrong(Actor):
        async def take(self) -> None:
            with pytest.raises(RuntimeError, match="its messages come to on_message"):
                await receive()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Wrong)
        await ref.call(Wrong.take)


async def test_a_message_that_wakes_one_task_in_receive_is_not_taken_by_another(autojump_clock: MockClock) -> None:
    got: list[object] = []
    second = trio.Event()

    async def receive_later() -> None:
        await second.wait()
        with pytest.raises(RuntimeError, match="another task"):
            await receive()

    async def receive_both() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive_later)
            got.extend([await receive(), await receive()])

    async with supervised() as supervisor:
        for _ in range(16):  # Trio runs two tasks that are woken together in random order
            got.clear()
            second = trio.Event()
            ref = await supervisor.start_child(receive_both)
            await wait_all_tasks_blocked()
            second.set()
            ref.send_nowait("first")
            await wait_all_tasks_blocked()
            ref.send_nowait("second")
            assert (await ref.wait()).reason == "normal"
            assert got == ["first", "second"]
