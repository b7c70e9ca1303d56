"""A start that waits for a restart of several, which waits for the task that asks: now, later, or through others."""

from __future__ import annotations

import functools
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from support.children import ref_of, restarts, states_by_id
from support.supervisors import supervising
from trio.testing import MockClock

from trioreg import Actor, ActorRef, CallCycle, ChildSpec, Exit, Registry, Supervisor


class Hooks(Actor):
    """An actor whose hooks the test says, and which can start a child under any supervisor."""

    def __init__(self, on_start: Any = None, on_stop: Any = None) -> None:
        self.hooks = on_start, on_stop

    async def on_start(self) -> None:
        await trio.sleep(1)
        if self.hooks[0] is not None:
            await self.hooks[0](self)

    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep(1)
        if self.hooks[1] is not None:
            await self.hooks[1](self)

    async def start(self, supervisor: Supervisor) -> None:
        await start_one(supervisor)

    def ping(self) -> None: ...


async def start_one(supervisor: Supervisor) -> ActorRef[Actor]:
    return await supervisor.start_child(Actor, restart="temporary")


@asynccontextmanager
async def manager() -> AsyncGenerator[ActorRef[Hooks]]:
    """An actor under a supervisor of its own. It must not crash."""
    async with supervising([ChildSpec(Hooks, id="manager")], max_restarts=0) as supervisor:
        yield ref_of(supervisor, "manager")


async def test_a_child_of_the_list_may_ask_for_a_child_after_another_one_has_crashed(autojump_clock: MockClock) -> None:
    crashed: list[Supervisor] = []

    async def ask(_: Hooks) -> None:
        if not crashed:
            crashed.append(nested)
            ref_of(nested, "a").kill()
            await trio.sleep(1)
        await start_one(nested)

    nested: Any = None

    class Nested(Supervisor):
        async def on_start(self) -> None:
            nonlocal nested
            nested = self
            await super().on_start()

    children = [ChildSpec(Hooks, id="a"), ChildSpec(Hooks, (ask,), id="b")]
    with trio.fail_after(100):
        async with supervising() as supervisor:
            await supervisor.start_child(functools.partial(Nested, children, strategy="one_for_all"))
            await trio.sleep(10)
            assert set(states_by_id(nested).values()) == {"running"}
            assert restarts(nested)["b"] == 1


async def test_a_background_task_that_a_start_waits_for_may_ask_for_a_child(autojump_clock: MockClock) -> None:
    async def ask(actor: Hooks) -> None:
        done = trio.Event()

        async def load() -> None:
            await start_one(supervisor)
            done.set()

        actor.start_soon(load)
        await done.wait()

    async with supervising([ChildSpec(Hooks, id="a")], strategy="one_for_all") as supervisor:
        await supervisor.start_child(ChildSpec(Hooks, (ask,), id="b"))
        ref_of(supervisor, "a").kill()
        await trio.sleep(10)
        assert list(states_by_id(supervisor).values()) == ["running"] * 3


async def test_a_start_that_waits_does_not_refuse_the_starts_of_the_restart_that_need_its_actor(
    autojump_clock: MockClock,
) -> None:
    async def ask(_: Hooks) -> None:
        await ref.call(Hooks.ping)

    async with manager() as ref:
        children = [ChildSpec(Hooks, id="a"), ChildSpec(Hooks, (ask,), id="b")]
        async with supervising(children, strategy="one_for_all", max_restarts=1) as supervisor:
            ref_of(supervisor, "a").kill()
            await trio.sleep(0.5)
            ref.cast_nowait(Hooks.start, supervisor)
            await trio.sleep(100)
            assert list(states_by_id(supervisor).values()) == ["running"] * 3
            assert ref.is_alive


async def test_a_child_may_call_its_supervisor_in_its_start_while_that_handles_a_start_that_waits(
    autojump_clock: MockClock,
) -> None:
    nested: Any = None

    class Nested(Supervisor):
        async def on_start(self) -> None:
            nonlocal nested
            nested = self
            await super().on_start()

    async def ask(_: Hooks) -> None:
        if len(asked) == 1:
            await nested.ref.call(Supervisor.start_child, Actor, id="asked for", restart="temporary")
        asked.append(nested)

    asked: list[Supervisor] = []
    async with supervising() as supervisor:
        ref = await supervisor.start_child(functools.partial(Nested, strategy="one_for_all", max_restarts=1))
        await nested.start_child(ChildSpec(Hooks, id="a"))
        await nested.start_child(ChildSpec(Hooks, (ask,), id="b"))
        ref_of(nested, "a").kill()
        await trio.sleep(0.5)
        await ref.call(Supervisor.start_child, ChildSpec(Actor, id="c"))
        await trio.sleep(10)
        assert states_by_id(nested) == dict.fromkeys(("a", "b", "c", "asked for"), "running")
        assert restarts(nested) == {"a": 1, "b": 1, "c": 0, "asked for": 0}


