"""What the sweeps have found and nobody has repaired yet: each test fails, and says what should be.

A test moves to the file of its subject when it passes.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import trio
from _helpers import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, CallCycle, open_dynamic_supervisor
from trioreg._cell import BATCH
from trioreg._mailbox import _COMPACT


class Agent(Actor):
    """It says in which threads its handlers ran."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def me(self) -> Agent:
        return self

    def note(self) -> None:
        self.threads.append(threading.get_ident())

    async def anote(self) -> None:
        self.note()

    async def on_message(self, message: object) -> None:
        self.note()

    def read(self) -> list[int]:
        return self.threads

    async def block(self, event: trio.Event) -> None:
        await event.wait()


# SEVERE: hangs. A cycle through a sync handler that gives a coroutine, of an actor that was idle, is not seen:
# `Cell.answer_now` makes its `Call` without the caller's waits.


class Mixed(Actor):
    def through(self, path: list[ActorRef[Mixed]]) -> Coroutine[Any, Any, str]:
        async def rest() -> str:
            if not path:
                return "end"
            return await path[0].call(Mixed.through, path[1:])

        return rest()


@pytest.mark.parametrize("length", [2, 3])
async def test_a_cycle_through_sync_handlers_that_give_coroutines_is_refused_at_once(
    length: int, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = [await supervisor.start_child(Mixed, restart="temporary") for _ in range(length)]
        await wait_all_tasks_blocked()
        with trio.fail_after(5), pytest.raises(ActorExited) as caught:
            await refs[0].call(Mixed.through, [*refs[1:], refs[0]])
        cause: BaseException | None = caught.value
        while isinstance(cause, ActorExited):
            cause = cause.__cause__
        assert isinstance(cause, CallCycle)


# SEVERE: the actor crashes with an IndexError. It lets other tasks run after BATCH messages; the calls in its mailbox are
# withdrawn in that time, so many that the queue is made anew and is empty; `_serve` takes the first of none.


@pytest.mark.parametrize("notes", [BATCH - 1, BATCH, BATCH + 1])
async def test_calls_that_are_withdrawn_while_the_actor_lets_others_run_do_not_crash_it(
    notes: int, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Agent, restart="temporary")
        await wait_all_tasks_blocked()
        event = trio.Event()
        ref.cast_nowait(Agent.block, event)
        for _ in range(notes):
            ref.cast_nowait(Agent.note)
        await wait_all_tasks_blocked()
        for _ in range(_COMPACT + 1):
            nursery.start_soon(ref.call, Agent.read)
        await wait_all_tasks_blocked()
        event.set()
        while ref.statistics().handled < notes:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await wait_all_tasks_blocked()
            assert ref.is_alive
            assert len(await ref.call(Agent.read)) == notes


# SEVERE: breaks the actor and both runs. The async forms do not ask in which Trio run they are: a sync handler runs in
# the other run's thread, and anything else gives the actor's task to the other run's scheduler.


@pytest.mark.parametrize(
    "operation",
    [
        lambda ref: ref.call(Agent.note),
        lambda ref: ref.call(Agent.anote),
        lambda ref: ref.cast(Agent.note),
        lambda ref: ref.send("message"),
        lambda ref: ref.wait(),
        lambda ref: ref.stop(),
    ],
    ids=["call", "call-async", "cast", "send", "wait", "stop"],
)
async def test_another_trio_run_is_refused_and_changes_nothing(
    operation: Callable[[ActorRef[Agent]], Awaitable[object]],
) -> None:
    errors: list[BaseException] = []

    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(Agent, restart="temporary")
        await wait_all_tasks_blocked()
        cell = ref._cell
        assert cell is not None
        before = cell.state, cell.parked, cell.queued

        async def elsewhere() -> None:
            with trio.move_on_after(0.2):
                await operation(ref)

        def run_elsewhere() -> None:
            try:
                trio.run(elsewhere)
            except BaseException as error:
                errors.append(error)

        await trio.to_thread.run_sync(run_elsewhere)
        after = cell.state, cell.parked, cell.queued
        # Where it fails, it fails here, and not by waiting forever.
        cell.state, cell.parked, _ = before
        threads = await ref.call(Agent.read)
        ref.kill()
    assert after == before
    assert threads == []
    assert [type(error) for error in errors] == [RuntimeError]


# SEVERE: hangs. What an actor does with itself, from a worker thread (`await trio.to_thread.run_sync(self.work)`):
# `start_soon` and the timers leave a scope behind that the actor's end waits for; `stop` loses the idle actor's task.


@pytest.mark.parametrize("is_idle", [True, False])
@pytest.mark.parametrize("operation", ["start_soon", "send_after", "send_every", "stop"])
async def test_an_actors_own_methods_are_refused_in_a_worker_thread(operation: str, is_idle: bool) -> None:
    operations: dict[str, Callable[[Agent], object]] = {
        "start_soon": lambda agent: agent.start_soon(trio.sleep_forever),
        "send_after": lambda agent: agent.send_after(1, "message"),
        "send_every": lambda agent: agent.send_every(1, "message"),
        "stop": lambda agent: agent.stop(),
    }
    error: Exception | None = None
    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(Agent, restart="temporary")
        await wait_all_tasks_blocked()
        agent = await ref.call(Agent.me)
        event = trio.Event()
        if not is_idle:
            ref.cast_nowait(Agent.block, event)
            await wait_all_tasks_blocked()
        cell = ref._cell
        assert cell is not None
        before = cell.state, cell.parked, cell.queued
        try:
            await trio.to_thread.run_sync(operations[operation], agent)
        except Exception as caught:
            error = caught
        after = cell.state, cell.parked, cell.queued
        left = 0 if cell._background is None else len(cell._background.scopes)
        # Where it fails, it fails here, and not by waiting forever.
        cell.state, cell.parked, _ = before
        if cell._background is not None:
            cell._background.scopes.clear()
        ref.kill()
    assert isinstance(error, RuntimeError)
    assert after == before
    assert left == 0
