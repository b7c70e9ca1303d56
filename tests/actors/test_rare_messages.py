"""Messages that take a way which few do: a step fails, the actor ends in the middle, or a turn gives a `Reply`."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from contextvars import copy_context
from threading import get_ident
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.faults import fail_once
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorExited, ActorRef, DynamicSupervisor, Instrument, Message, PubSub, Reply
from trioreg._actors import mailbox
from trioreg._actors.beside import go_on_beside
from trioreg._actors.call import Call
from trioreg._actors.mailbox import Mailbox
from trioreg._actors.post import Posted
from trioreg._runtime import finalizers


class Clerk(Actor):
    """Notes what it handles."""

    mailbox_size: int | None = None

    def __init__(self) -> None:
        self.notes: list[object] = []

    def note(self, text: object) -> None:
        self.notes.append(text)

    def all(self) -> list[object]:
        return self.notes

    async def work(self, seconds: float = 1) -> None:
        await trio.sleep(seconds)


class BusyClerk(Clerk):
    mailbox_size = 1


class Left(Instrument):
    """Notes which messages are left, and why."""

    def __init__(self) -> None:
        self.told: list[tuple[object, str]] = []

    def message_left(self, message: Message, why: str, /) -> None:
        self.told.append((message.args, why))


def fail(*_: object, **__: object) -> Any:
    raise MemoryError


# Room in a mailbox


def test_a_mailbox_that_nobody_watches_takes_messages_as_they_are_while_the_collector_runs() -> None:
    box = Mailbox(None, get_ident())
    finalizers._notice("start", {})
    try:
        box.put("kind", "message")
    finally:
        finalizers._notice("stop", {})
    assert box.take() == ("kind", "message")


async def test_a_sender_that_can_not_wait_for_room_has_sent_nothing(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(BusyClerk)
        ref.cast_nowait(Clerk.work)
        await wait_all_tasks_blocked()
        ref.cast_nowait(Clerk.note, "first")
        with monkeypatch.context() as patch:
            patch.setattr(mailbox, "wait_task_rescheduled", fail)
            with pytest.raises(MemoryError):
                await ref.cast(Clerk.note, "second")
        await ref.cast(Clerk.note, "third")
        assert await ref.call(Clerk.all) == ["first", "third"]


async def test_a_message_whose_sender_could_not_be_woken_at_once_gets_in_once(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    box = Mailbox(1, get_ident())
    box.put("kind", 1)
    got_in: list[bool] = []

    async def send() -> None:
        got_in.append(await box.put_when_room("kind", 2))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        fail_once(monkeypatch, mailbox, "wake")
        with pytest.raises(MemoryError):
            box.take()
        assert [box.take(), box.take(), box.take()] == [("kind", 1), ("kind", 2), None]
    assert got_in == [True]


async def test_a_sender_that_is_cancelled_after_its_message_got_in_does_not_give_it_up(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    class Box(Mailbox):
        def gave_up(self, kind: object, payload: object) -> None:
            raise AssertionError("it got in")

    box = Box(1, get_ident())
    box.put("kind", 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.put_when_room, "kind", 2)
        await wait_all_tasks_blocked()
        with monkeypatch.context() as patch:
            patch.setattr(mailbox, "wake", fail)
            with pytest.raises(MemoryError):
                box.take()
        nursery.cancel_scope.cancel()
    assert [box.take(), box.take(), box.take()] == [("kind", 1), ("kind", 2), None]


async def test_a_sender_that_could_not_be_woken_at_once_has_sent_its_message_even_if_the_actor_ends(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    left = Left()
    sent: list[bool] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(BusyClerk, restart="temporary")
        ref.cast_nowait(Clerk.work)
        await wait_all_tasks_blocked()
        ref.cast_nowait(Clerk.note, "first")

        async def send() -> None:
            await ref.cast(Clerk.note, "second")
            sent.append(True)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await wait_all_tasks_blocked()
            trioreg.add_instrument(left)
            fail_once(monkeypatch, mailbox, "wake")
        await ref.wait()
        trioreg.remove_instrument(left)
    assert ref.exit is not None
    assert isinstance(ref.exit.error, MemoryError)
    assert sent == [True]
    assert left.told == [(("second",), "exited")]


# A publication


class Ending(Left):
    """Ends each actor that is sent a message."""

    def __init__(self) -> None:
        super().__init__()
        self.handled_by: list[object] = []

    def message_sent(self, message: Message, /) -> None:
        message.to.cancel()

    def handled(self, message: Message, value: object, error: BaseException | None, /) -> None:
        self.handled_by.append(message.to)


@pytest.mark.parametrize("method", [Clerk.note, Clerk.work])
@pytest.mark.parametrize("is_retained", [False, True])
async def test_a_publication_whose_instrument_ends_the_actor_is_not_lost(
    method: Any, is_retained: bool, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """An actor that has no async handler at work may still handle it. Else it is left, as any other message."""
    ending = Ending()
    ticks: PubSub[str, int] = PubSub("ticks")
    if is_retained:
        ticks.publish_nowait("a", 7, retain=True)
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk, restart="temporary")
        await wait_all_tasks_blocked()
        trioreg.add_instrument(ending)
        ticks.join("a", method, owner=ref, buffer=2)
        if not is_retained:
            ticks.publish_nowait("a", 7)
        await ref.wait()
        trioreg.remove_instrument(ending)
    if method is Clerk.note:
        assert ending.handled_by == [ref]
        assert not caplog.records
    else:
        assert ending.told == [((7,), "exited")]
        assert ["1 unhandled message" in record.getMessage() for record in caplog.records] == [True]


# The answer of a call without a task


async def test_an_answer_that_could_not_be_noted_is_not_given_a_second_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    answers: list[object] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk)
        assert ref._cell is not None
        handler = ref._cell.handlers.find(Clerk.all, (), {})
        call = Posted(ref, handler, (), {}, lambda value, error: answers.append((value, error)), copy_context())
        with monkeypatch.context() as patch:
            patch.setattr(Call, "_done", fail)
            with pytest.raises(MemoryError):
                call.answer("first")
        call.answer("second")
    assert answers == [("first", None)]
    assert not caplog.records


# Messages that are handled beside the others


class Office(DynamicSupervisor):
    """A supervisor with a method that answers later, in a turn beside its other messages."""

    _replies: tuple[Reply[str], ...] = ()

    def ask(self) -> Awaitable[Reply[str]]:
        return self._ask()

    async def _ask(self) -> Reply[str]:
        reply: Reply[str] = Reply()
        self._replies = (*self._replies, reply)
        await trio.sleep(1)
        return reply

    def reply(self, text: str) -> None:
        for reply in self._replies:
            reply.send(text)
        self._replies = ()


async def test_a_method_of_a_supervisor_may_return_a_reply(autojump_clock: MockClock) -> None:
    answers: list[tuple[str, float]] = []
    async with supervised() as supervisor:
        office = await supervisor.start_child(Office)

        async def ask() -> None:
            answers.append((await office.call(Office.ask), trio.current_time()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(3)
            assert not answers
            await office.call(Office.reply, "done")
    assert answers == [("done", 3)]


async def test_a_reply_that_a_method_of_a_supervisor_has_returned_is_refused_when_it_ends(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        office = await supervisor.start_child(Office, restart="temporary")

        async def ask() -> None:
            with pytest.raises(ActorExited):
                await office.call(Office.ask)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(3)
            office.cancel()


@pytest.mark.parametrize(("how", "reason"), [("kill", "killed"), ("cancel", "shutdown")])
async def test_a_method_of_a_supervisor_that_ends_it_tells_its_caller_how_it_ends(
    how: str, reason: str, autojump_clock: MockClock
) -> None:
    class Leaving(Office):
        def leave(self) -> Awaitable[Reply[str]]:
            getattr(self.ref, how)()
            return self.ask()

    async with supervised() as supervisor:
        office = await supervisor.start_child(Leaving, restart="temporary")
        with pytest.raises(ActorExited) as caught:
            await office.call(Leaving.leave)
        assert caught.value.exit.reason == reason


async def test_a_cast_that_can_not_be_handled_beside_the_others_leaves_no_coroutine(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def work() -> None:
        raise Bang("it must not begin")

    coroutine: Any = work()
    async with supervised() as supervisor:
        office = await supervisor.start_child(Office)
        cell = office._cell
        assert cell is not None
        monkeypatch.setitem(go_on_beside.__globals__, "start_background_task", fail)
        with pytest.raises(MemoryError):
            go_on_beside(cell, coroutine, cell.handlers.find(Office.ask, (), {}), None)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


# A function actor


async def test_a_function_actor_is_done_with_a_message_when_it_takes_one_from_before_the_instrument(
    autojump_clock: MockClock,
) -> None:
    class Handled(Instrument):
        def __init__(self) -> None:
            self.told: list[tuple[str, object]] = []

        def handling(self, message: Message, /) -> None:
            self.told.append(("handling", message.args))

        def handled(self, message: Message, value: object, error: BaseException | None, /) -> None:
            self.told.append(("handled", message.args))

    async def function() -> None:
        for _ in range(2):
            await trio.sleep(1)
            received.append((await trioreg.receive(), list(handled.told)))

    handled = Handled()
    received: list[tuple[object, list[tuple[str, object]]]] = []
    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(function, restart="temporary")
        ref.send_nowait("before")
        trioreg.add_instrument(handled)
        ref.send_nowait("watched")
        await ref.wait()
        trioreg.remove_instrument(handled)
    assert received == [("before", []), ("watched", [("handling", ("watched",))])]
    assert handled.told == [("handling", ("watched",)), ("handled", ("watched",))]
