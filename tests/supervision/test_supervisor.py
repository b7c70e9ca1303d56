"""Supervisors: starting, restarting, giving up, and shutting down in order."""

from __future__ import annotations

import functools
import gc
import itertools
import logging
import math
import re
import weakref
from collections.abc import Callable, Generator
from typing import Any

import attrs
import pytest
import trio
from support.cancellation import Cancelling, settle, sweep
from support.errors import Bang, leaves
from support.supervisors import supervised, supervising
from support.watcher import watching
from support.workers import Worker
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    Registry,
    RestartLimitExceeded,
    Supervisor,
    open_dynamic_supervisor,
    open_supervisor,
    receive,
)


class Verbose(Worker):
    """It writes down each step of its life, in words."""

    def __init__(self, log: list[str], name: str, *, start: float = 0, stop: float = 0) -> None:
        super().__init__(log, name, start=start, stop=stop)
        log.append(f"{name} init")

    def begin(self) -> None:
        self.log.append(f"{self.name} started")

    async def on_stop(self, exit: Exit) -> None:
        self.log.append(f"{self.name} stopping")
        await trio.sleep(self.stop_seconds)
        self.log.append(f"{self.name} stopped")


def worker(log: list[str], label: str, *, start: float = 0, stop: float = 0, **options: Any) -> ChildSpec:
    return ChildSpec(functools.partial(Verbose, log, label, start=start, stop=stop), id=label, **options)


def ref_of(supervisor: Supervisor | DynamicSupervisor, id: object) -> ActorRef[Verbose]:
    ref = supervisor._engine.children[id].ref
    assert ref is not None
    return ref


async def went_on() -> None:
    """The end of a block that an error of its children should have left before."""
    await trio.sleep(1000)
    raise AssertionError("the block went on")


# Starting


