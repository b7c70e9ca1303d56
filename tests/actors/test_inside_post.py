"""This file tests the inside: `post`, a call without a waiting task, whose answer is given to a function."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorExited, ActorRef, NoReply, NotRegistered, OnDemand, Registry, Reply, raises
from trioreg._actors import post

whose = ContextVar("whose", default="nobody's")


class Refused(Exception):
    pass


class Clerk(Actor):
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.replies: list[Reply[str]] = []
        self.gate = trio.Event()

    def note(self, text: str) -> str:
        self.seen.append(text)
        return text.upper()

    async def anote(self, text: str) -> str:
        await trio.lowlevel.checkpoint()
        return self.note(text)

    async def wait(self) -> str:
        await self.gate.wait()
        return "open"

    def open(self) -> None:
        self.gate.set()

    def later(self) -> Reply[str]:
        self.replies.append(Reply[str]())
        return self.replies[-1]

    def answer(self, text: str) -> None:
        self.replies.pop(0).send(text)

    def forget(self) -> None:
        self.replies.clear()

    @raises(Refused)
    def refuse(self) -> None:
        raise Refused

    def bang(self) -> None:
        raise Bang

    def all_seen(self) -> list[str]:
        return self.seen


class Small(Clerk):
    mailbox_size = 1

    def itself(self) -> Small:
        return self


class Answers:
    """Functions for `post`, and what they got."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Any]] = []

    def to(self, name: str) -> Callable[[Any, BaseException | None], None]:
        def answered(value: Any, error: BaseException | None) -> None:
            assert value is None or error is None
            self.got.append((name, value if error is None else type(error)))

        return answered


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.mark.parametrize("method", [Clerk.note, Clerk.anote])
@pytest.mark.parametrize("is_idle", [False, True])
async def test_the_function_gets_the_result_of_the_method(
    method: Any, is_idle: bool, answers: Answers, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk)
        if is_idle:
            await wait_all_tasks_blocked()
        post(ref, answers.to("a"), method, text="x")
        assert answers.got == []  # not in the turn of the sender
        await wait_all_tasks_blocked()
        assert answers.got == [("a", "X")]
        assert ref.statistics().handled == 1


async def test_posts_and_casts_of_one_sender_are_handled_in_order(answers: Answers, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk)
        await wait_all_tasks_blocked()
        expected: list[str] = []
        for number in range(6):
            expected.append(str(number))
            if number % 2:
                ref.cast_nowait(Clerk.note, str(number))
            else:
                post(ref, answers.to(str(number)), Clerk.anote if number % 4 else Clerk.note, str(number))
        assert await ref.call(Clerk.all_seen) == expected
        assert answers.got == [("0", "0"), ("2", "2"), ("4", "4")]


async def test_a_reply_is_given_to_the_function_when_it_comes(answers: Answers, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk)
        post(ref, answers.to("a"), Clerk.later)
        await wait_all_tasks_blocked()
        assert answers.got == []
        assert ref.statistics().calls_in_flight == 1
        await ref.call(Clerk.answer, "at last")
        assert answers.got == [("a", "at last")]
        assert ref.statistics().calls_in_flight == 0


async def test_a_reply_that_is_thrown_away_is_an_error_for_the_function(
    answers: Answers, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk)
        post(ref, answers.to("a"), Clerk.later)
        await ref.call(Clerk.forget)
        gc.collect()
        await wait_all_tasks_blocked()
        assert answers.got == [("a", NoReply)]


async def test_a_declared_error_is_given_to_the_function_and_the_actor_goes_on(
    answers: Answers, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk)
        post(ref, answers.to("a"), Clerk.refuse)
        assert await ref.call(Clerk.note, "x") == "X"
        assert answers.got == [("a", Refused)]


async def test_an_error_before_the_call_is_sent_is_raised_and_the_function_is_not_called(
    answers: Answers, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("clerks")
    wrong: Any = Clerk.note
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk)
        with pytest.raises(NotRegistered):
            post(names.via("nobody"), answers.to("a"), Clerk.bang)
        with pytest.raises(TypeError, match="note"):
            post(ref, answers.to("b"), wrong, "too", "many")
        with ThreadPoolExecutor() as pool, pytest.raises(RuntimeError, match="thread"):
            pool.submit(post, ref, answers.to("c"), Clerk.bang).result()
        await ref.stop()
        with pytest.raises(ActorExited) as caught:
            post(ref, answers.to("d"), Clerk.bang)
        assert not caught.value.was_sent
    assert answers.got == []


async def test_a_crash_of_the_handler_is_given_to_the_function_as_to_a_caller(autojump_clock: MockClock) -> None:
    got: list[BaseException | None] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk, restart="temporary")
        post(ref, lambda _, error: got.append(error), Clerk.bang)
        await ref.wait()
    (error,) = got
    assert isinstance(error, ActorExited)
    assert error.was_sent
    assert isinstance(error.__cause__, Bang)


