"""Cycles through the end of an actor: what waits for that end, and what its `on_stop` waits for."""

from __future__ import annotations

import functools
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
import trio
from support.children import ref_of, states_by_id
from support.supervisors import supervising
from trio.testing import MockClock

from trioreg import Actor, ActorRef, CallCycle, ChildSpec, Exit, Supervisor

Steps: TypeAlias = Callable[[], Awaitable[object]]


class Peer(Actor):
    """It does what it is told, in a handler, or a second after it is told to end."""

    def __init__(self, at_end: list[Steps] | None = None) -> None:
        self.at_end = [] if at_end is None else at_end

    async def do(self, steps: Steps) -> None:
        await steps()

    def ping(self) -> None: ...

    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep(1)
        if self.at_end:  # the first life only
            await self.at_end.pop()()


class Cycles:
    """It notes which steps are refused as a cycle."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def noting(self, who: str, steps: Steps) -> Steps:
        async def run() -> None:
            try:
                await steps()
            except CallCycle:
                self.found.append(who)

        return run


def below(depth: int, spec: ChildSpec) -> ChildSpec:
    """Supervisors above a child."""
    for _ in range(depth):
        spec = ChildSpec(functools.partial(Supervisor, [spec]), id="below", shutdown=math.inf)
    return spec


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize(("seconds", "who"), [(0.5, "end"), (1.5, "start")])  # the actor waits first, or the end
async def test_an_end_far_below_that_calls_an_actor_which_waits_for_the_restart_closes_a_cycle(
    depth: int, seconds: float, who: str, autojump_clock: MockClock
) -> None:
    cycles = Cycles()
    async with supervising(max_restarts=0) as others:
        other = await others.start_child(Peer)
        lower = ChildSpec(Peer, ([cycles.noting("end", lambda: other.call(Peer.ping))],), shutdown=math.inf)
        children = [ChildSpec(Actor, id="a"), below(depth, lower)]
        async with supervising(children, strategy="one_for_all") as supervisor:

            async def start() -> None:
                await trio.sleep(seconds)
                await supervisor.start_child(Actor, restart="temporary")

            other.cast_nowait(Peer.do, cycles.noting("start", start))
            ref_of(supervisor, "a").kill()
            await trio.sleep(100)
            assert cycles.found == [who]
            assert set(states_by_id(supervisor).values()) == {"running"}


@pytest.mark.parametrize("depth", [1, 3])
async def test_an_end_that_begins_below_before_the_restart_and_waits_for_it_closes_a_cycle(
    depth: int, autojump_clock: MockClock
) -> None:
    cycles = Cycles()
    steps: list[Steps] = [cycles.noting("end", lambda: supervisor.start_child(Actor, restart="temporary"))]
    lowest: list[ActorRef[Any]] = []

    class Lowest(Peer):
        async def on_start(self) -> None:
            lowest.append(self.ref)

    class Slow(Actor):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(2)

    children = [
        ChildSpec(Actor, id="a"),
        below(depth, ChildSpec(Lowest, (steps,), shutdown=math.inf)),
        ChildSpec(Slow, id="c"),
    ]
    async with supervising(children, strategy="one_for_all") as supervisor:
        ref_of(supervisor, "a").kill()  # the restart waits for the end of c first
        lowest[0].cancel()  # a second later it asks for a child
        await trio.sleep(100)
        assert cycles.found == ["end"]
        assert set(states_by_id(supervisor).values()) == {"running"}


@pytest.mark.parametrize("depth", [0, 2])
async def test_an_end_that_calls_the_actor_that_terminates_it_closes_a_cycle(
    depth: int, autojump_clock: MockClock
) -> None:
    cycles = Cycles()
    async with supervising(max_restarts=0) as others:
        other = await others.start_child(Peer)
        lower = ChildSpec(Peer, ([cycles.noting("end", lambda: other.call(Peer.ping))],), id="below", shutdown=math.inf)
        async with supervising([below(depth, lower)]) as supervisor:
            with trio.fail_after(10):
                await other.call(Peer.do, lambda: supervisor.terminate_child("below"))
            assert cycles.found == ["end"]


async def test_an_actor_that_terminates_a_child_which_waits_for_it_in_its_end_gets_call_cycle(
    autojump_clock: MockClock,
) -> None:
    cycles = Cycles()
    async with supervising(max_restarts=0) as others:
        other = await others.start_child(Peer)
        spec = ChildSpec(Peer, ([lambda: other.call(Peer.ping)],), id="a", shutdown=math.inf)
        async with supervising([spec]) as supervisor:

            async def terminate() -> None:
                await trio.sleep(2)  # the child waits by now
                await supervisor.terminate_child("a")

            ref = ref_of(supervisor, "a")
            other.cast_nowait(Peer.do, cycles.noting("terminate", terminate))
            ref.cancel()
            await trio.sleep(100)
            assert cycles.found == ["terminate"]
            assert states_by_id(supervisor) == {"a": "running"}  # nothing was terminated


@pytest.mark.parametrize("is_call", [False, True])
async def test_a_child_may_wait_in_a_handler_for_the_actor_that_terminates_it(
    is_call: bool, autojump_clock: MockClock
) -> None:
    """Its end cancels that wait."""
    async with supervising(max_restarts=0) as others:
        other = await others.start_child(Peer)
        async with supervising([ChildSpec(Peer, id="a")]) as supervisor:
            ref = ref_of(supervisor, "a")

            async def terminate() -> None:
                if is_call:
                    await trio.sleep(1)
                await supervisor.terminate_child("a")

            if is_call:
                await ref.cast(Peer.do, lambda: other.call(Peer.do, terminate))
                await trio.sleep(10)
            else:
                await other.call(Peer.do, terminate)
            assert states_by_id(supervisor) == {"a": "ended"}
            await other.call(Peer.ping)


# In any order: a task of the supervisor ends the child, a step after the other actor has asked for that.
@pytest.mark.parametrize("time", range(16))
async def test_a_child_that_is_about_to_be_ended_may_call_the_actor_that_terminates_it(
    time: int, autojump_clock: MockClock
) -> None:
    cycles = Cycles()
    async with supervising(max_restarts=0) as others:
        other = await others.start_child(Peer)
        async with supervising([ChildSpec(Peer, id="a")]) as supervisor:

            async def after(checkpoints: int) -> None:
                await trio.sleep(1)
                for _ in range(checkpoints):
                    await trio.lowlevel.checkpoint()

            async def terminate() -> None:
                await after(time % 4)
                await supervisor.terminate_child("a")

            async def call() -> None:
                await after(time // 4)
                await other.call(Peer.ping)

            other.cast_nowait(Peer.do, terminate)
            ref_of(supervisor, "a").cast_nowait(Peer.do, cycles.noting("call", call))
            await trio.sleep(10)
            assert cycles.found == []
            assert states_by_id(supervisor) == {"a": "ended"}


# In any order: the child that is cancelled and the actor that it calls have their turn in the same step.
@pytest.mark.parametrize("time", range(16))
async def test_a_wait_that_an_end_cancels_is_not_part_of_a_cycle(time: int, autojump_clock: MockClock) -> None:
    cycles = Cycles()
    async with supervising(max_restarts=0) as others:
        other = await others.start_child(Peer)
        children = [ChildSpec(Actor, id="a"), ChildSpec(Peer, id="b")]
        async with supervising(children, strategy="one_for_all") as supervisor:

            async def start() -> None:
                await trio.sleep(1)
                for _ in range(time % 4):
                    await trio.lowlevel.checkpoint()
                await supervisor.start_child(Actor, restart="temporary")

            ref_of(supervisor, "b").cast_nowait(Peer.do, other.wait)
            other.cast_nowait(Peer.do, cycles.noting("start", start))
            await trio.sleep(1)
            ref_of(supervisor, "a").kill()
            await trio.sleep(10)
            assert cycles.found == []
            assert set(states_by_id(supervisor).values()) == {"running"}


@pytest.mark.parametrize("time", range(8))
async def test_a_child_that_has_started_again_may_call_an_actor_that_still_waits_for_the_restart(
    time: int, autojump_clock: MockClock
) -> None:
    cycles = Cycles()
    is_restart = False
    async with supervising(max_restarts=0) as others:
        other = await others.start_child(Peer)

        class Eager(Actor):
            async def on_start(self) -> None:
                await trio.sleep(1)

            async def on_started(self) -> None:
                for steps in range(time):
                    if steps > 3:
                        await trio.lowlevel.checkpoint()
                if is_restart:
                    await cycles.noting("started", lambda: other.call(Peer.ping))()

        async with supervising([ChildSpec(Eager, id="a")], strategy="one_for_all") as supervisor:
            is_restart = True
            ref_of(supervisor, "a").kill()
            await trio.sleep(0.5)
            other.cast_nowait(Peer.do, lambda: supervisor.start_child(Actor, restart="temporary"))
            await trio.sleep(10)
            assert cycles.found == []
            assert set(states_by_id(supervisor).values()) == {"running"}


@pytest.mark.parametrize("is_early", [False, True])  # the end begins before the start fails, or because of that
async def test_an_end_that_a_failed_start_of_the_restart_waits_for_may_ask_for_a_child(
    is_early: bool, autojump_clock: MockClock
) -> None:
    starts = 0
    started: list[ActorRef[Any]] = []

    class Lower(Peer):
        async def on_start(self) -> None:
            started.append(self.ref)

        async def on_stop(self, exit: Exit) -> None:
            if starts == 2:
                await supervisor.start_child(Actor, id=f"asked for by {self.ref!r}", restart="temporary")

    class Fails(Actor):
        async def on_start(self) -> None:
            nonlocal starts
            starts += 1
            if starts == 2:
                if is_early:
                    started[-1].cancel()
                await trio.sleep(1)
                raise OSError

    listed = [ChildSpec(Lower, id="lower", shutdown=math.inf), ChildSpec(Fails, id="fails")]
    children = [ChildSpec(Actor, id="a"), ChildSpec(functools.partial(Supervisor, listed), id="n", shutdown=math.inf)]
    async with supervising(children, strategy="one_for_all", max_restarts=5) as supervisor:
        ref_of(supervisor, "a").kill()
        await trio.sleep(100)
        assert starts == 3
        assert states_by_id(supervisor)["n"] == "running"
