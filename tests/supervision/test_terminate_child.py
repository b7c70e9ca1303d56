"""terminate_child(): from outside, and by the child itself or what is below it."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import trio
from support.children import ref_of, states, worker
from support.errors import Bang
from support.supervisors import supervised, supervising
from support.workers import Worker
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorRef,
    Backoff,
    ChildNotFound,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    Registry,
    Supervisor,
    open_dynamic_supervisor,
    open_supervisor,
)


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


async def test_terminating_waits_for_the_shutdown_time_of_the_child_and_then_cuts_it_off(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker(log, "a", stop=100, shutdown=7))
        began = trio.current_time()
        await supervisor.terminate_child(ref)
        assert trio.current_time() - began == 7
        assert log == ["+a"]


async def test_a_child_whose_shutdown_is_kill_still_runs_its_on_stop_when_it_ends_by_itself(
    autojump_clock: MockClock,
) -> None:
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


async def test_a_child_that_waits_for_its_restart_is_terminated_once_by_two_tasks(autojump_clock: MockClock) -> None:
    log: list[str] = []
    ended: list[str] = []

    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        ref = await supervisor.start_child(Worker, log, "a", backoff=Backoff(initial=10, maximum=100))
        ref.cast_nowait(Worker.bang)
        await ref.wait()

        async def terminate() -> None:
            try:
                await supervisor.terminate_child(ref)
            except ChildNotFound:
                ended.append("not found")
            else:
                ended.append("terminated")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(terminate)
            nursery.start_soon(terminate)
    assert sorted(ended) == ["not found", "terminated"]


async def test_terminating_the_last_child_ends_a_supervisor_whose_block_is_over(autojump_clock: MockClock) -> None:
    began = trio.current_time()

    async def terminate(supervisor: Supervisor) -> None:
        await trio.sleep(3)
        await supervisor.terminate_child("a")

    with trio.fail_after(100):
        async with trio.open_nursery() as nursery, open_supervisor([worker([], "a")]) as supervisor:
            nursery.start_soon(terminate, supervisor)
    assert trio.current_time() - began == 3


async def test_a_termination_goes_on_when_the_task_that_asked_for_it_is_cancelled(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervising([worker(log, "a", stop=3)]) as supervisor:
        with trio.move_on_after(1) as impatient:
            await supervisor.terminate_child("a")
        assert impatient.cancelled_caught
        await trio.sleep(3)
        assert log == ["+a", "-a"]
        assert states(supervisor) == ["ended"]


# From below


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


async def test_a_grandchild_can_terminate_the_supervisor_above_it(autojump_clock: MockClock) -> None:
    log: list[str] = []

    async def end(supervisor: Supervisor) -> None:
        await supervisor.terminate_child("nested")
        raise AssertionError("it went on")

    nested: list[Supervisor] = []

    class Nested(Supervisor):
        async def on_start(self) -> None:
            await super().on_start()
            nested.append(self)

    with trio.fail_after(100), trio.CancelScope() as scope:
        async with open_supervisor([ChildSpec(Nested, id="nested")]) as supervisor:
            await nested[0].start_child(worker(log, "a"))
            began = trio.current_time()
            await nested[0].start_child(end, supervisor)
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
            a, b = (ref_of(supervisor, id) for id in "ab")
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
            await wait_all_tasks_blocked()  # the next life has started
            with pytest.raises(ChildNotFound):
                await supervisor.terminate_child(ref)
            await wait_all_tasks_blocked()
            assert states(supervisor) == ["running"]
            scope.cancel()


async def test_several_that_end_a_child_at_once_write_one_line_when_its_time_is_up(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async def stay() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(10)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(stay, shutdown=2)
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(supervisor.terminate_child, ref)
        assert (await ref.wait()).reason == "killed"
    assert len([record for record in caplog.records if "is killed" in record.getMessage()]) == 1
