"""A child that calls the actor that starts it: a cycle while it starts, and none from the moment it has started."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorRef, DynamicSupervisor, Registry


class Child(Actor):
    def __init__(self, boss: ActorRef[Boss], seconds: float, seen: list[str], is_shielded: bool) -> None:
        self.boss = boss
        self.seconds = seconds
        self.seen = seen
        self.is_shielded = is_shielded

    async def on_start(self) -> None:
        try:
            await trio.sleep(self.seconds)
        finally:
            try:
                with trio.CancelScope(shield=self.is_shielded):
                    await self.boss.call(Boss.hello)
            except BaseException as error:
                self.seen.append(type(error).__name__)
                raise


class Boss(Actor):
    def __init__(self, supervisor: DynamicSupervisor) -> None:
        self.supervisor = supervisor

    async def start(self, seconds: float, seen: list[str], is_shielded: bool = False) -> str:
        with trio.move_on_after(1):
            await self.supervisor.start_child(Child, self.ref, seconds, seen, is_shielded, restart="temporary")
        return "moved on"

    def hello(self) -> str:
        return "hello"


@pytest.mark.parametrize("seconds", [1, 10])
async def test_a_start_that_is_being_cancelled_gets_no_call_cycle_when_it_calls_its_starter(
    seconds: int, autojump_clock: MockClock
) -> None:
    seen: list[str] = []
    async with supervised() as supervisor:
        boss = await supervisor.start_child(Boss, supervisor)
        assert await boss.call(Boss.start, seconds, seen) == "moved on"
    assert seen == ["Cancelled"]


async def test_a_shielded_call_to_the_starter_by_a_start_that_is_being_cancelled_is_a_cycle(
    autojump_clock: MockClock,
) -> None:
    seen: list[str] = []
    async with supervised() as supervisor:
        boss = await supervisor.start_child(Boss, supervisor)
        assert await boss.call(Boss.start, 10, seen, True) == "moved on"
    assert seen == ["CallCycle"]


# The child has started, and its starter has not had its turn yet


async def job(boss: ActorRef[Boss], said: list[str]) -> None:
    said.append(await boss.call(Boss.hello))


class Starts(Boss):
    async def start_job(self, said: list[str]) -> None:
        await self.supervisor.start_child(job, self.ref, said, restart="temporary")

    async def start_caller(self, said: list[str]) -> None:
        await self.supervisor.start_child(Caller, self.ref, said, restart="temporary")

    async def start_with_message(self, said: list[str], names: Registry[str, None]) -> None:
        await self.supervisor.start_child(Slow, self.ref, said, name=names.via("slow"), restart="temporary")


class Caller(Actor):
    def __init__(self, boss: ActorRef[Boss], said: list[str]) -> None:
        self.boss = boss
        self.said = said

    async def on_started(self) -> None:
        self.said.append(await self.boss.call(Boss.hello))


class Slow(Actor):
    def __init__(self, boss: ActorRef[Boss], said: list[str]) -> None:
        self.boss = boss
        self.said = said

    async def on_start(self) -> None:
        await trio.sleep(1)

    async def ask(self) -> None:
        self.said.append(await self.boss.call(Boss.hello))


@pytest.mark.parametrize("start", [Starts.start_job, Starts.start_caller], ids=["function", "on_started"])
async def test_a_function_and_on_started_may_call_the_starter_in_their_first_step(
    start: Any, autojump_clock: MockClock
) -> None:
    said: list[str] = []
    async with supervised() as supervisor:
        boss = await supervisor.start_child(Starts, supervisor)
        await boss.call(start, said)
        await wait_all_tasks_blocked()
    assert said == ["hello"]


async def test_the_handler_of_a_message_that_came_during_the_start_may_call_the_starter(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    said: list[str] = []
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        boss = await supervisor.start_child(Starts, supervisor)
        nursery.start_soon(boss.call, Starts.start_with_message, said, names)
        await trio.sleep(0.5)
        names.via("slow").cast_nowait(Slow.ask)
        await trio.sleep(1)
    assert said == ["hello"]


async def test_a_child_may_call_an_actor_that_has_waited_while_another_task_started_the_child(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    said: list[str] = []

    class Gets(Boss):
        async def get(self) -> None:
            await self.supervisor.start_or_get(Slow, self.ref, said, name=names.via("slow"), restart="temporary")

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        boss = await supervisor.start_child(Gets, supervisor)

        async def start() -> None:
            await supervisor.start_child(Slow, boss, said, name=names.via("slow"), restart="temporary")

        nursery.start_soon(start)
        await wait_all_tasks_blocked()
        nursery.start_soon(boss.call, Gets.get)
        await trio.sleep(0.5)
        names.via("slow").cast_nowait(Slow.ask)
        await trio.sleep(1)
    assert said == ["hello"]
