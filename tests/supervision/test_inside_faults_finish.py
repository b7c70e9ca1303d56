"""Tests the inside: a failure at any call within the last step of a task loses no end, no name and no error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.carts import Cart, Shop
from support.errors import Bang, leaves
from support.faults import AtCall, Fault, fails_at_every_call, inside
from trio.lowlevel import Task
from trio.testing import wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    Backoff,
    Exit,
    NotRunning,
    Registry,
    RestartLimit,
    await_many,
    open_dynamic_supervisor,
    open_on_demand,
    open_supervisor,
)
from trioreg._actors import Cell, life
from trioreg._runtime import Run


class Crashing(Actor):
    def __init__(self, fails_again: list[bool] | None = None) -> None:
        if fails_again is not None and fails_again:
            raise KeyError

    def bang(self) -> None:
        raise ZeroDivisionError

    async def sleep(self) -> None:
        await trio.sleep_forever()


class Sore(Crashing):
    async def on_stop(self, exit: Exit) -> None:
        raise LookupError


async def crash(ref: ActorRef[Any]) -> None:
    ref.cast_nowait(Crashing.bang)


async def stop(ref: ActorRef[Any]) -> None:
    ref.cancel()


def opened(kind: Any) -> Any:
    return open_dynamic_supervisor() if kind == "dynamic" else open_supervisor(strategy=kind)


# How the child ends, under which supervisor, and with which options.
LIVES: dict[str, tuple[Callable[[ActorRef[Any]], Awaitable[None]], str, type[Crashing], dict[str, Any]]] = {
    "stopped": (stop, "one_for_one", Crashing, {"restart": "temporary"}),
    "stopped, transient": (stop, "one_for_one", Crashing, {"restart": "transient"}),
    "stopped, and crashed on the way": (stop, "dynamic", Sore, {"restart": "temporary"}),
    "crashed twice": (crash, "dynamic", Sore, {"restart": "temporary"}),
    "crashed, temporary": (crash, "dynamic", Crashing, {"restart": "temporary"}),
    "restarted": (crash, "dynamic", Crashing, {"restart": "permanent"}),
    "restarted with another": (crash, "one_for_all", Crashing, {"restart": "permanent"}),
    "restarted later": (crash, "one_for_one", Crashing, {"restart": "permanent", "backoff": Backoff(5)}),
    "dropped": (crash, "dynamic", Crashing, {"limit": RestartLimit(0, 5, then="drop")}),
    "given up": (crash, "dynamic", Crashing, {"limit": RestartLimit(0, 5, then="escalate")}),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("case", LIVES)
def test_an_end_that_fails_in_its_last_step_leaves_no_name_and_is_told_to_all(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    end, strategy, cls, options = LIVES[case]

    async def scenario(fault: Fault) -> None:
        caplog.clear()
        names: Registry[str, None] = Registry("names")
        others: Registry[str, None] = Registry("others")
        told: list[str] = []
        candidate: list[str] = []
        raised: list[BaseException] = []

        async def wait(ref: ActorRef[Any]) -> None:
            await ref.wait()
            told.append("wait")

        async def acquire() -> None:
            try:
                await others.acquire("mine")
            except MemoryError:  # it is this task's registration that has failed
                await others.acquire("mine")
            candidate.append("mine")
            await trio.sleep_forever()

        async with trio.open_nursery() as nursery:
            try:
                async with opened(strategy) as supervisor:
                    await supervisor.start_child(Actor)
                    ref = await supervisor.start_child(cls, name=names.via("child"), **options)
                    others.register("mine", owner=ref)
                    nursery.start_soon(wait, ref)
                    nursery.start_soon(wait, ref)
                    nursery.start_soon(acquire)
                    await wait_all_tasks_blocked()

                    def is_that(cell: Cell, ref: object = ref) -> bool:
                        return cell.ref is ref

                    with inside(life, "_finish", fault, of=is_that):
                        await end(ref)
                        await wait_all_tasks_blocked()
                    await trio.sleep(1)
                    assert ref.exit is not None
                    assert not ref.is_alive
                    await trio.sleep(10)
                    # It went on: what it had to do is done.
                    assert names.whereis("child") is not ref
                    info = [each for each in supervisor.which_children() if each.state != "running"]
                    assert not [each for each in info if each.state in ("starting", "restarting")]
                    await supervisor.start_child(Actor)
                    supervisor.stop()
            except BaseExceptionGroup as group:
                raised = leaves(group)
            assert told == ["wait", "wait"]
            await wait_all_tasks_blocked()
            assert candidate == ["mine"]
            nursery.cancel_scope.cancel()
        assert names.count() == 0
        assert others.count() == 0
        if end is crash and "SafeLogger" not in fault.where:  # a line for which there is no memory is lost
            logged = [record.exc_info[1] for record in caplog.records if record.exc_info]
            known = leaves(BaseExceptionGroup("all", [*raised, *filter(None, logged), KeyError()]))
            assert ZeroDivisionError in map(type, known)

    fails_at_every_call(AtCall, scenario)


class BadStart(Actor):
    async def on_start(self) -> None:
        await trio.sleep(1)
        raise ZeroDivisionError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("restart", ["temporary", "permanent"])
def test_a_failed_start_whose_last_step_fails_too_wakes_all_tasks_that_wait_for_it(restart: Any) -> None:
    async def scenario(fault: Fault) -> None:
        names: Registry[str, None] = Registry("names")
        over: list[str] = []

        async def start(how: str) -> None:
            with suppress(ActorExited, NotRunning, ZeroDivisionError, MemoryError, trio.Cancelled):
                child = names.via("child")
                await getattr(supervisor, how)(BadStart, name=child, restart=restart)
            over.append(how)

        async with trio.open_nursery() as nursery:
            with suppress(BaseExceptionGroup):
                async with open_dynamic_supervisor() as supervisor:
                    with inside(life, "_finish", fault):
                        nursery.start_soon(start, "start_child")
                        await wait_all_tasks_blocked()
                        nursery.start_soon(start, "start_or_get")
                        await trio.sleep(10)
                    assert supervisor.which_children() == []
                    supervisor.stop()
        assert sorted(over) == ["start_child", "start_or_get"]
        assert names.count() == 0

    fails_at_every_call(AtCall, scenario)


def test_an_end_that_fails_in_its_last_step_is_counted_once_by_a_wait_for_several() -> None:
    async def scenario(fault: Fault) -> None:
        async def work(seconds: float) -> float:
            await trio.sleep(seconds)
            return seconds

        results: list[object] = []
        try:
            async with open_dynamic_supervisor() as supervisor:
                refs = [await supervisor.start_child(work, seconds, restart="temporary") for seconds in (1, 2, 3)]
                with inside(life, "_finish", fault):
                    results += await await_many(refs)
        except* (MemoryError, ActorExited):
            pass
        else:
            assert results == [1, 2, 3]

    fails_at_every_call(AtCall, scenario)


def is_holder(_: Run, task: Task) -> bool:
    return task.name == "holder"


@pytest.mark.parametrize("keys", ["unique", "duplicate"])
def test_the_end_of_a_plain_task_that_fails_gives_its_names_back_and_those_of_the_next_one(keys: Any) -> None:
    async def scenario(fault: Fault) -> None:
        names: Registry[str, None] = Registry("names", keys=keys)
        others: Registry[str, None] = Registry("others")

        async def hold() -> None:
            names.register("one")
            names.register("two")
            others.register("three")
            await wait_all_tasks_blocked()

        with names.watch() as events:
            for is_first in (True, False):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(hold, name="holder")
                    with inside(Run, "task_exited", fault if is_first else Fault(), of=is_holder):
                        await trio.sleep(1)
                await trio.sleep(1)
                assert (names.count(), others.count()) == (0, 0)
            happened = [type(events.receive_nowait()).__name__ for _ in range(8)]
            assert happened.count("Unregistered") == 4

    fails_at_every_call(AtCall, scenario)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("end", ["stop", "crash"])
def test_an_actor_on_demand_whose_last_step_fails_gives_way_to_the_next_life(end: str) -> None:
    async def scenario(fault: Fault) -> None:
        shop = Shop()
        shop.stop_takes = 1
        carts = shop.carts(max_running=1)
        over: list[str] = []

        async def note(key: str) -> None:
            with suppress(ActorExited, NotRunning, MemoryError):
                await carts.via(key).call(Cart.note, "after")
            over.append(key)

        try:
            async with trio.open_nursery() as nursery, open_on_demand(carts):
                await carts.via("a").call(Cart.note, "before")
                with inside(life, "_finish", fault):
                    if end == "stop":
                        nursery.start_soon(carts.via("a").stop)
                    else:
                        carts.via("a").cast_nowait(Cart.crash)
                    await wait_all_tasks_blocked(0.01)
                    nursery.start_soon(note, "a")
                    nursery.start_soon(note, "b")
                    await trio.sleep(10)
                assert sorted(over) == ["a", "b"]
                with trio.fail_after(10):
                    await carts.via("a").call(Cart.note, "again")
        except* (MemoryError, NotRunning, ZeroDivisionError, Bang, ActorExited):
            pass
        assert sorted(over) == ["a", "b"]
        assert (len(carts), carts.registry.count()) == (0, 0)

    fails_at_every_call(AtCall, scenario)