# In any order: the child that ends and the start that waits have their turn in the same step.
@pytest.mark.parametrize("time", range(8))
async def test_a_child_that_needs_in_its_end_an_actor_that_waits_for_that_end_gets_call_cycle(
    time: int, autojump_clock: MockClock
) -> None:
    async def ask(_: Hooks) -> None:
        if not cycles:
            with pytest.raises(CallCycle) as caught:
                await ref.call(Hooks.ping)
            cycles.append(str(caught.value))

    class Quick(Actor):
        async def on_stop(self, exit: Exit) -> None:
            await ask(Hooks())

    cycles: list[str] = []
    async with manager() as ref:
        children = [ChildSpec(Hooks, id="a"), ChildSpec(Quick, id="b", shutdown=math.inf), ChildSpec(Hooks, id="c")]
        async with supervising(children, strategy="one_for_all", max_restarts=1) as supervisor:
            ref_of(supervisor, "a").kill()
            await trio.sleep(0.5)
            ref.cast_nowait(Hooks.start, supervisor)
            await trio.sleep(100)
            assert len(cycles) == 1
            assert ref.is_alive
            assert list(states_by_id(supervisor).values()) == ["running"] * 4


async def test_an_actor_gets_call_cycle_when_the_restart_comes_to_an_end_that_already_waits_for_that_actor(
    autojump_clock: MockClock,
) -> None:
    class Manager(Actor):
        async def start(self, supervisor: Supervisor) -> None:
            with pytest.raises(CallCycle) as caught:
                await start_one(supervisor)
            cycles.append((trio.current_time(), str(caught.value)))

        def ping(self) -> None: ...

    async def ask(_: Hooks) -> None:
        if not cycles:
            await ref.call(Manager.ping)

    cycles: list[tuple[float, str]] = []
    async with supervising(max_restarts=0) as other:
        ref = await other.start_child(Manager)
        first = ChildSpec(Hooks, (None, ask), id="a", shutdown=math.inf)
        children = [first, ChildSpec(Actor, id="b"), ChildSpec(Hooks, id="c")]
        async with supervising(children, strategy="one_for_all") as supervisor:
            now = trio.current_time()
            ref_of(supervisor, "a").cancel()  # it calls the manager a second later
            await trio.sleep(0.5)
            ref_of(supervisor, "b").kill()
            await trio.sleep(0.1)
            ref.cast_nowait(Manager.start, supervisor)  # it waits for the end of c, and then for that of a
            await trio.sleep(100)
            assert [time for time, _ in cycles] == [now + 1.5]
            assert list(states_by_id(supervisor).values()) == ["running"] * 3


async def test_a_child_below_that_asks_in_its_end_for_a_child_above_gets_call_cycle(autojump_clock: MockClock) -> None:
    async def ask(_: Hooks) -> None:
        if not cycles:
            with pytest.raises(CallCycle) as caught:
                await start_one(supervisor)
            cycles.append(str(caught.value))

    cycles: list[str] = []
    below = ChildSpec(Supervisor, ([ChildSpec(Hooks, (None, ask), id="c", shutdown=math.inf)],), id="below")
    async with supervising([ChildSpec(Actor, id="a"), below], strategy="one_for_all") as supervisor:
        ref_of(supervisor, "a").kill()
        await trio.sleep(100)
        assert states_by_id(supervisor) == {"a": "running", "below": "running"}
        assert [part.split(" <")[0] for part in cycles[0].split(" -> ")][1:] == ["below", "c"]


@pytest.mark.parametrize("seconds", [0.5, 1.5])  # before the start waits for the name, and after that
@pytest.mark.parametrize("is_below", [False, True])
async def test_a_start_that_gives_the_name_that_a_start_of_the_restart_waits_for_does_not_wait(
    is_below: bool, seconds: float, autojump_clock: MockClock
) -> None:
    async def ask(_: Hooks) -> None:
        if asked:
            await names.wait_for("late")
        asked.append("late")

    asked: list[str] = []
    names: Registry[str, None] = Registry("names")
    spec = ChildSpec(Hooks, (ask,), id="b")
    children = [ChildSpec(Actor, id="a"), ChildSpec(Supervisor, ([spec],), id="below") if is_below else spec]
    async with supervising(children, strategy="one_for_all") as supervisor:
        ref_of(supervisor, "a").kill()
        await trio.sleep(1 + seconds)
        with trio.fail_after(1):
            await supervisor.start_child(Actor, id="late", name=names.via("late"))
        await trio.sleep(10)
        assert list(states_by_id(supervisor).values()) == ["running"] * 3
