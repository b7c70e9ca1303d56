"""When an instrument is told that a caller has its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from support.supervisors import supervising
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorRef, Instrument, Message, Reply


class Desk(Actor):
    def __init__(self) -> None:
        self.reply = Reply[str]()

    def echo(self, text: str) -> str:
        return text

    async def slow(self) -> str:
        await trio.sleep(1)
        return "slow"

    def wrapped(self) -> Any:
        return self.slow()

    def later(self) -> Reply[str]:
        return self.reply

    def at_once(self) -> Reply[str]:
        self.reply.send("ready")
        return self.reply

    def forget(self) -> Reply[str]:
        return Reply[str]()

    @trioreg.raises(KeyError)
    def find(self) -> None:
        raise KeyError("tea")

    @trioreg.raises(KeyError)
    async def find_slowly(self) -> None:
        raise KeyError("tea")

    def fail(self) -> None:
        raise OSError("no disk")

    async def fail_slowly(self) -> None:
        raise OSError("no disk")


class OwnTurn(Desk):
    own_turn = True


class Notes(Instrument):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def handled(self, message: Message, value: object, error: BaseException | None, /) -> None:
        self.lines.append("handled")

    def answered(self, message: Message, value: object, error: BaseException | None, /) -> None:
        self.lines.append(f"answered {value}" if error is None else f"answered {type(error).__name__}")

    def message_left(self, message: Message, why: str, /) -> None:
        self.lines.append(f"left {why}")


async def notes_of(
    talk: Callable[[ActorRef[Desk]], Awaitable[object]], cls: type[Desk] = Desk, error: type[Exception] | None = None
) -> list[str]:
    notes = Notes()
    async with supervising() as supervisor:
        ref = await supervisor.start_child(cls, restart="temporary")
        await wait_all_tasks_blocked()
        trioreg.add_instrument(notes)
        if error is None:
            await talk(ref)
        else:
            with pytest.raises(error):
                await talk(ref)
        ref.kill()
        await ref.wait()
        trioreg.remove_instrument(notes)
    return notes.lines


@pytest.mark.parametrize("cls", [Desk, OwnTurn])
@pytest.mark.parametrize(
    ("method", "error", "answer"),
    [
        (Desk.slow, None, "slow"),
        (Desk.wrapped, None, "slow"),
        (Desk.at_once, None, "ready"),
        (Desk.find, KeyError, "KeyError"),
        (Desk.find_slowly, KeyError, "KeyError"),
        (Desk.fail, trioreg.ActorExited, "ActorExited"),
        (Desk.fail_slowly, trioreg.ActorExited, "ActorExited"),
        (Desk.forget, trioreg.NoReply, "NoReply"),
    ],
)
async def test_an_answer_is_told_once_behind_its_handler(
    method: Callable[..., Any], error: type[Exception] | None, answer: str, cls: type[Desk], autojump_clock: MockClock
) -> None:
    lines = await notes_of(lambda ref: ref.call(method), cls, error)
    assert lines == ["handled", f"answered {answer}"]


@pytest.mark.parametrize("cls", [Desk, OwnTurn])
async def test_a_sync_method_is_answered_when_it_is_handled(cls: type[Desk], autojump_clock: MockClock) -> None:
    assert await notes_of(lambda ref: ref.call(Desk.echo, "tea"), cls) == ["handled", "answered tea"]


@pytest.mark.parametrize("cls", [Desk, OwnTurn])
async def test_a_reply_is_told_when_it_is_sent(cls: type[Desk], autojump_clock: MockClock) -> None:
    async def talk(ref: ActorRef[Desk]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.call, Desk.later)
            await wait_all_tasks_blocked()
            await ref.cast(Desk.at_once)

    assert (await notes_of(talk, cls))[:3] == ["handled", "answered ready", "handled"]


@pytest.mark.parametrize(("method", "after"), [(Desk.slow, ["handled"]), (Desk.later, [])])
async def test_a_caller_that_is_cancelled_is_told_and_the_answer_after_it_is_not(
    method: Callable[..., Any], after: list[str], autojump_clock: MockClock
) -> None:
    async def talk(ref: ActorRef[Desk]) -> None:
        with trio.move_on_after(0.5):
            await ref.call(method)
        await trio.sleep(1)

    first = [] if after else ["handled"]
    assert await notes_of(talk) == [*first, "answered Cancelled", *after]


async def test_a_call_that_the_actor_has_not_begun_with_is_left_and_not_answered(autojump_clock: MockClock) -> None:
    async def talk(ref: ActorRef[Desk]) -> None:
        ref.cast_nowait(Desk.slow)
        with trio.move_on_after(0.5):
            await ref.call(Desk.echo, "withdrawn")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_exited, ref)
            await wait_all_tasks_blocked()
            ref.kill()

    async def expect_exited(ref: ActorRef[Desk]) -> None:
        with pytest.raises(trioreg.ActorExited):
            await ref.call(Desk.echo, "exited")

    assert await notes_of(talk) == ["left withdrawn", "handled", "left exited"]


async def test_a_call_of_a_handler_that_is_cut_off_is_answered_with_the_end(autojump_clock: MockClock) -> None:
    async def talk(ref: ActorRef[Desk]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_exited, ref, Desk.slow)
            await wait_all_tasks_blocked()
            ref.kill()

    async def expect_exited(ref: ActorRef[Desk], method: Callable[..., Any]) -> None:
        with pytest.raises(trioreg.ActorExited):
            await ref.call(method)

    assert await notes_of(talk) == ["handled", "answered ActorExited"]


async def test_the_errors_that_a_method_declares_are_known(autojump_clock: MockClock) -> None:
    declared: list[tuple[type[Exception], ...]] = []

    class Asks(Instrument):
        def message_sent(self, message: Message, /) -> None:
            declared.append(message.declared)

    asks = Asks()
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Desk)
        trioreg.add_instrument(asks)
        ref.cast_nowait(Desk.echo, "tea")
        with pytest.raises(KeyError):
            await ref.call(Desk.find)
        trioreg.remove_instrument(asks)
    assert declared == [(), (KeyError,)]
