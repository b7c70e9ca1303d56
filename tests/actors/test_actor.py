"""Actors: calls, casts and sends, replies, crashes, cycles of calls, ends, and what handlers can rely on."""

from __future__ import annotations

import contextvars
import functools
import gc
import logging
import sys
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import trio
from support.cancellation import AtCheckpoint, Cancelling, sweep
from support.errors import Bang, leaves
from support.supervisors import supervised
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    Address,
    CallCycle,
    Exit,
    NotRegistered,
    Registry,
    Reply,
    raises,
)


class Refused(Exception):
    """A declared error."""


class RefusedPolitely(Refused):
    """A subclass of a declared error."""


class SecretAgent(Actor):
    """The actor of most of these tests."""

    def __init__(self, codename: str = "James Bond") -> None:
        self.codename = codename
        self.notes: list[object] = []

    def echo(self, text: str) -> str:
        return f'{self.codename} says: "{text}"'

    async def aecho(self, text: str) -> str:
        await trio.lowlevel.checkpoint()
        return f'{self.codename} says: "{text}"'

    def note(self, text: object, *, twice: bool = False) -> None:
        self.notes.extend([text, text] if twice else [text])

    async def anote(self, text: object) -> None:
        await trio.lowlevel.checkpoint()
        self.notes.append(text)

    def read(self) -> list[object]:
        return list(self.notes)

    async def aread(self) -> list[object]:
        await trio.lowlevel.checkpoint()
        return list(self.notes)

    def own_notes(self) -> list[object]:
        return self.notes

    def bang(self) -> None:
        raise Bang("boom")

    async def abang(self) -> None:
        await trio.lowlevel.checkpoint()
        raise Bang("boom")

    @raises(Refused, KeyError)
    def refuse(self, error: type[Exception] = Refused) -> None:
        raise error("no")

    @raises(Refused, KeyError)
    async def arefuse(self, error: type[Exception] = Refused) -> None:
        await trio.lowlevel.checkpoint()
        raise error("no")

    async def wait_for(self, event: trio.Event) -> str:
        await event.wait()
        return "done"

    async def on_message(self, message: Any) -> None:
        self.notes.append(message)


async def idle(ref: ActorRef[Any]) -> None:
    """Wait until the actor waits for messages: its sync handlers run in the caller's turn."""
    await wait_all_tasks_blocked()
    assert ref._cell is not None
    assert ref._cell.is_idle


# call


