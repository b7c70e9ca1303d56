"""Restart intensity: how many restarts are allowed, and a supervisor that gives up."""

from __future__ import annotations

import gc
import math
import traceback
import weakref
from typing import Any, cast

import pytest
import trio
from support.children import Failing, Verbose, bang, ref_of, restarts, verbose, went_on, worker
from support.errors import Bang, gives_up
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    ChildSpec,
    Exit,
    Registry,
    open_dynamic_supervisor,
    open_supervisor,
)

# As many as are allowed


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


async def test_a_crash_that_is_older_than_the_window_is_not_among_the_errors(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    with gives_up("more than 1 restart in 5 seconds") as caught:
        async with open_dynamic_supervisor(max_restarts=1) as supervisor:
            for name in "abc":
                await supervisor.start_child(Verbose, log, name, name=names.via(name))
            for name, seconds in (("a", 6), ("b", 1), ("c", 1)):
                names.via(name).cast_nowait(Verbose.bang)
                await trio.sleep(seconds)
    assert [str(error) for error in caught.errors] == ["b", "c"]


async def test_a_restart_that_is_exactly_as_old_as_the_window_still_counts(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    with gives_up("more than 1 restart in 5 seconds"):
        async with open_dynamic_supervisor(max_restarts=1) as supervisor:
            await supervisor.start_child(Verbose, list[str](), "a", name=names.via("a"))
            await crash_by_name(names, 2, 5)
            await went_on()


async def test_a_supervisor_gives_up_at_one_restart_more_than_allowed(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    with gives_up("more than 3 restarts in 5 seconds") as caught:
        async with open_dynamic_supervisor() as supervisor:
            await supervisor.start_child(Verbose, log, "other")
            await supervisor.start_child(Verbose, log, "a", name=names.via("a"))
            await crash_by_name(names, 4, 0.1)
            await went_on()
    assert [str(error) for error in caught.errors] == ["a"] * 4
    assert isinstance(caught.limit.child, ActorRef)
    assert (caught.limit.supervisor, caught.limit.max_restarts, caught.limit.max_seconds) == (
        "dynamic supervisor",
        3,
        5,
    )
    assert log.count("a init") == 4
    assert log[-1] == "other stopped"
    assert names.count() == 0


async def test_restarts_that_are_far_enough_apart_may_go_on_forever(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised() as supervisor:  # 3 in 5 seconds
        await supervisor.start_child(Verbose, log, "a", name=names.via("a"))
        await crash_by_name(names, 50, 1.7)
        assert log.count("a init") == 51


async def test_the_restarts_of_all_children_count_together(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with gives_up() as caught:
        async with open_dynamic_supervisor(max_restarts=1) as supervisor:
            first = await supervisor.start_child(Verbose, log, "a")
            second = await supervisor.start_child(Verbose, log, "b")
            first.cast_nowait(Verbose.bang)
            await wait_all_tasks_blocked()
            second.cast_nowait(Verbose.bang)
            await went_on()
    assert [str(error) for error in caught.errors] == ["a", "b"]


async def test_no_restart_at_all_can_be_allowed(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with gives_up():
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


async def test_group_restarts_that_are_far_enough_apart_may_go_on_forever(autojump_clock: MockClock) -> None:
    with trio.CancelScope() as scope:
        children = [worker([], "a"), worker([], "b")]
        async with open_supervisor(children, strategy="one_for_all", max_restarts=1, max_seconds=5) as supervisor:
            for _ in range(10):
                bang(supervisor, "a")
                await trio.sleep(6)
            assert restarts(supervisor) == {"a": 10, "b": 10}
            scope.cancel()


# Giving up


def errors_of(errors: list[BaseException]) -> list[str]:
    return [str(error) for error in errors]


async def test_a_child_that_was_killed_too_often_is_in_the_group_as_actor_exited(
    autojump_clock: MockClock,
) -> None:
    ref: ActorRef[Verbose] | None = None
    with gives_up() as caught:
        async with open_dynamic_supervisor(max_restarts=0) as supervisor:
            ref = await supervisor.start_child(Verbose, list[str](), "a")
            ref.kill()
            await went_on()
    (error,) = caught.errors
    assert isinstance(error, ActorExited)
    assert error.ref is ref
    assert error.exit == Exit("killed")


async def test_a_supervisor_that_gives_up_shuts_the_others_down_in_order(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [verbose(log, name, stop=1) for name in "abc"]
    with gives_up():
        async with open_supervisor(children, max_restarts=0) as supervisor:
            log.clear()
            ref_of(supervisor, "b").cast_nowait(Verbose.bang)
            await went_on()
    assert log == [f"{name} {what}" for name in "bca" for what in ("stopping", "stopped")]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_supervisor_gives_up_at_one_group_restart_more_than_allowed(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    with gives_up() as caught:
        children = [worker(log, "a"), worker(log, "b"), worker(log, "c")]
        async with open_supervisor(children, strategy=strategy, max_restarts=2) as supervisor:
            for _ in range(3):
                log.clear()
                bang(supervisor, "b")
                await trio.sleep(1)
            raise AssertionError("the block went on")
    assert errors_of(caught.errors) == ["b", "b", "b"]
    assert log == ["-b", "-c", "-a"]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_a_crash_while_a_supervisor_gives_up_is_in_the_same_group(
    strategy: Any, autojump_clock: MockClock
) -> None:
    with gives_up() as caught:
        async with open_supervisor([worker([], "a"), worker([], "b")], strategy=strategy, max_restarts=0) as supervisor:
            bang(supervisor, "a", "b")
            await went_on()
    assert sorted(errors_of(caught.errors)) == ["a", "b"]


@pytest.mark.parametrize("phase", ["start", "block"])
async def test_a_supervisor_that_is_cancelled_when_it_has_given_up_still_raises_restart_limit_exceeded(
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
    with gives_up() as caught, trio.CancelScope() as scope:
        async with open_supervisor(children, max_restarts=0):
            assert phase == "block"
            await trio.sleep_forever()
    assert [type(error) for error in caught.errors] == [Bang]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_restarts_that_fail_count(strategy: Any, autojump_clock: MockClock) -> None:
    log: list[str] = []
    fails: dict[str, int] = {}
    children = [worker(log, label, fails=fails) for label in "ab"]
    with gives_up() as caught:
        async with open_supervisor(children, strategy=strategy, max_restarts=2) as supervisor:
            fails["b"] = 100
            bang(supervisor, "b")
            await went_on()
    assert errors_of(caught.errors) == ["b", "start of b", "start of b"]
    assert fails["b"] == 98
    assert log[-1] == "-a"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_group_restart_that_finds_a_name_taken_counts_and_is_tried_again(
    strategy: Any, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []

    with gives_up() as caught:
        children = [worker(log, "a"), worker(log, "b", name=names.via("b"))]
        async with open_supervisor(children, strategy=strategy, max_restarts=1) as supervisor:
            ref = ref_of(supervisor, "b")
            bang(supervisor, "a")
            await ref.wait()
            with names.hold("b"):
                await went_on()
    assert [type(error).__name__ for error in caught.errors] == ["Bang", "AlreadyRegistered"]


# No crash


async def test_system_exit_is_no_crash_to_restart(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with pytest.RaisesGroup(SystemExit):
        async with open_supervisor([worker(log, "a"), worker(log, "b")], strategy="one_for_all") as supervisor:
            ref_of(supervisor, "b").cast_nowait(Failing.exit)
            await went_on()
    assert log == ["+a", "+b", "-b", "-a"]


# What is kept of a crash


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
@pytest.mark.parametrize("how", ["handler", "start", "typo"])
async def test_a_supervisor_keeps_the_lines_of_a_crash_and_not_the_state_of_the_actor(
    strategy: Any, how: str, autojump_clock: MockClock
) -> None:
    alive: weakref.WeakSet[Big] = weakref.WeakSet()
    names: Registry[str, None] = Registry("names")
    fails: list[int] = []

    class Big(Actor):
        def __init__(self) -> None:
            self.state = bytearray(1000)
            alive.add(self)

        async def on_start(self) -> None:
            if fails:
                fails.pop()
                self.bang()

        def bang(self) -> None:
            if how == "typo":
                cast("Any", self).no_such_name  # noqa: B018
            raise Bang("with state")

    with gives_up() as caught:
        async with open_supervisor(
            [ChildSpec(Big, name=names.via("a"))], strategy=strategy, max_restarts=20, max_seconds=1000
        ):
            for number in range(20):
                if how == "start" and number % 2:
                    fails.append(1)
                    continue
                names.via("a").cast_nowait(Big.bang)
                await trio.sleep(1)
            gc.collect()
            assert len(alive) == 1  # the one that lives
            for _ in range(20):
                names.via("a").cast_nowait(Big.bang)
                await trio.sleep(1)
    assert len(caught.errors) == 21
    assert all("in bang" in "".join(traceback.format_exception(error)) for error in caught.errors)
