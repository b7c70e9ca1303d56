"""A group restart: several children that are ended and started again together."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.children import bang, ref_of, restarts, states_by_id, worker
from support.errors import Bang
from support.supervisors import supervising
from support.watcher import watching
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorRef,
    Backoff,
    ChildNotEnded,
    ChildSpec,
    Registry,
    Supervisor,
    open_supervisor,
)


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_temporary_child_is_ended_and_dropped_by_a_group_restart(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    children = [worker(log, "a"), worker(log, "b", restart="temporary"), worker(log, "c")]
    async with supervising(children, strategy=strategy) as supervisor:
        log.clear()
        bang(supervisor, "a")
        await wait_all_tasks_blocked()
        assert log == ["-a", "-c", "-b", "+a", "+c"]
        assert list(states_by_id(supervisor)) == ["a", "c"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_child_that_crashes_in_the_step_in_which_a_group_restart_has_started_it_is_started_again(
    strategy: Any, autojump_clock: MockClock
) -> None:
    lives: list[int] = []

    class Brief(Actor):
        async def on_start(self) -> None:
            lives.append(len(lives) + 1)
            if lives[-1] == 2:
                self.ref.cast_nowait(Brief.bang)  # handled in the same step, before the supervisor has its turn

        def bang(self) -> None:
            raise Bang

    children = [ChildSpec(Actor, id="a"), ChildSpec(Brief, id="b"), ChildSpec(Actor, id="c")]
    async with supervising(children, strategy=strategy) as supervisor:
        ref_of(supervisor, "a").kill()
        await wait_all_tasks_blocked()
        assert states_by_id(supervisor) == {"a": "running", "b": "running", "c": "running"}
        assert lives == [1, 2, 3]
        assert restarts(supervisor) == {"a": 2 if strategy == "one_for_all" else 1, "b": 2, "c": 2}


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_transient_child_that_ended_normally_is_started_again_by_a_group_restart(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    with trio.CancelScope() as scope:
        children = [worker(log, "a"), worker(log, "b", restart="transient")]
        async with open_supervisor(children, strategy=strategy) as supervisor:
            await ref_of(supervisor, "b").stop()
            assert states_by_id(supervisor) == {"a": "running", "b": "ended"}
            log.clear()
            bang(supervisor, "a")
            await wait_all_tasks_blocked()
            assert log == ["-a", "+a", "+b"]
            assert states_by_id(supervisor) == {"a": "running", "b": "running"}
            scope.cancel()


async def test_a_child_that_was_terminated_is_started_again_by_a_group_restart(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervising([worker(log, "a"), worker(log, "b")], strategy="one_for_all") as supervisor:
        await supervisor.terminate_child("b")
        log.clear()
        bang(supervisor, "a")
        await wait_all_tasks_blocked()
        assert log == ["-a", "+a", "+b"]


async def test_a_group_restart_starts_each_child_when_the_one_before_has_started(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [worker(log, "a", start=2), worker(log, "b", start=1)]
    async with supervising(children, strategy="one_for_all") as supervisor:
        log.clear()
        bang(supervisor, "b")
        await trio.sleep(2.5)
        assert log == ["-b", "-a", "+a"]
        assert states_by_id(supervisor) == {"a": "running", "b": "starting"}
        await trio.sleep(1)
        assert log == ["-b", "-a", "+a", "+b"]


async def test_a_child_that_waits_for_its_turn_in_a_group_restart_is_shown_as_restarting(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    children = [worker(log, "a", start=2), worker(log, "b"), worker(log, "c", stop=1)]
    async with supervising(children, strategy="one_for_all") as supervisor:
        bang(supervisor, "a")
        await trio.sleep(0.5)
        assert states_by_id(supervisor) == {"a": "restarting", "b": "running", "c": "running"}
        await trio.sleep(1)
        assert states_by_id(supervisor) == {"a": "starting", "b": "restarting", "c": "restarting"}
        await trio.sleep(2)
        assert set(states_by_id(supervisor).values()) == {"running"}


async def test_a_crash_while_a_group_restart_ends_the_others_is_part_of_that_restart(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    children = [worker(log, "a"), worker(log, "b"), worker(log, "c", stop=2)]
    async with supervising(children, strategy="one_for_all", max_restarts=1) as supervisor:
        log.clear()
        bang(supervisor, "a")
        await trio.sleep(1)
        bang(supervisor, "b")
        await trio.sleep(2)
        assert log == ["-a", "-b", "-c", "+a", "+b", "+c"]
        assert restarts(supervisor) == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_crash_of_a_child_that_a_group_restart_has_started_leads_to_another_group_restart(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    children = [worker(log, "a"), worker(log, "b", start=2)]
    async with supervising(children, strategy=strategy) as supervisor:
        log.clear()
        bang(supervisor, "a")
        await trio.sleep(1)
        bang(supervisor, "a")
        await trio.sleep(10)
        assert log == ["-a", "-b", "+a", "-a", "+b", "-b", "+a", "+b"]
        assert restarts(supervisor) == {"a": 2, "b": 2}


async def test_a_group_restart_after_a_backoff_starts_all_when_the_wait_is_over(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [worker(log, "a", backoff=Backoff(initial=4)), worker(log, "b")]
    async with supervising(children, strategy="one_for_all") as supervisor:
        log.clear()
        bang(supervisor, "a")
        await trio.sleep(3)
        assert log == ["-a"]
        assert states_by_id(supervisor) == {"a": "restarting", "b": "running"}
        await trio.sleep(2)
        assert log == ["-a", "-b", "+a", "+b"]


async def test_a_group_restart_restarts_a_child_that_waits_for_its_backoff_only_once(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [worker(log, "a", backoff=Backoff(initial=4)), worker(log, "b")]
    async with supervising(children, strategy="one_for_all") as supervisor:
        log.clear()
        bang(supervisor, "a")
        await trio.sleep(1)
        bang(supervisor, "b")
        await trio.sleep(100)
        assert log == ["-a", "-b", "+a", "+b"]
        assert restarts(supervisor) == {"a": 1, "b": 1}


# A child that fails to restart, and waits


@pytest.mark.parametrize(
    ("strategy", "then"),
    [("one_for_all", "-a +a +b +c"), ("rest_for_one", "+b +c")],
)
async def test_a_child_that_fails_to_restart_is_tried_again_with_its_own_group(
    strategy: Any, then: str, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    fails: dict[str, int] = {}
    children = [worker(log, label, fails=fails) for label in "abc"]
    async with supervising(children, strategy=strategy, max_restarts=2) as supervisor:
        log.clear()
        fails["b"] = 1
        bang(supervisor, "a")
        await wait_all_tasks_blocked()
        assert log == ["-a", "-c", "-b", "+a", "!b", *then.split()]
        assert states_by_id(supervisor) == {"a": "running", "b": "running", "c": "running"}


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_the_children_behind_one_that_waits_for_its_next_try_are_shown_as_restarting(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    fails: dict[str, int] = {}
    children = [
        worker(log, "a", fails=fails),
        worker(log, "b", fails=fails, backoff=Backoff(initial=4)),
        worker(log, "c", fails=fails),
    ]
    async with supervising(children, strategy=strategy, max_restarts=5, max_seconds=100) as supervisor:
        log.clear()
        fails["b"] = 1
        bang(supervisor, "a")
        await trio.sleep(1)
        assert log == ["-a", "-c", "-b", "+a", "!b"]
        assert states_by_id(supervisor) == {"a": "running", "b": "restarting", "c": "restarting"}
        with pytest.raises(ChildNotEnded):
            await supervisor.restart_child("c")
        await trio.sleep(10)
        assert states_by_id(supervisor) == {"a": "running", "b": "running", "c": "running"}


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_child_behind_one_that_waits_for_its_next_try_can_be_terminated(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    fails: dict[str, int] = {}
    children = [worker(log, "a", fails=fails, backoff=Backoff(initial=4)), worker(log, "b"), worker(log, "c")]
    async with supervising(children, strategy=strategy) as supervisor:
        fails["a"] = 1
        ref_of(supervisor, "a").kill()
        await trio.sleep(5)
        log.clear()
        assert states_by_id(supervisor) == {"a": "restarting", "b": "restarting", "c": "restarting"}
        await supervisor.terminate_child("b")
        assert states_by_id(supervisor) == {"a": "restarting", "b": "ended", "c": "restarting"}
        supervisor.delete_child("b")
        await trio.sleep(10)
        assert log == ["+a", "+c"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_the_children_behind_one_that_is_terminated_while_it_waits_are_started_without_it(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    fails: dict[str, int] = {}
    children = [worker(log, "a"), worker(log, "b", fails=fails, backoff=Backoff(initial=4)), worker(log, "c")]
    async with supervising(children, strategy=strategy) as supervisor:
        fails["b"] = 1
        bang(supervisor, "a")
        await trio.sleep(1)
        log.clear()
        await supervisor.terminate_child("b")
        await wait_all_tasks_blocked()
        assert log == ["+c"]
        assert states_by_id(supervisor) == {"a": "running", "b": "ended", "c": "running"}
        await trio.sleep(10)
        assert log == ["+c"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_leaving_the_block_waits_for_the_children_behind_one_that_waits(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    fails: dict[str, int] = {"a": 0}
    children = [worker(log, "a", fails=fails, backoff=Backoff(initial=4)), worker(log, "b")]
    with trio.fail_after(1000), trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def disturb(supervisor: Supervisor) -> None:
                fails["a"] = 1
                ref_of(supervisor, "a").kill()
                await trio.sleep(5)
                await supervisor.terminate_child("a")
                log.append("terminated")
                await trio.sleep(5)
                log.append("still there")
                scope.cancel()

            async with open_supervisor(children, strategy=strategy) as supervisor:
                nursery.start_soon(disturb, supervisor)
    assert log == ["+a", "+b", "-b", "!a", "terminated", "+b", "still there", "-b"]


# Meanwhile, from outside


async def test_a_child_terminated_during_a_group_restart_is_left_out_of_it(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [worker(log, "a", start=2), worker(log, "b"), worker(log, "c")]
    async with supervising(children, strategy="one_for_all") as supervisor:
        log.clear()
        bang(supervisor, "a")
        await trio.sleep(1)
        await supervisor.terminate_child("b")
        await trio.sleep(2)
        assert log == ["-a", "-c", "-b", "+a", "+c"]
        assert states_by_id(supervisor) == {"a": "running", "b": "ended", "c": "running"}


async def test_a_child_terminated_while_a_group_restart_starts_it_does_not_count_as_a_failure(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    with trio.CancelScope() as scope:
        children = [worker(log, "a", start=2), worker(log, "b")]
        async with open_supervisor(children, strategy="one_for_all", max_restarts=1) as supervisor:
            log.clear()
            bang(supervisor, "b")
            await trio.sleep(1)
            await supervisor.terminate_child("a")
            await wait_all_tasks_blocked()
            assert log == ["-b", "-a", "+b"]
            assert states_by_id(supervisor) == {"a": "ended", "b": "running"}
            scope.cancel()


@pytest.mark.parametrize("time", range(16))
async def test_a_child_terminated_when_a_group_restart_begins_is_left_out_of_it(
    time: int, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    specs = [worker(log, label) for label in "abc"]
    with trio.CancelScope() as scope:
        async with open_supervisor(specs, strategy="one_for_all") as supervisor, trio.open_nursery() as n:

            async def terminate() -> None:
                for _ in range(time % 4):
                    await trio.lowlevel.checkpoint()
                await supervisor.terminate_child("a")

            n.start_soon(terminate)
            bang(supervisor, "c")
            await wait_all_tasks_blocked()
            assert states_by_id(supervisor) == {"a": "ended", "b": "running", "c": "running"}
            scope.cancel()


async def test_a_child_whose_crash_requests_a_group_restart_can_be_terminated_before_that_begins(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []

    async def terminate(ref: ActorRef[Any]) -> None:
        await ref.wait()  # now it is this task's turn, or that of the supervisor
        await supervisor.terminate_child("c")

    specs = [worker(log, label) for label in "abc"]
    async with supervising(specs, strategy="one_for_all", max_restarts=1000) as supervisor:
        for _ in range(12):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(terminate, ref_of(supervisor, "c"))
                await wait_all_tasks_blocked()
                bang(supervisor, "c")
            await wait_all_tasks_blocked()
            assert states_by_id(supervisor) == {"a": "running", "b": "running", "c": "ended"}
            await supervisor.restart_child("c")


async def test_a_child_of_a_group_restart_that_the_end_of_the_supervisor_prevents_is_shown_as_ended(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    specs = [worker(log, "a", stop=5), worker(log, "b"), worker(log, "c", stop=1)]
    async with open_supervisor(specs, strategy="rest_for_one") as supervisor:
        bang(supervisor, "b")
        await wait_all_tasks_blocked()
        assert states_by_id(supervisor)["b"] == "restarting"
        supervisor.stop()
        with trio.CancelScope(shield=True):
            await trio.sleep(3)
        assert [*states_by_id(supervisor).values()][1:] == ["ended", "ended"]


async def does_not_start(supervisor: Supervisor, spec: ChildSpec) -> None:
    with pytest.raises(Bang):
        await supervisor.start_child(spec)


# Trio runs those that can run in any order: each time may be the one in which it matters.
@pytest.mark.parametrize("time", range(12))
async def test_a_start_by_another_task_that_fails_when_a_group_restart_begins_leaves_nothing(
    time: int, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    async with supervising([worker(log, "a")], strategy="one_for_all") as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(does_not_start, supervisor, worker(log, "b", start=1, fails={"b": 1}))
        await trio.sleep(1)
        bang(supervisor, "a")
        await trio.sleep(10)
        assert log == ["+a", "-a", "!b", "+a"] or log == ["+a", "!b", "-a", "+a"]
        assert states_by_id(supervisor) == {"a": "running"}
    assert log[4:] == ["-a"]


async def test_a_start_by_another_task_that_fails_while_a_group_restart_ends_others_leaves_nothing(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    async with supervising([worker(log, "a")], strategy="one_for_all") as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(does_not_start, supervisor, worker(log, "b", start=2, fails={"b": 1}))
        await wait_all_tasks_blocked()
        await supervisor.start_child(worker(log, "c", stop=2))
        await trio.sleep(1)
        bang(supervisor, "a")
        await trio.sleep(10)
        assert log == ["+a", "+c", "-a", "!b", "-c", "+a", "+c"]
        assert states_by_id(supervisor) == {"a": "running", "c": "running"}


@pytest.mark.parametrize("seconds", [0.5, 1.5, 2.5, 3.5])
async def test_a_supervisor_cancelled_at_any_time_of_a_group_restart_ends_all_and_frees_the_names(
    seconds: float, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    children = [worker(log, label, start=1, stop=1, name=names.via(label)) for label in "ab"]
    with trio.CancelScope() as scope, watching(names):
        async with open_supervisor(children, strategy="one_for_all") as supervisor:
            ref_of(supervisor, "a").kill()
            await trio.sleep(seconds)
            scope.cancel()
            await trio.sleep_forever()
    assert names.count() == 0
    assert log.count("+a") == log.count("-a") + 1  # the kill
    assert log.count("+b") == log.count("-b")
