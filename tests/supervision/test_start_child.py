"""Starting children: at the opening of a supervisor, and by start_child()."""

from __future__ import annotations

import gc
import weakref

import pytest
import trio
from support.children import Verbose, verbose
from support.errors import Bang
from support.supervisors import supervised, supervising
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    NotRunning,
    Registry,
    Supervisor,
    open_dynamic_supervisor,
    open_supervisor,
    receive,
)

# At the opening


async def test_each_child_is_started_when_the_child_before_it_has_started(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with trio.CancelScope() as scope:
        async with open_supervisor([verbose(log, "a", start=2), verbose(log, "b", start=1), verbose(log, "c")]):
            assert log == ["a init", "a started", "b init", "b started", "c init", "c started"]
            scope.cancel()


async def test_a_child_can_call_the_children_before_it_while_it_starts(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    answers: list[str] = []

    class Second(Actor):
        async def on_start(self) -> None:
            answers.append(await names.via("first").call(Verbose.ping))

    with trio.CancelScope() as scope:
        async with open_supervisor([verbose([], "first", name=names.via("first")), ChildSpec(Second)]):
            assert answers == ["first"]
            scope.cancel()


async def test_a_child_that_does_not_start_ends_the_children_before_it_in_reverse_and_its_error_leaves_the_block(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []

    class Fails(Actor):
        async def on_start(self) -> None:
            log.append("fails")
            raise Bang

    with pytest.RaisesGroup(Bang):
        async with open_supervisor([verbose(log, "a"), verbose(log, "b"), ChildSpec(Fails), verbose(log, "c")]):
            raise AssertionError("entered")
    assert log == [
        "a init",
        "a started",
        "b init",
        "b started",
        "fails",
        "b stopping",
        "b stopped",
        "a stopping",
        "a stopped",
    ]


async def test_a_supervisor_that_is_cancelled_while_it_starts_its_children_is_just_cancelled(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    with trio.move_on_after(1) as scope:
        async with open_supervisor([verbose(log, "a"), verbose(log, "slow", start=10), verbose(log, "never")]):
            raise AssertionError("entered")
    assert scope.cancelled_caught
    assert log == ["a init", "a started", "slow init", "a stopping", "a stopped"]


# By start_child()


async def test_start_child_returns_a_reference_that_is_alive_and_can_be_called(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Verbose, list[str](), "a")
        assert ref.is_alive
        assert ref.exit is None
        assert await ref.call(Verbose.ping) == "a"


async def test_children_are_started_by_many_tasks_at_once(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervised() as supervisor:
        async with trio.open_nursery() as nursery:
            for number in range(20):
                spec = verbose(log, str(number), start=number % 3)
                nursery.start_soon(supervisor.start_child, spec)
        assert sum(entry.endswith("started") for entry in log) == 20
    assert sum(entry.endswith("stopped") for entry in log) == 20


async def test_a_slow_start_does_not_hold_up_another(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        began = trio.current_time()
        nursery.start_soon(supervisor.start_child, verbose([], "slow", start=10))
        await wait_all_tasks_blocked()
        await supervisor.start_child(verbose([], "quick", start=1))
        assert trio.current_time() - began == 1


async def test_a_start_that_is_ended_from_outside_raises_actor_exited(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor, trio.open_nursery() as nursery:

        async def kill() -> None:
            await trio.sleep(1)
            names.via("slow").kill()

        nursery.start_soon(kill)
        with pytest.raises(ActorExited) as caught:
            await supervisor.start_child(verbose([], "slow", start=10, name=names.via("slow")))
        assert caught.value.exit == Exit("killed")
        assert names.count() == 0


async def test_an_id_that_is_taken_is_refused_and_nothing_changes(autojump_clock: MockClock) -> None:
    log: list[str] = []
    names: Registry[str, None] = Registry("names")
    async with supervising([verbose(log, "a")]) as supervisor:
        log.clear()
        tree = supervisor.tree()
        with pytest.raises(ValueError, match="id 'a' is taken"):
            await supervisor.start_child(verbose(log, "a", name=names.via("a")))
        assert supervisor.tree() == tree
        assert names.count() == 0
        assert log == []


async def test_children_without_an_id_get_one_each(autojump_clock: MockClock) -> None:
    with trio.CancelScope() as scope:
        specs = [ChildSpec(Verbose, ([], str(number))) for number in range(3)]
        async with open_supervisor(specs) as supervisor:
            assert [child.id for child in supervisor.which_children()] == ["Verbose", "Verbose 2", "Verbose 3"]
            scope.cancel()


async def test_an_id_made_from_a_name_keeps_its_type(autojump_clock: MockClock) -> None:
    names: Registry[int, None] = Registry("names")
    async with supervising([ChildSpec(Verbose, ([], "a"), name=names.via(7))]) as supervisor:
        assert [child.id for child in supervisor.which_children()] == [7]


async def test_entering_leaving_and_starting_are_checkpoints(autojump_clock: MockClock) -> None:
    with assert_checkpoints():
        async with open_supervisor():
            pass
    async with supervised() as supervisor:
        with assert_checkpoints():
            await supervisor.start_child(Verbose, list[str](), "a")


# When the supervisor shuts down


async def test_a_supervisor_whose_block_is_over_or_not_yet_entered_starts_nothing(autojump_clock: MockClock) -> None:
    began: list[str] = []
    supervisor: Supervisor | DynamicSupervisor
    for supervisor in (Supervisor(), DynamicSupervisor()):
        with pytest.raises(NotRunning, match="is not running"):
            await supervisor.start_child(Verbose, began, "a")
    async with open_dynamic_supervisor() as supervisor:
        pass
    with pytest.raises(NotRunning, match="is not running"):
        await supervisor.start_child(Verbose, began, "a")
    assert began == []


async def test_a_supervisor_that_is_shutting_down_starts_nothing(autojump_clock: MockClock) -> None:
    refused: list[bool] = []

    class Last(Actor):
        def __init__(self, supervisor: DynamicSupervisor) -> None:
            self.supervisor = supervisor

        async def on_stop(self, exit: Exit) -> None:
            with pytest.raises(NotRunning, match="is not running"):
                await self.supervisor.start_child(Verbose, list[str](), "too late")
            refused.append(True)

    async with supervised() as supervisor:
        await supervisor.start_child(Last, supervisor)
    assert refused == [True]


async def test_a_start_that_the_shutdown_interrupts_raises_and_leaves_nothing(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    outcomes: list[str] = []
    async with trio.open_nursery() as nursery, supervised() as supervisor:

        async def start() -> None:
            with pytest.raises(ActorExited):
                await supervisor.start_child(verbose(log, "slow", start=10, name=names.via("slow")))
            outcomes.append("exited")

        nursery.start_soon(start)
        await wait_all_tasks_blocked()
        assert names.count() == 1
    assert outcomes == ["exited"]
    assert log == ["slow init"]
    assert names.count() == 0


async def test_a_shutdown_raises_nothing_when_a_child_is_starting_another(autojump_clock: MockClock) -> None:
    class Starter(Actor):
        async def start(self, supervisor: DynamicSupervisor) -> None:
            await supervisor.start_child(verbose([], "slow", start=10))

    refs: list[ActorRef[Starter]] = []
    for _ in range(30):  # Trio runs what is ready in random order
        with trio.CancelScope() as scope:
            async with open_dynamic_supervisor() as supervisor:
                refs.append(await supervisor.start_child(Starter))
                await refs[-1].cast(Starter.start, supervisor)
                await wait_all_tasks_blocked()
                scope.cancel()
    assert len(refs) == 30
    assert not any(ref.is_alive for ref in refs)


async def test_a_shutdown_raises_nothing_when_a_child_starts_another_after_it_has_begun(
    autojump_clock: MockClock,
) -> None:
    async def start_later(supervisor: Supervisor) -> None:
        await trio.sleep(2)
        await supervisor.start_child(Verbose, list[str](), "too late")

    with trio.move_on_after(1) as scope:
        async with open_supervisor() as supervisor:
            await supervisor.start_child(start_later, supervisor)
            await supervisor.start_child(verbose([], "slow", stop=3))
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_a_task_that_is_cancelled_with_the_supervisor_learns_it_when_it_starts_a_child(
    autojump_clock: MockClock,
) -> None:
    with trio.CancelScope() as scope:
        async with open_supervisor() as supervisor:
            with trio.CancelScope(shield=True):
                scope.cancel()
                await trio.sleep(1)
            await supervisor.start_child(Verbose, list[str](), "a")
    assert scope.cancelled_caught


# What is kept


async def test_a_dynamic_supervisor_keeps_nothing_of_a_child_that_has_ended_for_good(autojump_clock: MockClock) -> None:
    class Payload:
        pass

    async def job(payload: Payload) -> None:
        await receive()

    async def quick(payload: Payload) -> None:
        pass

    kept: list[weakref.ref[Payload]] = []
    async with supervised() as supervisor:
        empty = supervisor.tree()

        async def run() -> None:
            for function in (job, quick):
                payload = Payload()
                kept.append(weakref.ref(payload))
                ref = await supervisor.start_child(function, payload)
                if function is job:
                    await ref.send("done")
                await ref.wait()

        await run()
        assert supervisor.tree() == empty
        await wait_all_tasks_blocked()
        gc.collect()
        assert [payload() for payload in kept] == [None, None]


async def test_a_reference_does_not_keep_the_state_of_an_ended_actor(autojump_clock: MockClock) -> None:
    lives: list[weakref.ref[Actor]] = []

    class Known(Actor):
        def __init__(self) -> None:
            lives.append(weakref.ref(self))

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Known, restart="temporary")
        assert lives[0]() is not None
        ref.kill()
        await ref.wait()
        await wait_all_tasks_blocked()
        gc.collect()
        assert [life() for life in lives] == [None]
