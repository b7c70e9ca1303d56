"""`ActorExited`: every sender to an ending or ended actor learns how it ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trio
from support.secret_agent import SecretAgent
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, Exit


@pytest.mark.parametrize("reason", ["killed", "shutdown"])
async def test_callers_of_an_actor_that_is_killed_or_cancelled_get_actor_exited_at_once(
    reason: str, autojump_clock: MockClock
) -> None:
    exits: list[Exit] = []

    async def call(ref: ActorRef[SecretAgent], method: Any, *args: object) -> None:
        with pytest.raises(ActorExited) as caught:
            await ref.call(method, *args)
        exits.append(caught.value.exit)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, ref, SecretAgent.wait_for, trio.Event())
            await wait_all_tasks_blocked()
            nursery.start_soon(call, ref, SecretAgent.read)
            await wait_all_tasks_blocked()
            if reason == "killed":
                ref.kill()
            else:
                ref.cancel()
    assert [exit.reason for exit in exits] == [reason, reason]


async def test_messages_left_in_the_mailbox_of_an_ended_actor_are_logged(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        await ref.cast(SecretAgent.wait_for, trio.Event())
        await wait_all_tasks_blocked()
        ref.cast_nowait(SecretAgent.note, 1)
        ref.send_nowait(2)
        ref.kill()
        await ref.wait()
    assert any("2 unhandled messages" in record.getMessage() for record in caplog.records)


async def test_actor_exited_says_how_the_actor_ends_or_has_ended(autojump_clock: MockClock) -> None:
    event = trio.Event()
    async with supervised() as supervisor:

        async def told(end: str) -> list[str]:
            ref = await supervisor.start_child(SecretAgent, restart="temporary")
            messages: list[str] = []
            await ref.cast(SecretAgent.wait_for, event)
            await wait_all_tasks_blocked()
            if end == "stop":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ref.stop)
                    await wait_all_tasks_blocked()
                    messages.append(await refused(ref))
                    event.set()
            elif end == "crash":
                crashing = await supervisor.start_child(SecretAgent, restart="temporary")
                with pytest.raises(ActorExited) as caught:
                    await crashing.call(SecretAgent.bang)
                await crashing.wait()
                return [str(caught.value), await refused(crashing)]
            else:
                getattr(ref, end)()
                messages.append(await refused(ref))
            await ref.wait()
            return [*messages, await refused(ref)]

        async def refused(ref: ActorRef[SecretAgent]) -> str:
            with pytest.raises(ActorExited) as caught:
                await ref.call(SecretAgent.read)
            return str(caught.value)

        def without_number(messages: list[str]) -> list[str]:
            return [" ".join(message.split()[2:]) for message in messages]

        assert without_number(await told("cancel")) == ["is ending: shutdown", "has ended: shutdown"]
        assert without_number(await told("kill")) == ["is ending: killed", "has ended: killed"]
        assert without_number(await told("crash")) == ["has crashed: Bang('boom')"] * 2
        assert without_number(await told("stop")) == ["is ending: normal", "has ended: normal"]


@pytest.mark.parametrize("is_idle", [True, False])
@pytest.mark.parametrize("size", [None, 1])
async def test_messages_of_a_stopping_actor_to_itself_are_left_and_logged(
    size: int | None, is_idle: bool, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    class Talking(SecretAgent):
        mailbox_size = size

        def last(self) -> None:
            self.stop()
            self.ref.cast_nowait(Talking.note, "a cast")
            self.ref.send_nowait("a message")

        async def very_last(self) -> None:
            self.stop()
            await self.ref.cast(Talking.note, text="a cast")
            await self.ref.send("a message")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Talking, restart="transient")
        await (ref.call(Talking.last) if is_idle else ref.call(Talking.very_last))
        assert await ref.wait() == Exit("normal")
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.endswith("ended (normal) with 2 unhandled messages in its mailbox")


@pytest.mark.parametrize("end", ["stop", "cancel"])
async def test_messages_of_background_tasks_that_wait_for_room_at_the_end_are_left_and_logged(
    end: str, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    class Full(SecretAgent):
        mailbox_size = 1

        async def on_start(self) -> None:
            self.send_after(1, "a timer")
            self.start_soon(self._tell)

        async def _tell(self) -> None:
            await trio.sleep(1)
            await self.ref.cast(Full.note, "a result")

        async def on_message(self, message: object) -> None:
            self.note(message)

    event = trio.Event()
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Full, restart="transient")
        await ref.cast(Full.wait_for, event)
        await wait_all_tasks_blocked()
        await ref.cast(Full.note, "full")
        await trio.sleep(2)
        if end == "cancel":
            ref.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.stop)
            await wait_all_tasks_blocked()
            event.set()
        assert ref.exit == Exit("normal" if end == "stop" else "shutdown")
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"with {2 if end == 'stop' else 3} unhandled messages" in warning


class Ending(Actor):
    """It ends itself in a handler, and then sends itself messages."""

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    def note(self) -> None:
        self.notes.append("note")

    async def on_message(self, message: object) -> None:
        self.notes.append("message")

    async def nothing(self) -> None: ...

    def end(self, how: str) -> None:
        getattr(self.ref, how)()
        self._send_itself()

    async def aend(self, how: str) -> None:
        self.end(how)

    def _send_itself(self) -> None:
        try:
            self.ref.cast_nowait(Ending.note)
        except ActorExited:
            self.notes.append("refused")
        try:
            self.ref.send_nowait("message")
        except ActorExited:
            self.notes.append("refused")

    def end_halfway(self, how: str) -> Coroutine[Any, Any, None]:
        getattr(self.ref, how)()
        return self.nothing()


@pytest.mark.parametrize("end", [Ending.end, Ending.aend])
@pytest.mark.parametrize("how", ["cancel", "kill"])
@pytest.mark.parametrize("has_scope", [False, True])
async def test_an_actor_that_ends_itself_refuses_its_own_later_messages(
    end: Callable[[Ending, str], object], how: str, has_scope: bool, autojump_clock: MockClock
) -> None:
    notes: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Ending, notes, restart="temporary")
        if has_scope:
            await ref.call(Ending.nothing)
        ref.cast_nowait(end, how)
        assert (await ref.wait()).reason == {"cancel": "shutdown", "kill": "killed"}[how]
    assert notes == ["refused", "refused"]


async def test_an_idle_actor_that_is_cancelled_refuses_messages_in_the_same_step(autojump_clock: MockClock) -> None:
    notes: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Ending, notes, restart="temporary")
        await wait_all_tasks_blocked()
        ref.cancel()
        with pytest.raises(ActorExited):
            ref.cast_nowait(Ending.note)
        with pytest.raises(ActorExited):
            ref.send_nowait("message")
        await ref.wait()
    assert notes == []


async def test_a_handler_that_cancels_its_actor_and_returns_a_coroutine_leaves_no_message(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Ending, list[str](), restart="temporary")
        await wait_all_tasks_blocked()
        with pytest.raises(ActorExited):
            await ref.call(Ending.end_halfway, "cancel")
        await ref.wait()
    assert "unhandled" not in caplog.text
