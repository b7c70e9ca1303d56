"""Messages that are watched no more, or not in this run: the way for watched messages, without an instrument."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import trio
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, Instrument, Message, PubSub
from trioreg._runtime import UNUSUAL


class Notes(Instrument):
    """Notes what becomes of each message."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.messages: list[Message] = []

    def message_sent(self, message: Message, /) -> None:
        self.lines.append("sent")
        self.messages.append(message)

    def handled(self, message: Message, value: object, error: BaseException | None, /) -> None:
        self.lines.append("handled")

    def message_left(self, message: Message, why: str, /) -> None:
        self.lines.append(f"left, {why}")


class Clerk(Actor):
    def __init__(self) -> None:
        self.notes: list[object] = []

    def note(self, text: object) -> object:
        self.notes.append(text)
        return text

    def all(self) -> list[object]:
        return self.notes


@pytest.fixture
def another_run_is_watched() -> Iterator[None]:
    """As if another thread's Trio run had an instrument: all messages take the long way, in this run too."""
    other = object()
    UNUSUAL.append(other)
    yield
    UNUSUAL.remove(other)


@pytest.mark.usefixtures("another_run_is_watched")
async def test_an_instrument_of_another_run_changes_nothing_of_a_message(autojump_clock: MockClock) -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk)
        await wait_all_tasks_blocked()
        ticks.join("a", Clerk.note, owner=ref, buffer=2)
        assert await ref.call(Clerk.note, "call") == "call"
        ticks.publish_nowait("a", 7)
        await wait_all_tasks_blocked()
        assert await ref.call(Clerk.all) == ["call", 7]


@pytest.mark.usefixtures("another_run_is_watched")
async def test_an_instrument_of_another_run_changes_nothing_of_what_a_function_actor_receives(
    autojump_clock: MockClock,
) -> None:
    async def function() -> None:
        received.extend([await trioreg.receive(), await trioreg.receive()])

    received: list[object] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(function, restart="temporary")
        ref.send_nowait(1)
        ref.send_nowait(2)
        await ref.wait()
    assert received == [1, 2]


async def test_a_function_actor_receives_a_message_whose_instrument_is_gone(autojump_clock: MockClock) -> None:
    async def function() -> None:
        await trio.sleep(1)
        received.append(await trioreg.receive())

    received: list[object] = []
    notes = Notes()
    async with supervised() as supervisor:
        ref = await supervisor.start_child(function, restart="temporary")
        trioreg.add_instrument(notes)
        ref.send_nowait("watched")
        trioreg.remove_instrument(notes)
        await ref.wait()
    assert received == ["watched"]
    assert notes.lines == ["sent"]


async def test_a_message_that_a_function_actor_never_receives_is_told_as_left(autojump_clock: MockClock) -> None:
    notes = Notes()
    async with supervised() as supervisor:
        ref: Any = await supervisor.start_child(trio.sleep, 1, restart="temporary")
        trioreg.add_instrument(notes)
        ref.send_nowait("watched")
        await ref.wait()
        trioreg.remove_instrument(notes)
    assert notes.lines == ["sent", "left, exited"]


async def test_a_message_that_is_left_when_its_instrument_is_gone_is_told_to_nobody(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    notes = Notes()
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk, restart="temporary")
        trioreg.add_instrument(notes)
        ref.cast_nowait(Clerk.note, "watched")
        ref.kill()
        trioreg.remove_instrument(notes)
        await ref.wait()
    assert notes.lines == ["sent"]
    assert ["1 unhandled message" in record.getMessage() for record in caplog.records] == [True]


async def test_a_message_that_is_handled_is_not_told_as_left_after_that(autojump_clock: MockClock) -> None:
    notes = Notes()
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk)
        trioreg.add_instrument(notes)
        await ref.call(Clerk.note, "watched")
        (message,) = notes.messages
        message._leave("exited")
        trioreg.remove_instrument(notes)
    assert notes.lines == ["sent", "handled"]
