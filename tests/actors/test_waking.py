"""What comes in the very step in which an actor wakes, falls asleep, or ends."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from support.idlers import Idler, Timed, listener
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorExited, ActorRef, Exit


@pytest.mark.parametrize("cls", [Idler, Timed])
async def test_messages_sent_before_a_woken_actor_runs_are_handled_in_order(
    cls: type[Idler], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        heard: list[object] = []
        ref: ActorRef[Idler] = await supervisor.start_child(cls, heard)
        await wait_all_tasks_blocked()
        for number in range(3):
            ref.send_nowait(number)
        assert ref.statistics().queued == 3
        await wait_all_tasks_blocked()
        assert heard == [0, 1, 2]


class Garbage:
    """A reference cycle that does something when the garbage collector finds it."""

    def __init__(self, action: Callable[[], object]) -> None:
        self.itself = self
        self.action = action

    def __del__(self) -> None:
        self.action()


@pytest.mark.parametrize("operation", ["send_nowait", "cast_nowait", "send"])
async def test_a_message_from_a_finalizer_during_another_message_wakes_the_actor_once(
    operation: str, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        for _ in range(20):
            heard: list[object] = []
            ref: ActorRef[Idler] = await supervisor.start_child(Idler, heard, restart="temporary")
            await wait_all_tasks_blocked()
            threshold = gc.get_threshold()
            Garbage(partial(ref.send_nowait, "farewell"))
            gc.set_threshold(1)
            try:
                if operation == "send_nowait":
                    ref.send_nowait("message")
                elif operation == "cast_nowait":
                    ref.cast_nowait(Idler.hear, "message")
                else:
                    await ref.send("message")
            finally:
                gc.set_threshold(*threshold)
            gc.collect()
            await wait_all_tasks_blocked()
            assert len(heard) == 2
            assert set(heard) == {"farewell", "message"}
            ref.kill()


@pytest.mark.parametrize("factory", [Idler, Timed, listener])
@pytest.mark.parametrize("operation", ["cancel", "kill"])
async def test_an_actor_ended_by_a_finalizer_during_a_message_to_it_is_woken_once(
    operation: str, factory: Any, autojump_clock: MockClock
) -> None:
    for count in range(1, 7):
        async with supervised() as supervisor:
            ref: ActorRef[Any] = await supervisor.start_child(factory, list[object](), restart="temporary")
            await wait_all_tasks_blocked()
            ref.send_nowait("message")  # the first async handler brings a scope with it
            await wait_all_tasks_blocked()
            threshold = gc.get_threshold()
            Garbage(getattr(ref, operation))
            gc.set_threshold(count)
            try:
                ref.send_nowait("message")
            except ActorExited:
                pass  # the actor ended before the message was put in
            finally:
                gc.set_threshold(*threshold)
            gc.collect()
            exit = await ref.wait()
            assert exit.reason == ("killed" if operation == "kill" else "shutdown")


@pytest.mark.parametrize("operation", ["wait", "stop"])
async def test_a_waiting_task_cancelled_in_the_step_in_which_the_actor_ends_is_woken_once(
    operation: str, autojump_clock: MockClock
) -> None:
    scope = trio.CancelScope()

    class Last(Idler):
        async def on_stop(self, exit: Exit) -> None:
            scope.cancel()

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Last, list[object](), restart="temporary")
        exits: list[Exit] = []

        async def watch() -> None:
            exits.append(await ref.wait())

        nursery.start_soon(watch)
        await wait_all_tasks_blocked()
        with scope:
            if operation == "wait":
                ref.cancel()
            await getattr(ref, operation)()
            raise AssertionError("not cancelled")
    assert exits == [ref.exit]