async def test_call_gives_what_a_sync_handler_returns(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        bond = await supervisor.start_child(SecretAgent, "James Bond")
        expected = 'James Bond says: "My name is Bond, James Bond."'
        assert await bond.call(SecretAgent.echo, "My name is Bond, James Bond.") == expected
        await idle(bond)
        assert await bond.call(SecretAgent.echo, "My name is Bond, James Bond.") == expected


async def test_call_gives_what_an_async_handler_returns(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        bond = await supervisor.start_child(SecretAgent)
        assert await bond.call(SecretAgent.aecho, "hi") == 'James Bond says: "hi"'


async def test_call_by_name_is_the_same(autojump_clock: MockClock) -> None:
    agents: Registry[str, None] = Registry("agents")
    async with supervised() as supervisor:
        await supervisor.start_child(SecretAgent, name=agents.via("James Bond"))
        assert await agents.via("James Bond").call(SecretAgent.echo, "hi") == 'James Bond says: "hi"'
        await agents.via("James Bond").cast(SecretAgent.note, 1)
        agents.via("James Bond").cast_nowait(SecretAgent.note, 2)
        await agents.via("James Bond").send(3)
        agents.via("James Bond").send_nowait(4)
        assert await agents.via("James Bond").call(SecretAgent.read) == [1, 2, 3, 4]


async def test_a_name_that_nobody_has_is_not_registered(autojump_clock: MockClock) -> None:
    agents: Registry[str, None] = Registry("agents")
    via = agents.via("James Bond")
    operations: list[Callable[[], Awaitable[object]]] = [
        lambda: via.call(SecretAgent.read),
        lambda: via.cast(SecretAgent.note, 1),
        lambda: via.send(1),
        via.wait,
        via.stop,
    ]
    for operation in operations:
        with pytest.raises(NotRegistered) as caught:
            await operation()
        assert caught.value.key == "James Bond"
    at_once: list[Callable[[], None]] = [
        lambda: via.cast_nowait(SecretAgent.note, 1),
        lambda: via.send_nowait(1),
        via.cancel,
        via.kill,
    ]
    for now in at_once:
        with pytest.raises(NotRegistered):
            now()


async def test_a_name_that_a_plain_task_has_is_no_address(autojump_clock: MockClock) -> None:
    agents: Registry[str, None] = Registry("agents")
    with agents.hold("James Bond"), pytest.raises(TypeError, match="which is not an actor"):
        await agents.via("James Bond").call(SecretAgent.read)


async def test_an_override_is_what_runs(autojump_clock: MockClock) -> None:
    class DoubleAgent(SecretAgent):
        def echo(self, text: str) -> str:
            return super().echo(text[::-1])

        async def aread(self) -> list[object]:
            return ["nothing"]

    async with supervised() as supervisor:
        ref = await supervisor.start_child(DoubleAgent, "006")
        for _ in range(2):
            assert await ref.call(SecretAgent.echo, "abc") == '006 says: "cba"'
            assert await ref.call(DoubleAgent.echo, "abc") == '006 says: "cba"'
            assert await ref.call(SecretAgent.aread) == ["nothing"]
            await idle(ref)


async def test_an_override_can_be_async_where_the_method_was_sync(autojump_clock: MockClock) -> None:
    class Base(Actor):
        def get(self) -> Any:
            return "sync"

    class Derived(Base):
        async def get(self) -> Any:
            await trio.lowlevel.checkpoint()
            return "async"

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Derived)
        await idle(ref)
        result: object = await ref.call(Base.get)
        assert result == "async"


async def test_keyword_arguments_are_passed(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        for _ in range(2):
            await ref.call(SecretAgent.note, "a", twice=True)
            await ref.cast(SecretAgent.note, text="b")
            ref.cast_nowait(SecretAgent.note, "c", twice=False)
            await idle(ref)
        assert await ref.call(SecretAgent.read) == ["a", "a", "b", "c"] * 2


async def test_arguments_with_the_names_of_our_own_parameters_are_passed(autojump_clock: MockClock) -> None:
    class Odd(Actor):
        def get(self, method: int, ref: int, args: int, kwargs: int, cell: int) -> list[int]:
            return [method, ref, args, kwargs, cell]

    async with supervised() as supervisor:
        ref: Any = await supervisor.start_child(Odd)
        for _ in range(2):
            assert await ref.call(Odd.get, method=1, ref=2, args=3, kwargs=4, cell=5) == [1, 2, 3, 4, 5]
            await idle(ref)


class Shapes(Actor):
    """Signatures of many kinds."""

    def none(self) -> None: ...
    def one(self, a: int) -> None: ...
    def default(self, a: int, b: int = 0) -> None: ...
    def star(self, a: int, *rest: int) -> None: ...
    def keyword(self, *, a: int) -> None: ...
    def mixed(self, a: int, /, b: int, *, c: int = 0, **others: int) -> None: ...
    async def asynchronous(self, a: int) -> None: ...


WRONG: list[tuple[Any, tuple[object, ...], dict[str, object]]] = [
    (Shapes.none, (1,), {}),
    (Shapes.none, (), {"a": 1}),
    (Shapes.one, (), {}),
    (Shapes.one, (1, 2), {}),
    (Shapes.one, (1,), {"a": 1}),
    (Shapes.one, (), {"b": 1}),
    (Shapes.default, (), {}),
    (Shapes.default, (1, 2, 3), {}),
    (Shapes.star, (), {}),
    (Shapes.keyword, (), {}),
    (Shapes.keyword, (1,), {}),
    (Shapes.mixed, (1,), {}),
    (Shapes.mixed, (), {"a": 1, "b": 2}),
    (Shapes.asynchronous, (), {}),
]


@pytest.mark.parametrize(("method", "args", "kwargs"), WRONG)
async def test_wrong_arguments_are_a_type_error_of_the_caller_and_the_actor_lives(
    method: Any, args: tuple[object, ...], kwargs: dict[str, object], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref: Any = await supervisor.start_child(Shapes)
        for _ in range(2):  # the actor is starting, and then idle
            with pytest.raises(TypeError, match=rf"{method.__qualname__}\(\)"):
                await ref.call(method, *args, **kwargs)
            with pytest.raises(TypeError, match=rf"{method.__qualname__}\(\)"):
                await ref.cast(method, *args, **kwargs)
            with pytest.raises(TypeError, match=rf"{method.__qualname__}\(\)"):
                ref.cast_nowait(method, *args, **kwargs)
            await idle(ref)
        assert ref.is_alive
        await ref.call(Shapes.none)


async def test_right_arguments_of_every_shape_fit(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Shapes)
        for _ in range(2):
            await ref.call(Shapes.none)
            await ref.call(Shapes.one, a=1)
            await ref.call(Shapes.default, 1, b=2)
            await ref.call(Shapes.star, 1, 2, 3, 4)
            await ref.call(Shapes.keyword, a=1)
            await ref.call(Shapes.mixed, 1, b=2, d=4)
            await ref.call(Shapes.asynchronous, 1)
            await idle(ref)


class Stranger(Actor):
    def echo(self, text: str) -> str:
        return text


NOT_METHODS: list[tuple[object, str]] = [
    (Stranger.echo, "is not a method of SecretAgent"),
    (len, "is not a method of SecretAgent"),
    ("echo", "is not a method of SecretAgent"),
    (None, "is not a method of SecretAgent"),
    (lambda: None, "is not a method of SecretAgent"),
    (SecretAgent("a plain object").read, "is bound to an instance: pass SecretAgent.read"),
    (Stranger().echo, "is not a method of SecretAgent"),
    (SecretAgent.on_start, "is called by the runtime"),
    (SecretAgent.on_message, "SecretAgent.on_message can't be sent as a message: use ref.send\\(message\\)"),
    (SecretAgent.stop, "SecretAgent.stop can't be sent as a message: use ref.stop\\(\\)"),
    (SecretAgent.start_soon, "is for the actor itself"),
    (SecretAgent.on_stop, "is called by the runtime"),
    (SecretAgent.on_idle, "is called by the runtime"),
    (SecretAgent.__init__, "is called by the runtime"),
]


@pytest.mark.parametrize(("method", "message"), NOT_METHODS)
async def test_what_is_no_method_of_the_actor_is_a_type_error_and_the_actor_lives(
    method: Any, message: str, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        with pytest.raises(TypeError, match=message):
            await ref.call(method)
        with pytest.raises(TypeError, match=message):
            await ref.cast(method)
        with pytest.raises(TypeError, match=message):
            ref.cast_nowait(method)
        assert await ref.call(SecretAgent.read) == []


async def test_a_method_that_is_not_hashable_is_a_type_error_that_says_so(autojump_clock: MockClock) -> None:
    not_a_method: Any = ["echo"]
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        with pytest.raises(TypeError, match=r"\['echo'\]"):
            await ref.call(not_a_method)
        assert ref.is_alive


async def test_properties_and_static_methods_are_no_messages(autojump_clock: MockClock) -> None:
    class Odd(Actor):
        @staticmethod
        def static() -> int:
            return 1

        @classmethod
        def of_class(cls) -> int:
            return 1

    async with supervised() as supervisor:
        ref: Any = await supervisor.start_child(Odd)
        for method in (Odd.static, Odd.of_class):
            with pytest.raises(TypeError, match="not a"):
                await ref.call(method)
        assert ref.is_alive


# What handlers can rely on


async def test_one_message_at_a_time(autojump_clock: MockClock) -> None:
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


async def test_messages_of_one_sender_arrive_in_order_whatever_they_are(autojump_clock: MockClock) -> None:
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


async def test_a_call_does_not_overtake_what_came_while_it_waited_for_its_turn(autojump_clock: MockClock) -> None:
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
async def test_a_call_of_an_idle_actor_stays_behind_what_is_sent_while_it_is_at_its_checkpoint(
    first: Callable[[SecretAgent, str], object], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        await idle(ref)
        with AtCheckpoint(lambda: ref.cast_nowait(first, "first")):
            await ref.call(SecretAgent.note, "second")
        assert await ref.call(SecretAgent.read) == ["first", "second"]


async def test_a_call_does_not_run_beside_a_handler_that_began_while_it_was_at_its_checkpoint(
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
async def test_a_call_is_not_run_by_an_actor_that_is_ended_while_it_is_at_its_checkpoint(
    end: str, autojump_clock: MockClock
) -> None:
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


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


async def test_handlers_see_the_actors_own_context_on_every_path(autojump_clock: MockClock) -> None:
    class Contextual(Actor):
        def __init__(self) -> None:
            self.seen: list[str] = []
            variable.set("of the actor")

        def get(self) -> str:
            self.seen.append(variable.get())
            return variable.get()

        async def aget(self) -> str:
            await trio.lowlevel.checkpoint()
            return self.get()

        def put(self, value: str) -> None:
            variable.set(value)

        def behind(self) -> None:
            self.start_soon(self.aget)

        async def on_message(self, message: Any) -> None:
            self.get()

        def read(self) -> list[str]:
            return self.seen

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Contextual)
        variable.set("of the caller")
        assert await ref.call(Contextual.get) == "of the actor"
        await idle(ref)
        assert await ref.call(Contextual.get) == "of the actor"
        assert await ref.call(Contextual.aget) == "of the actor"
        ref.cast_nowait(Contextual.get)
        ref.cast_nowait(Contextual.behind)
        ref.send_nowait("message")
        await wait_all_tasks_blocked()
        assert await ref.call(Contextual.read) == ["of the actor"] * 6
        # What one handler sets, the next sees, whichever way each of them runs; the caller sees none of it.
        await idle(ref)
        await ref.call(Contextual.put, "new")
        assert await ref.call(Contextual.get) == "new"
        assert await ref.call(Contextual.aget) == "new"
        ref.cast_nowait(Contextual.put, "newer")
        await idle(ref)
        assert await ref.call(Contextual.get) == "newer"
        assert variable.get() == "of the caller"


async def test_a_background_task_is_in_the_actors_context_whoever_starts_it(autojump_clock: MockClock) -> None:
    class Contextual(Actor):
        def __init__(self) -> None:
            self.seen: list[str] = []
            variable.set("of the actor")

        def itself(self) -> Contextual:
            return self

        async def look(self) -> None:
            self.seen.append(variable.get())

    async with supervised() as supervisor:
        variable.set("of the caller")
        actor = await (await supervisor.start_child(Contextual)).call(Contextual.itself)
        actor.start_soon(actor.look)
        await wait_all_tasks_blocked()
        assert actor.seen == ["of the actor"]


async def test_a_child_begins_in_the_context_of_its_supervisor_in_every_life(autojump_clock: MockClock) -> None:
    seen: list[str] = []

    class Contextual(Actor):
        def __init__(self) -> None:
            seen.append(variable.get())
            variable.set("of the last life")

    variable.set("of the supervisor")
    async with supervised() as supervisor:
        variable.set("of the starter")
        ref = await supervisor.start_child(Contextual)
        ref.kill()
        await wait_all_tasks_blocked()
    assert seen == ["of the supervisor", "of the supervisor"]


class Wrapper(Actor):
    """Sync methods that give a coroutine."""

    def __init__(self) -> None:
        self.notes: list[object] = []

    def later(self, value: str) -> Coroutine[Any, Any, str]:
        return self._later(value)

    async def _later(self, value: str) -> str:
        await trio.lowlevel.checkpoint()
        self.notes.append(value)
        return value

    def sometimes(self, value: str, is_later: bool) -> Any:
        return self._later(value) if is_later else value

    def cast_then_later(self) -> Coroutine[Any, Any, str]:
        self.ref.cast_nowait(Wrapper.note, "after")
        return self._later("first")

    def cancel_caller(self, scope: trio.CancelScope) -> Coroutine[Any, Any, str]:
        scope.cancel()
        return self._later("goes on")

    def end_then_later(self) -> Coroutine[Any, Any, str]:
        self.ref.cancel()
        return self._later("never")

    def note(self, value: object) -> None:
        self.notes.append(value)

    def read(self) -> list[object]:
        return list(self.notes)

    partial_note = functools.partialmethod(note, "partial")


async def test_a_sync_handler_that_returns_a_coroutine_has_it_awaited(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        for is_idle in (False, True):
            ref = await supervisor.start_child(Wrapper)
            await idle(ref)
            if not is_idle:
                ref.cast_nowait(Wrapper.read)
            assert await ref.call(Wrapper.later, "one") == "one"
            assert await ref.call(Wrapper.later, "two") == "two"
            ref.cast_nowait(Wrapper.later, "three")
            assert await ref.call(Wrapper.read) == ["one", "two", "three"]


@pytest.mark.parametrize("is_idle", [False, True])
async def test_a_sync_handler_may_return_a_coroutine_at_one_time_and_a_value_at_another(
    is_idle: bool, autojump_clock: MockClock
) -> None:
    class Own(Wrapper):  # what is found out about a method is kept with the class
        pass

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Own)
        for is_later in (False, True, False, True, False):
            await idle(ref)
            if not is_idle:
                ref.cast_nowait(Wrapper.read)
            result: object = await ref.call(Wrapper.sometimes, "value", is_later)
            assert result == "value"


@pytest.mark.parametrize("is_idle", [False, True])
async def test_no_message_gets_between_the_two_halves_of_a_handler_that_returns_a_coroutine(
    is_idle: bool, autojump_clock: MockClock
) -> None:
    class Own(Wrapper):
        pass

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Own)
        await idle(ref)
        if not is_idle:
            ref.cast_nowait(Wrapper.read)
        assert await ref.call(Wrapper.cast_then_later) == "first"
        assert await ref.call(Wrapper.read) == ["first", "after"]


@pytest.mark.parametrize("is_idle", [False, True])
async def test_the_coroutine_of_a_handler_goes_on_when_its_caller_is_cancelled(
    is_idle: bool, autojump_clock: MockClock
) -> None:
    class Own(Wrapper):
        pass

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Own)
        await idle(ref)
        if not is_idle:
            ref.cast_nowait(Wrapper.read)
        with trio.CancelScope() as scope:
            await ref.call(Wrapper.cancel_caller, scope)
        await wait_all_tasks_blocked()
        assert await ref.call(Wrapper.read) == ["goes on"]
        gc.collect()


@pytest.mark.parametrize("is_idle", [False, True])
async def test_the_coroutine_of_a_handler_that_ended_its_actor_is_not_forgotten(
    is_idle: bool, autojump_clock: MockClock
) -> None:
    class Own(Wrapper):
        pass

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Own, restart="temporary")
        await idle(ref)
        if not is_idle:
            ref.cast_nowait(Wrapper.read)
        with pytest.raises(ActorExited):
            await ref.call(Wrapper.end_then_later)
        await ref.wait()
    gc.collect()  # "coroutine ... was never awaited" is an error


# Errors


@pytest.mark.parametrize("method", [SecretAgent.refuse, SecretAgent.arefuse])
@pytest.mark.parametrize("error", [Refused, RefusedPolitely, KeyError])
async def test_a_declared_error_goes_to_the_caller_and_the_actor_lives_on(
    method: Any, error: type[Exception], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        for _ in range(2):
            with pytest.raises(error) as caught:
                await ref.call(method, error)
            assert type(caught.value) is error
            await idle(ref)
        assert await ref.call(SecretAgent.read) == []


@pytest.mark.parametrize("method", [SecretAgent.refuse, SecretAgent.arefuse])
async def test_an_error_that_is_not_declared_crashes_even_where_others_are(
    method: Any, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        with pytest.raises(ActorExited) as caught:
            await ref.call(method, ValueError)
        assert isinstance(caught.value.__cause__, ValueError)
        assert (await ref.wait()).error is caught.value.__cause__


async def test_an_override_inherits_what_its_method_declares(autojump_clock: MockClock) -> None:
    class Sub(SecretAgent):
        def refuse(self, error: type[Exception] = Refused) -> None:
            raise error("still no")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Sub)
        with pytest.raises(Refused, match="still no"):
            await ref.call(SecretAgent.refuse)
        assert ref.is_alive


async def test_a_declared_error_of_a_cast_is_logged(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        await ref.cast(SecretAgent.refuse)
        assert await ref.call(SecretAgent.read) == []
        (record,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
        assert record.exc_info is not None
        assert record.exc_info[0] is Refused


def test_only_exception_classes_can_be_declared() -> None:
    for wrong in (BaseException, KeyboardInterrupt, "KeyError", ValueError("an instance")):
        argument: Any = wrong
        with pytest.raises(TypeError, match="raises"):
            raises(argument)


@pytest.mark.parametrize("method", [SecretAgent.bang, SecretAgent.abang])
@pytest.mark.parametrize("is_idle", [False, True])
async def test_the_caller_of_a_handler_that_crashes_gets_actor_exited_from_the_error(
    method: Callable[[SecretAgent], Any], is_idle: bool, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        await idle(ref)
        if not is_idle:
            ref.cast_nowait(SecretAgent.read)
        with pytest.raises(ActorExited) as caught:
            await ref.call(method)
        assert caught.value.ref is ref
        assert caught.value.exit.reason == "crashed"
        assert isinstance(caught.value.__cause__, Bang)
        assert caught.value.exit.error is caught.value.__cause__
        exit = await ref.wait()
        assert exit.reason == "crashed"
        assert exit.error is caught.value.__cause__


async def test_after_a_crash_calls_casts_and_sends_to_the_old_reference_raise_actor_exited(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        ref.cast_nowait(SecretAgent.bang)
        await ref.wait()
        operations: list[Callable[[], Awaitable[object]]] = [
            lambda: ref.call(SecretAgent.read),
            lambda: ref.cast(SecretAgent.note, 1),
            lambda: ref.send(1),
        ]
        for operation in operations:
            with pytest.raises(ActorExited) as caught:
                await operation()
            assert caught.value.ref is ref
            assert isinstance(caught.value.__cause__, Bang)
        at_once: list[Callable[[], None]] = [
            lambda: ref.cast_nowait(SecretAgent.note, 1),
            lambda: ref.send_nowait(1),
        ]
        for now in at_once:
            with pytest.raises(ActorExited):
                now()


async def test_callers_whose_calls_are_queued_learn_of_a_crash_before_on_stop_takes_its_time(
    autojump_clock: MockClock,
) -> None:
    class Slow(SecretAgent):
        async def slow_bang(self) -> None:
            await trio.sleep(1)
            raise Bang

        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(3)

    learned: list[float] = []

    async def call(ref: ActorRef[Slow], method: Any) -> None:
        with pytest.raises(ActorExited) as caught:
            await ref.call(method)
        assert isinstance(caught.value.__cause__, Bang)
        assert caught.value.was_sent
        learned.append(trio.current_time() - began)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Slow, restart="temporary")
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, ref, Slow.slow_bang)
            await wait_all_tasks_blocked()
            for method in (Slow.read, Slow.aread, Slow.read):
                nursery.start_soon(call, ref, method)
        assert ref.is_alive
        assert learned == [1, 1, 1, 1]
        with pytest.raises(ActorExited) as late:
            await ref.call(Slow.read)
        assert not late.value.was_sent
        assert trio.current_time() - began == 1
        await ref.wait()
        assert trio.current_time() - began == 4


@pytest.mark.parametrize("reason", ["killed", "shutdown"])
async def test_callers_learn_at_once_that_their_actor_is_being_ended(reason: str, autojump_clock: MockClock) -> None:
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


async def test_what_is_left_in_the_mailbox_of_an_ended_actor_is_reported(
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


# Cancelled callers


async def test_a_call_that_waits_is_withdrawn_when_its_caller_is_cancelled(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        busy = trio.Event()
        await ref.cast(SecretAgent.wait_for, busy)
        ref.cast_nowait(SecretAgent.note, "before")
        with trio.move_on_after(1):
            await ref.call(SecretAgent.note, "withdrawn")
        ref.cast_nowait(SecretAgent.note, "after")
        busy.set()
        assert await ref.call(SecretAgent.read) == ["before", "after"]


async def test_a_handler_that_has_begun_goes_on_when_its_caller_is_cancelled(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)

        class Slow(SecretAgent):
            async def slow(self) -> None:
                await trio.sleep(2)
                self.notes.append("done")

        slow = await supervisor.start_child(Slow)
        with trio.move_on_after(1) as scope:
            await slow.call(Slow.slow)
        assert scope.cancelled_caught
        assert await slow.call(SecretAgent.read) == ["done"]
        assert ref.is_alive


async def test_of_many_calls_just_the_cancelled_ones_are_withdrawn(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        busy = trio.Event()
        await ref.cast(SecretAgent.wait_for, busy)
        scopes: list[trio.CancelScope] = []

        async def call(number: int) -> None:
            with scopes[number]:
                await ref.call(SecretAgent.note, number)

        async with trio.open_nursery() as nursery:
            for number in range(200):
                scopes.append(trio.CancelScope())
                nursery.start_soon(call, number)
                await wait_all_tasks_blocked()
            for number, scope in enumerate(scopes):
                if number % 3:
                    scope.cancel()
            await wait_all_tasks_blocked()
            busy.set()
        assert await ref.call(SecretAgent.read) == [number for number in range(200) if number % 3 == 0]


@pytest.mark.parametrize("method", [SecretAgent.note, SecretAgent.anote])
@pytest.mark.parametrize("is_busy", [False, True])
async def test_a_call_that_is_cancelled_anywhere_is_handled_once_or_withdrawn(
    method: Any, is_busy: bool, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(SecretAgent)
            await idle(ref)
            if is_busy:
                ref.cast_nowait(SecretAgent.anote, "busy")
            completed = await cancelling.run(lambda: ref.call(method, "called"))
            await wait_all_tasks_blocked()
            notes = await ref.call(SecretAgent.read)
            assert notes.count("called") <= 1
            assert not completed or notes.count("called") == 1
            await ref.call(SecretAgent.note, "next")
            assert (await ref.call(SecretAgent.read))[-1] == "next"
            assert ref._cell is not None
            assert ref._cell.queued == 0

    await sweep(attempt)


@pytest.mark.parametrize("operation", ["cast", "send"])
async def test_a_cast_or_send_that_is_cancelled_was_not_sent(operation: str, autojump_clock: MockClock) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(SecretAgent)
            if operation == "cast":
                completed = await cancelling.run(lambda: ref.cast(SecretAgent.note, 1))
            else:
                completed = await cancelling.run(lambda: ref.send(1))
            await wait_all_tasks_blocked()
            assert await ref.call(SecretAgent.read) == ([1] if completed else [])

    await sweep(attempt)


async def test_a_stop_that_is_cancelled_anywhere_still_stops_if_it_began(autojump_clock: MockClock) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(SecretAgent, restart="temporary")
            ref.cast_nowait(SecretAgent.anote, 1)
            await cancelling.run(ref.stop)
            assert (await ref.wait()).reason == "normal"

    await sweep(attempt)


async def test_a_wait_that_is_cancelled_anywhere_leaves_the_actor_alone(autojump_clock: MockClock) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(SecretAgent, restart="temporary")
            if cancelling.n > 1:
                ref.cast_nowait(SecretAgent.bang)
            completed = await cancelling.run(ref.wait)
            assert completed == (cancelling.n > 1)
            assert completed or await ref.call(SecretAgent.read) == []

    await sweep(attempt)


async def test_every_await_is_a_checkpoint(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        await idle(ref)
        with assert_checkpoints():
            await ref.call(SecretAgent.read)
        with assert_checkpoints():
            await ref.call(SecretAgent.aread)
        with assert_checkpoints():
            await ref.cast(SecretAgent.note, 1)
        with assert_checkpoints():
            await ref.send(1)
        with assert_checkpoints():
            await supervisor.start_child(SecretAgent)
        with assert_checkpoints():
            await ref.stop()
        with assert_checkpoints():
            await ref.wait()
        with assert_checkpoints():
            await ref.stop()


# Reply


class Lobby(Actor):
    """It answers later."""

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
async def test_a_reply_that_fails_raises_in_the_caller_and_the_actor_lives(
    join: Join, autojump_clock: MockClock
) -> None:
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


def test_a_reply_whose_making_was_interrupted_goes_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    problems: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", problems.append)
    reply: object = object.__new__(Reply[str]().__class__)
    del reply
    gc.collect()
    assert problems == []


def test_a_reply_can_not_be_subclassed() -> None:
    # The runtime asks for the very class, and would give the caller the object.
    with pytest.raises(TypeError, match="Receipt: Reply can't be subclassed"):
        type("Receipt", (Reply,), {})


def test_a_reply_fails_with_an_exception_only() -> None:
    reply = Reply[str]()
    wrong: list[Any] = [KeyboardInterrupt(), "no", ValueError]
    for error in wrong:
        with pytest.raises(TypeError, match="error must be an instance of Exception"):
            reply.fail(error)
    assert not reply.is_answered


@joins
@pytest.mark.parametrize("end", ["crash", "kill", "cancel", "stop"])
async def test_a_caller_that_waits_for_a_reply_learns_that_the_actor_has_ended(
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
async def test_a_reply_whose_caller_has_gone_is_answered_for_nobody(join: Join, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Lobby)
        with trio.move_on_after(1) as scope:
            await ref.call(join, "a")
        assert scope.cancelled_caught
        await ref.call(Lobby.begin)
        assert ref.is_alive


async def test_a_reply_after_the_end_of_the_actor_does_nothing(autojump_clock: MockClock) -> None:
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
async def test_nothing_is_kept_of_a_call_whose_reply_was_sent(join: Join, autojump_clock: MockClock) -> None:
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


@pytest.mark.parametrize("method", [SecretAgent.echo, SecretAgent.aecho])
@pytest.mark.parametrize("operation", ["call", "cast"])
async def test_an_idle_actor_keeps_nothing_of_the_last_message_it_handled(
    method: Any, operation: str, autojump_clock: MockClock
) -> None:
    class Text(str):
        __slots__ = ("__weakref__",)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        text = Text("long")
        kept = weakref.ref(text)
        if operation == "call":
            await ref.call(method, text)
        else:
            ref.cast_nowait(method, text)
        del text
        await idle(ref)
        gc.collect()
        assert kept() is None


@joins
async def test_a_caller_learns_that_nobody_can_answer_any_more(join: Join, autojump_clock: MockClock) -> None:
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
        with trio.move_on_after(5), pytest.raises(trioreg.NoReply):
            await ref.call(join, "a")


# Cycles of calls


class Node(Actor):
    """It passes a call on."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    async def through(self, path: list[Address[Any]]) -> str:
        if not path:
            return "end"
        answer: str = await path[0].call(Node.through, path[1:])
        return answer

    @raises(CallCycle)
    async def careful(self, path: list[Address[Any]]) -> str:
        if not path:
            return "end"
        answer: str = await path[0].call(Node.careful, path[1:])
        return answer

    async def in_nursery(self, path: list[Address[Any]]) -> str:
        answers: list[str] = []

        async def call() -> None:
            answers.append(await path[0].call(Node.through, path[1:]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
        return answers[0]

    async def cast_to(self, other: Address[Any]) -> None:
        await other.cast(Node.note, "cast")

    async def call_note(self, other: Address[Any], text: str) -> None:
        await other.call(Node.note, text)

    def note(self, text: str) -> str:
        self.notes.append(text)
        return text

    def read(self) -> list[str]:
        return list(self.notes)

    async def ask_and_wait(self, other: Address[Any], event: trio.Event) -> None:
        await other.call(Node.note, "asked")
        await event.wait()

    def behind(self, other: Address[Any]) -> None:
        self.start_soon(self.call_note, other, "from behind")


@pytest.mark.parametrize("length", [1, 2, 3, 5])
@pytest.mark.parametrize("by_name", [False, True])
async def test_a_cycle_of_calls_is_refused_at_once_with_its_path(
    length: int, by_name: bool, autojump_clock: MockClock
) -> None:
    names: Registry[int, None] = Registry("nodes")
    async with supervised() as supervisor:
        refs = [
            await supervisor.start_child(Node, name=names.via(number), restart="temporary") for number in range(length)
        ]
        addresses: list[Address[Any]] = [names.via(n) if by_name else ref for n, ref in enumerate(refs)]
        began = trio.current_time()
        with pytest.raises(CallCycle) as caught:
            await addresses[0].call(Node.careful, [*addresses[1:], addresses[0]])
        assert trio.current_time() == began
        last = refs[-1]
        assert caught.value.path == (last, *refs)
        for ref in refs:
            assert repr(ref) in str(caught.value)
            assert await ref.call(Node.read) == []


async def test_a_cycle_that_is_not_declared_crashes_the_actor_that_closed_it(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        a = await supervisor.start_child(Node, restart="temporary")
        b = await supervisor.start_child(Node, restart="temporary")
        with pytest.raises(ActorExited) as caught:
            await a.call(Node.through, [b, a])
        exits = [(await ref.wait()).error for ref in (b, a)]
        assert isinstance(exits[0], CallCycle)
        assert isinstance(exits[1], ActorExited)
        assert caught.value.__cause__ is exits[1]


async def test_a_cycle_through_a_nursery_in_a_handler_is_seen(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        a = await supervisor.start_child(Node, restart="temporary")
        b = await supervisor.start_child(Node, restart="temporary")
        with pytest.raises(ActorExited) as caught:
            await a.call(Node.in_nursery, [b, a])
        assert caught.value.__cause__ is not None
        error = (await b.wait()).error
        assert isinstance(error, CallCycle)
        with pytest.raises(ActorExited):
            await a.call(Node.read)


async def test_a_diamond_of_calls_is_no_cycle(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        nodes: list[Any] = [await supervisor.start_child(Node) for _ in range(4)]
        a, b, c, d = nodes
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(a.call, Node.through, [b, d])
                nursery.start_soon(a.call, Node.through, [c, d])
                nursery.start_soon(b.call, Node.through, [d])
                nursery.start_soon(c.call, Node.through, [d])


async def test_a_cast_back_is_no_cycle(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        a = await supervisor.start_child(Node)
        b = await supervisor.start_child(Node)

        class Caller(Node):
            async def start(self) -> None:
                await b.call(Node.cast_to, self.ref)

        caller = await supervisor.start_child(Caller)
        await caller.call(Caller.start)
        assert await caller.call(Node.read) == ["cast"]
        assert a.is_alive


async def test_a_call_from_a_background_task_back_to_its_actor_is_no_cycle(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        a = await supervisor.start_child(Node)
        await a.call(Node.behind, a)
        await wait_all_tasks_blocked()
        assert await a.call(Node.read) == ["from behind"]


@pytest.mark.parametrize("is_inline", [False, True])
async def test_a_call_whose_answer_is_deferred_is_no_cycle(is_inline: bool, autojump_clock: MockClock) -> None:
    """The one that deferred its answer is free: it may call who waits for it, and goes on when that is free too."""
    reply = Reply[None]()

    class Waiter(Node):
        def ask(self) -> Reply[None]:
            return reply

        async def aask(self) -> Reply[None]:
            return reply

    class Asker(Node):
        async def ask(self, other: ActorRef[Waiter]) -> None:
            await other.call(Waiter.ask if is_inline else Waiter.aask)

    async with supervised() as supervisor:
        waiter = await supervisor.start_child(Waiter, restart="temporary")
        asker = await supervisor.start_child(Asker, restart="temporary")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: asker.call(Asker.ask, waiter))
            await wait_all_tasks_blocked()
            nursery.start_soon(lambda: waiter.call(Node.call_note, asker, "from the waiter"))
            await wait_all_tasks_blocked()
            reply.send(None)
        assert await asker.call(Node.read) == ["from the waiter"]


@pytest.mark.parametrize("is_by_name", [False, True])
async def test_a_call_that_has_been_answered_is_no_part_of_a_cycle(is_by_name: bool, autojump_clock: MockClock) -> None:
    """B answers A, and calls A for its next message, before A's task has come to run: no cycle, just a wait."""
    names: Registry[str, None] = Registry("nodes")
    async with supervised() as supervisor:
        a = await supervisor.start_child(Node, name=names.via("a"), restart="temporary")
        b = await supervisor.start_child(Node, name=names.via("b"), restart="temporary")
        address: Address[Any] = names.via("a") if is_by_name else a
        busy = trio.Event()
        await b.cast(Node.ask_and_wait, await supervisor.start_child(Node), busy)
        await wait_all_tasks_blocked()
        a.cast_nowait(Node.call_note, b, "from a")  # waits in b's mailbox
        await wait_all_tasks_blocked()
        b.cast_nowait(Node.call_note, address, "from b")  # right behind it
        busy.set()
        await wait_all_tasks_blocked()
        assert b.exit is None
        assert await b.call(Node.read) == ["from a"]
        assert await a.call(Node.read) == ["from b"]


async def test_a_call_that_was_refused_is_no_part_of_a_cycle(autojump_clock: MockClock) -> None:
    """As above, where the answer is a declared error."""

    class Refusing(Node):
        @raises(Refused)
        def refuse(self) -> None:
            raise Refused

    class Asking(Node):
        async def ask(self, other: ActorRef[Refusing]) -> None:
            with pytest.raises(Refused):
                await other.call(Refusing.refuse)

    async with supervised() as supervisor:
        a = await supervisor.start_child(Asking, restart="temporary")
        b = await supervisor.start_child(Refusing, restart="temporary")
        busy = trio.Event()
        await b.cast(Node.ask_and_wait, await supervisor.start_child(Node), busy)
        await wait_all_tasks_blocked()
        a.cast_nowait(Asking.ask, b)
        await wait_all_tasks_blocked()
        b.cast_nowait(Node.call_note, a, "from b")
        busy.set()
        await wait_all_tasks_blocked()
        assert b.exit is None
        assert await a.call(Node.read) == ["from b"]


async def test_a_call_whose_caller_gave_up_is_no_part_of_a_cycle(autojump_clock: MockClock) -> None:
    class Impatient(Node):
        async def try_call(self, other: Address[Any]) -> None:
            with trio.move_on_after(1):
                await other.call(Node.note, "too late")

    async with supervised() as supervisor:
        a = await supervisor.start_child(Impatient, restart="temporary")
        b = await supervisor.start_child(Node, restart="temporary")
        busy = trio.Event()
        await b.cast(Node.ask_and_wait, await supervisor.start_child(Node), busy)
        await a.call(Impatient.try_call, b)
        busy.set()
        await b.call(Node.call_note, a, "from b")
        assert await a.call(Node.read) == ["from b"]
        assert await b.call(Node.read) == []


async def test_a_child_that_calls_the_actor_that_starts_it_is_a_cycle(autojump_clock: MockClock) -> None:
    class Child(Actor):
        def __init__(self, parent: ActorRef[Any]) -> None:
            self.parent = parent

        async def on_start(self) -> None:
            await self.parent.call(Node.note, "from the child")

    class Parent(Node):
        async def begin(self, supervisor: trioreg.DynamicSupervisor) -> str:
            try:
                await supervisor.start_child(Child, self.ref)
            except CallCycle:
                return "cycle"
            return "started"

    async with supervised() as supervisor:
        parent = await supervisor.start_child(Parent)
        assert await parent.call(Parent.begin, supervisor) == "cycle"


async def test_an_actor_that_waits_for_its_own_stop_is_refused(autojump_clock: MockClock) -> None:
    class Suicidal(Actor):
        @raises(CallCycle)
        async def end(self) -> None:
            await self.ref.stop()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Suicidal)
        with pytest.raises(CallCycle):
            await ref.call(Suicidal.end)
        assert ref.is_alive


@pytest.mark.parametrize("is_stop_first", [False, True])
@pytest.mark.parametrize("operation", ["stop", "wait"])
async def test_to_wait_for_the_end_of_an_actor_that_waits_for_an_answer_is_a_cycle_too(
    operation: str, is_stop_first: bool, autojump_clock: MockClock
) -> None:
    class Boss(Node):
        @raises(CallCycle)
        async def end(self, other: ActorRef[Any], seconds: float) -> None:
            await trio.sleep(seconds)
            await (other.stop() if operation == "stop" else other.wait())

    class Worker(Node):
        @raises(CallCycle)
        async def report(self, boss: ActorRef[Any], seconds: float) -> None:
            await trio.sleep(seconds)
            await boss.call(Node.note, "report")

    cycles: list[CallCycle] = []

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        boss = await supervisor.start_child(Boss, restart="temporary")
        worker = await supervisor.start_child(Worker, restart="temporary")

        async def call(ref: ActorRef[Any], method: Any, other: ActorRef[Any], seconds: float) -> None:
            try:
                await ref.call(method, other, seconds)
            except CallCycle as cycle:
                cycles.append(cycle)

        nursery.start_soon(call, boss, Boss.end, worker, 1 if is_stop_first else 2)
        nursery.start_soon(call, worker, Worker.report, boss, 2 if is_stop_first else 1)
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert len(cycles) == 1


# Ends


async def test_stop_handles_what_is_in_the_mailbox_and_ends_normally(autojump_clock: MockClock) -> None:
    notes: list[object] = []

    class Last(SecretAgent):
        async def on_stop(self, exit: Exit) -> None:
            notes.extend([*self.notes, exit.reason])

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Last, restart="temporary")
        for number in range(100):
            ref.cast_nowait(SecretAgent.anote if number % 2 else SecretAgent.note, number)
        assert await ref.stop() == Exit("normal")
    assert notes == [*range(100), "normal"]


async def test_nothing_new_gets_into_the_mailbox_of_an_actor_that_stops(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        busy = trio.Event()
        await ref.cast(SecretAgent.wait_for, busy)
        nursery.start_soon(ref.stop)
        await wait_all_tasks_blocked()
        assert ref.is_alive
        with pytest.raises(ActorExited):
            await ref.call(SecretAgent.read)
        with pytest.raises(ActorExited):
            await ref.cast(SecretAgent.note, 1)
        with pytest.raises(ActorExited):
            ref.send_nowait(1)
        busy.set()


async def test_an_actor_stops_itself_behind_what_is_in_its_mailbox(autojump_clock: MockClock) -> None:
    class Self(SecretAgent):
        def finish(self) -> str:
            self.stop()
            return "finishing"

    async with supervised() as supervisor:
        for is_idle in (False, True):
            ref = await supervisor.start_child(Self, restart="temporary")
            await idle(ref)
            if not is_idle:
                ref.cast_nowait(SecretAgent.read)
            assert await ref.call(Self.finish) == "finishing"
            assert await ref.wait() == Exit("normal")


async def test_cancel_ends_now_with_on_stop_and_is_a_shutdown(autojump_clock: MockClock) -> None:
    exits: list[Exit] = []

    class Last(SecretAgent):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1)
            exits.append(exit)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Last, restart="temporary")
        await ref.cast(SecretAgent.wait_for, trio.Event())
        ref.cast_nowait(SecretAgent.note, "left")
        ref.cancel()
        assert await ref.wait() == Exit("shutdown")
    assert exits == [Exit("shutdown")]


async def test_kill_ends_without_on_stop(autojump_clock: MockClock) -> None:
    class Last(SecretAgent):
        async def on_stop(self, exit: Exit) -> None:
            raise AssertionError("on_stop ran")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Last, restart="temporary")
        await ref.cast(SecretAgent.wait_for, trio.Event())
        ref.kill()
        assert await ref.wait() == Exit("killed")


async def test_a_kill_overtakes_a_stop_and_a_cancel(autojump_clock: MockClock) -> None:
    class Slow(SecretAgent):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1000)

    async with supervised() as supervisor:
        began = trio.current_time()
        first = await supervisor.start_child(Slow, restart="temporary", shutdown=500)
        await wait_all_tasks_blocked()
        first.cancel()
        await wait_all_tasks_blocked()
        first.kill()
        assert await first.wait() == Exit("killed")
        second = await supervisor.start_child(Slow, restart="temporary")
        await second.cast(SecretAgent.wait_for, trio.Event())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second.stop)
            await wait_all_tasks_blocked()
            second.kill()
        assert await second.wait() == Exit("killed")
        assert trio.current_time() == began


async def test_to_end_what_has_ended_does_nothing(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        ref.kill()
        exit = await ref.wait()
        ref.kill()
        ref.cancel()
        assert await ref.stop() is exit
        assert await ref.wait() is exit
        assert ref.exit is exit


async def test_wait_before_and_after_the_end_gives_the_same_exit(autojump_clock: MockClock) -> None:
    exits: list[Exit] = []

    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")

        async def wait() -> None:
            exits.append(await ref.wait())

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            assert exits == []
            assert ref.exit is None
            ref.cast_nowait(SecretAgent.bang)
        exits.append(await ref.wait())
        assert ref.exit is not None
    assert len({id(exit) for exit in exits}) == 1
    assert exits[0].reason == "crashed"


async def test_on_stop_gets_at_most_the_shutdown_seconds_of_the_child(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    class Slow(SecretAgent):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1000)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Slow, restart="temporary", shutdown=7)
        began = trio.current_time()
        assert (await ref.stop()).reason == "normal"
        assert trio.current_time() - began == 7
    assert any("on_stop took longer than 7 seconds" in record.getMessage() for record in caplog.records)


async def test_an_error_of_on_stop_makes_the_exit_a_crash(autojump_clock: MockClock) -> None:
    class Fragile(SecretAgent):
        async def on_stop(self, exit: Exit) -> None:
            raise Bang

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fragile, restart="temporary")
        exit = await ref.stop()
        assert exit.reason == "crashed"
        assert isinstance(exit.error, Bang)


async def test_on_stop_does_not_run_for_an_actor_that_did_not_start(autojump_clock: MockClock) -> None:
    class Unstarted(SecretAgent):
        async def on_start(self) -> None:
            raise Bang

        async def on_stop(self, exit: Exit) -> None:
            raise AssertionError("on_stop ran")

    async with supervised() as supervisor:
        with pytest.raises(Bang):
            await supervisor.start_child(Unstarted)


# Hooks


async def test_on_start_runs_before_any_message_and_before_start_child_returns(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("agents")

    class Starting(SecretAgent):
        async def on_start(self) -> None:
            names.via("James Bond").cast_nowait(SecretAgent.note, "message")
            await trio.sleep(1)
            self.notes.append("started")

    async with supervised() as supervisor:
        began = trio.current_time()
        ref = await supervisor.start_child(Starting, name=names.via("James Bond"))
        assert trio.current_time() - began == 1
        assert await ref.call(SecretAgent.read) == ["started", "message"]


async def test_send_goes_to_on_message(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        messages: list[Any] = [1, None, ("a", "tuple"), {"a": "dict"}, SecretAgent.note, Exit("normal")]
        for message in messages:
            await ref.send(message)
        assert await ref.call(SecretAgent.read) == messages


async def test_a_message_that_nobody_expected_is_logged_and_the_actor_lives(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Stranger)
        await ref.send("what?")
        assert await ref.call(Stranger.echo, "still here") == "still here"
    assert any("unexpected message: 'what?'" in record.getMessage() for record in caplog.records)


class Idle(Actor):
    """It notes when it was idle."""

    idle_timeout = 10

    def __init__(self) -> None:
        self.began = trio.current_time()
        self.idle_at: list[float] = []

    async def on_idle(self) -> None:
        self.idle_at.append(trio.current_time() - self.began)

    def ping(self) -> None: ...

    async def aping(self) -> None: ...

    @raises(Refused)
    def refuse(self) -> None:
        raise Refused

    def set_timeout(self, seconds: float | None) -> None:
        self.idle_timeout = seconds  # type: ignore[assignment]

    def read(self) -> list[float]:
        return list(self.idle_at)


async def test_on_idle_runs_after_each_idle_timeout_without_a_message(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Idle)
        await trio.sleep(35)
        assert await ref.call(Idle.read) == [10, 20, 30]


@pytest.mark.parametrize("way", ["inline", "async", "cast", "refused"])
async def test_any_message_puts_on_idle_off(way: str, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Idle)
        await trio.sleep(6)
        if way == "inline":
            await ref.call(Idle.ping)
        elif way == "async":
            await ref.call(Idle.aping)
        elif way == "cast":
            ref.cast_nowait(Idle.ping)
        else:
            with pytest.raises(Refused):
                await ref.call(Idle.refuse)
        await trio.sleep(9)
        await ref.cast(Idle.ping)
        await wait_all_tasks_blocked()
        assert await ref.call(Idle.read) == []
        await trio.sleep(11)
        assert await ref.call(Idle.read) == [25]


@pytest.mark.parametrize("is_inline", [False, True])
async def test_the_idle_timeout_can_be_changed_by_a_handler(is_inline: bool, autojump_clock: MockClock) -> None:
    async def set_timeout(ref: ActorRef[Idle], seconds: float | None) -> None:
        if is_inline:
            await ref.call(Idle.set_timeout, seconds)
        else:
            ref.cast_nowait(Idle.set_timeout, seconds)
            await wait_all_tasks_blocked()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Idle)
        await trio.sleep(1)
        await set_timeout(ref, None)
        await trio.sleep(99)
        assert await ref.call(Idle.read) == []
        await set_timeout(ref, 50)
        await trio.sleep(70)
        assert await ref.call(Idle.read) == [150]


async def test_an_actor_that_crashes_in_on_idle_crashes(autojump_clock: MockClock) -> None:
    class Fragile(Actor):
        idle_timeout = 1

        async def on_idle(self) -> None:
            raise Bang

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fragile, restart="temporary")
        assert isinstance((await ref.wait()).error, Bang)


async def test_an_actor_that_stops_when_it_is_idle_ends_normally(autojump_clock: MockClock) -> None:
    class Session(Actor):
        idle_timeout = 5

        async def on_idle(self) -> None:
            self.stop()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Session, restart="temporary")
        assert await ref.wait() == Exit("normal")


# Background tasks


class Parent(Actor):
    """It has background tasks."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def work(self, seconds: float) -> None:
        self.start_soon(self._work, seconds)

    async def _work(self, seconds: float) -> None:
        try:
            await trio.sleep(seconds)
            self.log.append("done")
        except trio.Cancelled:
            self.log.append("cancelled")
            raise

    def crash(self, seconds: float) -> None:
        self.start_soon(self._crash, seconds)

    async def _crash(self, seconds: float) -> None:
        await trio.sleep(seconds)
        raise Bang

    def read(self) -> list[str]:
        return self.log


async def test_a_background_task_runs_beside_the_handlers(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Parent)
        await ref.call(Parent.work, 1)
        assert await ref.call(Parent.read) == []
        await trio.sleep(2)
        assert await ref.call(Parent.read) == ["done"]
        assert ref.is_alive


@pytest.mark.parametrize("end", ["stop", "cancel", "kill"])
async def test_background_tasks_end_with_their_actor(end: str, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Parent, restart="temporary")
        await ref.call(Parent.work, 1000)
        log = await ref.call(Parent.read)
        await wait_all_tasks_blocked()
        if end == "stop":
            await ref.stop()
        else:
            getattr(ref, end)()
            await ref.wait()
        assert log == ["cancelled"]


async def test_a_background_task_that_crashes_crashes_its_actor_and_cancels_the_others(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Parent, restart="temporary")
        await ref.call(Parent.work, 1000)
        await ref.call(Parent.crash, 1)
        log = await ref.call(Parent.read)
        exit = await ref.wait()
        assert isinstance(exit.error, Bang)
        assert log == ["cancelled"]


async def test_a_background_task_cannot_be_started_while_the_actor_is_ending(autojump_clock: MockClock) -> None:
    class Late(Parent):
        async def on_stop(self, exit: Exit) -> None:
            with pytest.raises(ActorExited):
                self.work(1)
            self.log.append("refused")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Late, restart="temporary")
        log = await ref.call(Parent.read)
        await ref.stop()
        assert log == ["refused"]


async def test_several_crashes_at_the_end_are_all_in_the_exit(autojump_clock: MockClock) -> None:
    class Fragile(Parent):
        def __init__(self) -> None:
            super().__init__()
            for _ in range(3):
                self.start_soon(self._stubborn)

        async def _stubborn(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise Bang

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fragile, restart="temporary")
        await wait_all_tasks_blocked()
        ref.kill()
        error = (await ref.wait()).error
        assert error is not None
        assert [type(leaf) for leaf in leaves(error)] == [Bang] * 3


# Outside of a supervisor, and from other threads


def test_an_actor_object_that_no_supervisor_started_is_a_plain_object() -> None:
    agent = SecretAgent("plain")
    assert agent.echo("hi") == 'plain says: "hi"'
    with pytest.raises(RuntimeError, match="was not started by a supervisor"):
        print(agent.ref)
    with pytest.raises(RuntimeError, match="was not started by a supervisor"):
        agent.stop()


async def test_an_actor_object_that_a_handler_makes_is_a_plain_object(autojump_clock: MockClock) -> None:
    class Maker(Actor):
        def __init__(self) -> None:
            self.inner = SecretAgent("inner")

        def make(self) -> list[bool]:
            made: list[bool] = []
            for agent in (self.inner, SecretAgent("made")):
                try:
                    print(agent.ref)
                except RuntimeError:
                    made.append(True)
            return made

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Maker)
        assert await ref.call(Maker.make) == [True, True]
        assert repr(ref).startswith("<Maker #")


OPERATIONS: dict[str, Callable[[ActorRef[SecretAgent]], object]] = {
    "cast": lambda ref: ref.cast_nowait(SecretAgent.note, "from the thread"),
    "send": lambda ref: ref.send_nowait("from the thread"),
    "cancel": lambda ref: ref.cancel(),
    "kill": lambda ref: ref.kill(),
}


@pytest.mark.parametrize("operation", list(OPERATIONS))
@pytest.mark.parametrize("is_idle", [False, True])
async def test_a_worker_thread_is_refused_and_changes_nothing(operation: str, is_idle: bool) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        event = trio.Event()
        await idle(ref)
        if not is_idle:
            ref.cast_nowait(SecretAgent.wait_for, event)
            await wait_all_tasks_blocked()
        cell = ref._cell
        assert cell is not None
        before = cell.state, cell.is_idle, cell.queued
        with pytest.raises(RuntimeError):
            await trio.to_thread.run_sync(OPERATIONS[operation], ref)
        after = cell.state, cell.is_idle, cell.queued
        cell.state = before[0]  # where it fails, it fails here, and not by waiting forever
        assert after == before
        event.set()
        await wait_all_tasks_blocked()
        assert await ref.call(SecretAgent.read) == []
        assert ref.is_alive


async def test_a_reply_from_a_worker_thread_is_refused_and_can_still_be_sent() -> None:
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
