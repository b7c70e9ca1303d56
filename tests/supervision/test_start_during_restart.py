"""Starts that are asked for while several children are restarted: they wait until that is over."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from support.children import ref_of, restarts
from support.supervisors import supervising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    Backoff,
    CallCycle,
    ChildNotEnded,
    ChildSpec,
    Exit,
    Registry,
    open_supervisor,
)
from trioreg._supervision.restart_group import RestartGroup


class Slow(Actor):
    """It takes a second to start and a second to end, and may ask for a child in between."""

    def __init__(self, ask: Callable[[str], Awaitable[object]] | None = None) -> None:
        self.ask = ask

    async def on_start(self) -> None:
        await trio.sleep(1)
        if self.ask is not None:
            await self.ask("start")

    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep(1)
        if self.ask is not None:
            await self.ask("stop")


class Late(Actor):
    """It keeps what its name leads to when it starts."""

    def __init__(self, names: Registry[str, None], of: str) -> None:
        self.found = names.whereis(of)

    def is_current(self) -> bool:
        return self.found is not None and self.found.is_alive


@pytest.mark.parametrize("how", ["start_child", "restart_child"])
@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
@pytest.mark.parametrize("seconds", [0.5, 1.5, 2.5])
async def test_a_start_asked_for_during_a_restart_of_several_waits_until_that_is_over(
    how: str, strategy: Any, seconds: float, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    children = [ChildSpec(Slow, id="a", name=names.via("a")), ChildSpec(Slow, id="b")]
    late = ChildSpec(Late, (names, "a"), id="late", restart="temporary" if how == "start_child" else "transient")
    async with supervising(children, strategy=strategy, max_restarts=1) as supervisor:
        if how == "restart_child":
            await supervisor.start_child(late)
            await supervisor.terminate_child("late")
        ref_of(supervisor, "a").kill()
        await trio.sleep(seconds)
        if how == "start_child":
            ref: ActorRef[Late] = await supervisor.start_child(late)
            assert trio.current_time() == 2 + 3  # b has ended, and both have started
            assert await ref.call(Late.is_current)
        else:
            with pytest.raises(ChildNotEnded):  # the restart has started it too
                await supervisor.restart_child("late")
        assert restarts(supervisor)["b"] == 1


@pytest.mark.parametrize("how", ["start_child", "restart_child"])
async def test_a_start_under_way_when_a_restart_of_several_begins_is_begun_anew_after_it(
    how: str, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    children = [ChildSpec(Slow, id="a", name=names.via("a"))]
    async with supervising(children, strategy="one_for_all", max_restarts=1) as supervisor:
        late = ChildSpec(Slow, id="late", name=names.via("late"), restart="transient")
        if how == "restart_child":
            await supervisor.start_child(late)
            await supervisor.terminate_child("late")
        started: list[ActorRef[Any]] = []

        async def start() -> None:
            if how == "start_child":
                started.append(await supervisor.start_child(late))
            else:
                started.append(await supervisor.restart_child("late"))

        now = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start)
            await trio.sleep(0.5)
            ref_of(supervisor, "a").kill()
        assert started == [names.whereis("late")]
        assert trio.current_time() == now + 0.5 + 1 + 1  # a has started again; late has started
        assert ref_of(supervisor, "late") is started[0]
        assert restarts(supervisor) == {"a": 1, "late": 0}


@pytest.mark.parametrize("seconds", [0.5, 1.5])
async def test_a_start_that_is_terminated_before_or_while_a_restart_of_several_ends_it_is_not_begun_anew(
    seconds: float, autojump_clock: MockClock
) -> None:
    class Stubborn(Actor):
        async def on_start(self) -> None:
            try:
                await trio.sleep(10)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(2)

    async with supervising([ChildSpec(Actor, id="a")], strategy="one_for_all") as supervisor:

        async def start() -> None:
            with pytest.raises(ActorExited):
                await supervisor.start_child(ChildSpec(Stubborn, id="late"))

        async def restart() -> None:
            await trio.sleep(1)
            ref_of(supervisor, "a").kill()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(start)
            nursery.start_soon(restart)
            await trio.sleep(seconds)
            await supervisor.terminate_child("late")
        await trio.sleep(100)
        assert restarts(supervisor) == {"a": 1}


async def test_a_start_asked_for_between_two_tries_of_a_restart_of_several_does_not_wait_for_the_next_try(
    autojump_clock: MockClock,
) -> None:
    fails = False

    class Fragile(Actor):
        async def on_start(self) -> None:
            if fails:
                raise OSError

    children = [ChildSpec(Fragile, id="a", backoff=Backoff(initial=60, maximum=60, jitter=0)), ChildSpec(Actor, id="b")]
    async with supervising(children, strategy="one_for_all", max_restarts=5, max_seconds=1000) as supervisor:
        fails = True
        ref_of(supervisor, "a").kill()
        await trio.sleep(90)  # it has waited for its restart, and has failed
        now = trio.current_time()
        await supervisor.start_child(Actor, id="c")
        assert trio.current_time() == now
        assert [child.state for child in supervisor.which_children()] == ["restarting", "restarting", "running"]
        fails = False
        await trio.sleep(60)
        assert [child.state for child in supervisor.which_children()] == ["running"] * 3


async def test_starts_that_wait_for_a_restart_of_several_are_refused_at_once_when_the_supervisor_ends(
    autojump_clock: MockClock,
) -> None:
    async with open_supervisor(
        [ChildSpec(Slow, id="a"), ChildSpec(Slow, id="b")], strategy="one_for_all"
    ) as supervisor:
        ref_of(supervisor, "a").kill()
        await trio.sleep(0.5)

        async def start() -> None:
            with pytest.raises(RuntimeError, match="not running"):
                await supervisor.start_child(Actor)
            refused.append(trio.current_time())

        refused: list[float] = []
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(start)
            await wait_all_tasks_blocked()
            now = trio.current_time()
            supervisor.stop()
        assert refused == [now] * 3


async def test_a_start_that_waits_for_a_restart_of_several_can_be_cancelled(autojump_clock: MockClock) -> None:
    async with supervising([ChildSpec(Slow, id="a")], strategy="one_for_all") as supervisor:
        ref_of(supervisor, "a").kill()
        await trio.sleep(0.5)
        with trio.move_on_after(0.1) as scope:
            await supervisor.start_child(Actor)
        assert scope.cancelled_caught
        assert list(restarts(supervisor)) == ["a"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_child_may_ask_for_a_child_in_its_own_start_in_a_restart_of_several(
    strategy: Any, autojump_clock: MockClock
) -> None:
    asked: list[str] = []

    async def ask(when: str) -> None:
        if when == "start" and asked:
            await supervisor.start_child(Actor, restart="temporary")
        asked.append(when)

    children = [ChildSpec(Slow, (ask,), id="a", shutdown=math.inf), ChildSpec(Slow, id="b")]
    async with supervising(children, strategy=strategy) as supervisor:
        ref_of(supervisor, "a").kill()
        await trio.sleep(10)
        assert asked == ["start", "start"]
        assert [child.state for child in supervisor.which_children()] == ["running"] * 3


async def test_a_child_that_asks_for_a_child_in_the_end_that_a_restart_of_several_waits_for_gets_call_cycle(
    autojump_clock: MockClock,
) -> None:
    errors: list[str] = []

    async def ask(when: str) -> None:
        if when == "stop" and not errors:
            with pytest.raises(CallCycle) as caught:
                await supervisor.start_child(Actor)
            errors.append(str(caught.value))

    children = [ChildSpec(Slow, id="a"), ChildSpec(Slow, (ask,), id="b", shutdown=math.inf)]
    async with supervising(children, strategy="one_for_all") as supervisor:
        ref_of(supervisor, "a").kill()
        await trio.sleep(10)
        assert len(errors) == 1
        assert restarts(supervisor) == {"a": 1, "b": 1}


# Trio runs what is woken in one step in either order.
@pytest.mark.parametrize("time", range(8))
async def test_starts_that_wait_for_a_restart_of_several_begin_in_the_order_in_which_they_were_asked_for(
    time: int, autojump_clock: MockClock
) -> None:
    async with supervising([ChildSpec(Slow, id="a"), ChildSpec(Slow, id="b")], strategy="one_for_all") as supervisor:
        ref_of(supervisor, "a").kill()
        await trio.sleep(0.5)

        async def start(id: int) -> None:
            await trio.sleep(id / 10)
            await supervisor.start_child(ChildSpec(Actor, id=id))

        async with trio.open_nursery() as nursery:
            for id in range(20):
                nursery.start_soon(start, id)
        assert list(restarts(supervisor)) == ["a", "b", *range(20)]


async def test_a_start_that_waits_and_is_cancelled_or_refused_lets_the_next_one_begin(
    autojump_clock: MockClock,
) -> None:
    async with supervising([ChildSpec(Slow, id="a")], strategy="one_for_all") as supervisor:
        ref_of(supervisor, "a").kill()
        await trio.sleep(0.5)

        async def start(id: str, seconds: float) -> None:
            with trio.move_on_after(seconds):
                await supervisor.start_child(ChildSpec(Actor, id=id))

        async def start_twice() -> None:
            with pytest.raises(ValueError, match="taken"):
                await supervisor.start_child(ChildSpec(Actor, id="a"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(start, "b", 0.5)  # at that moment the restart is over
            await wait_all_tasks_blocked()
            nursery.start_soon(start_twice)
            await wait_all_tasks_blocked()
            nursery.start_soon(start, "c", math.inf)
        assert "c" in restarts(supervisor)


async def test_a_start_waits_no_longer_than_the_restart_if_all_children_that_it_restarts_are_terminated(
    autojump_clock: MockClock,
) -> None:
    children = [ChildSpec(Slow, id="a"), ChildSpec(Slow, id="b")]
    async with supervising(children, strategy="one_for_all", max_restarts=1) as supervisor:
        began = trio.current_time()
        ref_of(supervisor, "b").kill()
        async with trio.open_nursery() as nursery:
            await trio.sleep(0.5)  # b has ended, and a is ending
            nursery.start_soon(supervisor.start_child, ChildSpec(Actor, id="late"))
            await wait_all_tasks_blocked()
            nursery.start_soon(supervisor.terminate_child, "b")
            nursery.start_soon(supervisor.terminate_child, "a")
        assert trio.current_time() == began + 1
        assert ref_of(supervisor, "late").is_alive


async def test_a_start_waits_no_longer_if_the_child_that_was_to_be_restarted_is_terminated(
    autojump_clock: MockClock,
) -> None:
    group = RestartGroup("one_for_all")
    child: Any = object()
    lifecycle: Any = SimpleNamespace(is_accepting=True)
    async with trio.open_nursery() as nursery:
        group.request(child)
        nursery.start_soon(group.wait_over, lifecycle)
        await wait_all_tasks_blocked()
        group.remove(child)
