"""Supervisors that are called as actors: whose error a failure is, and cycles with their children."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.secret_agent import SecretAgent
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    AlreadyRegistered,
    CallCycle,
    ChildNotEnded,
    ChildNotFound,
    ChildSpec,
    DynamicSupervisor,
    MaxChildren,
    Registry,
    Supervisor,
)


class Bad(Actor):
    async def on_start(self) -> None:
        raise Bang


async def keep(ref: ActorRef[Any], ask: Callable[[], Awaitable[object]], error: type[Exception]) -> None:
    """``ask`` raises that error in the caller; the supervisor does not crash, and its children live on."""
    children = [child.ref for child in await ref.call(DynamicSupervisor.which_children)]
    with pytest.raises(error):
        await ask()
    assert [child.ref for child in await ref.call(DynamicSupervisor.which_children)] == children


async def test_a_failed_call_of_a_dynamic_supervisor_raises_in_its_caller(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as top:
        ref: ActorRef[Any] = await top.start_child(partial(DynamicSupervisor, max_children=1))
        named = ChildSpec(SecretAgent, name=names.via("a"))
        start_or_get: Any = DynamicSupervisor.start_or_get  # mypy does not see its overloads through a call's
        await keep(ref, lambda: ref.call(DynamicSupervisor.start_child, Bad), Bang)
        await keep(ref, lambda: ref.call(DynamicSupervisor.terminate_child, ref), ChildNotFound)
        await keep(ref, lambda: ref.call(start_or_get, Bad, name=names.via("a")), Bang)
        await ref.call(DynamicSupervisor.start_child, named)
        await keep(ref, lambda: ref.call(DynamicSupervisor.start_child, Actor), MaxChildren)
        other: ActorRef[Any] = await top.start_child(DynamicSupervisor)
        await keep(other, lambda: other.call(DynamicSupervisor.start_child, named), AlreadyRegistered)
        await keep(
            other,
            lambda: other.call(DynamicSupervisor.start_child, ChildSpec(SecretAgent, args=("one", "too many"))),
            TypeError,
        )


async def test_a_failed_call_of_a_supervisor_raises_in_its_caller(autojump_clock: MockClock) -> None:
    async with supervised() as top:
        ref = await top.start_child(Supervisor, [ChildSpec(SecretAgent, id="a")])
        await keep(ref, lambda: ref.call(Supervisor.start_child, Bad), Bang)
        await keep(ref, lambda: ref.call(Supervisor.restart_child, "a"), ChildNotEnded)
        await keep(ref, lambda: ref.call(Supervisor.delete_child, "a"), ChildNotEnded)
        await keep(ref, lambda: ref.call(Supervisor.delete_child, "b"), ChildNotFound)
        await keep(ref, lambda: ref.call(Supervisor.terminate_child, "b"), ChildNotFound)


class Rooms(DynamicSupervisor):
    """It declares no errors."""

    async def open(self) -> ActorRef[Bad]:
        return await self.start_child(Bad)

    async def open_or_explain(self) -> ActorRef[Bad]:
        try:
            return await self.start_child(Bad)
        except Bang as error:
            raise OSError("no room") from error

    def miscount(self) -> int:
        return 1 // 0

    async def on_message(self, message: object) -> None:
        await self.start_child(Bad)

    def fail_later(self) -> None:
        self.start_soon(self.open)


@pytest.mark.parametrize(
    ("method", "error"), [(Rooms.open, Bang), (Rooms.open_or_explain, OSError), (Rooms.miscount, ZeroDivisionError)]
)
async def test_an_error_in_a_method_of_a_supervisor_goes_to_the_caller_and_the_children_live_on(
    method: Callable[[Rooms], object], error: type[Exception], autojump_clock: MockClock
) -> None:
    async with supervised() as top:
        ref = await top.start_child(Rooms)
        await ref.call(Rooms.start_child, ChildSpec(SecretAgent))
        await keep(ref, lambda: ref.call(method), error)


async def test_an_error_in_a_method_of_a_supervisor_without_a_caller_is_logged(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with supervised() as top:
        ref = await top.start_child(Rooms)
        await ref.call(Rooms.start_child, ChildSpec(SecretAgent))
        await ref.cast(Rooms.open)
        await ref.cast(Rooms.start_child, ChildSpec(Bad))
        await ref.send("open")
        await wait_all_tasks_blocked()
        assert (await ref.call(Rooms.count_children)).specs == 1
    failures = [record for record in caplog.records if record.exc_info]
    assert [failure.exc_info and failure.exc_info[0] for failure in failures] == [Bang, Bang, Bang]


async def test_an_error_in_a_background_task_of_a_supervisor_crashes_it(autojump_clock: MockClock) -> None:
    async with supervised() as top:
        ref = await top.start_child(Rooms)
        await ref.call(Rooms.fail_later)
        assert (await ref.wait()).reason == "crashed"


@pytest.mark.parametrize("depth", [1, 2])
async def test_a_listed_child_that_calls_its_starting_supervisor_is_refused_at_once(
    depth: int, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")

    class Asking(Actor):
        async def on_start(self) -> None:
            await names.via("supervisor").call(Supervisor.count_children)

    spec = ChildSpec(Asking)
    for _ in range(depth):
        spec = ChildSpec(Supervisor, args=([spec],))
    async with supervised() as top:
        with pytest.raises(CallCycle) as caught:
            await top.start_child(Supervisor, spec.args[0], name=names.via("supervisor"))
        assert len(caught.value.path) == depth + 2
        assert trio.current_time() == 0


async def test_start_or_get_of_a_child_whose_start_waits_for_the_caller_closes_a_cycle(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")

    class Asker(Actor):
        async def ask(self) -> None:
            await supervisor.start_or_get(Child, name=names.via("child"))

        def ping(self) -> None: ...

    class Child(Actor):
        async def on_start(self) -> None:
            await trio.sleep(1)
            await asker.call(Asker.ping)

    async def start() -> None:
        with pytest.raises(CallCycle):
            await supervisor.start_child(Child, name=names.via("child"))

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        asker = await supervisor.start_child(Asker, restart="temporary")
        nursery.start_soon(start)
        await wait_all_tasks_blocked()
        with trio.fail_after(5), pytest.raises(ActorExited):
            await asker.call(Asker.ask)
