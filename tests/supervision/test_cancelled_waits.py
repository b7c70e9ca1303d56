"""A wait that is being cancelled is no part of a cycle: the other side may call the actor that has waited for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from support.errors import Bang
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorRef,
    DynamicSupervisor,
    Exit,
    Partitions,
    Registry,
    open_partition_supervisor,
    open_supervisor,
)

Wait = Callable[[], Awaitable[object]]


class Patient(Actor):
    """It waits for something until its scope is cancelled."""

    def __init__(self, scope: trio.CancelScope) -> None:
        self.scope = scope

    async def wait(self, wait: Wait) -> None:
        with self.scope:
            await wait()

    def answer(self) -> str:
        return "answered"


class Meeting:
    """A patient actor, and the moment in which it gives up and is called."""

    def __init__(self, supervisor: DynamicSupervisor, patient: ActorRef[Patient], scope: trio.CancelScope) -> None:
        self.supervisor = supervisor
        self.patient = patient
        self.scope = scope
        self.answers: list[str] = []

    async def cancel_and_call(self) -> None:
        await trio.sleep(1)
        if not self.answers:
            self.scope.cancel()
            self.answers.append(await self.patient.call(Patient.answer))

    async def check(self, wait: Wait) -> None:
        await self.patient.call(Patient.wait, wait)
        await wait_all_tasks_blocked()
        assert self.scope.cancelled_caught
        assert self.answers == ["answered"]


class SlowStart(Actor):
    def __init__(self, meeting: Meeting) -> None:
        self.meeting = meeting

    async def on_start(self) -> None:
        await self.meeting.cancel_and_call()


class SlowEnd(Actor):
    def __init__(self, meeting: Meeting) -> None:
        self.meeting = meeting

    async def on_stop(self, exit: Exit) -> None:
        await self.meeting.cancel_and_call()


class Crashing(Actor):
    def crash(self) -> None:
        raise Bang


@asynccontextmanager
async def meeting() -> AsyncGenerator[Meeting]:
    scope = trio.CancelScope()
    async with supervised() as supervisor:
        yield Meeting(supervisor, await supervisor.start_child(Patient, scope), scope)


async def test_a_cancelled_wait_for_a_termination_is_no_cycle(autojump_clock: MockClock) -> None:
    async with meeting() as it:
        slow = await it.supervisor.start_child(SlowEnd, it)
        await it.check(lambda: it.supervisor.terminate_child(slow))


async def test_a_cancelled_wait_for_the_end_of_the_last_holder_of_a_name_is_no_cycle(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    name = names.via("slow")
    async with meeting() as it, trio.open_nursery() as nursery:
        slow = await it.supervisor.start_child(SlowEnd, it, name=name, restart="temporary")
        nursery.start_soon(slow.stop)
        await wait_all_tasks_blocked()
        await it.check(lambda: it.supervisor.start_or_get(Actor, name=name))


async def test_a_cancelled_wait_for_the_start_that_another_task_has_asked_for_is_no_cycle(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")
    name = names.via("slow")
    async with meeting() as it, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: it.supervisor.start_child(SlowStart, it, name=name))
        await wait_all_tasks_blocked()
        await it.check(lambda: it.supervisor.start_or_get(Actor, name=name))


async def test_a_cancelled_wait_for_the_start_of_the_supervisor_of_a_partition_is_no_cycle(
    autojump_clock: MockClock,
) -> None:
    class Part(DynamicSupervisor):
        async def on_start(self) -> None:
            await super().on_start()
            await it.cancel_and_call()

    parts: Partitions[Any] = Partitions("parts", 1)

    async def run() -> None:
        async with open_partition_supervisor(parts, Part, at_end="stop"):
            pass

    async with meeting() as it, trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await wait_all_tasks_blocked()
        await it.check(lambda: parts.start_child("key", Actor))


async def test_a_cancelled_wait_for_the_end_of_a_restart_of_several_is_no_cycle(autojump_clock: MockClock) -> None:
    async with meeting() as it, open_supervisor(strategy="one_for_all", at_end="stop") as several:
        await several.start_child(SlowEnd, it)
        crashing = await several.start_child(Crashing)
        crashing.cast_nowait(Crashing.crash)
        await wait_all_tasks_blocked()
        await it.check(lambda: several.start_child(Actor))
