"""What is done to the children of a supervisor: management, limits, `start_or_get`, and waits before restarts."""

from __future__ import annotations

import functools
import itertools
import math
import re
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.supervisors import supervised, supervising
from support.watcher import watching
from support.workers import Worker
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    AlreadyRegistered,
    Backoff,
    ChildNotEnded,
    ChildNotFound,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    MaxChildren,
    Registry,
    RestartLimitExceeded,
    Supervisor,
    open_dynamic_supervisor,
    open_supervisor,
)


class Fails(Actor):
    """It does not start; a second passes before that is known."""

    async def on_start(self) -> None:
        await trio.sleep(1)
        raise Bang("start")


def worker(log: list[str], label: str, *, start: float = 0, stop: float = 0, **options: Any) -> ChildSpec:
    return ChildSpec(functools.partial(Worker, log, label, start=start, stop=stop), id=label, **options)


def states(supervisor: Supervisor | DynamicSupervisor) -> list[str]:
    return [child.state for child in supervisor.which_children()]


def ref_of(supervisor: Supervisor, id: object) -> ActorRef[Worker]:
    ref = next(child.ref for child in supervisor.which_children() if child.id == id)
    assert ref is not None
    return ref


# Looking


async def test_which_children_shows_all_in_start_order(autojump_clock: MockClock) -> None:
    specs = [
        worker([], "a"),
        ChildSpec(Supervisor, id="nested"),
        worker([], "b", restart="transient"),
    ]
    async with supervising(specs) as supervisor:
        await ref_of(supervisor, "b").stop()
        ref_of(supervisor, "a").kill()
        await wait_all_tasks_blocked()
        shown = supervisor.which_children()
        assert [child.id for child in shown] == ["a", "nested", "b"]
        assert [child.state for child in shown] == ["running", "running", "ended"]
        assert [child.restarts for child in shown] == [1, 0, 0]
        assert [child.is_supervisor for child in shown] == [False, True, False]
        assert [child.spec for child in shown] == specs
        assert [child.ref is not None for child in shown] == [True, True, False]


async def test_a_child_that_starts_is_shown_as_starting(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.start_child, worker([], "a", start=2))
        await trio.sleep(1)
        assert states(supervisor) == ["starting"]
        await trio.sleep(2)
        assert states(supervisor) == ["running"]


async def test_count_children_tells_specs_active_supervisors_and_workers(autojump_clock: MockClock) -> None:
    specs = [worker([], "a"), ChildSpec(Supervisor, id="nested"), worker([], "b", restart="transient")]
    async with supervising(specs) as supervisor:
        await ref_of(supervisor, "b").stop()
        counts = supervisor.count_children()
        assert (counts.specs, counts.active, counts.supervisors, counts.workers) == (3, 2, 1, 2)


# Terminating


