"""Supervisor operations, cancelled at each checkpoint and after each step of any task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import trio
from support.cancellation import Cancelling, sweep_steps
from support.inside import assert_nothing_left
from support.spy import Spy
from support.supervisors import supervised, supervising
from support.watcher import watching
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorExited, ActorRef, ChildSpec, Registry, open_dynamic_supervisor, open_supervisor


@pytest.fixture
def names() -> Registry[str, Any]:
    return Registry("names")


def living() -> int:
    return trio.lowlevel.current_statistics().tasks_living


@pytest.mark.parametrize("state", ["missing", "starting", "running", "ending"])
async def test_start_or_get_cancelled_at_any_step_starts_one_child_or_leaves_no_trace(
    state: str, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        log: list[str] = []
        via = names.via("James Bond")
        async with supervised() as supervisor, trio.open_nursery() as nursery:

            async def start() -> None:
                await supervisor.start_child(Spy, log, name=via, restart="temporary")

            if state == "starting":
                nursery.start_soon(start)
                while names.count() == 0:
                    await trio.lowlevel.checkpoint()
            elif state != "missing":
                await start()
            if state == "ending":
                cast("ActorRef[Spy]", names.whereis("James Bond")).cancel()
            completed = await cancelling.run(lambda: supervisor.start_or_get(Spy, log, name=via, restart="temporary"))
            if completed:
                assert names.whereis("James Bond") is cancelling.value
                assert cast("ActorRef[Spy]", cancelling.value).statistics().started_at is not None
            await wait_all_tasks_blocked()
            is_there = completed or state in ("starting", "running")
            assert names.count() == len(supervisor.which_children()) == is_there
            assert log.count("started") - log.count("stopped") == is_there
        assert log.count("started") == log.count("stopped")
        assert_nothing_left(names)

    with watching(names):
        await sweep_steps(attempt)


async def test_of_two_start_or_get_calls_the_other_gets_the_child_when_one_is_cancelled(
    names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        log: list[str] = []
        got: list[ActorRef[Spy]] = []
        async with supervised() as supervisor, trio.open_nursery() as nursery:

            async def other() -> None:
                while not got:
                    try:
                        got.append(await supervisor.start_or_get(Spy, log, name=names.via("James Bond")))
                    except ActorExited:
                        raise AssertionError("it was cancelled, and did not fail") from None

            nursery.start_soon(other)
            completed = await cancelling.run(lambda: supervisor.start_or_get(Spy, log, name=names.via("James Bond")))
            await wait_all_tasks_blocked()
            assert got == [names.whereis("James Bond")]
            assert not completed or cancelling.value is got[0]
            assert len(supervisor.which_children()) == log.count("started") == 1

    await sweep_steps(attempt)


@pytest.mark.parametrize("restart", ["permanent", "temporary"])
@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
async def test_terminate_child_cancelled_at_any_step_has_not_begun_or_is_completed(
    opener: Callable[[], Any], restart: Any, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        log: list[str] = []
        with trio.CancelScope() as scope:
            async with opener() as supervisor:
                ref = await supervisor.start_child(Spy, log, name=names.via("James Bond"), restart=restart)
                completed = await cancelling.run(lambda: supervisor.terminate_child(ref))
                assert not completed or not ref.is_alive
                await wait_all_tasks_blocked()  # a termination that has begun goes on
                assert ref.is_alive == ("stopped" not in log)
                assert names.count() == ref.is_alive
                # A supervisor that keeps specs keeps the spec of a permanent child that has ended.
                is_kept = opener is open_supervisor and restart == "permanent"
                assert len(supervisor.which_children()) == (ref.is_alive or is_kept)
                scope.cancel()
        assert log.count("made") == log.count("stopped") == 1
        assert_nothing_left(names)

    with watching(names):
        await sweep_steps(attempt)


async def test_restart_child_cancelled_at_any_step_starts_the_child_or_leaves_it_as_it_was(
    names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        log: list[str] = []
        async with supervising([ChildSpec(Spy, (log,), name=names.via("James Bond"))]) as supervisor:
            await supervisor.terminate_child("James Bond")
            tree = supervisor.tree()
            completed = await cancelling.run(lambda: supervisor.restart_child("James Bond"))
            if completed:
                assert names.whereis("James Bond") is cancelling.value
            else:
                await wait_all_tasks_blocked()
                assert names.count() == 0
                assert supervisor.tree() == tree
                # It can be tried again.
                await supervisor.restart_child("James Bond")
            assert len(supervisor.which_children()) == 1
        assert log.count("started") == log.count("stopped")
        assert_nothing_left(names)

    with watching(names):
        await sweep_steps(attempt)


@pytest.mark.parametrize("way", ["enters", "waits inside", "leaves"])
@pytest.mark.parametrize("is_dynamic", [False, True])
async def test_a_supervisor_block_cancelled_at_any_step_ends_every_child_that_it_started(
    is_dynamic: bool, way: str, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        log: list[str] = []
        specs = [ChildSpec(Spy, (log,), name=names.via(name), restart="transient") for name in ("M", "Q")]

        async def use() -> None:
            async with open_dynamic_supervisor() if is_dynamic else open_supervisor(specs) as supervisor:
                for spec in specs if is_dynamic else ():
                    await supervisor.start_child(spec)
                if way == "waits inside":
                    await trio.sleep(1)
                for child in supervisor.which_children():
                    if child.ref is not None and way == "leaves":
                        trio.lowlevel.spawn_system_task(child.ref.stop)
                    elif child.ref is not None:
                        await child.ref.stop()

        tasks = living()
        await cancelling.run(use)
        assert log.count("started") == log.count("stopped")
        assert log.count("made") - log.count("started") in (0, 1)  # a child that was just starting
        assert_nothing_left(names)
        await wait_all_tasks_blocked()
        assert living() == tasks

    with watching(names):
        assert await sweep_steps(attempt, limit=200) > 1


@pytest.mark.parametrize("operation", ["start_child", "start_or_get", "restart_child"])
async def test_starting_a_child_in_a_cancelled_supervisor_block_is_cancelled(
    operation: str, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    with trio.CancelScope() as scope:
        async with (
            open_dynamic_supervisor() as dynamic,
            open_supervisor([ChildSpec(Spy, (list[str](),), id="M")]) as supervisor,
        ):
            await supervisor.terminate_child("M")
            scope.cancel()
            with trio.CancelScope(shield=True):
                await wait_all_tasks_blocked()  # both supervisors are closing now, and this task does not know yet
            if operation == "start_child":
                await dynamic.start_child(Spy, list[str]())
            elif operation == "start_or_get":
                await dynamic.start_or_get(Spy, list[str](), name=names.via("M"))
            else:
                await supervisor.restart_child("M")
    assert scope.cancelled_caught
