"""One message at a time, in order; and what a call at its own checkpoint may not overtake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.cancellation import AtCheckpoint
from support.secret_agent import SecretAgent, idle
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited


async def test_an_actor_handles_one_message_at_a_time(autojump_clock: MockClock) -> None:
    running = 0
    most = 0

    class Serial(Actor):
        async def slow(self) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await trio.sleep(1)
            running -= 1

        def quick(self) -> None:
            nonlocal most
            most = max(most, running + 1)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Serial)
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ref.call, Serial.slow)
                nursery.start_soon(ref.call, Serial.quick)
    assert most == 1


async def test_messages_of_one_sender_of_every_kind_arrive_in_order(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        for is_idle in (False, True):
            ref = await supervisor.start_child(SecretAgent)
            await idle(ref)
            if not is_idle:
                ref.cast_nowait(SecretAgent.aread)
            ref.cast_nowait(SecretAgent.note, 1)
            await ref.call(SecretAgent.note, 2)
            ref.send_nowait(3)
            await ref.cast(SecretAgent.anote, 4)
            await ref.send(5)
            await ref.call(SecretAgent.anote, 6)
            await ref.call(SecretAgent.note, 7)
            ref.cast_nowait(SecretAgent.anote, 8)
            ref.cast_nowait(SecretAgent.note, 9)
            assert await ref.call(SecretAgent.read) == [1, 2, 3, 4, 5, 6, 7, 8, 9]


async def test_a_call_does_not_overtake_messages_sent_before_its_turn(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(SecretAgent)

        async def call(number: int) -> None:
            await ref.call(SecretAgent.note, ("call", number))

        for number in range(30):
            await idle(ref)
            nursery.start_soon(call, number)

            async def cast_and_call(number: int) -> None:
                ref.cast_nowait(SecretAgent.note, ("first", number))
                await ref.call(SecretAgent.note, ("second", number))

            nursery.start_soon(cast_and_call, number)
        await wait_all_tasks_blocked()
        notes: list[Any] = await ref.call(SecretAgent.read)
        assert len(notes) == 90
        for number in range(30):
            assert notes.index(("first", number)) < notes.index(("second", number))


@pytest.mark.parametrize("first", [SecretAgent.note, SecretAgent.anote])
async def test_a_call_of_an_idle_actor_does_not_overtake_a_message_sent_during_its_checkpoint(
    first: Callable[[SecretAgent, str], object], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        await idle(ref)
        with AtCheckpoint(lambda: ref.cast_nowait(first, "first")):
            await ref.call(SecretAgent.note, "second")
        assert await ref.call(SecretAgent.read) == ["first", "second"]


async def test_a_call_does_not_run_beside_a_handler_that_began_during_its_checkpoint(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        await idle(ref)
        event = trio.Event()
        with AtCheckpoint(lambda: ref.cast_nowait(SecretAgent.wait_for, event)), trio.move_on_after(1) as scope:
            await ref.call(SecretAgent.note, "beside")
        assert scope.cancelled_caught
        event.set()
        assert await ref.call(SecretAgent.read) == []


@pytest.mark.parametrize("end", ["kill", "cancel", "crash"])
async def test_a_call_is_not_run_by_an_actor_ended_during_its_checkpoint(end: str, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        notes = await ref.call(SecretAgent.own_notes)
        await idle(ref)
        ends: dict[str, Callable[[], object]] = {
            "kill": ref.kill,
            "cancel": ref.cancel,
            "crash": lambda: ref.cast_nowait(SecretAgent.bang),
        }
        with AtCheckpoint(ends[end]), pytest.raises(ActorExited):
            await ref.call(SecretAgent.note, "too late")
        await ref.wait()
        assert notes == []
