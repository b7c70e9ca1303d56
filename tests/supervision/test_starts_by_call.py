"""Starts that are asked for by `call`: side by side, in order, and none of them left behind."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, Literal

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    AlreadyRegistered,
    CallCycle,
    ChildNotFound,
    ChildSpec,
    DynamicSupervisor,
    Registry,
    Supervisor,
)


class Room(Actor):
    def __init__(self, seconds: float = 0, hall: Hall | None = None) -> None:
        self.seconds = seconds
        self.hall = hall

    async def on_start(self) -> None:
        await trio.sleep(self.seconds)
        if self.hall is not None:
            await self.hall.ask()

    def ping(self) -> str:
        return "pong"

    async def open_another(self, hall: Hall) -> None:
        await hall.rooms.call(Rooms.open, "another", 0, Hall(hall.rooms, self.ref))


class Rooms(DynamicSupervisor):
    def __init__(self, names: Registry[str, None]) -> None:
        super().__init__()
        self.names = names

    def open(self, topic: str, seconds: float = 0, hall: Hall | None = None) -> Awaitable[ActorRef[Room]]:
        return self.start_child(Room, seconds, hall, name=self.names.via(topic), restart="temporary")

    def get(self, topic: str) -> Awaitable[ActorRef[Room]]:
        return self.start_or_get(Room, name=self.names.via(topic))

    async def open_in_its_turn(self, topic: str, seconds: float) -> ActorRef[Room]:
        return await self.open(topic, seconds)


class Hall:
    """What a room asks while it starts: another room."""

    def __init__(self, rooms: ActorRef[Rooms], room: ActorRef[Room]) -> None:
        self.rooms = rooms
        self.room = room

    async def ask(self) -> None:
        await self.room.call(Room.ping)


@asynccontextmanager
async def open_rooms() -> AsyncGenerator[tuple[ActorRef[Rooms], Registry[str, None]]]:
    names: Registry[str, None] = Registry("names")
    async with supervised() as top:
        yield await top.start_child(Rooms, names, restart="temporary"), names
    assert names.count() == 0


async def test_starts_by_call_run_side_by_side(autojump_clock: MockClock) -> None:
    async with open_rooms() as (rooms, names):

        async def start(number: int) -> None:
            await rooms.call(Rooms.start_child, ChildSpec(Room, (3,), name=names.via(f"{number}")))

        async def start_or_get(number: int) -> None:
            method: Any = Rooms.start_or_get  # mypy does not see its overloads through a call's
            await rooms.call(method, Room, 3, name=names.via(f"perhaps {number}"))

        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(rooms.call, Rooms.open, f"own {number}", 3)
                nursery.start_soon(start, number)
                nursery.start_soon(start_or_get, number)
        counts = await rooms.call(Rooms.count_children)
        assert (counts.specs, counts.active) == (30, 30)
        assert trio.current_time() - began == 3


async def test_to_ask_for_one_that_exists_waits_for_nobody(autojump_clock: MockClock) -> None:
    async with open_rooms() as (rooms, names), trio.open_nursery() as nursery:
        cats = await rooms.call(Rooms.open, "cats")
        nursery.start_soon(rooms.call, Rooms.open, "slow", 1000)
        await wait_all_tasks_blocked()
        began = trio.current_time()
        start_or_get: Any = Rooms.start_or_get  # mypy does not see its overloads through a call's
        assert await rooms.call(Rooms.get, "cats") is cats
        assert await rooms.call(start_or_get, Room, name=names.via("cats")) is cats
        assert trio.current_time() == began


async def test_ten_thousand_calls_for_one_name_start_one_child(autojump_clock: MockClock) -> None:
    got: set[ActorRef[Room]] = set()
    async with open_rooms() as (rooms, _):

        async def ask() -> None:
            got.add(await rooms.call(Rooms.get, "cats"))

        async with trio.open_nursery() as nursery:
            for _ in range(10_000):
                nursery.start_soon(ask)
        assert len(got) == 1
        assert (await rooms.call(Rooms.count_children)).specs == 1


async def test_starts_begin_in_the_order_of_their_messages(autojump_clock: MockClock) -> None:
    async with open_rooms() as (rooms, _):
        for number in range(100):
            rooms.cast_nowait(Rooms.open, str(number), 100 - number)
        await trio.sleep(200)
        children = await rooms.call(Rooms.which_children)
        assert [child.spec.name and child.spec.name.key for child in children] == [str(n) for n in range(100)]


async def test_an_async_method_of_ones_own_is_handled_alone(autojump_clock: MockClock) -> None:
    async with open_rooms() as (rooms, _), trio.open_nursery() as nursery:
        began = trio.current_time()
        for number in range(3):
            nursery.start_soon(rooms.call, Rooms.open_in_its_turn, str(number), 2)
        await wait_all_tasks_blocked()
        assert (await rooms.call(Rooms.count_children)).specs == 3
        assert trio.current_time() - began == 6


async def test_a_termination_by_call_does_not_hold_up_starts(autojump_clock: MockClock) -> None:
    class Slow(Actor):
        async def on_stop(self, exit: object) -> None:
            await trio.sleep(3)

    async with open_rooms() as (rooms, _), trio.open_nursery() as nursery:
        slow = await rooms.call(Rooms.start_child, ChildSpec(Slow))
        nursery.start_soon(rooms.call, Rooms.terminate_child, slow)
        await wait_all_tasks_blocked()
        began = trio.current_time()
        await rooms.call(Rooms.open, "cats")
        assert trio.current_time() == began


# The end of the supervisor, and of the caller


async def test_a_supervisor_that_is_asked_to_stop_finishes_the_starts_it_was_asked_for(
    autojump_clock: MockClock,
) -> None:
    got: list[ActorRef[Room]] = []
    async with open_rooms() as (rooms, _), trio.open_nursery() as nursery:

        async def ask() -> None:
            got.append(await rooms.call(Rooms.open, "cats", 3))

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        assert (await rooms.stop()).reason == "normal"
    assert len(got) == 1


@pytest.mark.parametrize("how", ["kill", "cancel"])
async def test_the_callers_of_a_supervisor_that_ends_learn_of_it_and_nothing_is_left(
    how: str, autojump_clock: MockClock
) -> None:
    async with open_rooms() as (rooms, names), trio.open_nursery() as nursery:

        async def ask(number: int) -> None:
            with pytest.raises(ActorExited):
                await rooms.call(Rooms.open, str(number), 3)

        for number in range(3):
            nursery.start_soon(ask, number)
        await wait_all_tasks_blocked()
        getattr(rooms, how)()
        await rooms.wait()
        assert names.count() == 0


async def test_a_start_goes_on_without_a_caller_that_is_cancelled(autojump_clock: MockClock) -> None:
    async with open_rooms() as (rooms, names):
        with trio.move_on_after(1):
            await rooms.call(Rooms.open, "cats", 3)
        await trio.sleep(3)
        assert names.whereis("cats") is not None
        statistics = rooms.statistics()
        assert statistics.handled == 1


# Cycles


async def test_a_child_may_call_the_supervisor_that_starts_it(autojump_clock: MockClock) -> None:
    async with open_rooms() as (rooms, _):

        class Asking(Actor):
            async def on_start(self) -> None:
                assert (await rooms.call(Rooms.count_children)).specs == 1
                await rooms.call(Rooms.open, "from its start")

        await rooms.call(Rooms.start_child, ChildSpec(Asking))
        assert (await rooms.call(Rooms.count_children)).specs == 2


async def test_a_child_whose_start_waits_for_the_actor_that_asked_for_it_does_not_start(
    autojump_clock: MockClock,
) -> None:
    async with open_rooms() as (rooms, _):
        asker = await rooms.call(Rooms.open, "asker")
        with pytest.raises(ActorExited) as caught:
            await asker.call(Room.open_another, Hall(rooms, asker))
        cycle = caught.value.__cause__
        assert isinstance(cycle, CallCycle)
        assert asker in cycle.path
        assert rooms in cycle.path
        assert (await rooms.call(Rooms.count_children)).specs == 0


async def test_a_child_that_asks_for_itself_in_its_start_does_not_start(autojump_clock: MockClock) -> None:
    async with open_rooms() as (rooms, names):

        class Asking(Actor):
            async def on_start(self) -> None:
                await rooms.call(Rooms.get, "asking")

        with pytest.raises(CallCycle):
            await rooms.call(Rooms.start_child, ChildSpec(Asking, name=names.via("asking")))
        assert names.count() == 0


async def test_a_caller_that_is_cancelled_leaves_no_wait_behind(autojump_clock: MockClock) -> None:
    async with open_rooms() as (rooms, _):

        class Asker(Actor):
            async def ask(self) -> None:
                with trio.move_on_after(1):
                    await rooms.call(Rooms.open, "slow", 1000)

            def ping(self) -> str:
                return "pong"

        async with supervised() as other:
            asker = await other.start_child(Asker)
            await asker.call(Asker.ask)

            class Asking(Actor):
                async def on_start(self) -> None:
                    await asker.call(Asker.ping)

            await rooms.call(Rooms.start_child, ChildSpec(Asking))


async def test_restart_child_by_call_does_not_hold_up_the_supervisor(autojump_clock: MockClock) -> None:
    async with supervised() as top, trio.open_nursery() as nursery:
        ref = await top.start_child(Supervisor, [ChildSpec(Room, (2,), id="slow")])
        await ref.call(Supervisor.terminate_child, "slow")
        began = trio.current_time()
        nursery.start_soon(ref.call, Supervisor.restart_child, "slow")
        await wait_all_tasks_blocked()
        assert [child.state for child in await ref.call(Supervisor.which_children)] == ["starting"]
        assert trio.current_time() == began


async def test_a_method_that_returns_one_coroutine_twice_does_not_break_the_first_start(
    autojump_clock: MockClock,
) -> None:
    class Twice(Rooms):
        start: Awaitable[ActorRef[Room]] | None = None

        def open_once(self) -> Awaitable[ActorRef[Room]]:
            self.start = self.start or self.open("cats", 3)
            return self.start

    names: Registry[str, None] = Registry("names")
    async with supervised() as top, trio.open_nursery() as nursery:
        rooms = await top.start_child(Twice, names, restart="temporary")
        got: list[ActorRef[Room]] = []

        async def ask() -> None:
            got.append(await rooms.call(Twice.open_once))

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="awaited already"):
            await rooms.call(Twice.open_once)
        await trio.sleep(3)
        await wait_all_tasks_blocked()
        assert [names.whereis("cats")] == got


# At random: everybody gets an answer, and nothing is left


Operation = Literal["open", "open in its turn", "get", "cast", "terminate", "count", "give up"]
OPERATIONS: list[Operation] = ["open", "open in its turn", "get", "get", "cast", "terminate", "count", "give up"]


@attrs.frozen
class Step:
    """What one more task asks for, after a pause in seconds: it starts a room that takes some seconds to start."""

    operation: Operation
    topic: str
    seconds: int
    pause: int


steps = st.builds(
    Step, st.sampled_from(OPERATIONS), st.sampled_from("abc"), st.sampled_from([0, 0, 1, 5]), st.sampled_from([0, 0, 1])
)


async def play(steps: list[Step], end: Literal["stop", "kill", "cancel", "leave"]) -> None:
    answers: list[object] = []
    callers: list[trio.CancelScope] = []
    tasks = trio.lowlevel.current_statistics().tasks_living
    names: Registry[str, None] = Registry("names")

    async def ask(step: Step) -> None:
        with trio.CancelScope() as scope:
            callers.append(scope)
            try:
                if step.operation == "open":
                    answers.append(await rooms.call(Rooms.open, step.topic, step.seconds))
                elif step.operation == "open in its turn":
                    answers.append(await rooms.call(Rooms.open_in_its_turn, step.topic, step.seconds))
                elif step.operation == "get":
                    answers.append(await rooms.call(Rooms.get, step.topic))
                elif step.operation == "cast":
                    rooms.cast_nowait(Rooms.open, step.topic, step.seconds)
                    answers.append(None)
                elif step.operation == "terminate":
                    await rooms.call(Rooms.terminate_child, names.whereis(step.topic))
                    answers.append(None)
                elif step.operation == "count":
                    answers.append(await rooms.call(Rooms.count_children))
            except (ActorExited, AlreadyRegistered, ChildNotFound, TypeError) as error:
                answers.append(error)
        if scope.cancelled_caught:
            answers.append("cancelled")

    asked = 0
    async with supervised() as top, trio.open_nursery() as nursery:
        rooms = await top.start_child(Rooms, names, restart="temporary")
        for step in steps:
            await trio.sleep(step.pause)
            await wait_all_tasks_blocked()
            if step.operation == "give up":
                if callers:
                    callers[step.seconds % len(callers)].cancel()
                continue
            asked += 1
            nursery.start_soon(ask, step)
        await wait_all_tasks_blocked()
        if end == "leave":
            await trio.sleep(1000)
        elif end == "stop":
            await rooms.stop()
        else:
            getattr(rooms, end)()
            await rooms.wait()
        await wait_all_tasks_blocked()
        assert len(answers) == asked
        if end != "leave":
            assert names.count() == 0
        else:
            counts = await rooms.call(Rooms.count_children)
            assert counts.specs == counts.active == names.count()
    assert names.count() == 0
    await wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().tasks_living == tasks


@given(
    steps=st.lists(steps, min_size=3, max_size=20), end=st.sampled_from(("stop", "kill", "cancel", "leave", "leave"))
)
def test_every_caller_gets_an_answer_and_nothing_is_left(
    steps: list[Step], end: Literal["stop", "kill", "cancel", "leave"]
) -> None:
    trio.run(play, steps, end, clock=MockClock(autojump_threshold=0))
