"""Waits of background tasks while an `on_start` runs, which may wait for these tasks or not: nobody can see it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from support.children import ref_of, states_by_id
from support.supervisors import supervising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ChildSpec, Exit, Registry, Supervisor


class Loads(Actor):
    """Its `on_start` begins a background task, and waits for it or not."""

    def __init__(self, load: Callable[[], Awaitable[object]], waits: bool = True) -> None:
        self.load = load
        self.waits = waits

    async def on_start(self) -> None:
        loaded = trio.Event()

        async def run() -> None:
            try:
                await self.load()
            finally:
                loaded.set()

        self.start_soon(run)
        if self.waits:
            await loaded.wait()


class Slow(Actor):
    async def on_start(self) -> None:
        await trio.sleep(1)

    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep(1)

    def ping(self) -> None: ...

    async def do(self, function: Callable[[], Awaitable[object]]) -> None:
        await function()


@pytest.mark.parametrize("depth", [1, 2, 3])
async def test_a_start_of_the_restart_may_wait_through_background_tasks_for_a_start_that_waits(
    depth: int, autojump_clock: MockClock
) -> None:
    is_restart = False

    async def load(depth: int) -> None:
        if is_restart:
            spec = ChildSpec(Loads, (lambda: load(depth - 1),)) if depth > 1 else ChildSpec(Actor)
            await supervisor.start_child(spec)

    async with supervising([ChildSpec(Slow, id="a")], strategy="one_for_all", max_restarts=1) as supervisor:
        await supervisor.start_child(ChildSpec(Loads, (lambda: load(depth),), id="b"))
        is_restart = True
        ref_of(supervisor, "a").kill()
        await trio.sleep(10)
        assert list(states_by_id(supervisor).values()) == ["running"] * (2 + depth)


async def test_a_child_of_the_list_may_start_children_through_background_tasks_after_another_one_has_crashed(
    autojump_clock: MockClock,
) -> None:
    nested: Any = None
    asked: list[str] = []

    class Nested(Supervisor):
        async def on_start(self) -> None:
            nonlocal nested
            nested = self
            await super().on_start()

    async def load() -> None:
        if not asked:
            asked.append("b")
            ref_of(nested, "a").kill()
            await nested.start_child(ChildSpec(Loads, (load_more,), restart="temporary"))

    async def load_more() -> None:
        await trio.sleep(1)
        await nested.start_child(Actor, restart="temporary")
        asked.append("c")

    children = [ChildSpec(Slow, id="a"), ChildSpec(Loads, (load,), id="b")]
    with trio.fail_after(100):
        async with supervising() as supervisor:
            await supervisor.start_child(functools.partial(Nested, children, strategy="one_for_all"))
            await trio.sleep(10)
            assert asked == ["b", "c"]
            assert states_by_id(nested) == {"a": "running", "b": "running"}


async def test_a_start_of_the_restart_may_call_in_a_background_task_an_actor_that_waits_for_the_restart(
    autojump_clock: MockClock,
) -> None:
    async def load() -> None:
        if is_restart:
            await other.call(Slow.ping)

    is_restart = False
    async with supervising(max_restarts=0) as others:
        other = await others.start_child(Slow)
        children = [ChildSpec(Slow, id="a"), ChildSpec(Loads, (load,), id="b")]
        async with supervising(children, strategy="one_for_all", max_restarts=1) as supervisor:
            is_restart = True
            ref_of(supervisor, "a").kill()
            await trio.sleep(0.5)
            other.cast_nowait(Slow.do, lambda: supervisor.start_child(Actor, restart="temporary"))
            await trio.sleep(10)
            assert list(states_by_id(supervisor).values()) == ["running"] * 3
            assert other.is_alive


async def test_a_start_of_the_restart_may_wait_in_a_background_task_for_the_name_that_a_start_that_waits_gives(
    autojump_clock: MockClock,
) -> None:
    async def load() -> None:
        if is_restart:
            await names.wait_for("late")

    names: Registry[str, None] = Registry("names")
    is_restart = False
    children = [ChildSpec(Slow, id="a"), ChildSpec(Loads, (load,), id="b")]
    async with supervising(children, strategy="one_for_all") as supervisor:
        is_restart = True
        ref_of(supervisor, "a").kill()
        await trio.sleep(0.5)
        with trio.fail_after(10):
            await supervisor.start_child(Actor, id="late", name=names.via("late"))
        await trio.sleep(10)
        assert list(states_by_id(supervisor).values()) == ["running"] * 3


async def test_a_background_task_may_wait_for_an_actor_that_waits_for_its_actor_to_start(
    autojump_clock: MockClock,
) -> None:
    """The `on_start` does not wait for the task, so nothing is refused."""
    answered: list[float] = []

    async def load() -> None:
        await other.call(Slow.ping)
        answered.append(trio.current_time())

    async def start() -> None:
        await supervisor.start_child(Loads, load, False)

    async with supervising(max_restarts=0) as supervisor:
        other = await supervisor.start_child(Slow)
        await other.call(Slow.do, start)
        await trio.sleep(1)
        assert len(answered) == 1


async def test_a_background_task_may_call_an_actor_that_waits_for_the_start_of_its_own(
    autojump_clock: MockClock,
) -> None:
    answers: list[str] = []

    class Starting(Slow):
        async def on_start(self) -> None:
            other.cast_nowait(
                Slow.do, functools.partial(self.ref.call, Slow.ping)
            )  # it waits until this actor has started
            self.start_soon(self.ask)
            await super().on_start()

        async def ask(self) -> None:
            await wait_all_tasks_blocked()
            await other.call(Slow.ping)
            answers.append("answered")

    async with supervising(max_restarts=0) as supervisor:
        other = await supervisor.start_child(Slow)
        await supervisor.start_child(Starting)
        await wait_all_tasks_blocked()
        assert answers == ["answered"]