async def test_children_are_started_in_order_each_when_the_one_before_has_started(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with trio.CancelScope() as scope:
        async with open_supervisor([worker(log, "a", start=2), worker(log, "b", start=1), worker(log, "c")]):
            assert log == ["a init", "a started", "b init", "b started", "c init", "c started"]
            scope.cancel()


async def test_a_child_can_call_those_before_it_while_it_starts(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    answers: list[str] = []

    class Second(Actor):
        async def on_start(self) -> None:
            answers.append(await names.via("first").call(Verbose.ping))

    with trio.CancelScope() as scope:
        async with open_supervisor([worker([], "first", name=names.via("first")), ChildSpec(Second)]):
            assert answers == ["first"]
            scope.cancel()


async def test_a_child_that_does_not_start_ends_those_before_it_in_reverse_and_its_error_leaves(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []

    class Fails(Actor):
        async def on_start(self) -> None:
            log.append("fails")
            raise Bang

    with pytest.RaisesGroup(Bang):
        async with open_supervisor([worker(log, "a"), worker(log, "b"), ChildSpec(Fails), worker(log, "c")]):
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
                spec = worker(log, str(number), start=number % 3)
                nursery.start_soon(supervisor.start_child, spec)
        assert sum(entry.endswith("started") for entry in log) == 20
    assert sum(entry.endswith("stopped") for entry in log) == 20


async def test_a_slow_start_does_not_hold_up_another(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        began = trio.current_time()
        nursery.start_soon(supervisor.start_child, worker([], "slow", start=10))
        await wait_all_tasks_blocked()
        await supervisor.start_child(worker([], "quick", start=1))
        assert trio.current_time() - began == 1


async def test_a_start_that_something_else_ends_raises_actor_exited(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor, trio.open_nursery() as nursery:

        async def kill() -> None:
            await trio.sleep(1)
            names.via("slow").kill()

        nursery.start_soon(kill)
        with pytest.raises(ActorExited) as caught:
            await supervisor.start_child(worker([], "slow", start=10, name=names.via("slow")))
        assert caught.value.exit == Exit("killed")
        assert names.count() == 0


async def test_a_supervisor_that_is_left_or_not_yet_entered_starts_nothing(autojump_clock: MockClock) -> None:
    began: list[str] = []
    supervisor: Supervisor | DynamicSupervisor
    for supervisor in (Supervisor(), DynamicSupervisor()):
        with pytest.raises(RuntimeError, match="is not running"):
            await supervisor.start_child(Verbose, began, "a")
    async with open_dynamic_supervisor() as supervisor:
        pass
    with pytest.raises(RuntimeError, match="is not running"):
        await supervisor.start_child(Verbose, began, "a")
    assert began == []


async def test_a_supervisor_that_is_shutting_down_starts_nothing(autojump_clock: MockClock) -> None:
    refused: list[bool] = []

    class Last(Actor):
        def __init__(self, supervisor: DynamicSupervisor) -> None:
            self.supervisor = supervisor

        async def on_stop(self, exit: Exit) -> None:
            with pytest.raises(RuntimeError, match="is not running"):
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
                await supervisor.start_child(worker(log, "slow", start=10, name=names.via("slow")))
            outcomes.append("exited")

        nursery.start_soon(start)
        await wait_all_tasks_blocked()
        assert names.count() == 1
    assert outcomes == ["exited"]
    assert log == ["slow init"]
    assert names.count() == 0


async def test_a_supervisor_that_is_cancelled_while_it_starts_its_children_is_just_cancelled(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    with trio.move_on_after(1) as scope:
        async with open_supervisor([worker(log, "a"), worker(log, "slow", start=10), worker(log, "never")]):
            raise AssertionError("entered")
    assert scope.cancelled_caught
    assert log == ["a init", "a started", "slow init", "a stopping", "a stopped"]


async def test_a_child_that_starts_another_when_the_shutdown_comes_does_not_spoil_it(autojump_clock: MockClock) -> None:
    class Starter(Actor):
        async def start(self, supervisor: DynamicSupervisor) -> None:
            await supervisor.start_child(worker([], "slow", start=10))

    for _ in range(30):  # Trio runs what is ready in random order
        with trio.CancelScope() as scope:
            async with open_dynamic_supervisor() as supervisor:
                ref = await supervisor.start_child(Starter)
                await ref.cast(Starter.start, supervisor)
                await wait_all_tasks_blocked()
                scope.cancel()


async def test_a_child_that_starts_another_after_the_shutdown_has_begun_does_not_spoil_it(
    autojump_clock: MockClock,
) -> None:
    async def start_later(supervisor: Supervisor) -> None:
        await trio.sleep(2)
        await supervisor.start_child(Verbose, list[str](), "too late")

    with trio.move_on_after(1) as scope:
        async with open_supervisor() as supervisor:
            await supervisor.start_child(start_later, supervisor)
            await supervisor.start_child(worker([], "slow", stop=3))
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_one_that_is_cancelled_with_the_supervisor_learns_that_where_it_starts_a_child(
    autojump_clock: MockClock,
) -> None:
    with trio.CancelScope() as scope:
        async with open_supervisor() as supervisor:
            with trio.CancelScope(shield=True):
                scope.cancel()
                await trio.sleep(1)
            await supervisor.start_child(Verbose, list[str](), "a")
    assert scope.cancelled_caught


async def test_a_child_that_calls_a_later_one_when_the_shutdown_comes_does_not_spoil_it(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")

    class Caller(Actor):
        async def work(self) -> None:
            await names.via("callee").call(Callee.work)

    class Callee(Actor):
        async def work(self) -> None:
            await trio.sleep_forever()

    children = [ChildSpec(Caller, name=names.via("caller")), ChildSpec(Callee, name=names.via("callee"))]
    with trio.CancelScope() as scope:
        async with open_supervisor(children):
            names.via("caller").cast_nowait(Caller.work)
            await wait_all_tasks_blocked()
            scope.cancel()


# Restarts


@pytest.mark.parametrize(
    ("restart", "restarted_after"),
    [
        ("permanent", {"stop", "cancel", "bang", "kill"}),
        ("transient", {"bang", "kill"}),
        ("temporary", set[str]()),
    ],
)
@pytest.mark.parametrize("end", ["stop", "cancel", "bang", "kill"])
async def test_which_end_leads_to_a_restart(
    restart: Any, restarted_after: set[str], end: str, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Verbose, log, "a", restart=restart)
        if end == "stop":
            await ref.stop()
        elif end == "bang":
            ref.cast_nowait(Verbose.bang)
        else:
            getattr(ref, end)()
        exit = await ref.wait()
        assert exit.reason == {"stop": "normal", "cancel": "shutdown", "bang": "crashed", "kill": "killed"}[end]
        await wait_all_tasks_blocked()
        assert log.count("a init") == (2 if end in restarted_after else 1)


async def test_an_actor_class_is_permanent_and_a_function_transient_by_default(autojump_clock: MockClock) -> None:
    lives: list[str] = []

    async def function() -> None:
        lives.append("function")
        await receive()

    async with supervised() as supervisor:
        actor = await supervisor.start_child(Verbose, lives, "actor")
        ref = await supervisor.start_child(function)
        await actor.stop()
        await ref.send("return")
        await ref.wait()
        await wait_all_tasks_blocked()
        assert lives.count("actor init") == 2
        assert lives.count("function") == 1


async def test_one_for_one_restarts_only_the_child_that_ended(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervising([worker(log, "a"), worker(log, "b"), worker(log, "c")]) as supervisor:
        before = [ref_of(supervisor, id) for id in "abc"]
        before[1].kill()
        await wait_all_tasks_blocked()
        after = [ref_of(supervisor, id) for id in "abc"]
        assert [old is new for old, new in zip(before, after, strict=True)] == [True, False, True]


async def test_a_restarted_child_is_still_at_its_place_in_the_order(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervising([worker(log, "a"), worker(log, "b"), worker(log, "c")]) as supervisor:
        ref_of(supervisor, "a").kill()
        await wait_all_tasks_blocked()
        log.clear()
    assert log == [f"{name} {what}" for name in "cba" for what in ("stopping", "stopped")]


async def test_a_restarted_child_starts_from_its_arguments_anew(autojump_clock: MockClock) -> None:
    class Counter(Actor):
        def __init__(self, value: int) -> None:
            self.value = value

        def increment(self) -> int:
            self.value += 1
            return self.value

    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Counter, 10, name=names.via("counter"))
        assert [await ref.call(Counter.increment) for _ in range(3)] == [11, 12, 13]
        ref.kill()
        await ref.wait()
        assert await names.via("counter").call(Counter.increment) == 11


async def test_a_restart_that_fails_to_start_is_tried_again_and_counts(autojump_clock: MockClock) -> None:
    lives: list[int] = []

    class Flaky(Actor):
        async def on_start(self) -> None:
            lives.append(len(lives))
            if len(lives) in (2, 3):
                raise Bang

    async with supervised(max_restarts=3) as supervisor:
        ref = await supervisor.start_child(Flaky)
        ref.kill()
        await wait_all_tasks_blocked()
        assert lives == [0, 1, 2, 3]


async def crash_by_name(names: Registry[str, None], times: int, pause: float) -> None:
    for _ in range(times):
        names.via("a").cast_nowait(Verbose.bang)
        await trio.sleep(pause)


async def test_as_many_restarts_as_are_allowed_in_the_window_are_made(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised() as supervisor:
        await supervisor.start_child(Verbose, log, "a", name=names.via("a"))
        await crash_by_name(names, 3, 0.1)
        assert await names.via("a").call(Verbose.ping) == "a"
        assert log.count("a init") == 4


async def test_one_restart_more_and_the_supervisor_gives_up(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    with pytest.raises(RestartLimitExceeded, match="more than 3 restarts in 5 seconds") as caught:
        async with open_dynamic_supervisor() as supervisor:
            await supervisor.start_child(Verbose, log, "other")
            await supervisor.start_child(Verbose, log, "a", name=names.via("a"))
            await crash_by_name(names, 4, 0.1)
            await went_on()
    assert [str(error) for error in caught.value.exceptions] == ["a"] * 4
    assert log.count("a init") == 4
    assert log[-1] == "other stopped"
    assert names.count() == 0


async def test_restarts_that_are_far_enough_apart_go_on_forever(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised() as supervisor:  # 3 in 5 seconds
        await supervisor.start_child(Verbose, log, "a", name=names.via("a"))
        await crash_by_name(names, 50, 1.7)
        assert log.count("a init") == 51


async def test_the_restarts_of_all_children_count_together(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with pytest.raises(RestartLimitExceeded) as caught:
        async with open_dynamic_supervisor(max_restarts=1) as supervisor:
            first = await supervisor.start_child(Verbose, log, "a")
            second = await supervisor.start_child(Verbose, log, "b")
            first.cast_nowait(Verbose.bang)
            await wait_all_tasks_blocked()
            second.cast_nowait(Verbose.bang)
            await went_on()
    assert [str(error) for error in caught.value.exceptions] == ["a", "b"]


async def test_no_restart_at_all_can_be_allowed(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with pytest.raises(RestartLimitExceeded):
        async with open_dynamic_supervisor(max_restarts=0) as supervisor:
            ref = await supervisor.start_child(Verbose, log, "a")
            ref.cast_nowait(Verbose.bang)
            await went_on()
    assert log.count("a init") == 1


async def test_any_number_of_restarts_can_be_allowed(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised(max_restarts=math.inf) as supervisor:
        await supervisor.start_child(Verbose, log, "a", name=names.via("a"))
        await crash_by_name(names, 100, 0.01)
        assert log.count("a init") == 101


async def test_a_child_that_was_restarted_too_often_without_an_error_is_there_as_actor_exited(
    autojump_clock: MockClock,
) -> None:
    ref: ActorRef[Verbose] | None = None
    with pytest.raises(RestartLimitExceeded) as caught:
        async with open_dynamic_supervisor(max_restarts=0) as supervisor:
            ref = await supervisor.start_child(Verbose, list[str](), "a")
            ref.kill()
            await went_on()
    (error,) = caught.value.exceptions
    assert isinstance(error, ActorExited)
    assert error.ref is ref
    assert error.exit == Exit("killed")


async def test_a_supervisor_that_gives_up_shuts_the_others_down_in_order(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [worker(log, name, stop=1) for name in "abc"]
    with pytest.raises(RestartLimitExceeded):
        async with open_supervisor(children, max_restarts=0) as supervisor:
            log.clear()
            ref_of(supervisor, "b").cast_nowait(Verbose.bang)
            await went_on()
    assert log == [f"{name} {what}" for name in "bca" for what in ("stopping", "stopped")]


async def test_a_shutdown_that_comes_while_a_restart_waits_for_its_name_leaves_nothing(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []

    for steps in range(8):
        log.clear()
        with trio.fail_after(1000):
            async with supervised(max_restarts=math.inf) as supervisor:
                ref = await supervisor.start_child(Verbose, log, "a", name=names.via("a"))
                names.unregister("a", owner=ref)
                names.register("a")
                ref.kill()
                await ref.wait()
                await settle(steps)
                names.unregister("a")
        assert names.count() == 0
        assert log.count("a started") == log.count("a stopped") + 1  # the first was killed


# Leaving the block, and shutting down


async def test_leaving_the_block_waits_for_the_children(autojump_clock: MockClock) -> None:
    async def job(seconds: float) -> None:
        await trio.sleep(seconds)

    began = trio.current_time()
    async with open_dynamic_supervisor() as supervisor:
        await supervisor.start_child(job, 3)
        await supervisor.start_child(job, 5)
    assert trio.current_time() - began == 5


async def test_leaving_the_block_waits_for_what_the_children_start_and_restart(autojump_clock: MockClock) -> None:
    lives: list[str] = []

    async def grandchild() -> None:
        await trio.sleep(1)
        lives.append("grandchild")

    async def job(supervisor: DynamicSupervisor) -> None:
        lives.append("job")
        await trio.sleep(1)
        if lives.count("job") == 1:
            raise Bang
        await supervisor.start_child(grandchild)

    async with open_dynamic_supervisor() as supervisor:
        await supervisor.start_child(job, supervisor)
    assert lives == ["job", "job", "grandchild"]


async def test_leaving_the_block_of_a_supervisor_without_children_takes_no_time(autojump_clock: MockClock) -> None:
    async with open_dynamic_supervisor():
        pass
    async with open_supervisor():
        pass


async def test_leaving_a_block_by_an_error_shuts_down_and_the_error_leaves(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with pytest.RaisesGroup(ZeroDivisionError):
        async with open_supervisor([worker(log, "a", stop=1), worker(log, "b", stop=1)]):
            log.clear()
            raise ZeroDivisionError
    assert log == ["b stopping", "b stopped", "a stopping", "a stopped"]


async def test_shutdown_goes_in_reverse_order_one_at_a_time(autojump_clock: MockClock) -> None:
    log: list[str] = []
    began = trio.current_time()
    with trio.CancelScope() as scope:
        async with open_supervisor([worker(log, "a", stop=1), worker(log, "b", stop=2), worker(log, "c", stop=3)]):
            log.clear()
            scope.cancel()
    assert scope.cancelled_caught or scope.cancel_called
    assert log == [f"{name} {what}" for name in "cba" for what in ("stopping", "stopped")]
    assert trio.current_time() - began == 6


async def test_a_dynamic_supervisor_shuts_its_children_down_side_by_side(autojump_clock: MockClock) -> None:
    log: list[str] = []
    began = trio.current_time()
    async with supervised() as supervisor:
        for number in range(4):
            await supervisor.start_child(worker(log, str(number), stop=number))
    assert trio.current_time() - began == 3
    assert sum(entry.endswith("stopped") for entry in log) == 4


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
async def test_a_child_that_takes_longer_than_its_shutdown_time_is_cut_off(
    opener: Callable[[], Any], autojump_clock: MockClock
) -> None:
    log: list[str] = []
    ref: ActorRef[Any] | None = None
    began = trio.current_time()
    with trio.CancelScope() as scope:
        async with opener() as supervisor:
            ref = await supervisor.start_child(worker(log, "slow", stop=1000, shutdown=7))
            scope.cancel()
    assert trio.current_time() - began == 7
    assert log[-1] == "slow stopping"
    assert ref is not None
    assert ref.exit is not None
    assert ref.exit.reason in ("shutdown", "killed")


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
async def test_a_child_has_five_seconds_if_nothing_is_said(
    opener: Callable[[], Any], autojump_clock: MockClock
) -> None:
    began = trio.current_time()
    with trio.CancelScope() as scope:
        async with opener() as supervisor:
            await supervisor.start_child(worker([], "slow", stop=1000))
            scope.cancel()
    assert trio.current_time() - began == 5


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
async def test_a_child_can_be_given_all_the_time_it_needs(opener: Callable[[], Any], autojump_clock: MockClock) -> None:
    log: list[str] = []
    began = trio.current_time()
    with trio.CancelScope() as scope:
        async with opener() as supervisor:
            await supervisor.start_child(worker(log, "slow", stop=1000, shutdown=math.inf))
            scope.cancel()
    assert trio.current_time() - began == 1000
    assert log[-1] == "slow stopped"


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
async def test_a_child_can_be_killed_without_its_on_stop(opener: Callable[[], Any], autojump_clock: MockClock) -> None:
    log: list[str] = []
    ref: ActorRef[Any] | None = None
    with trio.CancelScope() as scope:
        async with opener() as supervisor:
            ref = await supervisor.start_child(worker(log, "a", shutdown="kill"))
            scope.cancel()
    assert log == ["a init", "a started"]
    assert ref is not None
    assert ref.exit == Exit("killed")


async def test_the_shutdown_time_is_for_all_of_an_end_background_tasks_included(autojump_clock: MockClock) -> None:
    class Slow(Verbose):
        async def on_start(self) -> None:
            self.start_soon(self._work)

        async def _work(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(3)

    log: list[str] = []
    began = trio.current_time()
    async with supervising() as supervisor:
        spec = ChildSpec(functools.partial(Slow, log, "slow", stop=1000), shutdown=5)
        await supervisor.start_child(spec)
        await wait_all_tasks_blocked()
    assert trio.current_time() - began == 5
    assert log == ["slow init", "slow stopping"]


async def test_a_nested_supervisor_that_takes_longer_than_its_shutdown_time_is_cut_off_with_all_below(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    children = [worker(log, "a"), worker(log, "b", stop=1000, shutdown=2000)]
    nested = ChildSpec(Supervisor, (children,), id="nested", shutdown=5)
    began = trio.current_time()
    with trio.CancelScope() as scope:
        async with open_supervisor([nested]):
            log.clear()
            scope.cancel()
    assert trio.current_time() - began == 5
    assert "b stopped" not in log


async def test_one_that_shields_itself_does_not_give_those_beside_it_more_time(autojump_clock: MockClock) -> None:
    log: list[str] = []
    ended: list[float] = []

    async def stubborn() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(100)

    async with open_dynamic_supervisor() as supervisor:
        subtree = [worker(log, "a", stop=50, shutdown=math.inf)]
        await supervisor.start_child(stubborn, shutdown=1)
        beside = [await supervisor.start_child(Supervisor, subtree, shutdown=seconds) for seconds in (1, 2)]

        began = trio.current_time()
        supervisor.stop()
        for ref in beside:
            await ref.wait()
            ended.append(trio.current_time() - began)
    assert ended == [1, 2]


async def test_a_function_that_cleans_up_for_longer_than_its_shutdown_time_is_waited_for(
    autojump_clock: MockClock,
) -> None:
    """What shields itself from cancellation can't be ended: it is never left running behind the block."""
    cleaned: list[str] = []

    async def stubborn() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(20)
            cleaned.append("up")

    began = trio.current_time()
    async with supervised() as supervisor:
        await supervisor.start_child(stubborn, shutdown=2)
        await wait_all_tasks_blocked()
    assert cleaned == ["up"]
    assert trio.current_time() - began == 20


async def test_handlers_at_work_are_cancelled_by_a_shutdown(autojump_clock: MockClock) -> None:
    log: list[str] = []

    class Busy(Verbose):
        async def work(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                log.append("work cancelled")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Busy, log, "a")
        await ref.cast(Busy.work)
        await wait_all_tasks_blocked()
    assert log == ["a init", "a started", "work cancelled", "a stopping", "a stopped"]


async def test_an_outer_cancellation_waits_for_the_orderly_shutdown(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with trio.move_on_after(10) as scope:
        async with open_supervisor([worker(log, "a", stop=1), worker(log, "b", stop=1)]):
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert log[-4:] == ["b stopping", "b stopped", "a stopping", "a stopped"]
    assert trio.current_time() == 12


@pytest.mark.parametrize("phase", ["start", "block"])
async def test_a_supervisor_that_is_cancelled_when_it_has_given_up_says_that_it_has_given_up(
    phase: str, autojump_clock: MockClock
) -> None:
    class Slow(Actor):
        async def on_stop(self, exit: Exit) -> None:
            scope.cancel()  # it has given up, and others are still to end
            await trio.sleep(1)

    async def crash() -> None:
        await trio.sleep(1)
        raise Bang

    async def starting() -> None:
        pass

    class Starting(Actor):
        async def on_start(self) -> None:
            await trio.sleep_forever()

    children = [ChildSpec(Slow), ChildSpec(crash), ChildSpec(Starting if phase == "start" else starting)]
    with pytest.raises(RestartLimitExceeded) as caught, trio.CancelScope() as scope:
        async with open_supervisor(children, max_restarts=0):
            assert phase == "block"
            await trio.sleep_forever()
    assert [type(error) for error in caught.value.exceptions] == [Bang]


async def test_an_outer_cancellation_while_the_block_is_being_left_shuts_down_too(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with trio.move_on_after(10) as scope:
        async with open_supervisor([worker(log, "a"), worker(log, "b")]):
            pass
    assert scope.cancelled_caught
    assert log[-4:] == ["b stopping", "b stopped", "a stopping", "a stopped"]


async def test_a_block_that_is_cancelled_at_any_step_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []

    async def use() -> None:
        children = [worker(log, "a", name=names.via("a")), ChildSpec(Supervisor, ([worker(log, "b")],), id="nested")]
        async with open_supervisor(children) as supervisor:
            ref = await supervisor.start_child(worker(log, "c", name=names.via("c")))
            await names.via("a").call(Verbose.ping)
            ref.kill()
            await ref.wait()
            await names.via("c").call(Verbose.ping)
            # The end: nobody waits for children that have no end.
            await names.via("a").cast(Verbose.ping)
            supervisor._engine.close()

    async def attempt(cancelling: Cancelling[Any]) -> None:
        log.clear()
        await cancelling.run(use)
        assert names.count() == 0
        for name in "ab":
            assert log.count(f"{name} started") == log.count(f"{name} stopped")
        assert log.count("c started") - log.count("c stopped") in (0, 1)  # it is killed once
        await wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks

    tasks = trio.lowlevel.current_statistics().tasks_living
    with watching(names):
        assert await sweep(attempt) > 5


async def test_entering_leaving_and_starting_are_checkpoints(autojump_clock: MockClock) -> None:
    with assert_checkpoints():
        async with open_supervisor():
            pass
    async with supervised() as supervisor:
        with assert_checkpoints():
            await supervisor.start_child(Verbose, list[str](), "a")


async def test_a_supervisor_ends_its_children_and_no_others(autojump_clock: MockClock) -> None:
    async with supervised() as outer:
        ref = await outer.start_child(Verbose, list[str](), "of the outer")
        async with supervised() as inner:
            await inner.start_child(Verbose, list[str](), "of the inner")
        assert ref.is_alive


# Trees


async def test_nested_supervisors_shut_down_in_order(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [
        worker(log, "a"),
        ChildSpec(Supervisor, ([worker(log, "b", stop=10, shutdown=20), worker(log, "c")],), id="nested"),
        worker(log, "d"),
    ]
    with trio.CancelScope() as scope:
        async with open_supervisor(children):
            assert [entry[0] for entry in log if entry.endswith("started")] == ["a", "b", "c", "d"]
            scope.cancel()
    assert [entry[0] for entry in log if entry.endswith("stopped")] == ["d", "c", "b", "a"]


async def test_a_nested_supervisor_has_all_the_time_that_its_children_need(autojump_clock: MockClock) -> None:
    log: list[str] = []
    nested = ChildSpec(Supervisor, ([worker(log, "slow", stop=100, shutdown=200)],), id="nested")
    with trio.CancelScope() as scope:
        async with open_supervisor([nested]):
            scope.cancel()
    assert log[-1] == "slow stopped"


async def test_a_nested_supervisor_that_gives_up_is_restarted_with_all_its_children(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    inner = [worker(log, "a", name=names.via("a")), worker(log, "b", name=names.via("b"))]
    nested = ChildSpec(functools.partial(Supervisor, inner, max_restarts=0), id="nested")
    with trio.CancelScope() as scope, watching(names):
        async with open_supervisor([nested]) as supervisor:
            log.clear()
            names.via("a").cast_nowait(Verbose.bang)
            await trio.sleep(1)
            assert sorted(entry for entry in log if entry.endswith("started")) == ["a started", "b started"]
            assert supervisor._engine.children["nested"].restarts == 1
            assert await names.via("b").call(Verbose.ping) == "b"
            scope.cancel()
    assert names.count() == 0


async def test_a_nested_supervisor_that_is_killed_ends_its_children_at_once_and_is_restarted(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    nested = ChildSpec(Supervisor, ([worker(log, "a", stop=3), worker(log, "b", stop=3)],), id="nested")
    async with supervising([nested]) as supervisor:
        log.clear()
        began = trio.current_time()
        ref = ref_of(supervisor, "nested")
        ref.kill()
        await ref.wait()
        assert trio.current_time() == began
        await wait_all_tasks_blocked()
        assert log == ["a init", "a started", "b init", "b started"]


async def test_a_nested_supervisor_whose_child_does_not_start_does_not_start(autojump_clock: MockClock) -> None:
    log: list[str] = []

    class Fails(Actor):
        def __init__(self) -> None:
            raise Bang

    nested = ChildSpec(Supervisor, ([worker(log, "a"), ChildSpec(Fails)],), id="nested")
    caught: list[BaseException] = []
    try:
        async with open_supervisor([nested]):
            raise AssertionError("entered")
    except* Bang as group:
        caught = leaves(group)
    assert [type(error) for error in caught] == [Bang]
    assert log == ["a init", "a started", "a stopping", "a stopped"]


async def test_a_supervisor_is_an_actor_that_is_called_to_start_a_child(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised() as supervisor:
        nested = await supervisor.start_child(DynamicSupervisor, name=names.via("nested"))
        spec = worker(log, "a", name=names.via("a"))
        ref: ActorRef[Any] = await nested.call(DynamicSupervisor.start_child, spec)
        assert names.whereis("a") is ref
        assert "'a'" in await nested.call(DynamicSupervisor.tree)
    assert log == ["a init", "a started", "a stopping", "a stopped"]


async def test_a_nested_supervisor_that_is_stopped_shuts_its_children_down(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervised() as supervisor:
        nested = await supervisor.start_child(Supervisor, [worker(log, "a", stop=1)], restart="temporary")
        assert await nested.stop() == Exit("normal")
        assert log == ["a init", "a started", "a stopping", "a stopped"]


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
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Verbose, list[str](), "a", restart="temporary")
        assert ref._cell is not None
        state = weakref.ref(ref._cell.actor)
        ref.kill()
        await ref.wait()
        await wait_all_tasks_blocked()
        gc.collect()
        assert state() is None


# Bad arguments


BAD_SPECS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"factory": 5}, TypeError, "factory must be .*, not 5"),
    ({"factory": None}, TypeError, "factory must be"),
    ({"factory": int}, TypeError, "factory must be"),
    ({"factory": lambda: None}, TypeError, "factory must be"),
    ({"factory": "worker"}, TypeError, "factory must be"),
    ({"args": ["a list"]}, TypeError, re.escape("args must be a tuple, not ['a list']")),
    ({"args": "ab"}, TypeError, "args must be a tuple, not 'ab'"),
    ({"id": ["a list"]}, TypeError, re.escape("id must be hashable: ['a list']")),
    ({"name": "James Bond"}, TypeError, re.escape("name must come from Registry.via(), not 'James Bond'")),
    ({"restart": "always"}, ValueError, "restart must be one of .*, not 'always'"),
    ({"restart": True}, ValueError, "restart must be one of .*, not True"),
    ({"shutdown": "5"}, TypeError, "shutdown must be .*, not '5'"),
    ({"shutdown": True}, TypeError, "shutdown must be .*, not True"),
    ({"shutdown": -1}, ValueError, "shutdown must be at least 0 seconds, not -1"),
    ({"shutdown": math.nan}, ValueError, "shutdown must be at least 0 seconds, not nan"),
    ({"significant": 1}, TypeError, "significant must be a bool, not 1"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD_SPECS)
def test_a_child_spec_says_which_argument_is_wrong(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    make: Any = ChildSpec
    with pytest.raises(error, match=message):
        make(**{"factory": Verbose, **arguments})


def test_a_child_spec_is_a_fact() -> None:
    spec: Any = ChildSpec(Verbose, ([], "a"))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        spec.args = ()
    assert spec == ChildSpec(Verbose, ([], "a"))
    assert attrs.evolve(spec, restart="temporary").restart == "temporary"


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((5,), {}, TypeError, "factory must be"),
        ((Verbose,), {"id": ["a list"]}, TypeError, "id must be hashable"),
        ((Verbose,), {"name": "James Bond"}, TypeError, "name must come from"),
        ((Verbose,), {"restart": "always"}, ValueError, "restart must be one of"),
        ((Verbose,), {"shutdown": -1}, ValueError, "shutdown must be"),
        ((ChildSpec(Verbose), 5), {}, TypeError, r"args must be in the ChildSpec, not beside it: \(5,\)"),
        ((ChildSpec(Verbose),), {"restart": "temporary"}, TypeError, "restart must be in the ChildSpec, .*'temporary'"),
    ],
)
async def test_start_child_refuses_bad_arguments_before_anything_changes(
    opener: Callable[[], Any],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    error: type[Exception],
    message: str,
    autojump_clock: MockClock,
) -> None:
    async with opener() as supervisor:
        before = supervisor.tree()
        with pytest.raises(error, match=message):
            await supervisor.start_child(*arguments, **options)
        assert supervisor.tree() == before


BAD_OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"max_restarts": "3"}, TypeError, "max_restarts must be .*, not '3'"),
    ({"max_restarts": True}, TypeError, "max_restarts must be .*, not True"),
    ({"max_restarts": -1}, ValueError, "max_restarts must be .*, not -1"),
    ({"max_restarts": 1.5}, ValueError, "max_restarts must be .*, not 1.5"),
    ({"max_restarts": math.nan}, ValueError, "max_restarts must be .*, not nan"),
    ({"max_restarts": -math.inf}, ValueError, "max_restarts must be .*, not -inf"),
    ({"max_seconds": "5"}, TypeError, "max_seconds must be .*, not '5'"),
    ({"max_seconds": 0}, ValueError, "max_seconds must be .*, not 0"),
    ({"max_seconds": -1}, ValueError, "max_seconds must be .*, not -1"),
    ({"max_seconds": math.nan}, ValueError, "max_seconds must be .*, not nan"),
    ({"name": 5}, TypeError, "name must be a str, not 5"),
]


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
@pytest.mark.parametrize(("options", "error", "message"), BAD_OPTIONS)
def test_opening_a_supervisor_says_which_argument_is_wrong(
    opener: Callable[..., Any], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        opener(**options)


@pytest.mark.parametrize(
    ("children", "error", "message"),
    [
        ([Verbose], TypeError, "children must be ChildSpecs, not <class"),
        (5, TypeError, "children must be .*, not 5"),
        ([ChildSpec(Verbose, id="a"), "b"], TypeError, "children must be ChildSpecs, not 'b'"),
        ([ChildSpec(Verbose, id="a"), ChildSpec(Verbose, id="a")], ValueError, "id 'a' is taken"),
    ],
)
def test_opening_a_supervisor_refuses_what_are_no_children(children: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_supervisor(children)


def test_opening_a_supervisor_refuses_a_strategy_that_there_is_not() -> None:
    for strategy in ("two_for_one", None, ["one_for_one"]):
        wrong: Any = strategy
        with pytest.raises(ValueError, match="strategy must be"):
            open_supervisor(strategy=wrong)


async def test_an_id_that_is_taken_is_refused_and_nothing_changes(autojump_clock: MockClock) -> None:
    log: list[str] = []
    names: Registry[str, None] = Registry("names")
    async with supervising([worker(log, "a")]) as supervisor:
        log.clear()
        tree = supervisor.tree()
        with pytest.raises(ValueError, match="id 'a' is taken"):
            await supervisor.start_child(worker(log, "a", name=names.via("a")))
        assert supervisor.tree() == tree
        assert names.count() == 0
        assert log == []


async def test_children_without_an_id_get_one_each(autojump_clock: MockClock) -> None:
    with trio.CancelScope() as scope:
        specs = [ChildSpec(Verbose, ([], str(number))) for number in range(3)]
        async with open_supervisor(specs) as supervisor:
            assert list(supervisor._engine.children) == ["Verbose", "Verbose 2", "Verbose 3"]
            scope.cancel()


async def test_a_made_up_id_that_is_not_a_string_is_kept_as_it_is(autojump_clock: MockClock) -> None:
    names: Registry[int, None] = Registry("names")
    async with supervising([ChildSpec(Verbose, ([], "a"), name=names.via(7))]) as supervisor:
        assert list(supervisor._engine.children) == [7]


# The tree as text


async def test_the_tree_shows_references_names_and_restarts(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    children = [
        ChildSpec(Verbose, ([], "a"), name=names.via("James Bond")),
        ChildSpec(Supervisor, ([worker([], "b"), worker([], "c")],), id="nested"),
        worker([], "d", restart="transient"),
    ]
    async with supervising(children, name="the tree") as supervisor:
        names.via("James Bond").kill()
        await wait_all_tasks_blocked()
        await ref_of(supervisor, "d").stop()
        bond = names.whereis("James Bond")
        nested = ref_of(supervisor, "nested")
        assert nested._cell is not None
        inner: Any = nested._cell.actor
        assert supervisor.tree().splitlines() == [
            "the tree",
            f"├── 'James Bond'  {bond!r}  restarted 1 time",
            f"├── nested  {nested!r}",
            f"│   ├── b  {ref_of(inner, 'b')!r}",
            f"│   └── c  {ref_of(inner, 'c')!r}",
            "└── d  (ended)",
        ]


async def test_the_tree_of_a_dynamic_supervisor_shows_its_children(autojump_clock: MockClock) -> None:
    async def job() -> None:
        await trio.sleep_forever()

    async with supervised() as supervisor:
        assert supervisor.tree() == "dynamic supervisor"
        ref = await supervisor.start_child(job)
        assert supervisor.tree() == f"dynamic supervisor\n└── {ref!r}"


async def test_the_tree_can_be_shown_from_anywhere_at_any_time(autojump_clock: MockClock) -> None:
    shown: list[str] = []

    class Looking(Actor):
        def __init__(self, supervisor: DynamicSupervisor) -> None:
            self.supervisor = supervisor
            shown.append(supervisor.tree())

        async def on_start(self) -> None:
            shown.append(self.supervisor.tree())

        async def on_stop(self, exit: Exit) -> None:
            shown.append(self.supervisor.tree())

    supervisor: Supervisor | DynamicSupervisor
    for supervisor in (Supervisor(), DynamicSupervisor()):
        shown.append(supervisor.tree())
    async with supervised() as opened:
        await opened.start_child(Looking, opened)
    shown.append(opened.tree())
    assert len(shown) == 6
    assert all(shown)


# The trace in the log


class Lines(logging.Handler):
    """What the log says, without the numbers of the lives; and which lines have a traceback beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.tracebacks: list[type[BaseException]] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = re.sub(r"<(\w+) #\d+>", r"<\1>", record.getMessage())
        assert "\n" not in text
        self.lines.append(f"{record.levelname} {text}")
        if record.exc_info and record.exc_info[0] is not None:
            self.tracebacks.append(record.exc_info[0])


@pytest.fixture
def trace() -> Generator[Lines]:
    logger = logging.getLogger("trioreg")
    lines = Lines()
    logger.addHandler(lines)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    yield lines
    logger.setLevel(level)
    logger.removeHandler(lines)


async def test_each_start_and_end_is_a_line_with_id_and_name(trace: Lines, autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    children = [
        ChildSpec(Actor, id="a"),
        ChildSpec(Actor, id="b", name=names.via("bond")),
        ChildSpec(Actor, id="c", name=names.via("c")),
        ChildSpec(Actor, name=names.via("d")),
    ]
    with trio.CancelScope() as scope:
        async with open_supervisor(children, name="agents"):
            scope.cancel()
    shown = ["'a'", "'b' named 'bond'", "'c'", "'d'"]
    assert trace.lines == [
        *(f"DEBUG agents: child {child}: starting as <Actor>" for child in shown),
        *(f"DEBUG agents: child {child}, <Actor>, ended (shutdown)" for child in reversed(shown)),
    ]


async def test_the_children_of_a_dynamic_supervisor_are_told_by_what_they_are_and_by_name(
    trace: Lines, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor:
        await supervisor.start_child(Actor)
        await supervisor.start_child(Actor, name=names.via("bond"))
    assert trace.lines[:2] == [
        "DEBUG dynamic supervisor: child Actor: starting as <Actor>",
        "DEBUG dynamic supervisor: child Actor named 'bond': starting as <Actor>",
    ]


async def test_a_restart_is_a_line_with_its_reason_its_count_and_the_traceback(
    trace: Lines, autojump_clock: MockClock
) -> None:
    lives = itertools.count(1)

    async def job() -> None:
        await trio.sleep(1)
        if next(lives) < 3:
            raise Bang("oh")

    async with supervising([ChildSpec(job, id="job"), ChildSpec(Actor, id="a")]) as supervisor:
        await trio.sleep(5)
        ref_of(supervisor, "a").kill()
        await wait_all_tasks_blocked()
    assert [line.replace("DEBUG", "") for line in trace.lines if "job" in line] == [
        " supervisor: child 'job': starting as <job>",
        "ERROR supervisor: child 'job', <job>, ended (crashed: Bang('oh')): restart 1",
        " supervisor: child 'job': starting as <job>, restart 1",
        "ERROR supervisor: child 'job', <job>, ended (crashed: Bang('oh')): restart 2",
        " supervisor: child 'job': starting as <job>, restart 2",
        " supervisor: child 'job', <job>, ended (normal), after 2 restarts",
    ]
    assert "INFO supervisor: child 'a', <Actor>, ended (killed): restart 1" in trace.lines
    assert trace.tracebacks == [Bang, Bang]


async def test_a_restart_that_waits_says_for_how_long(trace: Lines, autojump_clock: MockClock) -> None:
    async with supervising([ChildSpec(Actor, id="a", backoff=Backoff(initial=2.5))]) as supervisor:
        ref_of(supervisor, "a").kill()
        await wait_all_tasks_blocked()
    assert trace.lines[1:] == ["INFO supervisor: child 'a', <Actor>, ended (killed): restart 1 in 2.5 seconds"]


async def test_a_restart_of_several_is_a_line_for_each(trace: Lines, autojump_clock: MockClock) -> None:
    children = [ChildSpec(Actor, id="a"), ChildSpec(Actor, id="b")]
    async with supervising(children, strategy="one_for_all") as supervisor:
        trace.lines.clear()
        ref_of(supervisor, "a").kill()
        await wait_all_tasks_blocked()
        assert trace.lines == [
            "INFO supervisor: child 'a', <Actor>, ended (killed): restart 1",
            "DEBUG supervisor: child 'b', <Actor>, ended (shutdown)",
            "DEBUG supervisor: child 'a': starting as <Actor>, restart 1",
            "INFO supervisor: child 'b' is restarted with another: restart 1",
            "DEBUG supervisor: child 'b': starting as <Actor>, restart 1",
        ]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
async def test_a_give_up_is_a_line_with_its_reason_and_its_limit(
    strategy: Any, trace: Lines, autojump_clock: MockClock
) -> None:
    fails: list[bool] = []

    class Fails(Actor):
        async def on_start(self) -> None:
            if fails:
                raise Bang("again")

    with pytest.raises(RestartLimitExceeded):
        async with open_supervisor([ChildSpec(Fails, id="a")], strategy=strategy, max_restarts=1) as supervisor:
            fails.append(True)
            ref_of(supervisor, "a").kill()
            await went_on()
    assert trace.lines[1:] == [
        "INFO supervisor: child 'a', <Fails>, ended (killed): restart 1",
        "DEBUG supervisor: child 'a': starting as <Fails>, restart 1",
        "ERROR supervisor: child 'a', <Fails>, ended (crashed: Bang('again')), after 1 restart: giving up, "
        "more than 1 restarts in 5 seconds",
    ]
    assert trace.tracebacks == [Bang]


async def test_a_start_that_fails_is_a_line_for_those_who_look_closely(trace: Lines, autojump_clock: MockClock) -> None:
    class Fails(Actor):
        async def on_start(self) -> None:
            raise Bang("no")

    async with supervised() as supervisor:
        with pytest.raises(Bang):
            await supervisor.start_child(Fails)
    assert trace.lines[1:] == ["DEBUG dynamic supervisor: child Fails, <Fails>, did not start (crashed: Bang('no'))"]
    assert trace.tracebacks == [Bang]


async def test_a_temporary_child_that_crashes_is_a_line_with_its_traceback(
    trace: Lines, autojump_clock: MockClock
) -> None:
    async def job() -> None:
        raise Bang("once")

    async with supervised() as supervisor:
        await supervisor.start_child(ChildSpec(job, restart="temporary"))
        await wait_all_tasks_blocked()
    assert trace.lines[1:] == ["ERROR dynamic supervisor: child job, <job>, ended (crashed: Bang('once'))"]
    assert trace.tracebacks == [Bang]


async def test_a_handler_of_the_log_that_fails_at_a_start_ends_the_supervisor_with_the_child(
    trace: Lines, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "starting" in record.getMessage():
                raise ZeroDivisionError

    handler = Broken()
    logging.getLogger("trioreg").addHandler(handler)
    try:
        with pytest.raises(BaseExceptionGroup) as caught:
            async with open_supervisor() as supervisor:
                await supervisor.start_child(Actor, name=names.via("a"))
                await went_on()
    finally:
        logging.getLogger("trioreg").removeHandler(handler)
    # Who started the child may learn, before it is cancelled, that the child was ended.
    assert {type(leaf) for leaf in leaves(caught.value)} - {ActorExited} == {ZeroDivisionError}
    assert names.count() == 0
