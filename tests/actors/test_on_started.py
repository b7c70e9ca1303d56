"""The hook `on_started`: after the start, before the first message."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.errors import Bang
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ChildSpec, DynamicSupervisor, Exit, Registry


class Store(Actor):
    """It loads its state in `on_started`."""

    def __init__(self, notes: list[object], seconds: float = 10) -> None:
        self.notes = notes
        self.seconds = seconds

    async def on_started(self) -> None:
        self.notes.append("loading")
        await trio.sleep(self.seconds)
        self.notes.append("loaded")

    def read(self) -> str:
        self.notes.append("read")
        return "value"

    def crash(self) -> None:
        raise Bang


async def test_start_child_returns_before_on_started_and_messages_wait_for_it(autojump_clock: MockClock) -> None:
    notes: list[object] = []
    async with supervised() as supervisor:
        began = trio.current_time()
        ref = await supervisor.start_child(Store, notes)
        notes.append("start_child")
        assert (trio.current_time(), ref.state) == (began, "running")
        assert await ref.call(Store.read) == "value"
        assert trio.current_time() == began + 10
    assert notes == ["start_child", "loading", "loaded", "read"]


@pytest.mark.parametrize("repeat", range(20))  # the scheduler takes the tasks of one round in any order
async def test_start_child_has_returned_when_on_started_begins(repeat: int, autojump_clock: MockClock) -> None:
    notes: list[object] = []
    names: Registry[str, None] = Registry("names")

    class Hasty(Store):
        async def on_started(self) -> None:
            notes.append("started")

    async def get(supervisor: DynamicSupervisor) -> None:
        await supervisor.start_or_get(Hasty, notes, name=names.via("x"))
        notes.append("returned")

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(get, supervisor)
        nursery.start_soon(get, supervisor)
        await wait_all_tasks_blocked()
    assert notes == ["returned", "returned", "started"]


async def test_on_start_comes_first_and_both_hooks_may_await(autojump_clock: MockClock) -> None:
    notes: list[object] = []

    class Both(Store):
        async def on_start(self) -> None:
            await trio.sleep(1)
            notes.append("on_start")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Both, notes)
        notes.append("start_child")
        await ref.call(Store.read)
    assert notes == ["on_start", "start_child", "loading", "loaded", "read"]


async def test_a_supervisor_does_not_wait_for_on_started(autojump_clock: MockClock) -> None:
    notes: list[object] = []
    began = trio.current_time()
    children = [ChildSpec(Store, (notes,), id=number) for number in range(3)]
    async with supervising(children) as supervisor:
        assert trio.current_time() == began
        assert [child.state for child in supervisor.which_children()] == ["running"] * 3


async def test_on_started_runs_in_every_life_before_a_message_that_has_come_meanwhile(
    autojump_clock: MockClock,
) -> None:
    notes: list[object] = []
    names: Registry[str, None] = Registry("names")
    store = names.via("store")
    async with supervised() as supervisor:
        await supervisor.start_child(Store, notes, name=store)
        with pytest.raises(ActorExited):
            await store.call(Store.crash)
        notes.append("crashed")
        await names.wait_for("store")
        assert await store.call(Store.read) == "value"
    assert notes == ["loading", "loaded", "crashed", "loading", "loaded", "read"]


async def test_an_error_in_on_started_is_a_crash_that_counts_as_a_restart(autojump_clock: MockClock) -> None:
    notes: list[object] = []

    class Fragile(Store):
        async def on_started(self) -> None:
            if len(notes) < 2:
                notes.append(self.ref)
                raise Bang

        async def on_stop(self, exit: Exit) -> None:
            notes.append(exit.reason)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fragile, notes)
        exit = await ref.wait()
        assert isinstance(exit.error, Bang)
        await wait_all_tasks_blocked()
        (child,) = supervisor.which_children()
        assert (child.restarts, child.state) == (1, "running")
    assert notes == [ref, "crashed", "shutdown"]


@pytest.mark.parametrize("end", ["cancel", "kill"])
async def test_an_actor_can_be_ended_in_on_started_and_refuses_what_waits(end: str, autojump_clock: MockClock) -> None:
    notes: list[object] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Store, notes, restart="temporary")

        async def read() -> None:
            with pytest.raises(ActorExited):
                await ref.call(Store.read)
            notes.append("refused")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.sleep(1)
            getattr(ref, end)()
        assert (await ref.wait()).reason == ("shutdown" if end == "cancel" else "killed")
    assert notes == ["loading", "refused"]


async def test_stop_in_on_started_lets_the_messages_before_it_be_handled(autojump_clock: MockClock) -> None:
    notes: list[object] = []

    class Brief(Store):
        async def on_started(self) -> None:
            await trio.sleep(1)
            self.stop("done")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Brief, notes, restart="temporary")
        assert await ref.call(Store.read) == "value"
        assert await ref.wait() == Exit("normal", value="done")


async def test_a_supervisor_can_start_children_in_on_started(autojump_clock: MockClock) -> None:
    notes: list[object] = []

    class Rooms(DynamicSupervisor):
        async def on_started(self) -> None:
            for _ in range(2):
                await self.start_child(Store, notes)
            notes.append("opened")

    async with supervised() as supervisor:
        rooms = await supervisor.start_child(Rooms)
        assert (await rooms.call(Rooms.count_children)).active == 2
        assert "opened" in notes


async def test_a_sync_on_started_is_refused_by_name(autojump_clock: MockClock) -> None:
    class Wrong(Actor):
        def on_started(self) -> Any:
            return None

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Wrong, restart="temporary")
        assert "Wrong.on_started must be an async function" in str((await ref.wait()).error)


async def test_idle_time_begins_after_on_started(autojump_clock: MockClock) -> None:
    class Idle(Store):
        idle_timeout = 3

        async def on_idle(self) -> None:
            self.notes.append(trio.current_time() - self.began)
            self.stop()

        async def on_start(self) -> None:
            self.began = trio.current_time()

    notes: list[object] = []
    async with supervised() as supervisor:
        await (await supervisor.start_child(Idle, notes, restart="temporary")).wait()
    assert notes == ["loading", "loaded", 13]