@pytest.mark.parametrize("restart", ["permanent", "transient"])
async def test_a_terminated_child_is_not_restarted_and_its_spec_is_kept(
    restart: Any, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervising([worker(log, "a", restart=restart, name=names.via("a"))]) as supervisor:
        ref = ref_of(supervisor, "a")
        await supervisor.terminate_child("a")
        assert ref.exit == Exit("shutdown")
        assert names.count() == 0
        await trio.sleep(10)
        assert log == ["+a", "-a"]
        assert states(supervisor) == ["ended"]


async def test_a_temporary_child_that_is_terminated_is_forgotten(autojump_clock: MockClock) -> None:
    async with supervising([worker([], "a", restart="temporary")]) as supervisor:
        await supervisor.terminate_child("a")
        assert supervisor.which_children() == []
        with pytest.raises(ChildNotFound):
            await supervisor.restart_child("a")


async def test_a_dynamic_supervisor_forgets_a_child_that_is_terminated(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker(log, "a", restart="permanent"))
        await supervisor.terminate_child(ref)
        assert log == ["+a", "-a"]
        assert supervisor.which_children() == []


async def test_terminating_waits_for_as_long_as_the_child_has_to_end_and_then_cuts_it_off(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker(log, "a", stop=100, shutdown=7))
        began = trio.current_time()
        await supervisor.terminate_child(ref)
        assert trio.current_time() - began == 7
        assert log == ["+a"]


async def test_a_child_that_would_be_killed_has_its_on_stop_where_it_ends_by_itself(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker(log, "a", stop=1, shutdown="kill", restart="temporary"))
        await ref.stop()
        assert log == ["+a", "-a"]


async def test_a_crash_while_a_child_is_terminated_does_not_restart_it(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Crashes(Actor):
        async def on_stop(self, exit: Exit) -> None:
            raise Bang

    async with supervising([ChildSpec(Crashes, id="a")], max_restarts=0) as supervisor:
        await supervisor.terminate_child("a")
        await trio.sleep(10)
        assert states(supervisor) == ["ended"]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [Bang]


async def test_terminating_a_child_that_has_ended_is_no_error(autojump_clock: MockClock) -> None:
    async with supervising([worker([], "a")]) as supervisor:
        for _ in range(2):
            with assert_checkpoints():
                await supervisor.terminate_child("a")
            assert states(supervisor) == ["ended"]


async def test_two_tasks_can_terminate_one_child(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervising([worker(log, "a", stop=1)]) as supervisor:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.terminate_child, "a")
            nursery.start_soon(supervisor.terminate_child, "a")
        assert log == ["+a", "-a"]
        assert states(supervisor) == ["ended"]


async def test_terminating_the_last_child_ends_a_supervisor_whose_block_was_left(autojump_clock: MockClock) -> None:
    began = trio.current_time()

    async def terminate(supervisor: Supervisor) -> None:
        await trio.sleep(3)
        await supervisor.terminate_child("a")

    with trio.fail_after(100):
        async with trio.open_nursery() as nursery, open_supervisor([worker([], "a")]) as supervisor:
            nursery.start_soon(terminate, supervisor)
    assert trio.current_time() - began == 3


async def test_a_child_that_terminates_itself_ends(autojump_clock: MockClock) -> None:
    class Tired(Actor):
        async def end(self, supervisor: DynamicSupervisor) -> None:
            await supervisor.terminate_child(self.ref)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Tired)
        await ref.cast(Tired.end, supervisor)
        began = trio.current_time()
        assert await ref.wait() == Exit("shutdown")
        assert trio.current_time() == began
        await wait_all_tasks_blocked()
        assert supervisor.which_children() == []


# Terminated from below


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
@pytest.mark.parametrize("way", ["handler", "nursery", "background", "on_message"])
async def test_a_child_that_terminates_itself_from_any_of_its_tasks_ends_at_once(
    way: str, strategy: Any, autojump_clock: MockClock
) -> None:
    class Tired(Actor):
        async def on_message(self, message: Supervisor) -> None:
            await self.end(message)

        async def end(self, supervisor: Supervisor) -> None:
            await supervisor.terminate_child("a")
            raise AssertionError("it went on")

        async def end_from_a_nursery(self, supervisor: Supervisor) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.end, supervisor)

        def end_in_the_background(self, supervisor: Supervisor) -> None:
            self.start_soon(self.end, supervisor)

    with trio.fail_after(100), trio.CancelScope() as scope:
        async with open_supervisor([ChildSpec(Tired, id="a")], strategy=strategy) as supervisor:
            ref: ActorRef[Any] = ref_of(supervisor, "a")
            if way == "on_message":
                ref.send_nowait(supervisor)
            else:
                ways = {
                    "handler": Tired.end,
                    "nursery": Tired.end_from_a_nursery,
                    "background": Tired.end_in_the_background,
                }
                ref.cast_nowait(ways[way], supervisor)
            began = trio.current_time()
            assert await ref.wait() == Exit("shutdown")
            await wait_all_tasks_blocked()
            assert trio.current_time() == began
            assert states(supervisor) == ["ended"]
            scope.cancel()


async def test_a_grandchild_can_terminate_the_supervisor_that_it_is_under(autojump_clock: MockClock) -> None:
    log: list[str] = []

    async def end(supervisor: Supervisor) -> None:
        await supervisor.terminate_child("nested")
        raise AssertionError("it went on")

    with trio.fail_after(100), trio.CancelScope() as scope:
        async with open_supervisor([ChildSpec(Supervisor, id="nested")]) as supervisor:
            nested: Any = supervisor._engine.children["nested"].cell
            await nested.actor.start_child(worker(log, "a"))
            began = trio.current_time()
            await nested.actor.start_child(end, supervisor)
            await wait_all_tasks_blocked()
            assert trio.current_time() == began
            assert states(supervisor) == ["ended"]
            assert log == ["+a", "-a"]
            scope.cancel()


