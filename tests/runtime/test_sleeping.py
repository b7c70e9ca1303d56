"""Parking a task and waking it, and what is taken for granted there of Trio."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
import trio
from outcome import Value
from support.supervisors import supervised
from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, wait_task_rescheduled
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorExited, ActorRef, Exit
from trioreg._actors import hot_paths
from trioreg._actors import mailbox as mailbox_module
from trioreg._runtime.sleeping import WOKEN, park, wake


class Sleeper:
    """Parks as often as it is woken."""

    def __init__(self) -> None:
        self.task: Task | None = None
        self.woken = 0
        self.is_cancelled = False

    async def run(self) -> None:
        self.task = current_task()
        try:
            while True:
                self.task.custom_sleep_data = self
                await park()
                self.woken += 1
        except trio.Cancelled:
            self.is_cancelled = True
            raise

    @property
    def is_parked(self) -> bool:
        return self.task is not None and self.task.custom_sleep_data is self

    def wake(self) -> None:
        assert self.task is not None
        wake(self.task)


async def test_a_sleeper_says_to_trios_scheduler_only_how_to_abort(autojump_clock: MockClock) -> None:
    def abort(_: RaiseCancelT) -> Abort:
        raise AssertionError("never called")

    first, second = wait_task_rescheduled(abort), wait_task_rescheduled(abort)  # noqa: ASYNC105  # stepped by hand
    messages = first.send(None), second.send(None)
    for sleeper, message in zip((first, second), messages, strict=True):
        assert vars(message) == {"abort_func": abort}
        with pytest.raises(StopIteration) as stopped:
            sleeper.send(Value("the outcome"))
        assert stopped.value.value == "the outcome"
    assert messages[0] is not messages[1] and messages[0] == messages[1]


async def test_a_parked_task_is_woken_any_number_of_times(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        sleepers = [Sleeper() for _ in range(3)]
        for sleeper in sleepers:
            nursery.start_soon(sleeper.run)
        await wait_all_tasks_blocked()
        for number in range(5):
            for sleeper in sleepers[1:]:
                sleeper.wake()
            await wait_all_tasks_blocked()
            assert [sleeper.woken for sleeper in sleepers] == [0, number + 1, number + 1]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_what_says_that_a_task_is_parked_is_gone_in_the_step_that_wakes_or_cancels_it(
    is_cancelled: bool, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        sleeper = Sleeper()
        nursery.start_soon(sleeper.run)
        await wait_all_tasks_blocked()
        assert sleeper.is_parked
        if is_cancelled:
            nursery.cancel_scope.cancel()
        else:
            sleeper.wake()
        assert not sleeper.is_parked
        nursery.cancel_scope.cancel()
    assert (sleeper.woken, sleeper.is_cancelled) == (int(not is_cancelled), True)


async def test_to_park_where_it_is_cancelled_already_ends_at_once(autojump_clock: MockClock) -> None:
    sleeper = Sleeper()
    with trio.CancelScope() as scope:
        scope.cancel()
        await sleeper.run()
    assert (sleeper.woken, sleeper.is_cancelled, sleeper.is_parked) == (0, True, False)


async def test_to_park_is_a_checkpoint(autojump_clock: MockClock) -> None:
    task = current_task()

    async def wake_it() -> None:
        wake(task)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wake_it)
        with assert_checkpoints():
            await park()


def test_being_woken_can_be_shown() -> None:
    assert repr(WOKEN) == "<woken>"


class Idler(Actor):
    def __init__(self) -> None:
        self.heard: list[object] = []

    async def on_message(self, message: object) -> None:
        self.heard.append(message)

    def hear(self, message: object) -> None:
        self.heard.append(message)

    def count(self) -> int:
        return len(self.heard)


class Timed(Idler):
    idle_timeout = 1.0

    async def on_idle(self) -> None:
        self.heard.append("idle")


@pytest.mark.parametrize("cls", [Idler, Timed])
async def test_a_message_between_the_waking_of_an_actor_and_its_turn_is_handled_behind_the_first(
    cls: type[Idler], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref: ActorRef[Idler] = await supervisor.start_child(cls)
        await wait_all_tasks_blocked()
        for number in range(3):
            ref.send_nowait(number)
        assert ref.statistics().queued == 3
        await wait_all_tasks_blocked()
        actor = ref._cell and ref._cell.actor
        assert isinstance(actor, Idler)
        assert actor.heard == [0, 1, 2]


@pytest.mark.parametrize("late", [False, True])
async def test_a_message_in_the_step_in_which_an_actor_is_idle_for_too_long_is_handled(
    late: bool, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref: ActorRef[Timed] = await supervisor.start_child(Timed)
        await wait_all_tasks_blocked()
        cell = ref._cell
        assert cell is not None and isinstance(cell.actor, Timed)
        actor = cell.actor
        if late:
            # Cancelled, and not had its turn yet: who looks now must not take it for parked.
            assert cell.idle_scope is not None
            cell.idle_scope.cancel()
            assert not cell.is_idle
        ref.send_nowait("message")
        await wait_all_tasks_blocked()
        assert actor.heard == ["message"]
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert actor.heard == ["message", "idle"]


async def test_a_message_to_a_waiting_actor_leaves_one_object_for_the_garbage_collector(
    autojump_clock: MockClock,
) -> None:
    actors = 100
    async with supervised() as supervisor:
        refs = [await supervisor.start_child(Idler) for _ in range(actors)]
        for _ in range(2):  # the first async handler brings a scope with it
            for ref in refs:
                ref.send_nowait("message")
            await wait_all_tasks_blocked()
        gc.collect()
        gc.disable()
        try:
            for ref in refs:
                ref.send_nowait("message")
            await wait_all_tasks_blocked()
            young = gc.get_objects(generation=0)
        finally:
            gc.enable()
        assert actors <= len(young) < 1.5 * actors
        del young


class Farewell:
    """Garbage for the collector, that sends a message when it is collected."""

    def __init__(self, ref: ActorRef[Idler]) -> None:
        self.itself = self
        self.ref = ref

    def __del__(self) -> None:
        self.ref.send_nowait("farewell")


@pytest.mark.parametrize("operation", ["send_nowait", "cast_nowait", "send"])
async def test_a_message_from_a_finalizer_in_the_middle_of_another_wakes_the_actor_once(
    operation: str, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        for _ in range(20):
            ref: ActorRef[Idler] = await supervisor.start_child(Idler, restart="temporary")
            await wait_all_tasks_blocked()
            actor = ref._cell and ref._cell.actor
            assert isinstance(actor, Idler)
            threshold = gc.get_threshold()
            Farewell(ref)
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
            assert len(actor.heard) == 2
            assert set(actor.heard) == {"farewell", "message"}
            ref.kill()


async def listener() -> None:
    while True:
        message = await trioreg.receive()
        assert message == "message"
        heard.append(message)


heard: list[object] = []


@pytest.mark.parametrize("factory", [Idler, Timed, listener])
@pytest.mark.parametrize("operation", ["send", "stop", "cancel", "kill"])
async def test_what_a_finalizer_does_while_the_actor_is_about_to_sleep_is_not_slept_through(
    operation: str, factory: Any, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """To park makes an object, which may run the garbage collector, which may run a ``__del__``."""
    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(factory, restart="temporary")
        await wait_all_tasks_blocked()
        cell = ref._cell
        assert cell is not None
        heard.clear()
        sleeps = 0

        def park_and_collect() -> Any:
            nonlocal sleeps
            sleeps += 1
            if sleeps == 1:
                if operation == "send":
                    ref.send_nowait("message")
                elif operation == "stop":
                    cell.stop()
                else:
                    getattr(ref, operation)()
            return park()

        monkeypatch.setattr(hot_paths, "park", park_and_collect)
        monkeypatch.setattr(mailbox_module, "park", park_and_collect)
        ref.send_nowait("message")
        with trio.fail_after(0.5):  # before an idle one is idle for too long
            await wait_all_tasks_blocked()
            if operation == "send":
                actor = cell.actor
                assert (actor.heard if isinstance(actor, Idler) else heard) == ["message", "message"]
                assert sleeps == 2
            else:
                await ref.wait()
                assert sleeps == 1


class Ender:
    """Garbage for the collector, that does something when it is collected."""

    def __init__(self, action: Callable[[], object]) -> None:
        self.itself = self
        self.action = action

    def __del__(self) -> None:
        self.action()


@pytest.mark.parametrize("factory", [Idler, Timed, listener])
@pytest.mark.parametrize("operation", ["cancel", "kill"])
async def test_an_actor_that_a_finalizer_ends_in_the_middle_of_a_message_to_it_is_woken_once(
    operation: str, factory: Any, autojump_clock: MockClock
) -> None:
    for count in range(1, 7):
        async with supervised() as supervisor:
            ref: ActorRef[Any] = await supervisor.start_child(factory, restart="temporary")
            await wait_all_tasks_blocked()
            ref.send_nowait("message")  # the first async handler brings a scope with it
            await wait_all_tasks_blocked()
            threshold = gc.get_threshold()
            Ender(getattr(ref, operation))
            gc.set_threshold(count)
            try:
                ref.send_nowait("message")
            except ActorExited:
                pass  # ended before
            finally:
                gc.set_threshold(*threshold)
            gc.collect()
            exit = await ref.wait()
            assert exit.reason == ("killed" if operation == "kill" else "shutdown")


async def test_a_mailbox_that_a_finalizer_sends_to_while_its_queue_is_made_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    mailbox = mailbox_module.Mailbox(None, 0)

    def made() -> deque[object]:
        monkeypatch.setattr(mailbox_module, "deque", deque)
        mailbox.put("kind", "farewell")
        return deque()

    monkeypatch.setattr(mailbox_module, "deque", made)
    mailbox.put("kind", "message")
    assert mailbox.drain() == [("kind", "farewell"), ("kind", "message")]


@pytest.mark.parametrize("operation", ["wait", "stop"])
async def test_who_is_cancelled_in_the_step_in_which_the_actor_ends_is_not_woken_once_more(
    operation: str, autojump_clock: MockClock
) -> None:
    scope = trio.CancelScope()

    class Last(Idler):
        async def on_stop(self, exit: Exit) -> None:
            scope.cancel()

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Last, restart="temporary")
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
