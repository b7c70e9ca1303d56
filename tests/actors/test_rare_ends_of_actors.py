"""Ends of actors that come rarely: at an odd moment, half-way, or twice."""

from __future__ import annotations

import types
from collections.abc import Awaitable, Generator
from contextlib import suppress
from contextvars import copy_context
from typing import Any

import attrs
import pytest
import trio
from support.errors import Bang, leaves
from support.faults import fail_once
from support.inside import cell_of
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorExited, ActorRef, Exit, Instrument, Message, open_pool
from trioreg._actors import answers, hot_paths, life
from trioreg._actors.background import Background
from trioreg._actors.cell import STOPPING, Cell
from trioreg._actors.handler import Handlers, Hooks
from trioreg._actors.message import INFO, STOP
from trioreg._runtime import KILLED, NORMAL, current_run, sleeping
from trioreg._supervision.child import Child


class Worker(Actor):
    """Notes what it handles."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.log = [] if log is None else log

    def note(self, text: str) -> None:
        self.log.append(text)

    async def work(self, seconds: float = 1) -> None:
        await trio.sleep(seconds)
        self.log.append("worked")

    def work_later(self) -> Awaitable[None]:
        return self.work()


@attrs.define
class Blueprint:
    mailbox_size: int | None
    handlers: Handlers
    hooks: Hooks | None


# Before it has started


async def test_an_actor_that_ends_itself_in_init_never_starts(autojump_clock: MockClock) -> None:
    hooks: list[str] = []

    class Ended(Actor):
        def __init__(self) -> None:
            trioreg.current().cancel()

        async def on_start(self) -> None:
            hooks.append("on_start")

        async def on_stop(self, exit: Exit) -> None:
            hooks.append("on_stop")

    async with supervised() as supervisor:
        with pytest.raises(ActorExited):
            await supervisor.start_child(Ended, restart="temporary")
    assert not hooks


async def test_a_function_that_ends_its_own_actor_is_not_awaited_whatever_it_returns(
    autojump_clock: MockClock,
) -> None:
    class Work:
        def __await__(self) -> Generator[Any, Any, None]:
            raise AssertionError("it must not begin")

    def function() -> Work:
        trioreg.current().cancel()
        return Work()

    async with supervised() as supervisor:
        with pytest.raises(ActorExited):
            await supervisor.start_child(function, restart="temporary")


async def test_an_actor_that_is_asked_to_stop_while_it_starts_is_stopping_when_it_has_started(
    autojump_clock: MockClock,
) -> None:
    class Early(Worker):
        async def on_start(self) -> None:
            self.ref.cast_nowait(Early.work)
            self.stop()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Early, restart="temporary")
        await wait_all_tasks_blocked()  # it is at work
        assert cell_of(ref).state == STOPPING
        await ref.wait()


# An end that fails half-way


async def test_an_end_that_fails_leaves_the_messages_of_the_actor_as_they_were(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Worker, log)
        ref.cast_nowait(Worker.work)
        await wait_all_tasks_blocked()
        for text in ("one", "two"):
            ref.cast_nowait(Worker.note, text)
        fail_once(monkeypatch, Cell, "_interrupt")
        with pytest.raises(MemoryError):
            cell_of(ref).end(KILLED)
        assert ref.statistics().queued == 2
        await ref.call(Worker.note, "three")
        assert log == ["worked", "one", "two", "three"]


async def test_a_kill_that_comes_after_the_end_does_not_change_how_the_actor_ended(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Actor, restart="temporary")
        cell = cell_of(ref)
        await ref.stop()
        cell.end(KILLED)
        assert (ref.exit, cell.life.exit) == (NORMAL, NORMAL)


async def test_an_actor_without_background_tasks_whose_end_fails_half_way_has_crashed(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    fail_once(monkeypatch, life, "_refuse_unanswered")
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Worker, restart="temporary")
        async with trio.open_nursery() as nursery:

            async def call() -> None:
                with pytest.raises(ActorExited):
                    await ref.call(Worker.work)

            nursery.start_soon(call)
            await wait_all_tasks_blocked()
            ref.cancel()
        await ref.wait()
    assert ref.exit is not None
    assert isinstance(ref.exit.error, MemoryError)


async def test_a_second_half_of_a_handler_that_the_end_comes_before_is_a_message_that_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """As if a signal handler ended the actor between the two halves."""
    go_on = answers.go_on

    def go_on_and_end(cell: Cell, *args: Any) -> None:
        go_on(cell, *args)
        cell.end(KILLED)

    monkeypatch.setattr(hot_paths, "go_on", go_on_and_end)
    log: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Worker, log, restart="temporary")
        ref.cast_nowait(Worker.work_later)
        await ref.wait()
    assert not log
    assert ["1 unhandled message" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("crashes", [False, True])
async def test_an_end_that_its_supervisor_can_not_be_told_of_is_an_error_of_the_runtime(
    crashes: bool, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    def fail(*_: object) -> None:
        raise Bang("not told")

    async def function() -> None:
        await trio.sleep(1)
        monkeypatch.setattr(Child, "ended", fail)
        if crashes:
            raise OSError("no disk")

    with pytest.raises(BaseExceptionGroup) as caught:
        async with supervised() as supervisor:
            await supervisor.start_child(function, restart="temporary")
            await trio.sleep(2)
    errors = {type(error) for error in leaves(caught.value)}
    assert errors == ({Bang, OSError} if crashes else {Bang})


async def test_an_end_inside_of_a_step_is_told_with_the_rest_of_that_step(autojump_clock: MockClock) -> None:
    class Ends(Instrument):
        def __init__(self) -> None:
            self.told: list[object] = []

        def actor_exited(self, ref: ActorRef[Any], exit: Exit, /) -> None:
            self.told.append(ref)

    ends = Ends()
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Worker, restart="temporary")
        trioreg.add_instrument(ends)
        run = current_run()
        assert run.begin_step()
        ref.cancel()
        await ref.wait()
        assert not ends.told
        run.end_step()
        assert ends.told == [ref]
        trioreg.remove_instrument(ends)


# A run that breaks down


@types.coroutine
def pause() -> Generator[None, None, None]:
    yield


def test_code_of_an_actor_that_python_closes_is_no_crash() -> None:
    closed: list[str] = []

    async def work() -> None:
        try:
            await pause()
        finally:
            closed.append("work")

    async def main() -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Worker)
            cell = cell_of(ref)
            coroutine = cell.run_or_fail(work)
            coroutine.send(None)
            kept.append((cell, coroutine))

    kept: list[tuple[Cell, Any]] = []
    trio.run(main, clock=MockClock(autojump_threshold=0))
    ((cell, coroutine),) = kept
    coroutine.close()
    assert closed == ["work"]
    assert cell.life.errors is None


def test_an_actor_that_fails_when_python_closes_it_waits_for_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail_when_closed(*_: object) -> None:
        try:
            await pause()
        except GeneratorExit:
            raise MemoryError from None

    def fail(*_: object) -> None:
        raise Bang("in init")

    async def main() -> None:
        async with supervised() as supervisor:
            first = cell_of(await supervisor.start_child(Worker))
            cell = Cell(first.ref, first.life.child, Blueprint(None, first.handlers, first.hooks))
            cell.life.background = Background()
            monkeypatch.setattr(life, "end_background_tasks", fail_when_closed)
            coroutine: Any = life.run_actor(cell, fail, ())
            copy_context().run(coroutine.send, None)
            monkeypatch.undo()
            kept.append((cell, coroutine))

    kept: list[tuple[Cell, Any]] = []
    finished: list[Cell] = []
    trio.run(main, clock=MockClock(autojump_threshold=0))
    ((cell, coroutine),) = kept
    monkeypatch.setattr(life, "_finish", finished.append)
    with pytest.raises(MemoryError):
        coroutine.close()
    assert finished == [cell]
    assert [str(error) for error in cell.life.errors or ()] == ["in init"]


# The limit of a handler


async def test_a_handler_that_begins_as_its_actor_ends_has_the_end_for_its_limit(autojump_clock: MockClock) -> None:
    class Ending(Instrument):
        def handling(self, message: Message, /) -> None:
            message.to.cancel()

    class Limited(Worker):
        handler_timeout = 5

        async def work(self, seconds: float = 1) -> None:
            log.append("begun")
            await super().work(seconds)

    log: list[str] = []
    ending = Ending()
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Limited, log, restart="temporary")
        trioreg.add_instrument(ending)
        ref.cast_nowait(Limited.work)
        await ref.wait()
        trioreg.remove_instrument(ending)
    assert ref.exit is not None
    assert ref.exit.reason == "shutdown"
    assert log == ["begun"]


async def test_a_handler_that_is_too_slow_to_end_is_no_crash_of_an_actor_that_is_ending(
    autojump_clock: MockClock,
) -> None:
    class Stubborn(Actor):
        handler_timeout = 2

        async def work(self) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Stubborn, restart="temporary")
        ref.cast_nowait(Stubborn.work)
        await trio.sleep(1)
        ref.cancel()
        await ref.wait()
        assert trio.current_time() == 5
    assert ref.exit is not None
    assert ref.exit.reason == "shutdown"


# Idle workers


class Idle(Actor):
    idle_timeout: Any = 10

    def __init__(self, log: list[float] | None = None) -> None:
        self.log = [] if log is None else log

    async def on_started(self) -> None:
        await trio.sleep(3)

    async def on_idle(self) -> None:
        self.log.append(trio.current_time())

    def spoil(self) -> None:
        self.start_soon(self._spoil)

    async def _spoil(self) -> None:
        await trio.sleep(1)
        self.idle_timeout = "soon"


async def test_a_worker_that_is_not_ready_when_it_is_claimed_is_idle_from_the_end_of_that_claim(
    autojump_clock: MockClock,
) -> None:
    log: list[float] = []
    async with open_pool(Idle, log, size=1) as pool:
        await trio.sleep(1)
        async with pool.claim():
            await trio.sleep(6)
        await trio.sleep(11)
    assert log == [17]


async def test_a_worker_whose_idle_timeout_is_no_number_at_the_end_of_a_claim_crashes(
    autojump_clock: MockClock,
) -> None:
    async with open_pool(Idle, size=1) as pool:
        async with pool.claim() as worker:
            ref = worker
            await worker.call(Idle.spoil)
            await trio.sleep(2)
        await ref.wait()
    assert ref.exit is not None
    assert isinstance(ref.exit.error, TypeError)
    assert "idle_timeout" in str(ref.exit.error)


@pytest.mark.parametrize("has_started", [True, False])
async def test_on_stop_runs_once_if_a_step_of_the_end_fails_for_want_of_memory(
    has_started: bool, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    stopped: list[str] = []

    class Connected(Worker):
        async def on_start(self) -> None:
            with trio.CancelScope(shield=True):  # as a thread that opens a connection
                await trio.sleep(1)

        async def on_stop(self, exit: Exit) -> None:
            stopped.append(exit.reason)

    names: trioreg.Registry[str, None] = trioreg.Registry("names")
    async with supervised() as supervisor, trio.open_nursery() as nursery:

        async def start() -> None:
            with suppress(ActorExited, MemoryError):
                await supervisor.start_child(Connected, name=names.via("a"), restart="temporary")

        nursery.start_soon(start)
        await trio.sleep(2 if has_started else 0.5)
        ref = names.whereis("a", of=Connected)
        assert ref is not None
        ref.cast_nowait(Worker.work)
        ref.cast_nowait(Worker.note, "never handled")
        await wait_all_tasks_blocked()
        fail_once(monkeypatch, life, "_refuse_unanswered")
        ref.cancel()
        exit = await ref.wait()
        assert (exit.reason, type(exit.error)) == ("crashed", MemoryError)
        assert stopped == ["shutdown"]  # the error came after that was decided


async def test_an_actor_that_could_not_be_asked_to_stop_can_be_asked_again(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Worker, restart="temporary")
        cell = cell_of(ref)
        with monkeypatch.context() as patch:
            fail_once(patch, Cell, "put")
            with pytest.raises(MemoryError):
                cell.stop()
        await ref.call(Worker.note, "still there")
        cell.stop()
        assert (await ref.wait()).reason == "normal"


@pytest.mark.parametrize("message", [STOP, INFO])
async def test_an_actor_that_is_killed_while_it_is_woken_is_woken_once_and_ends_as_killed(
    message: object, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    original: Any = vars(sleeping)["reschedule"]

    def kill_and_reschedule(*args: Any) -> None:
        monkeypatch.undo()
        cell.end(KILLED)
        original(*args)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Worker, restart="temporary")
        cell = cell_of(ref)
        await wait_all_tasks_blocked()
        monkeypatch.setattr(sleeping, "reschedule", kill_and_reschedule)
        if message is STOP:
            cell.stop()
        else:
            cell.put(message, "a message")
        assert (await ref.wait()).reason == "killed"


async def test_a_cancelled_wait_for_an_end_leaves_no_watcher(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        cell = cell_of(await supervisor.start_child(Worker))
        with trio.move_on_after(1):
            await cell.wait_ended()
        assert not cell.life.watchers