async def test_two_children_can_terminate_each_other_at_once(autojump_clock: MockClock) -> None:
    class Foe(Actor):
        async def end(self, supervisor: Supervisor, id: str) -> None:
            await supervisor.terminate_child(id)

    with trio.fail_after(100), trio.CancelScope() as scope:
        async with open_supervisor([ChildSpec(Foe, id="a"), ChildSpec(Foe, id="b")]) as supervisor:
            a, b = (supervisor._engine.children[id].ref for id in "ab")
            assert a is not None and b is not None
            began = trio.current_time()
            a.cast_nowait(Foe.end, supervisor, "b")
            b.cast_nowait(Foe.end, supervisor, "a")
            await a.wait()
            await b.wait()
            await wait_all_tasks_blocked()
            assert trio.current_time() == began
            assert states(supervisor) == ["ended", "ended"]
            scope.cancel()


async def test_a_child_that_terminates_itself_in_its_on_stop_is_ending_already(autojump_clock: MockClock) -> None:
    log: list[str] = []

    class Again(Actor):
        async def on_stop(self, exit: Exit) -> None:
            await supervisor.terminate_child(self.ref)
            log.append("stopped")

    with trio.fail_after(100), trio.CancelScope() as scope:
        async with open_supervisor([ChildSpec(Again, id="a", shutdown=math.inf)]) as supervisor:
            began = trio.current_time()
            await supervisor.terminate_child("a")
            assert trio.current_time() == began
            assert states(supervisor) == ["ended"]
            scope.cancel()
    assert log == ["stopped"]


