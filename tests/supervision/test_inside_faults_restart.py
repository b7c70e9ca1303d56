"""Tests the inside: a failure at any call within a supervisor's own work loses no child, no name, no wait, no error."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.errors import leaves
from support.faults import AtCall, Fault, fails_at_every_call, inside
from trio.testing import wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    AlreadyRegistered,
    Backoff,
    Exit,
    NotRunning,
    Registry,
    RestartLimit,
    open_dynamic_supervisor,
    open_supervisor,
)
from trioreg._runtime import turnstile
from trioreg._runtime.turnstile import Turnstile
from trioreg._supervision.delayed_restart import DelayedRestarts
from trioreg._supervision.engine import Engine
from trioreg._supervision.group_restart import GroupRestart
from trioreg._supervision.lifecycle import Lifecycle
from trioreg._supervision.restarts import Restarts
from trioreg._supervision.termination import Termination


class World:
    """What one run has left: lives, ends, errors."""

    def __init__(self) -> None:
        self.names: Registry[str, None] = Registry("names")
        self.begun: list[ActorRef[Any]] = []
        self.ended: list[str] = []
        self.bad_starts = 0
        self.takes = 0.0


class Worker(Actor):
    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name

    async def on_start(self) -> None:
        self.world.begun.append(self.ref)
        if self.name == "b" and self.world.bad_starts:
            self.world.bad_starts -= 1
            raise LookupError
        await trio.lowlevel.checkpoint()

    async def on_stop(self, exit: Exit) -> None:
        self.world.ended.append(f"{self.name} ends")
        with trio.CancelScope(shield=True):
            await trio.sleep(self.world.takes)
        self.world.ended.append(f"{self.name} has ended")

    def bang(self) -> None:
        raise ZeroDivisionError


def are_in_order(ended: list[str], first: str, then: str) -> bool:
    """Whether the last life of one child had ended before that of another one began to end."""
    last = {what: number for number, what in enumerate(ended)}
    return last.get(f"{first} has ended", -1) < last.get(f"{then} ends", math.inf)


def opened(kind: Any, **options: Any) -> Any:
    return open_dynamic_supervisor(**options) if kind == "dynamic" else open_supervisor(strategy=kind, **options)


async def crash(supervisor: Any, refs: list[ActorRef[Any]]) -> None:
    refs[1].cast_nowait(Worker.bang)


async def crash_two(supervisor: Any, refs: list[ActorRef[Any]]) -> None:
    refs[1].cast_nowait(Worker.bang)
    refs[0].cast_nowait(Worker.bang)


async def stop(supervisor: Any, refs: list[ActorRef[Any]]) -> None:
    supervisor.stop()


async def terminate(supervisor: Any, refs: list[ActorRef[Any]]) -> None:
    await supervisor.terminate_child(refs[1])


async def crash_and_terminate(supervisor: Any, refs: list[ActorRef[Any]]) -> None:
    refs[1].cast_nowait(Worker.bang)
    await trio.sleep(1)
    await supervisor.terminate_child(refs[1])


ESCALATE = RestartLimit(0, 5, then="escalate")

Act = Callable[[Any, list[ActorRef[Any]]], Awaitable[None]]

# Where the failure is, under which supervisor, what happens, with which options of the child in the middle, and how the
# world is: how many starts of that child fail, and how long each end takes.
CASES: dict[str, tuple[type, str, str, Act, dict[str, Any], dict[str, Any]]] = {
    "all restarted": (GroupRestart, "work", "one_for_all", crash, {}, {}),
    "all restarted, killed": (GroupRestart, "work", "one_for_all", crash, {}, {"takes": 30}),
    "the rest restarted": (GroupRestart, "work", "rest_for_one", crash, {}, {}),
    "all restarted, one fails": (GroupRestart, "work", "one_for_all", crash, {}, {"bad_starts": 1}),
    "all restarted, one fails for now": (
        GroupRestart,
        "work",
        "one_for_all",
        crash,
        {"backoff": Backoff(1)},
        {"bad_starts": 2},
    ),
    "all restarted, one dropped": (
        GroupRestart,
        "work",
        "one_for_all",
        crash,
        {"limit": RestartLimit(1, 50, then="drop")},
        {"bad_starts": 2},
    ),
    "one later": (DelayedRestarts, "_wait_and_restart", "one_for_one", crash, {"backoff": Backoff(5)}, {}),
    "one later, dynamic": (DelayedRestarts, "_wait_and_restart", "dynamic", crash, {"backoff": Backoff(5)}, {}),
    "one later, not at all": (
        DelayedRestarts,
        "_wait_and_restart",
        "one_for_one",
        crash_and_terminate,
        {"backoff": Backoff(5)},
        {},
    ),
    "all later": (DelayedRestarts, "_wait_and_restart", "one_for_all", crash, {"backoff": Backoff(5)}, {}),
    "one now": (Restarts, "_restart", "one_for_one", crash, {}, {}),
    "two by turns": (Restarts, "decide", "one_for_one", crash_two, {}, {}),
    "dropped": (Restarts, "_drop", "one_for_one", crash, {"limit": RestartLimit(0, 5, then="drop")}, {}),
    "shut down": (Engine, "_shut_down", "one_for_one", stop, {}, {}),
    "shut down, killed": (Engine, "_shut_down", "one_for_one", stop, {}, {"takes": 30}),
    "shut down side by side": (Engine, "_shut_down", "dynamic", stop, {}, {"takes": 1}),
    "shut down side by side, killed": (Engine, "_shut_down", "dynamic", stop, {}, {"takes": 30}),
    "given up": (Restarts, "_restart", "one_for_one", crash, {"limit": ESCALATE}, {}),
    "given up, closing": (Lifecycle, "give_up", "one_for_one", crash, {"limit": ESCALATE}, {}),
    "given up, shutting down": (Engine, "_shut_down", "one_for_all", crash, {"limit": ESCALATE}, {}),
    "given up, leaving": (Lifecycle, "combined_failure", "dynamic", crash, {"limit": ESCALATE}, {}),
    "ended": (Termination, "_terminate", "one_for_one", terminate, {}, {"takes": 1}),
    "ended, dynamic": (Termination, "_terminate", "dynamic", terminate, {}, {"takes": 30}),
    "the whole": (Engine, "_keep_children", "one_for_all", crash, {}, {}),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("case", CASES)
def test_work_of_a_supervisor_that_fails_goes_on_or_ends_the_supervisor_in_order(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    holder, function, strategy, act, options, how = CASES[case]

    async def scenario(fault: Fault) -> None:
        caplog.clear()
        caplog.clear()
        world = World()
        names = world.names
        told: list[str] = []
        waits: list[str] = []
        asks: list[str] = []
        asked: list[str] = []
        raised: list[BaseException] = []
        went_on = False
        living: set[str] = set()
        states: list[str] = []

        async def wait(ref: ActorRef[Any]) -> None:
            waits.append("wait")
            await ref.wait()
            told.append("wait")

        async def ask(start: Callable[[], Awaitable[Any]], what: str) -> None:
            asks.append(what)
            with suppress(NotRunning, ActorExited, MemoryError, LookupError, AlreadyRegistered, trio.Cancelled):
                await start()
            asked.append(what)

        async with trio.open_nursery() as nursery:
            try:
                with inside(holder, function, fault):
                    async with opened(strategy) as supervisor:
                        refs: list[ActorRef[Any]] = []
                        for name in "abc":
                            more = options if name == "b" else {}
                            each = await supervisor.start_child(
                                Worker, world, name, name=names.via(name), shutdown=10, **more
                            )
                            refs.append(each)
                            nursery.start_soon(wait, each)
                            nursery.start_soon(wait, each)
                        for key, value in how.items():
                            setattr(world, key, value)
                        await wait_all_tasks_blocked()
                        nursery.start_soon(ask, lambda: act(supervisor, refs), "act")
                        await wait_all_tasks_blocked(0.001)
                        b = lambda: supervisor.start_or_get(Worker, world, "b", name=names.via("b"))  # noqa: E731
                        d = lambda: supervisor.start_child(Worker, world, "d", name=names.via("d"))  # noqa: E731
                        if strategy == "dynamic":
                            nursery.start_soon(ask, b, "b")
                        nursery.start_soon(ask, d, "d")
                        await trio.sleep(300)
                        # It went on, with all its children.
                        living = {key for key in "abcd" if names.whereis(key) is not None}
                        states = [info.state for info in supervisor.which_children()]
                        await supervisor.start_child(Actor)
                        went_on = True
                        supervisor.stop()
            except BaseExceptionGroup as group:
                raised = leaves(group)
            await trio.sleep(10)
            # No name and no child is left, and no task waits.
            assert names.count() == 0
            assert [ref for ref in world.begun if ref.exit is None] == []
            assert told == waits
            assert sorted(asked) == sorted(asks)
            nursery.cancel_scope.cancel()
        if strategy != "dynamic" and act is not crash_two:
            assert are_in_order(world.ended, "c", "a")
            assert are_in_order(world.ended, "b", "a")
            assert act is not stop or are_in_order(world.ended, "c", "b")
        logged = [record.exc_info[1] for record in caplog.records if record.exc_info]
        known = list(map(type, leaves(BaseExceptionGroup("all", [*raised, *filter(None, logged), KeyError()]))))
        if act not in (stop, terminate) and case != "the whole" and "SafeLogger" not in fault.where:
            assert ZeroDivisionError in known
        if went_on:
            assert {"a", "c", "d"} <= living
            assert set(states) <= {"running", "ended"}
            assert states.count("running") == len(living)
            assert act in (terminate, crash_and_terminate) or "b" in living or "limit" in options
        elif fault.is_reached and act is not stop and options.get("limit") != ESCALATE:
            assert MemoryError in map(type, raised)

    fails_at_every_call(AtCall, scenario)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("number", [1, 4, 5, 8])
def test_crashes_at_the_same_time_are_all_handled_if_one_of_them_fails_on_its_way(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turnstile, "PER_TURN", 3)

    async def scenario(fault: Fault) -> None:
        names: Registry[int, None] = Registry("names")
        world = World()
        came = 0

        def is_that(_: Turnstile) -> bool:
            nonlocal came
            came += 1
            return came == number

        async with open_dynamic_supervisor(max_restarts=math.inf) as supervisor:
            count = 10
            refs = [await supervisor.start_child(Worker, world, "a", name=names.via(each)) for each in range(count)]
            with inside(Turnstile, "go_through", fault, of=is_that):
                for ref in refs:
                    ref.cast_nowait(Worker.bang)
                await wait_all_tasks_blocked()
            await trio.sleep(1)
            assert [ref for ref in refs if ref.exit is None] == []
            assert names.count() == count
            # It lets the next ones through, too.
            for each in range(count):
                names.via(each).cast_nowait(Worker.bang)
            await trio.sleep(1)
            assert len(world.begun) == 3 * count
            supervisor.stop()
        assert names.count() == 0

    fails_at_every_call(AtCall, scenario)
