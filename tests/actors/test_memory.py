"""What is not kept alive: handled messages, answered calls, and the state of actors that have ended."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.idlers import Idler
from support.secret_agent import SecretAgent, idle
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, DynamicSupervisor, Exit, PubSub, Registry, Reply, receive

pytestmark = pytest.mark.unwatched("an instrument's messages are objects, too")


@pytest.mark.parametrize("method", [SecretAgent.echo, SecretAgent.aecho])
@pytest.mark.parametrize("operation", ["call", "cast"])
async def test_an_idle_actor_keeps_nothing_of_its_last_message(
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


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_the_state_of_an_ended_actor_is_not_kept_by_its_reference(end: str, autojump_clock: MockClock) -> None:
    class Treasure:
        pass

    class Chest(Actor):
        def __init__(self) -> None:
            self.treasure = Treasure()

        def look(self) -> weakref.ref[Treasure]:
            return weakref.ref(self.treasure)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Chest, restart="temporary")
        treasure = await ref.call(Chest.look)
        assert treasure() is not None
        if end == "stop":
            await ref.stop()
        else:
            ref.kill()
            await ref.wait()
        gc.collect()
        assert treasure() is None
        assert ref.exit is not None


async def test_a_message_to_an_idle_actor_leaves_one_object_for_the_garbage_collector(
    autojump_clock: MockClock,
) -> None:
    actors = 100
    async with supervised() as supervisor:
        refs = [await supervisor.start_child(Idler, list[object]()) for _ in range(actors)]
        for _ in range(2):  # the first async handler brings a scope with it
            for ref in refs:
                ref.send_nowait("message")
            await wait_all_tasks_blocked()
        gc.collect()
        gc.disable()
        try:
            for ref in refs:
                ref.send_nowait("message")
            await wait_all_tasks_blocked()
            young = gc.get_objects(generation=0)
        finally:
            gc.enable()
        assert actors <= len(young) < 1.5 * actors
        del young


# Ended lives are no work for the garbage collector


class Working(SecretAgent):
    async def on_start(self) -> None:
        await trio.lowlevel.checkpoint()

    async def on_stop(self, exit: Exit) -> None:
        await trio.lowlevel.checkpoint()

    def begin(self, what: str) -> None:
        if what == "background task":
            self.start_soon(trio.sleep_forever)
        elif what == "timer":
            self.send_after(1000, "message")
        elif what == "repeating timer":
            self.send_every(1, "message")
        elif what == "timer with a method":
            self.cast_after(1, Working.echo, "text")
            self.cast_after(1000, Working.aecho, "text")
        elif what == "repeating timer with a method":
            self.cast_every(1, Working.aecho, text="text")

    def work_behind(self) -> Awaitable[str]:
        return self.aecho("text")


class Limited(Working):
    handler_timeout = 5


async def function() -> int:
    await trio.lowlevel.checkpoint()
    return 7


async def receiver() -> object:
    return await receive()


async def live_as_an_actor(supervisor: DynamicSupervisor, what: str) -> None:
    names: Registry[str, None] = Registry("names")
    cls = Limited if what == "limit" else Working
    ref = await supervisor.start_child(cls, restart="temporary", name=names.via("working"))
    await ref.call(Working.aecho, "text")
    await ref.call(Working.work_behind)
    await ref.cast(Working.work_behind)
    await ref.call(Working.begin, what)
    await trio.sleep(2.5)
    if what == "killed":
        ref.kill()
        await ref.wait()
    elif what == "terminated":
        await supervisor.terminate_child(ref)
    else:
        await ref.stop()


TOPICS: PubSub[str, str] = PubSub("topics")


async def live_as_a_subscriber(supervisor: DynamicSupervisor, what: str) -> None:
    ref = await supervisor.start_child(Working, restart="temporary")
    TOPICS.join("topic", Working.echo, owner=ref)
    TOPICS.publish_nowait("topic", "text")
    await ref.stop()


async def live_as_a_function(supervisor: DynamicSupervisor, what: str) -> None:
    ref = await supervisor.start_child({"function": function, "receiver": receiver}[what])
    if what == "receiver":
        await ref.send(None)
    await ref.wait()


async def live_again(supervisor: DynamicSupervisor, what: str) -> None:
    ref = await supervisor.start_child(Working)
    for _ in range(3):
        ref.kill()
        await ref.wait()
        (child,) = supervisor.which_children()
        assert child.ref is not None
        ref = child.ref
    await supervisor.terminate_child(ref)


@pytest.mark.parametrize(
    ("live", "what"),
    [
        (live_as_an_actor, "stopped"),
        (live_as_an_actor, "killed"),
        (live_as_an_actor, "terminated"),
        (live_as_an_actor, "background task"),
        (live_as_an_actor, "timer"),
        (live_as_an_actor, "repeating timer"),
        (live_as_an_actor, "timer with a method"),
        (live_as_an_actor, "repeating timer with a method"),
        (live_as_an_actor, "limit"),
        (live_as_a_subscriber, "subscriber"),
        (live_as_a_function, "function"),
        (live_as_a_function, "receiver"),
        (live_again, "restarts"),
    ],
)
async def test_lives_that_have_ended_leave_nothing_for_the_garbage_collector(
    live: Callable[[DynamicSupervisor, str], Awaitable[None]], what: str, autojump_clock: MockClock
) -> None:
    async with supervised(max_restarts=math.inf) as supervisor:
        await live(supervisor, what)  # what is made once
        await wait_all_tasks_blocked()
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                await live(supervisor, what)
            await wait_all_tasks_blocked()
            assert gc.collect() == 0
        finally:
            gc.enable()


class Refusing(Actor):
    def refuse(self) -> Reply[None]:
        reply = Reply[None]()
        self.start_soon(self.answer, reply)
        return reply

    async def answer(self, reply: Reply[None]) -> None:
        reply.fail(Bang())


async def test_a_call_that_is_answered_later_with_an_error_leaves_nothing_for_the_garbage_collector(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Refusing)

        async def call() -> None:
            await wait_all_tasks_blocked()  # an idle actor handles it in the caller's turn
            with suppress(Bang):
                await ref.call(Refusing.refuse)

        await call()  # what is made once
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                await call()
            assert gc.collect() == 0
        finally:
            gc.enable()