async def test_a_termination_goes_on_when_the_one_who_asked_for_it_is_cancelled(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervising([worker(log, "a", stop=3)]) as supervisor:
        with trio.move_on_after(1) as impatient:
            await supervisor.terminate_child("a")
        assert impatient.cancelled_caught
        await trio.sleep(3)
        assert log == ["+a", "-a"]
        assert states(supervisor) == ["ended"]


# Restarting and deleting


async def test_a_terminated_child_is_started_again_by_hand(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    with trio.CancelScope() as scope:
        children = [worker(log, "a", start=1, name=names.via("a")), worker(log, "b")]
        async with open_supervisor(children) as supervisor:
            await supervisor.terminate_child("a")
            log.clear()
            ref = await supervisor.restart_child("a")
            assert log == ["+a"]
            assert names.whereis("a") is ref
            assert [child.id for child in supervisor.which_children()] == ["a", "b"]
            assert [child.restarts for child in supervisor.which_children()] == [0, 0]
            scope.cancel()
    assert log == ["+a", "-b", "-a"]


async def test_a_restart_by_hand_that_fails_raises_and_keeps_the_spec(autojump_clock: MockClock) -> None:
    fails: list[bool] = []

    class Sometimes(Actor):
        def __init__(self) -> None:
            if fails:
                raise Bang

    async with supervising([ChildSpec(Sometimes, id="a")], max_restarts=0) as supervisor:
        await supervisor.terminate_child("a")
        fails.append(True)
        with pytest.raises(Bang):
            await supervisor.restart_child("a")
        assert states(supervisor) == ["ended"]
        fails.clear()
        assert (await supervisor.restart_child("a")).is_alive


async def test_a_temporary_child_that_is_terminated_can_not_be_restarted_in_the_step_in_which_it_ends(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    async with open_supervisor([worker(log, "a", restart="temporary")]) as supervisor, trio.open_nursery() as nursery:
        child = supervisor._engine.children["a"]
        nursery.start_soon(supervisor.terminate_child, "a")
        while child.life is not None:
            await trio.lowlevel.checkpoint()
        with pytest.raises(ChildNotFound):
            await supervisor.restart_child("a")
        supervisor.stop()


async def test_a_restart_by_hand_whose_name_is_taken_raises_and_changes_nothing(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervising([worker([], "a", name=names.via("a"))]) as supervisor:
        await supervisor.terminate_child("a")
        with names.hold("a"), pytest.raises(AlreadyRegistered):
            await supervisor.restart_child("a")
        assert states(supervisor) == ["ended"]
        assert names.count() == 0


@pytest.mark.parametrize("method", ["restart_child", "delete_child"])
@pytest.mark.parametrize("state", ["running", "starting", "restarting"])
async def test_a_child_that_has_not_ended_is_neither_restarted_nor_deleted(
    method: str, state: str, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    with trio.CancelScope() as scope:
        async with open_supervisor() as supervisor, trio.open_nursery() as nursery:
            spec = worker(log, "a", start=5 if state == "starting" else 0, backoff=Backoff(initial=5))
            nursery.start_soon(supervisor.start_child, spec)
            await trio.sleep(1)
            if state == "restarting":
                ref_of(supervisor, "a").kill()
                await wait_all_tasks_blocked()
            before = list(log)
            with pytest.raises(ChildNotEnded, match=f"child 'a' of supervisor is {state}") as caught:
                result = getattr(supervisor, method)("a")
                if result is not None:
                    await result
            assert (caught.value.supervisor, caught.value.child, caught.value.state) == ("supervisor", "a", state)
            assert states(supervisor) == [state]
            assert log == before
            scope.cancel()


async def test_a_deleted_child_is_forgotten_and_its_id_is_free(autojump_clock: MockClock) -> None:
    async with supervising([worker([], "a")]) as supervisor:
        await supervisor.terminate_child("a")
        supervisor.delete_child("a")
        assert supervisor.which_children() == []
        with pytest.raises(ChildNotFound):
            supervisor.delete_child("a")
        await supervisor.start_child(worker([], "a"))
        assert states(supervisor) == ["running"]


async def test_nothing_is_restarted_when_the_supervisor_has_ended(autojump_clock: MockClock) -> None:
    supervisor = Supervisor()
    with trio.CancelScope() as scope:
        async with open_supervisor([worker([], "a")]) as supervisor:
            scope.cancel()
    with pytest.raises(RuntimeError, match="supervisor is not running"):
        await supervisor.restart_child("a")
    assert states(supervisor) == ["ended"]


# Which child


@pytest.mark.parametrize("method", ["terminate_child", "restart_child", "delete_child"])
@pytest.mark.parametrize("id", ["b", None, 5, ("a",)])
async def test_an_unknown_id_is_a_child_not_found(method: str, id: Any, autojump_clock: MockClock) -> None:
    async with supervising([worker([], "a")]) as supervisor:
        message = re.escape(f"supervisor has no child {id!r}")
        with pytest.raises(ChildNotFound, match=message) as caught:
            result = getattr(supervisor, method)(id)
            if result is not None:
                await result
        assert (caught.value.supervisor, caught.value.child) == ("supervisor", id)
        assert states(supervisor) == ["running"]


async def test_an_id_that_is_not_hashable_is_a_type_error(autojump_clock: MockClock) -> None:
    async with open_supervisor() as supervisor:
        wrong: Any = ["a"]
        with pytest.raises(TypeError, match=re.escape("child must be an id or an ActorRef, not ['a']")):
            await supervisor.terminate_child(wrong)


async def test_a_dynamic_supervisor_knows_its_children_by_reference_only(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        await supervisor.start_child(worker([], "a"))
        with pytest.raises(TypeError, match="child must be an ActorRef, not 'a'"):
            await supervisor.terminate_child("a")
        assert states(supervisor) == ["running"]


@pytest.mark.parametrize("opener", [open_supervisor, open_dynamic_supervisor])
async def test_a_child_of_another_supervisor_is_not_found(opener: Any, autojump_clock: MockClock) -> None:
    async with supervised() as other, opener() as supervisor:
        ref = await other.start_child(worker([], "a"))
        with pytest.raises(ChildNotFound):
            await supervisor.terminate_child(ref)
        assert ref.is_alive


async def test_a_reference_finds_a_child_that_has_ended(autojump_clock: MockClock) -> None:
    async with supervising([worker([], "a")]) as supervisor:
        ref = ref_of(supervisor, "a")
        await supervisor.terminate_child(ref)
        again = await supervisor.restart_child(ref)
        assert again is not ref


@pytest.mark.parametrize("opener", [open_supervisor, open_dynamic_supervisor])
async def test_a_reference_of_a_former_life_does_not_end_the_present_one(
    opener: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    with trio.CancelScope() as scope:
        async with opener() as supervisor:
            ref = await supervisor.start_child(worker(log, "a"))
            ref.kill()
            await ref.wait()
            with pytest.raises(ChildNotFound):
                await supervisor.terminate_child(ref)
            await wait_all_tasks_blocked()
            assert states(supervisor) == ["running"]
            scope.cancel()


# As many as there may be


async def test_a_start_beyond_max_children_is_refused_and_leaves_nothing(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    with trio.CancelScope() as scope:
        async with open_dynamic_supervisor(max_children=2, name="pool") as supervisor:
            for label in "ab":
                await supervisor.start_child(worker(log, label))
            with pytest.raises(MaxChildren, match="pool can't have more children: max_children is 2") as caught:
                await supervisor.start_child(worker(log, "c", name=names.via("c")))
            assert (caught.value.supervisor, caught.value.max_children) == ("pool", 2)
            assert log == ["+a", "+b"]
            assert names.count() == 0
            assert supervisor.count_children().specs == 2
            scope.cancel()


async def test_children_that_start_or_wait_for_their_restart_count_for_max_children(
    autojump_clock: MockClock,
) -> None:
    with trio.CancelScope() as scope:
        async with open_dynamic_supervisor(max_children=2) as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(worker([], "a", backoff=Backoff(initial=50)))
            ref.kill()
            nursery.start_soon(supervisor.start_child, worker([], "b", start=50))
            await wait_all_tasks_blocked()
            assert states(supervisor) == ["restarting", "starting"]
            with pytest.raises(MaxChildren):
                await supervisor.start_child(worker([], "c"))
            scope.cancel()


@pytest.mark.parametrize("how", ["ends", "is terminated", "does not start"])
async def test_there_is_room_again_when_a_child(how: str, autojump_clock: MockClock) -> None:
    with trio.CancelScope() as scope:
        async with open_dynamic_supervisor(max_children=1) as supervisor:
            if how == "does not start":
                with pytest.raises(Bang):
                    await supervisor.start_child(Fails)
            else:
                ref = await supervisor.start_child(worker([], "a", restart="transient"))
                await (supervisor.terminate_child(ref) if how == "is terminated" else ref.stop())
            assert (await supervisor.start_child(worker([], "b"))).is_alive
            scope.cancel()


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("2", TypeError),
        (True, TypeError),
        (2.5, TypeError),
        (None, TypeError),
        (-1, ValueError),
        (-math.inf, TypeError),
    ],
)
def test_max_children_is_a_number_of_children(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"max_children must be .*, not {value!r}"):
        open_dynamic_supervisor(max_children=value)


# Start, or get who is there


async def test_start_or_get_starts_the_first_and_gets_the_second(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised() as supervisor:
        first = await supervisor.start_or_get(Worker, log, "a", name=names.via("a"))
        with assert_checkpoints():
            second = await supervisor.start_or_get(Worker, log, "b", name=names.via("a"))
        assert first is second
        assert log == ["+a"]
        assert await second.call(Worker.ping) == "a"


@pytest.mark.parametrize("start", [0, 3])
async def test_ten_thousand_concurrent_calls_start_one_child(start: float, autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    got: list[ActorRef[Worker]] = []
    factory = functools.partial(Worker, log, "a", start=start)
    async with supervised() as supervisor:

        async def ask() -> None:
            got.append(await supervisor.start_or_get(factory, name=names.via("a")))
            assert log == ["+a"]

        with watching(names):
            async with trio.open_nursery() as nursery:
                for _ in range(10_000):
                    nursery.start_soon(ask)
        assert len(got) == 10_000
        assert len(set(got)) == 1
        assert supervisor.count_children().specs == 1


async def test_a_start_that_fails_fails_for_all_who_wait_for_it(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    failures: list[BaseException] = []
    async with supervised() as supervisor:

        async def ask() -> None:
            with pytest.raises((Bang, ActorExited)) as caught:
                await supervisor.start_or_get(Fails, name=names.via("a"))
            failures.append(caught.value)

        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(10_000):
                nursery.start_soon(ask)
        assert trio.current_time() - began == 1
        assert sum(isinstance(failure, Bang) for failure in failures) == 1
        assert sum(isinstance(failure.__cause__, Bang) for failure in failures) == 9_999
        assert names.count() == 0
        assert supervisor.which_children() == []


async def test_when_the_starting_call_is_cancelled_another_one_starts_the_child(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    factory = functools.partial(Worker, log, "a", start=2)
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        first = trio.CancelScope()

        async def ask_and_be_cancelled() -> None:
            with first:
                await supervisor.start_or_get(factory, name=names.via("a"))

        nursery.start_soon(ask_and_be_cancelled)
        await trio.sleep(1)
        nursery.start_soon(_cancel_later, first)
        ref = await supervisor.start_or_get(factory, name=names.via("a"))
        assert first.cancelled_caught
        assert names.whereis("a") is ref
        assert log == ["+a"]
        assert supervisor.count_children().specs == 1


async def _cancel_later(scope: trio.CancelScope) -> None:
    await trio.sleep(0.5)
    scope.cancel()


async def test_a_holder_that_is_ending_is_waited_out(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised() as supervisor:
        with watching(names):
            old = await supervisor.start_child(worker(log, "old", stop=3, restart="temporary", name=names.via("a")))
            old.cancel()
            new = await supervisor.start_or_get(Worker, log, "new", name=names.via("a"))
            assert log == ["+old", "-old", "+new"]
            assert names.whereis("a") is new


async def test_a_holder_that_is_restarted_is_waited_for(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised() as supervisor:
        old = await supervisor.start_child(worker(log, "a", start=3, name=names.via("a")))
        old.kill()
        ref = await supervisor.start_or_get(Worker, log, "b", name=names.via("a"))
        assert log == ["+a", "+a"]
        assert ref is not old
        assert names.whereis("a") is ref


async def test_a_name_whose_child_waits_for_its_restart_is_waited_for(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised(max_restarts=1) as supervisor:
        old = await supervisor.start_child(worker(log, "a", name=names.via("a"), backoff=Backoff(initial=5)))
        old.kill()
        await trio.sleep(1)
        began = trio.current_time()
        ref = await supervisor.start_or_get(Worker, log, "another", name=names.via("a"))
        assert trio.current_time() - began == 4
        assert names.whereis("a") is ref
        assert await ref.call(Worker.ping) == "a"
        await trio.sleep(100)
        assert log == ["+a", "+a"]


async def test_a_name_whose_child_does_not_get_its_restart_is_free_for_another(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    refs: list[ActorRef[Worker]] = []
    async with supervised() as supervisor, trio.open_nursery() as nursery:

        async def get() -> None:
            refs.append(await supervisor.start_or_get(Worker, log, "b", name=names.via("a")))

        old = await supervisor.start_child(worker(log, "a", name=names.via("a"), backoff=Backoff(initial=5)))
        old.kill()
        await wait_all_tasks_blocked()
        for _ in range(3):
            nursery.start_soon(get)
        await trio.sleep(1)
        await supervisor.terminate_child(old)
        await wait_all_tasks_blocked()
        assert log == ["+a", "+b"]
        assert refs == [names.whereis("a")] * 3
        await trio.sleep(100)
        assert log == ["+a", "+b"]


async def test_those_who_wait_for_a_restart_that_fails_learn_it(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    lives = itertools.count()

    class Once(Actor):
        async def on_start(self) -> None:
            await trio.sleep(1)
            if next(lives):
                raise Bang

    async with supervised(max_restarts=math.inf) as supervisor:
        old = await supervisor.start_child(ChildSpec(Once, name=names.via("a"), backoff=Backoff(initial=5)))
        old.kill()
        await old.wait()
        with pytest.raises(ActorExited) as caught:
            await supervisor.start_or_get(Once, name=names.via("a"))
        assert isinstance(caught.value.__cause__, Bang)


async def test_those_who_wait_for_a_restart_when_the_shutdown_comes_learn_it(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    learned: list[str] = []
    async with trio.open_nursery() as nursery, supervised() as supervisor:

        async def get() -> None:
            with pytest.raises(RuntimeError, match="not running"):
                await supervisor.start_or_get(Worker, list[str](), "b", name=names.via("a"))
            learned.append("told")

        old = await supervisor.start_child(worker([], "a", name=names.via("a"), backoff=Backoff(initial=5)))
        old.kill()
        await wait_all_tasks_blocked()
        nursery.start_soon(get)
        await wait_all_tasks_blocked()
    assert learned == ["told"]


async def test_a_holder_need_not_be_a_child_of_this_supervisor(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as other, supervised() as supervisor:
        ref = await other.start_child(Worker, list[str](), "a", name=names.via("a"))
        assert await supervisor.start_or_get(Worker, list[str](), "b", name=names.via("a")) is ref
        assert supervisor.which_children() == []


async def test_a_name_that_a_plain_task_holds_is_no_actor(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor:
        with names.hold("a"), pytest.raises(TypeError, match="which is not an actor"):
            await supervisor.start_or_get(Worker, list[str](), "a", name=names.via("a"))
        assert supervisor.which_children() == []


@pytest.mark.parametrize("name", [None, "a", 5])
async def test_start_or_get_needs_a_name(name: Any, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        with pytest.raises(TypeError, match=re.escape(f"name must come from Registry.via(), not {name!r}")):
            await supervisor.start_or_get(Worker, list[str](), "a", name=name)


# Waiting before a restart


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        (Backoff(), [0.1, 0.2, 0.4, 0.8]),
        (Backoff(initial=1, maximum=5), [1, 2, 4, 5, 5]),
        (Backoff(initial=1, factor=1), [1, 1, 1]),
        (Backoff(initial=2, maximum=60, factor=3), [2, 6, 18, 54, 60]),
        (Backoff(initial=0), [0, 0, 0]),
    ],
)
def test_a_backoff_grows_by_its_factor_up_to_its_maximum(backoff: Backoff, delays: list[float]) -> None:
    assert [backoff.delay(attempt) for attempt in range(1, len(delays) + 1)] == pytest.approx(delays)


@pytest.mark.parametrize(("initial", "longest"), [(0.1, 60), (0, 0)])
@pytest.mark.parametrize("factor", [2, 2.0])
def test_a_backoff_stays_what_it_is_after_any_number_of_attempts(initial: float, longest: float, factor: float) -> None:
    assert Backoff(initial, factor=factor).delay(100_000) == longest


def test_jitter_makes_a_wait_shorter_by_at_most_its_share() -> None:
    delays = [Backoff(initial=10, jitter=0.3).delay(1) for _ in range(1000)]
    assert all(7 <= delay <= 10 for delay in delays)
    assert max(delays) - min(delays) > 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"initial": "1"}, TypeError, "initial must be a number, not '1'"),
        ({"initial": True}, TypeError, "initial must be a number, not True"),
        ({"initial": -1}, ValueError, "initial must be at least 0 and finite, not -1"),
        ({"maximum": math.inf}, ValueError, "maximum must be at least 0 and finite, not inf"),
        ({"maximum": math.nan}, ValueError, "maximum must be at least 0 and finite, not nan"),
        ({"initial": 2, "maximum": 1}, ValueError, r"maximum must be at least initial \(2\), not 1"),
        ({"factor": 0.5}, ValueError, "factor must be at least 1, not 0.5"),
        ({"factor": None}, TypeError, "factor must be a number, not None"),
        ({"jitter": 1.5}, ValueError, "jitter must be from 0 to 1, not 1.5"),
        ({"jitter": -0.1}, ValueError, "jitter must be at least 0 and finite, not -0.1"),
    ],
)
def test_a_backoff_says_which_argument_is_wrong(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Backoff(**options)


def test_a_child_spec_takes_a_backoff_and_nothing_else() -> None:
    wrong: Any = 5
    with pytest.raises(TypeError, match="backoff must be a Backoff, not 5"):
        ChildSpec(Worker, backoff=wrong)


@pytest.mark.parametrize("opener", [open_supervisor, open_dynamic_supervisor])
async def test_restarts_wait_longer_and_longer(opener: Any, autojump_clock: MockClock) -> None:
    starts: list[float] = []

    async def crash() -> None:
        starts.append(trio.current_time())
        raise Bang

    with trio.CancelScope() as scope:
        async with opener(max_restarts=math.inf) as supervisor:
            await supervisor.start_child(ChildSpec(crash, backoff=Backoff(initial=1, maximum=5)))
            await trio.sleep(20)
            scope.cancel()
    waits = [after - before for before, after in itertools.pairwise(starts)]
    assert waits == pytest.approx([1, 2, 4, 5, 5])


async def test_a_life_as_long_as_the_maximum_makes_the_waits_begin_anew(autojump_clock: MockClock) -> None:
    starts: list[float] = []
    lives = iter([0, 0, 10, 0, 1000])

    async def crash() -> None:
        starts.append(trio.current_time())
        await trio.sleep(next(lives))
        raise Bang

    with trio.CancelScope() as scope:
        async with open_dynamic_supervisor(max_restarts=math.inf) as supervisor:
            await supervisor.start_child(ChildSpec(crash, backoff=Backoff(initial=1, maximum=10)))
            await trio.sleep(100)
            scope.cancel()
    waits = [after - before for before, after in itertools.pairwise(starts)]
    assert waits == pytest.approx([1, 2, 10 + 1, 2])


async def test_a_child_that_waits_for_its_restart_has_no_life_and_no_name(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker([], "a", name=names.via("a"), backoff=Backoff(initial=5)))
        ref.kill()
        await trio.sleep(1)
        (child,) = supervisor.which_children()
        assert (child.state, child.ref, child.restarts) == ("restarting", None, 1)
        assert supervisor.count_children().active == 0
        assert names.count() == 0
        await trio.sleep(5)
        assert states(supervisor) == ["running"]
        assert await names.via("a").call(Worker.ping) == "a"


@pytest.mark.parametrize("at", [1, 5])
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
async def test_a_child_that_waits_for_its_restart_is_terminated_and_does_not_get_it(
    strategy: Any, at: float, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    children = [worker(log, "a", backoff=Backoff(initial=5)), worker(log, "b")]
    async with supervising(children, strategy=strategy) as supervisor:
        ref = ref_of(supervisor, "a")
        ref.kill()
        await wait_all_tasks_blocked()
        await trio.sleep(at - 0.001)
        await supervisor.terminate_child("a")
        assert states(supervisor) == ["ended", "running"]
        await trio.sleep(100)
        assert log == ["+a", "+b"]
        assert states(supervisor) == ["ended", "running"]
        await supervisor.restart_child("a")
        await trio.sleep(100)
        assert log == ["+a", "+b", "+a"]


@pytest.mark.parametrize("opener", [open_supervisor, open_dynamic_supervisor])
async def test_a_shutdown_does_not_wait_for_a_restart_that_waits(opener: Any, autojump_clock: MockClock) -> None:
    began = trio.current_time()
    with trio.CancelScope() as scope:
        async with opener() as supervisor:
            ref = await supervisor.start_child(worker([], "a", backoff=Backoff(initial=50)))
            ref.kill()
            await ref.wait()
            scope.cancel()
    assert trio.current_time() == began


@pytest.mark.parametrize("opener", [open_supervisor, open_dynamic_supervisor])
async def test_a_block_that_was_left_stays_for_a_restart_that_waits(opener: Any, autojump_clock: MockClock) -> None:
    starts: list[float] = []

    async def job() -> None:
        starts.append(trio.current_time())
        if len(starts) == 1:
            raise Bang

    async with opener() as supervisor:
        await supervisor.start_child(ChildSpec(job, backoff=Backoff(initial=50)))
    assert [start - starts[0] for start in starts] == pytest.approx([0, 50])


async def test_restarts_that_waited_count_against_the_limit(autojump_clock: MockClock) -> None:
    async def crash() -> None:
        raise Bang

    with pytest.raises(RestartLimitExceeded) as caught:
        async with open_dynamic_supervisor(max_restarts=2, max_seconds=5) as supervisor:
            await supervisor.start_child(ChildSpec(crash, backoff=Backoff(initial=1)))
    assert [type(error) for error in caught.value.exceptions] == [Bang, Bang, Bang]


async def test_a_restart_whose_name_stays_taken_is_tried_again_but_not_at_every_turn(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised(max_restarts=math.inf) as supervisor:
        ref = await supervisor.start_child(worker(log, "a", name=names.via("a")))
        names.unregister("a", owner=ref)
        names.register("a")
        ref.kill()
        await trio.sleep(60)  # virtual time goes on only where nobody is busy
        (child,) = supervisor.which_children()
        assert child.state == "restarting"
        assert 10 < child.restarts < 100
        names.unregister("a")
        await trio.sleep(1)
        assert log == ["+a", "+a"]
        assert await names.via("a").call(Worker.ping) == "a"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_restart_of_several_where_a_name_stays_taken_is_tried_again_but_not_at_every_turn(
    strategy: Any, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    children = [worker(log, "a", name=names.via("a")), worker(log, "b")]
    async with supervising(children, strategy=strategy, max_restarts=math.inf) as supervisor:
        ref = ref_of(supervisor, "a")
        names.unregister("a", owner=ref)
        names.register("a")
        ref.kill()
        await trio.sleep(60)
        assert states(supervisor) == ["restarting", "restarting"]
        names.unregister("a")
        await trio.sleep(1)
        assert states(supervisor) == ["running", "running"]
        assert log == ["+a", "+b", "-b", "+a", "+b"]
