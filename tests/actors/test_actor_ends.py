"""Ends: `stop`, `cancel`, `kill`, `wait`, and `on_stop`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.secret_agent import SecretAgent, idle
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, Exit, Registry, open_dynamic_supervisor, open_supervisor


async def test_stop_handles_the_messages_in_the_mailbox_and_ends_normally(autojump_clock: MockClock) -> None:
    notes: list[object] = []

    class Last(SecretAgent):
        async def on_stop(self, exit: Exit) -> None:
            notes.extend([*self.notes, exit.reason])

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Last, restart="temporary")
        for number in range(100):
            ref.cast_nowait(SecretAgent.anote if number % 2 else SecretAgent.note, number)
        assert await ref.stop() == Exit("normal")
    assert notes == [*range(100), "normal"]


async def test_a_stopping_actor_refuses_new_messages(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        busy = trio.Event()
        await ref.cast(SecretAgent.wait_for, busy)
        nursery.start_soon(ref.stop)
        await wait_all_tasks_blocked()
        assert ref.is_alive
        with pytest.raises(ActorExited):
            await ref.call(SecretAgent.read)
        with pytest.raises(ActorExited):
            await ref.cast(SecretAgent.note, 1)
        with pytest.raises(ActorExited):
            ref.cast_nowait(SecretAgent.note, 1)
        with pytest.raises(ActorExited):
            await ref.send(1)
        with pytest.raises(ActorExited):
            ref.send_nowait(1)
        busy.set()


async def test_an_actor_that_stops_itself_first_handles_its_mailbox(autojump_clock: MockClock) -> None:
    class Self(SecretAgent):
        def finish(self) -> str:
            self.stop()
            return "finishing"

    async with supervised() as supervisor:
        for is_idle in (False, True):
            ref = await supervisor.start_child(Self, restart="temporary")
            await idle(ref)
            if not is_idle:
                ref.cast_nowait(SecretAgent.read)
            assert await ref.call(Self.finish) == "finishing"
            assert await ref.wait() == Exit("normal")


async def test_cancel_ends_the_actor_at_once_with_on_stop_as_a_shutdown(autojump_clock: MockClock) -> None:
    exits: list[Exit] = []

    class Last(SecretAgent):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1)
            exits.append(exit)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Last, restart="temporary")
        await ref.cast(SecretAgent.wait_for, trio.Event())
        ref.cast_nowait(SecretAgent.note, "left")
        ref.cancel()
        assert await ref.wait() == Exit("shutdown")
    assert exits == [Exit("shutdown")]


async def test_kill_ends_without_on_stop(autojump_clock: MockClock) -> None:
    class Last(SecretAgent):
        async def on_stop(self, exit: Exit) -> None:
            raise AssertionError("on_stop ran")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Last, restart="temporary")
        await ref.cast(SecretAgent.wait_for, trio.Event())
        ref.kill()
        assert await ref.wait() == Exit("killed")


async def test_a_kill_overtakes_a_stop_and_a_cancel(autojump_clock: MockClock) -> None:
    class Slow(SecretAgent):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1000)

    async with supervised() as supervisor:
        began = trio.current_time()
        first = await supervisor.start_child(Slow, restart="temporary", shutdown=500)
        await wait_all_tasks_blocked()
        first.cancel()
        await wait_all_tasks_blocked()
        first.kill()
        assert await first.wait() == Exit("killed")
        second = await supervisor.start_child(Slow, restart="temporary")
        await second.cast(SecretAgent.wait_for, trio.Event())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second.stop)
            await wait_all_tasks_blocked()
            second.kill()
        assert await second.wait() == Exit("killed")
        assert trio.current_time() == began


async def test_ending_an_ended_actor_does_nothing(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        ref.kill()
        exit = await ref.wait()
        ref.kill()
        ref.cancel()
        assert await ref.stop() is exit
        assert await ref.wait() is exit
        assert ref.exit is exit


async def test_wait_before_and_after_the_end_gives_the_same_exit(autojump_clock: MockClock) -> None:
    exits: list[Exit] = []

    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")

        async def wait() -> None:
            exits.append(await ref.wait())

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            assert exits == []
            assert ref.exit is None
            ref.cast_nowait(SecretAgent.bang)
        exits.append(await ref.wait())
        assert ref.exit is not None
    assert len({id(exit) for exit in exits}) == 1
    assert exits[0].reason == "crashed"


class Stubborn(SecretAgent):
    async def on_stop(self, exit: Exit) -> None:
        with suppress(trio.Cancelled):
            await trio.sleep(1000)


class Slow(SecretAgent):
    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep(1000)


@pytest.mark.parametrize("attempt", range(8))  # two deadlines at one moment: Trio takes tasks in a random order
@pytest.mark.parametrize("factory", [Slow, Stubborn])
@pytest.mark.parametrize("opener", [open_supervisor, open_dynamic_supervisor])
@pytest.mark.parametrize("end", ["stop", "cancel", "supervisor", "terminate_child", "cancel and supervisor"])
async def test_an_actor_whose_on_stop_takes_longer_than_its_shutdown_seconds_is_killed_with_one_line_in_the_log(
    end: str,
    opener: Callable[..., Any],
    factory: type[SecretAgent],
    attempt: int,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: MockClock,
) -> None:
    async with opener(name="program") as supervisor:
        ref = await supervisor.start_child(factory, restart="temporary", shutdown=7)
        began = trio.current_time()
        if end == "stop":
            await ref.stop()
        elif end == "terminate_child":
            await supervisor.terminate_child(ref)
        else:
            if "cancel" in end:
                ref.cancel()
            if "supervisor" in end:
                supervisor.stop()
            await ref.wait()
        assert ref.exit == Exit("killed")
        assert trio.current_time() - began == 7
        supervisor.stop()
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.endswith(f"{ref!r}, is killed: its 7 seconds to end are over")


@pytest.mark.parametrize("attempt", range(8))
async def test_an_actor_without_any_shutdown_seconds_is_killed_at_once(attempt: int, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary", shutdown=0)
        await supervisor.terminate_child(ref)
        assert ref.exit == Exit("killed")


async def test_on_stop_does_not_run_for_an_actor_that_did_not_start(autojump_clock: MockClock) -> None:
    class Unstarted(SecretAgent):
        async def on_start(self) -> None:
            raise Bang

        async def on_stop(self, exit: Exit) -> None:
            raise AssertionError("on_stop ran")

    async with supervised() as supervisor:
        with pytest.raises(Bang):
            await supervisor.start_child(Unstarted)


@pytest.mark.parametrize("end", ["cancelled", "terminated", "killed"])
async def test_on_stop_runs_if_on_start_has_returned_although_the_start_was_cancelled_meanwhile(
    end: str, autojump_clock: MockClock
) -> None:
    steps: list[object] = []

    class Connected(Actor):
        async def on_start(self) -> None:
            with trio.CancelScope(shield=True):  # as a thread that opens a connection
                await trio.sleep(1)
            steps.append("opened")

        async def on_stop(self, exit: Exit) -> None:
            steps.append(exit)

    async def start(task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        with trio.CancelScope() as scope:
            task_status.started(scope)
            with suppress(ActorExited):
                await supervisor.start_child(Connected, name=names.via("connection"))

    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        scope: trio.CancelScope = await nursery.start(start)
        await wait_all_tasks_blocked()
        ref = names.whereis("connection", of=Connected)
        assert ref is not None
        if end == "cancelled":
            scope.cancel()
        elif end == "terminated":
            nursery.start_soon(ref.stop)
            ref.cancel()
        else:
            ref.kill()
        exit = await ref.wait()
        assert steps[:2] == (["opened"] if end == "killed" else ["opened", exit])
        assert names.lookup("connection") == []
        nursery.cancel_scope.cancel()
