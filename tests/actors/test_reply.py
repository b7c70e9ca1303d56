"""`Reply`: an answer that comes later, from any task, or never."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.secret_agent import Refused, idle
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorExited, Reply


class Lobby(Actor):
    """It answers a player who joins when the game begins."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, Reply[str]]] = []

    def join(self, player: str) -> Reply[str]:
        reply = Reply[str]()
        self.waiting.append((player, reply))
        return reply

    async def ajoin(self, player: str) -> Reply[str]:
        await trio.lowlevel.checkpoint()
        return self.join(player)

    def begin(self) -> None:
        for player, reply in self.waiting:
            reply.send(f"welcome, {player}")
        self.waiting.clear()

    def answered(self) -> Reply[str]:
        reply = Reply[str]()
        reply.send("at once")
        return reply

    def failed(self) -> Reply[str]:
        reply = Reply[str]()
        reply.fail(Refused("at once"))
        return reply

    def give(self) -> list[Reply[str]]:
        return [reply for _, reply in self.waiting]

    def bang(self) -> None:
        raise Bang


joins = pytest.mark.parametrize("join", [Lobby.join, Lobby.ajoin])


Join = Callable[[Lobby, str], Reply[str]]


@joins
@pytest.mark.parametrize("is_idle", [False, True])
async def test_a_reply_is_answered_later_by_another_handler(
    join: Join, is_idle: bool, autojump_clock: MockClock
) -> None:
    answers: list[str] = []

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Lobby)
        await idle(ref)
        if not is_idle:
            ref.cast_nowait(Lobby.give)

        async def player(name: str) -> None:
            answers.append(await ref.call(join, name))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(player, "a")
            nursery.start_soon(player, "b")
            await wait_all_tasks_blocked()
            assert answers == []
            await ref.call(Lobby.begin)
        assert sorted(answers) == ["welcome, a", "welcome, b"]


@joins
async def test_a_reply_is_answered_from_any_other_task(join: Join, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Lobby)

        async def answer() -> None:
            await trio.sleep(1)
            (reply,) = await ref.call(Lobby.give)
            assert not reply.is_answered
            reply.send("from outside")
            assert reply.is_answered

        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            assert await ref.call(join, "a") == "from outside"


