"""The gate of `hang` and `slow`, entered and left at random while messages of all kinds come: none is lost."""

from __future__ import annotations

import gc
import random
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest
import trio
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorRef, Reply, debug, open_dynamic_supervisor
from trioreg._actors.gate import _Gate, _gates, _Step
from trioreg.testing import explore, hang, settled, slow


class Target(Actor):
    """It notes the messages of each sender."""

    def __init__(self, log: list[tuple[str, int]]) -> None:
        self.log = log

    def note(self, sender: str, number: int) -> int:
        self.log.append((sender, number))
        return number

    async def note_slowly(self, sender: str, number: int, *, seconds: float = 0.5) -> int:
        self.log.append((sender, number))
        await trio.sleep(seconds)
        return number

    def note_later(self, sender: str, number: int) -> Reply[int]:
        self.log.append((sender, number))
        reply = Reply[int]()
        reply.send(number)
        return reply

    def begin(self, sender: str, number: int) -> Any:
        self.log.append((sender, number))
        return trio.sleep(0.2)  # noqa: ASYNC105  # the actor awaits it

    async def on_message(self, message: tuple[str, int]) -> None:
        self.log.append(message)


class Bounded(Target):
    mailbox_size = 1


class Restless(Target):
    idle_timeout = 0.7

    async def on_idle(self) -> None:
        await trio.sleep(0.1)


class Limited(Target):
    handler_timeout = 1000


async def send(ref: ActorRef[Target], name: str, count: int, chance: random.Random) -> None:
    """Messages of all kinds; each comes after the one before it."""
    for number in range(count):
        await trio.sleep(chance.choice([0, 0, 0.3, 1]))
        match chance.randrange(6):
            case 0:
                await ref.cast(Target.note, name, number)
            case 1:
                await ref.cast(Target.note_slowly, name, number, seconds=0.1)
            case 2:
                await ref.send((name, number))
            case 3:
                assert await ref.call(Target.note, name, number) == number
            case 4:
                assert await ref.call(Target.note_later, name, number) == number
            case _:
                await ref.call(Target.begin, name, number)


async def disturb(ref: ActorRef[Target], count: int, chance: random.Random) -> None:
    """Faults of all kinds, one in the other and one after the other."""
    open_blocks: list[AbstractContextManager[None]] = []
    for _ in range(count):
        await trio.sleep(chance.choice([0, 0.1, 0.5]))
        if open_blocks and chance.random() < 0.5:
            open_blocks.pop(chance.randrange(len(open_blocks))).__exit__(None, None, None)
        else:
            block = hang(ref) if chance.random() < 0.4 else slow(ref, chance.choice([0, 0.2, 1]))
            block.__enter__()
            open_blocks.append(block)
        if chance.random() < 0.1 and not open_blocks:
            await debug.suspend(ref)
            await debug.resume(ref)
    for block in open_blocks:
        block.__exit__(None, None, None)


@pytest.mark.parametrize("cls", [Target, Bounded, Restless, Limited])
@pytest.mark.parametrize("seed", range(5))
async def test_each_message_is_handled_once_and_in_order(
    autojump_clock: MockClock, cls: type[Target], seed: int
) -> None:
    chance = random.Random(seed)
    log: list[tuple[str, int]] = []
    async with supervised() as supervisor:
        ref: ActorRef[Target] = await supervisor.start_child(cls, log)
        async with trio.open_nursery() as nursery:
            for name in "abc":
                nursery.start_soon(send, ref, name, 20, random.Random(chance.random()))
            nursery.start_soon(disturb, ref, 60, random.Random(chance.random()))
        await settled()
        for name in "abc":
            assert [number for sender, number in log if sender == name] == [*range(20)]
        assert _gates == {}
        assert ref.statistics().queued == 0
        if cls is not Restless:
            assert ref.statistics().handled == 60
        assert await ref.call(Target.note, "a", 20) == 20


async def test_a_fault_leaves_no_cycles(autojump_clock: MockClock) -> None:
    log: list[tuple[str, int]] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Target, log)
        gc.collect()
        gc.disable()
        try:
            with slow(ref, 1):
                await ref.call(Target.note, "a", 1)
            await wait_all_tasks_blocked()
            assert _left() == []
            with hang(ref):
                await wait_all_tasks_blocked()
            with hang(ref):
                pass
            await wait_all_tasks_blocked()
            assert _left() == []
        finally:
            gc.enable()


def _left() -> list[object]:
    return [each for each in gc.get_objects() if type(each) in (_Gate, _Step)]


async def test_an_end_in_the_step_in_which_a_message_comes_is_not_held_up(autojump_clock: MockClock) -> None:
    log: list[tuple[str, int]] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Target, log)
        with slow(ref, 100):
            await wait_all_tasks_blocked()
            ref.cast_nowait(Target.note, "a", 1)
            ref.cancel()
            assert (await ref.wait()).reason == "shutdown"
        assert trio.current_time() == 0
        assert log == []


async def test_a_call_that_has_just_been_made_does_not_go_around_it() -> None:
    async def scenario() -> None:
        log: list[tuple[str, int]] = []
        async with open_dynamic_supervisor(at_end="stop") as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(Target, log)
            await wait_all_tasks_blocked()
            nursery.start_soon(ref.call, Target.note, "a", 1)
            await trio.lowlevel.checkpoint()
            was_before = bool(log)
            with slow(ref, 3):
                await trio.sleep(1)
                assert bool(log) is was_before
        assert log == [("a", 1)]

    await trio.to_thread.run_sync(partial(explore, scenario, runs=20))
