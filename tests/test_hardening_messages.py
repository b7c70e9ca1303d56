"""What once went wrong with messages: a small test for each."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, CallCycle, Exit, Registry, open_dynamic_supervisor
from trioreg._actors.hot_paths import BATCH
from trioreg._actors.mailbox import _COMPACT


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


# A cycle through a sync handler that gives a coroutine, of an actor that was idle, was not seen, and hung.


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


# After BATCH messages an actor lets other tasks run; all the calls in its mailbox may be withdrawn in that time.


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


# The async forms did not ask in which Trio run they were called.


ASYNC_FORMS: dict[str, Callable[[ActorRef[Agent]], Awaitable[object]]] = {
    "call": lambda ref: ref.call(Agent.note),
    "async call": lambda ref: ref.call(Agent.anote),
    "cast": lambda ref: ref.cast(Agent.note),
    "send": lambda ref: ref.send("message"),
    "wait": lambda ref: ref.wait(),
    "stop": lambda ref: ref.stop(),
}


@pytest.mark.parametrize("operation", list(ASYNC_FORMS))
async def test_another_trio_run_is_refused_and_changes_nothing(operation: str) -> None:
    errors: list[BaseException] = []

    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(Agent, restart="temporary")
        await wait_all_tasks_blocked()
        cell = ref._cell
        assert cell is not None
        before = cell.state, cell.is_idle, cell.queued

        async def elsewhere() -> None:
            with trio.move_on_after(0.2):
                await ASYNC_FORMS[operation](ref)

        def run_elsewhere() -> None:
            try:
                trio.run(elsewhere)
            except BaseException as error:
                errors.append(error)

        await trio.to_thread.run_sync(run_elsewhere)
        after = cell.state, cell.is_idle, cell.queued
        # Where it fails, it fails here, and not by waiting forever.
        cell.state = before[0]
        threads = await ref.call(Agent.read)
        ref.kill()
    assert after == before
    assert threads == []
    assert [type(error) for error in errors] == [RuntimeError]


# The actor ends while a message to an address that waits is at its own checkpoint: nothing was sent then.


@pytest.mark.parametrize("operation", ["cast", "send"])
@pytest.mark.parametrize("checkpoint", [1, 2])
async def test_an_address_that_waits_for_its_name_waits_through_an_end_at_its_own_checkpoint(
    checkpoint: int, operation: str, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    waiting = names.via("agent", wait=True)
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Agent, name=names.via("agent"), restart="permanent")
        await wait_all_tasks_blocked()
        killing = Killing(checkpoint, ref)
        trio.lowlevel.add_instrument(killing)
        await (waiting.cast(Agent.note) if operation == "cast" else waiting.send("message"))
        assert not ref.is_alive
        await wait_all_tasks_blocked()
        assert len(await waiting.call(Agent.read)) == 1


class Killing(trio.abc.Instrument):
    """Kills an actor when the task that makes it has come to its n-th checkpoint."""

    def __init__(self, n: int, ref: ActorRef[Any]) -> None:
        self.left = n
        self.ref = ref
        self.task = trio.lowlevel.current_task()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.left -= 1
            if self.left == 0:
                self.ref.kill()


# An `idle_timeout` that is none is the actor's error, not that of whoever calls it.


async def test_a_wrong_idle_timeout_crashes_the_actor_and_is_not_raised_in_its_callers(
    autojump_clock: MockClock,
) -> None:
    class Sleepy(Actor):
        idle_timeout = 5

        async def on_idle(self) -> None: ...

        def set(self, timeout: Any) -> None:
            self.idle_timeout = timeout

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Sleepy, restart="temporary")
        await wait_all_tasks_blocked()
        with suppress(ActorExited):
            await ref.call(Sleepy.set, "soon")
        with trio.fail_after(1):
            exit = await ref.wait()
        assert isinstance(exit.error, TypeError)


# A call that is handled in its caller's turn is in flight.


async def test_a_call_in_its_callers_turn_is_in_flight_while_its_handler_runs(autojump_clock: MockClock) -> None:
    class Curious(Actor):
        def look(self) -> int:
            return self.ref.statistics().calls_in_flight

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Curious)
        await wait_all_tasks_blocked()
        assert await ref.call(Curious.look) == 1


# What an actor without a message in its mailbox was sent in the very step in which it was ended, got in, and was even
# handled if a handler of its own was running.


class Ending(Actor):
    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    def note(self) -> None:
        self.notes.append("note")

    async def on_message(self, message: object) -> None:
        self.notes.append("message")

    async def nothing(self) -> None: ...

    def end(self, how: str) -> None:
        getattr(self.ref, how)()
        self._send_itself()

    async def aend(self, how: str) -> None:
        self.end(how)

    def _send_itself(self) -> None:
        try:
            self.ref.cast_nowait(Ending.note)
        except ActorExited:
            self.notes.append("refused")
        try:
            self.ref.send_nowait("message")
        except ActorExited:
            self.notes.append("refused")

    def end_halfway(self, how: str) -> Coroutine[Any, Any, None]:
        getattr(self.ref, how)()
        return self.nothing()


@pytest.mark.parametrize("end", [Ending.end, Ending.aend])
@pytest.mark.parametrize("how", ["cancel", "kill"])
@pytest.mark.parametrize("has_scope", [False, True])
async def test_an_actor_that_ends_itself_handles_nothing_that_it_sends_itself_then(
    end: Callable[[Ending, str], object], how: str, has_scope: bool, autojump_clock: MockClock
) -> None:
    notes: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Ending, notes, restart="temporary")
        if has_scope:
            await ref.call(Ending.nothing)
        ref.cast_nowait(end, how)
        assert (await ref.wait()).reason == {"cancel": "shutdown", "kill": "killed"}[how]
    assert notes == ["refused", "refused"]


async def test_an_idle_actor_that_is_ended_takes_nothing_more_in_the_same_step(autojump_clock: MockClock) -> None:
    notes: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Ending, notes, restart="temporary")
        await wait_all_tasks_blocked()
        ref.cancel()
        with pytest.raises(ActorExited):
            ref.cast_nowait(Ending.note)
        with pytest.raises(ActorExited):
            ref.send_nowait("message")


# The second half of a handler that had ended its idle actor was put before a message that there was not, and that was
# counted.


async def test_a_handler_that_ends_its_actor_and_gives_a_coroutine_leaves_no_message(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Ending, list[str](), restart="temporary")
        await wait_all_tasks_blocked()
        with pytest.raises(ActorExited):
            await ref.call(Ending.end_halfway, "cancel")
        await ref.wait()
    assert "unhandled" not in caplog.text


# Calls that were withdrawn before the actor took another message had never waited, said the peak.


async def test_the_peak_counts_calls_that_have_waited_and_were_withdrawn(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Agent)
        ref.cast_nowait(Agent.block, trio.Event())
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ref.call, Agent.read)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        statistics = ref.statistics()
        assert (statistics.queued, statistics.peak) == (0, 5)


# The log of a crash in the second half of a handler did not say with which arguments it was called.


class Halved(Actor):
    def fail(self, amount: int, *, text: str) -> Coroutine[Any, Any, None]:
        async def rest() -> None:
            raise ValueError

        return rest()


@pytest.mark.parametrize("is_idle", [False, True])
async def test_a_crash_in_the_coroutine_of_a_handler_is_logged_with_the_arguments(
    is_idle: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Halved, restart="temporary")
        if is_idle:
            await wait_all_tasks_blocked()
        with suppress(ActorExited):
            await ref.call(Halved.fail, 7, text="seven")
        await ref.wait()
    assert "in Halved.fail(7, text='seven')" in caplog.text


async def test_to_wait_for_the_next_holder_of_a_name_is_to_wait_for_the_end_of_this_one(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")

    class Heir(Actor):
        async def ask(self) -> None:
            await trio.sleep(1)
            await names.via("agent", wait=True).call(Heir.nothing)

        def nothing(self) -> None:
            pass

    class Ending(Actor):
        async def on_stop(self, exit: Exit) -> None:
            with pytest.raises(ActorExited) as caught:
                await heir.call(Heir.ask)
            cycles.append(caught.value.__cause__)

    cycles: list[object] = []
    async with supervised() as supervisor:
        heir = await supervisor.start_child(Heir, restart="temporary")
        ref = await supervisor.start_child(Ending, name=names.via("agent"), restart="temporary")
        ref.cancel()
        await ref.wait()
    (cycle,) = cycles
    assert isinstance(cycle, CallCycle)
    assert cycle.path == (heir, ref, heir)


async def test_a_reference_does_not_keep_the_state_of_an_actor_that_has_ended(autojump_clock: MockClock) -> None:
    class Treasure:
        pass

    class Chest(Actor):
        def __init__(self) -> None:
            self.treasure = Treasure()

        def look(self) -> weakref.ref[Treasure]:
            return weakref.ref(self.treasure)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Chest, restart="temporary")
        treasure = await ref.call(Chest.look)
        assert treasure() is not None
        await ref.stop()
        gc.collect()
        assert treasure() is None
        assert ref.exit is not None


# A message whose second half goes on in the actor's own task did not count among those after which others have a turn.


class Endless(Actor):
    """It sends itself the next message, for a long time."""

    def __init__(self) -> None:
        self.left = 10 * BATCH

    def again(self, send: Callable[[ActorRef[Endless]], None]) -> None:
        self.left -= 1
        if self.left:
            send(self.ref)

    def by_cast(self) -> None:
        self.again(lambda ref: ref.cast_nowait(Endless.by_cast))

    def by_cast_with_a_keyword(self, *, keyword: int = 0) -> None:
        self.again(lambda ref: ref.cast_nowait(Endless.by_cast_with_a_keyword, keyword=1))

    async def by_async_cast(self) -> None:
        self.again(lambda ref: ref.cast_nowait(Endless.by_async_cast))

    def by_cast_around_an_async_one(self) -> Coroutine[Any, Any, None]:
        async def rest() -> None:
            self.again(lambda ref: ref.cast_nowait(Endless.by_cast_around_an_async_one))

        return rest()

    async def on_message(self, message: object) -> None:
        self.again(lambda ref: ref.send_nowait(message))


FIRST: dict[str, Callable[[ActorRef[Endless]], None]] = {
    "cast": lambda ref: ref.cast_nowait(Endless.by_cast),
    "cast with a keyword": lambda ref: ref.cast_nowait(Endless.by_cast_with_a_keyword),
    "async cast": lambda ref: ref.cast_nowait(Endless.by_async_cast),
    "cast around an async one": lambda ref: ref.cast_nowait(Endless.by_cast_around_an_async_one),
    "message": lambda ref: ref.send_nowait("message"),
}


@pytest.mark.parametrize("first", FIRST)
async def test_an_actor_that_is_never_done_lets_others_have_their_turns(first: str, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Endless, restart="temporary")
        await wait_all_tasks_blocked()
        FIRST[first](ref)
        turns = 0
        while ref.statistics().handled < 10 * BATCH:
            await trio.lowlevel.checkpoint()
            turns += 1
        assert turns >= 10


class Wrapped(Actor):
    def note(self) -> Coroutine[Any, Any, None]:
        async def rest() -> None:
            pass

        return rest()


async def test_an_actor_with_many_calls_whose_handlers_give_coroutines_lets_others_run(
    autojump_clock: MockClock,
) -> None:
    most = 0

    class Meter(trio.abc.Instrument):
        handled = 0

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.handled = ref.statistics().handled

        def after_task_step(self, task: trio.lowlevel.Task) -> None:
            nonlocal most
            most = max(most, ref.statistics().handled - self.handled)

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Wrapped)
        await wait_all_tasks_blocked()
        for _ in range(4 * BATCH):
            nursery.start_soon(ref.call, Wrapped.note)
        meter = Meter()
        trio.lowlevel.add_instrument(meter)
        await wait_all_tasks_blocked()
        trio.lowlevel.remove_instrument(meter)
        assert ref.statistics().handled == 4 * BATCH
        assert most <= BATCH + 1