@joins
async def test_reply_fail_raises_in_the_caller_and_the_actor_lives(join: Join, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Lobby)

        async def fail() -> None:
            await trio.sleep(1)
            (reply,) = await ref.call(Lobby.give)
            reply.fail(Refused("no"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            with pytest.raises(Refused, match="no"):
                await ref.call(join, "a")
        assert ref.is_alive


@pytest.mark.parametrize("is_idle", [False, True])
async def test_a_reply_may_be_answered_before_it_is_returned(is_idle: bool, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Lobby)
        await idle(ref)
        if not is_idle:
            ref.cast_nowait(Lobby.give)
        assert await ref.call(Lobby.answered) == "at once"
        await idle(ref)
        if not is_idle:
            ref.cast_nowait(Lobby.give)
        with pytest.raises(Refused, match="at once"):
            await ref.call(Lobby.failed)
        assert ref.is_alive


def test_a_reply_is_answered_once() -> None:
    reply = Reply[str]()
    reply.send("one")
    with pytest.raises(RuntimeError, match="answered before"):
        reply.send("two")
    with pytest.raises(RuntimeError, match="answered before"):
        reply.fail(Refused())


def test_a_half_made_reply_is_collected_without_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    problems: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", problems.append)
    reply: object = object.__new__(Reply[str]().__class__)
    del reply
    gc.collect()
    assert problems == []


def test_reply_cannot_be_subclassed() -> None:
    # The runtime compares with the class itself: the caller would get an instance of a subclass as the answer.
    with pytest.raises(TypeError, match="Receipt: Reply can't be subclassed"):
        type("Receipt", (Reply,), {})


def test_reply_fail_refuses_objects_that_are_no_exceptions() -> None:
    reply = Reply[str]()
    wrong: list[Any] = [KeyboardInterrupt(), "no", ValueError]
    for error in wrong:
        with pytest.raises(TypeError, match="error must be an instance of Exception"):
            reply.fail(error)
    assert not reply.is_answered


@joins
@pytest.mark.parametrize("end", ["crash", "kill", "cancel", "stop"])
async def test_a_caller_that_waits_for_a_reply_gets_actor_exited_when_the_actor_ends(
    join: Join, end: str, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Lobby, restart="temporary")

        async def finish() -> None:
            await wait_all_tasks_blocked()
            if end == "crash":
                ref.cast_nowait(Lobby.bang)
            elif end == "stop":
                await ref.stop()
            else:
                getattr(ref, end)()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(finish)
            with pytest.raises(ActorExited) as caught:
                await ref.call(join, "a")
        assert isinstance(caught.value.__cause__, Bang) == (end == "crash")
        await ref.wait()


@joins
async def test_a_reply_to_a_cancelled_caller_does_nothing(join: Join, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Lobby)
        with trio.move_on_after(1) as scope:
            await ref.call(join, "a")
        assert scope.cancelled_caught
        await ref.call(Lobby.begin)
        assert ref.is_alive


@joins
async def test_a_reply_is_abandoned_from_the_step_in_which_its_caller_is_cancelled(
    join: Join, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Lobby)
        nursery.start_soon(ref.call, join, "a")
        await wait_all_tasks_blocked()
        (reply,) = await ref.call(Lobby.give)
        assert not reply.is_abandoned
        nursery.cancel_scope.cancel()
        assert reply.is_abandoned
        assert not reply.is_answered
        reply.send("too late")
        assert not reply.is_abandoned


async def test_a_reply_is_abandoned_if_its_caller_was_cancelled_before_the_handler_returned_it(
    autojump_clock: MockClock,
) -> None:
    class Slow(Lobby):
        async def join_late(self) -> Reply[str]:
            reply = self.join("a")
            await trio.sleep(2)
            assert not reply.is_abandoned  # the handler has not returned it: it has no caller yet
            return reply

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Slow)
        with trio.move_on_after(1):
            await ref.call(Slow.join_late)
        (reply,) = await ref.call(Lobby.give)
        assert reply.is_abandoned


async def test_a_reply_is_abandoned_when_its_actor_has_ended(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Lobby, restart="temporary")

        async def call() -> None:
            with pytest.raises(ActorExited):
                await ref.call(Lobby.join, "a")

        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        (reply,) = await ref.call(Lobby.give)
        ref.kill()
        await ref.wait()
        assert reply.is_abandoned


async def test_a_reply_that_no_call_waits_for_is_never_abandoned(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Lobby)
        await ref.cast(Lobby.join, "a")
        (reply,) = await ref.call(Lobby.give)
        assert not reply.is_abandoned
    assert not reply.is_abandoned


async def test_a_reply_after_the_end_of_its_actor_does_nothing(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Lobby, restart="temporary")

        async def call() -> None:
            with pytest.raises(ActorExited):
                await ref.call(Lobby.join, "a")

        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        (reply,) = await ref.call(Lobby.give)
        ref.kill()
        await ref.wait()
        reply.send("too late")


async def test_a_reply_serves_one_call(autojump_clock: MockClock) -> None:
    class Sharing(Actor):
        def __init__(self) -> None:
            self.reply = Reply[str]()

        def get(self) -> Reply[str]:
            return self.reply

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Sharing, restart="temporary")

        async def call() -> None:
            with pytest.raises(ActorExited):
                await ref.call(Sharing.get)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await wait_all_tasks_blocked()
            with pytest.raises(ActorExited) as caught:
                await ref.call(Sharing.get)
        assert isinstance(caught.value.__cause__, RuntimeError)
        await ref.wait()


@joins
async def test_a_caller_gets_no_reply_when_its_reply_is_thrown_away(join: Join, autojump_clock: MockClock) -> None:
    class Forgetful(Lobby):
        def forget(self) -> None:
            self.waiting.clear()

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Forgetful)

        async def forget() -> None:
            await wait_all_tasks_blocked()
            await ref.call(Forgetful.forget)
            gc.collect()

        nursery.start_soon(forget)
        with trio.fail_after(5), pytest.raises(trioreg.NoReply) as caught:
            await ref.call(join, "a")
        assert caught.value.ref is ref
        assert ref.is_alive


async def test_a_reply_refused_in_a_worker_thread_can_still_be_sent() -> None:
    answers: list[str] = []
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Lobby)

        async def call() -> None:
            answers.append(await ref.call(Lobby.join, "a"))

        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        (reply,) = await ref.call(Lobby.give)
        with pytest.raises(RuntimeError):
            await trio.to_thread.run_sync(reply.send, "from the thread")
        reply.send("from trio")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert answers == ["from trio"]


@joins
async def test_nothing_is_kept_of_a_call_after_its_reply(join: Join, autojump_clock: MockClock) -> None:
    class Player(str):
        __slots__ = ("__weakref__",)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Lobby)

        async def answer() -> None:
            await wait_all_tasks_blocked()
            await ref.call(Lobby.begin)

        async def call() -> weakref.ref[Player]:
            player = Player("a")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer)
                await ref.call(join, player)
            return weakref.ref(player)

        kept = await call()
        await ref.cast(Lobby.give)
        await wait_all_tasks_blocked()
        gc.collect()
        assert kept() is None
