"""Cycles of calls: refused at once with their path; and what is no cycle."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest
import trio
from support.secret_agent import Refused
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorExited, ActorRef, Address, CallCycle, Registry, Reply, raises


class Node(Actor):
    """It passes a call on to the next actor of a path."""

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


async def test_an_undeclared_call_cycle_crashes_the_actor_that_closes_it(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        a = await supervisor.start_child(Node, restart="temporary")
        b = await supervisor.start_child(Node, restart="temporary")
        with pytest.raises(ActorExited) as caught:
            await a.call(Node.through, [b, a])
        exits = [(await ref.wait()).error for ref in (b, a)]
        assert isinstance(exits[0], CallCycle)
        assert isinstance(exits[1], ActorExited)
        assert caught.value.__cause__ is exits[1]


async def test_a_call_cycle_through_a_nursery_in_a_handler_is_refused(autojump_clock: MockClock) -> None:
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
    answers: list[str] = []

    async with supervised() as supervisor:
        a, b, c, d = [await supervisor.start_child(Node) for _ in range(4)]

        async def call(*path: Address[Any]) -> None:
            answers.append(await path[0].call(Node.through, list(path[1:])))

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                for path in ((a, b, d), (a, c, d), (b, d), (c, d)):
                    nursery.start_soon(call, *path)
    assert answers == ["end"] * 40


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
async def test_a_call_whose_reply_is_deferred_is_no_cycle(is_inline: bool, autojump_clock: MockClock) -> None:
    """An actor that deferred its answer is free: it may call its caller, and goes on when the caller is free too."""
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
async def test_an_answered_call_is_not_part_of_a_cycle(is_by_name: bool, autojump_clock: MockClock) -> None:
    """B answers A, and then calls A before A's task runs again: a wait, and no cycle."""
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


async def test_a_call_answered_with_a_declared_error_is_not_part_of_a_cycle(autojump_clock: MockClock) -> None:
    """As above, and the answer is a declared error."""

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


async def test_a_call_whose_caller_gave_up_is_not_part_of_a_cycle(autojump_clock: MockClock) -> None:
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


async def test_a_child_that_calls_the_actor_that_starts_it_closes_a_cycle(autojump_clock: MockClock) -> None:
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


class Mixed(Actor):
    def through(self, path: list[ActorRef[Mixed]]) -> Coroutine[Any, Any, str]:
        async def rest() -> str:
            if not path:
                return "end"
            return await path[0].call(Mixed.through, path[1:])

        return rest()


@pytest.mark.parametrize("length", [2, 3])
async def test_a_cycle_through_sync_handlers_that_return_coroutines_is_refused_at_once(
    length: int, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = [await supervisor.start_child(Mixed, restart="temporary") for _ in range(length)]
        await wait_all_tasks_blocked()
        with trio.fail_after(5), pytest.raises(ActorExited) as caught:
            await refs[0].call(Mixed.through, [*refs[1:], refs[0]])
        cause: BaseException | None = caught.value
        while isinstance(cause, ActorExited):
            cause = cause.__cause__
        assert isinstance(cause, CallCycle)
