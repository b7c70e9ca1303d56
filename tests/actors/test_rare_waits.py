"""Waits of rare shapes: of background tasks, for any of several actors, in circles, and those that are over by now."""

from __future__ import annotations

from typing import Any

import trio
from support.inside import cell_of
from support.supervisors import supervised
from trio.testing import MockClock

from trioreg import Actor, ActorRef, CallCycle
from trioreg._actors.any_wait import AnyWait
from trioreg._actors.call import Call
from trioreg._actors.deadlock import needs_name
from trioreg._actors.wait_graph import EndsBelow, NameWait, Wait
from trioreg._actors.waiting import waits_for


class Peer(Actor):
    """Does what it is told, and notes how that ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def do(self, function: Any) -> None:
        try:
            await function()
        except CallCycle:
            self.ended.append("cycle")
        else:
            self.ended.append("done")

    async def work(self) -> None:
        await trio.sleep(1)

    def ping(self) -> None: ...

    def how_it_ended(self) -> list[str]:
        return self.ended


async def test_a_background_task_may_wait_beside_a_start_that_waits_too(autojump_clock: MockClock) -> None:
    """What the task waits for is not what the start surely waits for: a call of that actor back is no cycle."""

    class Starting(Actor):
        async def on_start(self) -> None:
            refs.append(self.ref)
            self.start_soon(self.ask)
            await first.call(Peer.work)

        async def ask(self) -> None:
            await trio.sleep(0.5)
            await second.call(Peer.do, wait_for_start)

        def ping(self) -> None: ...

    async def wait_for_start() -> None:
        await refs[0].call(Starting.ping)

    refs: list[ActorRef[Starting]] = []
    async with supervised() as supervisor:
        first = await supervisor.start_child(Peer)
        second = await supervisor.start_child(Peer)
        await supervisor.start_child(Starting)
        assert trio.current_time() == 1
        assert await second.call(Peer.how_it_ended) == ["done"]


async def test_the_end_of_a_supervisor_that_is_over_waits_for_nothing(autojump_clock: MockClock) -> None:
    def fail() -> Any:
        raise AssertionError("nobody asks")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Peer, restart="temporary")
        wait = EndsBelow(ref, {}, fail, fail)
        await ref.stop()
    assert list(wait.nodes(None, possible=True)) == []


async def test_a_name_is_needed_through_the_only_actor_that_can_become_free(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        cells = [cell_of(await supervisor.start_child(Peer)) for _ in range(3)]
        first, second, third = cells
        for cell in cells:
            cell.waits = {}
        assert first.waits is not None
        assert second.waits is not None
        candidates: list[Any] = [second]
        AnyWait(first.ref, first.waits, lambda: candidates)
        names = object()
        NameWait(second.ref, second.waits, names, "a")
        assert needs_name(first, names, "a")
        candidates.append(third)
        assert not needs_name(first, names, "a")


async def test_a_name_that_is_needed_is_that_of_one_registry(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        cell = cell_of(await supervisor.start_child(Peer))
        cell.waits = {}
        here, there = object(), object()
        NameWait(cell.ref, cell.waits, here, "a")
        assert needs_name(cell, here, "a")
        assert not needs_name(cell, there, "a")


async def test_a_name_is_looked_for_once_in_actors_that_wait_for_each_other(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        first, second = [cell_of(await supervisor.start_child(Peer)) for _ in range(2)]
        first.waits, second.waits = {}, {}
        Wait(second.ref, first.waits)
        Wait(first.ref, second.waits)
        assert not needs_name(first, object(), "a")


# What is shown of them


async def test_a_worker_that_needs_no_other_to_become_free_is_not_shown_as_waited_for(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        first, second = [cell_of(await supervisor.start_child(Peer)) for _ in range(2)]
        waits: dict[Wait, None] = {}
        AnyWait(first.ref, waits, lambda: [None, second])
        assert [(waiting.kind, waiting.ref) for waiting in waits_for(waits, [])] == [("worker", second.ref)]


async def test_a_call_that_is_answered_while_it_is_looked_at_is_not_shown(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        cell = cell_of(await supervisor.start_child(Peer))
        waits: dict[Wait, None] = {}
        call = Call(cell.ref, waits, cell.handlers.find(Peer.ping, (), {}), (), {})
        before = dict(waits)
        assert [waiting.kind for waiting in waits_for(before, [])] == ["call"]
        call.answer(None)
        assert list(waits_for(before, [])) == []