@pytest.mark.parametrize("steps", range(8))
@pytest.mark.parametrize("end", [ActorRef[Any].kill, ActorRef[Any].cancel, "stop"])
async def test_each_function_is_called_once_however_the_actor_ends(
    steps: int, end: Any, answers: Answers, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Small, restart="temporary")
        post(ref, answers.to("reply"), Clerk.later)
        await wait_all_tasks_blocked()
        post(ref, answers.to("async"), Clerk.anote, "x")
        post(ref, answers.to("sync"), Clerk.note, "y")
        post(ref, answers.to("waits for room"), Clerk.note, "z")
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        if end == "stop":
            nursery.start_soon(ref.stop)
        else:
            end(ref)
        await ref.wait()
    assert sorted(name for name, _ in answers.got) == ["async", "reply", "sync", "waits for room"]


async def test_a_post_without_room_waits_for_room(answers: Answers, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Small)
        clerk = await ref.call(Small.itself)
        post(ref, answers.to("wait"), Clerk.wait)
        await wait_all_tasks_blocked()
        for name in "abc":
            post(ref, answers.to(name), Clerk.note, name)
        assert ref.statistics().queued == 1
        clerk.open()
        await wait_all_tasks_blocked()
        assert answers.got == [("wait", "open"), ("a", "A"), ("b", "B"), ("c", "C")]


async def test_actors_that_post_to_each_other_and_to_themselves_are_no_cycle(
    answers: Answers, autojump_clock: MockClock
) -> None:
    class Friend(Clerk):
        async def ask(self, other: ActorRef[Friend], left: int) -> str:
            if left:
                post(other, answers.to(f"{left}"), Friend.ask, self.ref, left - 1)
                post(self.ref, answers.to(f"{left} itself"), Friend.note, "x")
            await trio.lowlevel.checkpoint()
            return f"asked {left}"

    async with supervised() as supervisor:
        a, b = [await supervisor.start_child(Friend) for _ in range(2)]
        assert await a.call(Friend.ask, b, 2) == "asked 2"
        await wait_all_tasks_blocked()
    assert sorted(answers.got) == [("1", "asked 0"), ("1 itself", "X"), ("2", "asked 1"), ("2 itself", "X")]


async def test_an_error_of_the_function_is_logged_and_does_not_touch_the_actor(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    def bang(value: object, error: BaseException | None) -> None:
        raise Bang

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk)
        post(ref, bang, Clerk.note, "x")
        post(ref, bang, Clerk.later)
        assert await ref.call(Clerk.note, "y") == "Y"
        await ref.call(Clerk.answer, "z")  # nor the actor that answers
        assert ref.is_alive
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "which got the answer of a call, failed" in caplog.text


async def test_the_function_runs_in_the_context_of_the_sender(autojump_clock: MockClock) -> None:
    got: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk)
        whose.set("the sender's")
        post(ref, lambda _value, _error: got.append(whose.get()), Clerk.note, "x")
        whose.set("another")
        await wait_all_tasks_blocked()
    assert got == ["the sender's"]


async def test_a_finalizer_may_post_and_an_error_of_the_sending_goes_to_the_function(
    answers: Answers, autojump_clock: MockClock
) -> None:
    class Finalized:
        def __init__(self, ref: ActorRef[Clerk], name: str) -> None:
            self.ref, self.name, self.itself = ref, name, self

        def __del__(self) -> None:
            post(self.ref, answers.to(self.name), Clerk.note, "x")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk)
        Finalized(ref, "alive")
        gc.collect()
        await wait_all_tasks_blocked()
        assert answers.got == [("alive", "X")]
        Finalized(ref, "ending")
        gc.collect()
        ref.kill()  # before the message of the finalizer is sent
        await ref.wait()
        await wait_all_tasks_blocked()
    assert answers.got == [("alive", "X"), ("ending", ActorExited)]


async def test_an_answer_is_not_kept(autojump_clock: MockClock) -> None:
    class Answer:
        pass

    class Giver(Actor):
        def give(self) -> Answer:
            return Answer()

        @raises(Refused)
        def refuse(self) -> None:
            error = Refused()
            kept.append(weakref.ref(error))
            try:
                raise error
            finally:
                del error

    kept: list[weakref.ref[Any]] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Giver)
        gc.collect()
        gc.disable()
        try:
            post(ref, lambda value, _: kept.append(weakref.ref(value)), Giver.give)
            post(ref, lambda _value, _error: None, Giver.refuse)
            await wait_all_tasks_blocked()
            assert [one() for one in kept] == [None, None]
        finally:
            gc.enable()


async def test_a_post_starts_an_actor_on_demand_and_meets_no_gap(answers: Answers, autojump_clock: MockClock) -> None:
    class Till(Small):
        def __init__(self, key: str) -> None:
            super().__init__()

    tills: OnDemand[str, Till] = OnDemand("tills", Till)
    till = tills.via("a")
    async with trioreg.open_on_demand(tills):
        post(till, answers.to("first"), Till.note, "x")
        await wait_all_tasks_blocked()
        assert answers.got == [("first", "X")]
        for name in "abc":
            post(till, answers.to(name), Till.note, name)
        await till.stop()  # those that wait for room go to the next life, and so does this one
        post(till, answers.to("d"), Till.note, "d")
        await wait_all_tasks_blocked()
        assert sorted(answers.got[1:]) == [("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")]
