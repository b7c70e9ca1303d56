"""Tests the inside: a failure at any call within the start of a child, or within a call for one, leaves nothing."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, cast

import pytest
import trio
from support.faults import AtCall, Fault, Stepped, WithRoom, fails_at_every_call
from support.supervisors import supervised
from trio.lowlevel import Task, current_task
from trio.testing import wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, DynamicSupervisor, Registry


@pytest.mark.parametrize("kind", [AtCall, WithRoom])
def test_a_start_that_fails_on_its_way_leaves_no_name_without_a_task(kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        names: Registry[str, None] = Registry("names")
        try:
            async with supervised() as supervisor:
                # The first step of the start: until it waits for the child.
                start: Any = supervisor.start_child(Actor, name=names.via("child"), restart="temporary")
                waits: list[object] = []

                def begin() -> None:
                    waits.append(start.send(None))

                if fault(begin):
                    await _Rest(start, waits[0])
                else:
                    await wait_all_tasks_blocked()
                ref: Any = names.whereis("child")
                if ref is not None:
                    # The child is there, or ended by itself: it has a task.
                    ref.kill()
                    with trio.fail_after(1):
                        await ref.wait()
                assert names.count() == 0
                await supervisor.start_child(Actor, name=names.via("child"))
        except* (MemoryError, ActorExited, RuntimeError):
            pass  # it leaves the supervisor if the log has failed
        assert names.count() == 0

    fails_at_every_call(kind, scenario)


class _Rest:
    """What is left of a coroutine that has made its first step."""

    def __init__(self, coroutine: Any, waits: object) -> None:
        self.coroutine = coroutine
        self.waits = waits

    def __await__(self) -> Any:
        task: Task = current_task()
        assert task is not None
        while True:
            sent = cast("object", (yield self.waits))
            try:
                self.waits = self.coroutine.send(sent)
            except StopIteration as stop:
                return stop.value


class Rooms(DynamicSupervisor):
    def open(self) -> Awaitable[ActorRef[Actor]]:
        return self.start_child(Actor, restart="temporary")


class Plain(Actor):
    def open(self) -> Awaitable[None]:
        wait: Awaitable[None] = trio.lowlevel.checkpoint()  # noqa: ASYNC105  # the actor awaits it
        return wait


@pytest.mark.parametrize("kind", [AtCall, WithRoom])
@pytest.mark.parametrize("cls", [Rooms, Plain])
def test_a_call_that_fails_on_its_way_to_a_turn_of_its_own_leaves_no_wait_behind(
    kind: Any, cls: type[Rooms | Plain]
) -> None:
    async def scenario(fault: Fault) -> None:
        class Asker(Actor):
            async def ask(self) -> None:
                with suppress(MemoryError, ActorExited):
                    await Stepped(target.call(cls.open), fault)

        with suppress(ExceptionGroup):  # the target may have crashed
            async with supervised() as supervisor:
                target: ActorRef[Any] = await supervisor.start_child(cls, restart="temporary")
                asker = await supervisor.start_child(Asker, restart="temporary")
                await asker.call(Asker.ask)
                await wait_all_tasks_blocked()
                assert not cast("Any", asker)._cell.waits
                if target.exit is None:
                    await target.call(cls.open)
                    assert not cast("Any", target)._cell.deferred

    fails_at_every_call(kind, scenario)
