"""explore() finds bugs that are planted in the runtime. The runtime without them passes the same scenario."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.lowlevel import checkpoint, current_task, current_trio_token
from trio.testing import wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, Exit, Registry, open_dynamic_supervisor, open_pool
from trioreg._actors import life
from trioreg._actors.cell import Cell
from trioreg._actors.mailbox import Mailbox
from trioreg._pool.desk import BUSY, Desk
from trioreg._registry import Via
from trioreg._registry.acquire_queue import AcquireQueues
from trioreg._runtime import NORMAL, Owner, sleep_until_woken
from trioreg.testing import ScheduleFailed, explore

RUNS = int(os.environ.get("TRIOREG_EXPLORE_RUNS", "30"))
"""Under how many schedules the right runtime is run."""

Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def _no_log() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


async def steps(count: int) -> None:
    for _ in range(count):
        await checkpoint()


# A lost wake-up: a message comes while an actor goes to sleep, and it sleeps on


class Echo(Actor):
    idle_timeout = 60

    async def on_idle(self) -> None:
        pass

    async def echo(self, value: int) -> int:
        await checkpoint()
        return value


async def calls_are_answered_at_once() -> None:
    async with open_dynamic_supervisor() as supervisor:
        echo = await supervisor.start_child(Echo)
        with trio.fail_after(1):
            for number in range(3):
                assert await echo.call(Echo.echo, number) == number
        supervisor.stop()


def plant_lost_wake_up(patch: Patch) -> None:
    async def wait_for_message(self: Mailbox) -> None:
        task = self.taker = current_task()
        await checkpoint()
        task.custom_sleep_data = self
        await sleep_until_woken()

    patch.setattr(Mailbox, "wait_for_message", wait_for_message)


# A stale name: an actor has ended, and its name goes a little later


class Named(Actor):
    def work(self) -> None:
        pass


async def a_name_goes_with_its_actor() -> None:
    names: Registry[str, None] = Registry("names")

    async def look() -> None:
        await steps(2)
        for owner, _ in names.lookup("named"):
            assert owner is not ref or ref.is_alive, "the name of an actor that has ended"

    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(Named, name=names.via("named"), restart="temporary")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            nursery.start_soon(ref.stop)
        supervisor.stop()


def plant_stale_name(patch: Patch) -> None:
    release = Owner._release

    def later(self: Owner, exit: Exit | None) -> None:
        current_trio_token().run_sync_soon(release, self, exit)

    patch.setattr(Owner, "_release", later)


# An unfair queue: a task overtakes others that wait for the same name


async def a_name_goes_to_the_first_in_line() -> None:
    names: Registry[str, None] = Registry("names")
    line: list[int] = []
    got: list[int] = []

    async def acquire(number: int) -> None:
        await steps(number % 2)
        line.append(number)
        owner = await names.acquire("leader")
        got.append(number)
        await checkpoint()
        names.unregister("leader", owner=owner)

    with names.hold("leader"):
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(acquire, number)
            await wait_all_tasks_blocked()
            names.unregister("leader")
    assert got == line


def plant_unfair_queue(patch: Patch) -> None:
    wake_next: Any = vars(AcquireQueues)["wake_next"]

    def last_of_two(self: AcquireQueues[Any, Any], queue: Any) -> Any:
        if queue and len(queue) == 2:
            queue.move_to_end(next(iter(queue)))
        return wake_next(self, queue)

    patch.setattr(AcquireQueues, "wake_next", last_of_two)


# A lost message at shutdown: a caller waits for ever for an actor that has ended


async def a_call_of_an_actor_that_ends_fails() -> None:
    async def ask(seconds: int) -> None:
        await steps(seconds)
        with suppress(ActorExited):
            await ref.call(Slow.work)

    class Slow(Actor):
        async def work(self) -> None:
            await steps(2)

    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(Slow, restart="temporary")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, 0)
            nursery.start_soon(ask, 1)
            await steps(1)
            ref.cancel()
        supervisor.stop()


def plant_lost_message(patch: Patch) -> None:
    async def forget(cell: Cell) -> None:
        cell.call = None

    patch.setattr(life, "_refuse_unanswered", forget)


# An early release: a name is free before its actor has ended


async def a_name_is_free_when_its_actor_has_ended() -> None:
    names: Registry[str, None] = Registry("names")
    saved: list[str] = []

    class Saver(Actor):
        async def on_stop(self, exit: Exit) -> None:
            await steps(3)
            saved.append("saved")

    async def follow() -> None:
        await steps(3)
        await names.acquire("book")
        assert saved, "the book is not saved yet"

    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(Saver, name=names.via("book"), restart="temporary")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            nursery.start_soon(ref.stop)
        supervisor.stop()


def plant_early_release(patch: Patch) -> None:
    run_on_stop = life._run_on_stop

    async def release_first(cell: Cell) -> None:
        cell.ref._release(NORMAL)
        await run_on_stop(cell)

    patch.setattr(life, "_run_on_stop", release_first)


# A restart loses the name: for a moment between two lives, nobody has it


class Fragile(Actor):
    def fail(self) -> None:
        raise ValueError("fragile")

    def work(self) -> None:
        pass


async def a_restarted_actor_keeps_its_name() -> None:
    names: Registry[str, None] = Registry("names")

    async def send() -> None:
        await steps(2)
        names.via("fragile").cast_nowait(Fragile.work)

    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(Fragile, name=names.via("fragile"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await checkpoint()
            ref.cast_nowait(Fragile.fail)
        await wait_all_tasks_blocked()  # it has been restarted: a crash of a supervisor that ends would leave it
        supervisor.stop()


def plant_lost_name(patch: Patch) -> None:
    claim: Any = vars(Via)["_claim"]

    def later(self: Via[Any, Any, Any], owner: Owner, predecessor: Owner | None) -> None:
        if predecessor is None:
            claim(self, owner, None)
        else:
            current_trio_token().run_sync_soon(claim, self, owner, None)

    patch.setattr(Via, "_claim", later)


# A claim handed out twice: two tasks get one worker


class Worker(Actor):
    pass


async def a_worker_has_one_user_at_a_time() -> None:
    users: dict[ActorRef[Worker], int] = {}

    async def use(pause: int) -> None:
        await steps(pause)
        async with pool.claim() as worker:
            users[worker] = users.get(worker, 0) + 1
            await checkpoint()
            assert users[worker] == 1, "two tasks have one worker"
            users[worker] -= 1

    async with open_pool(Worker, size=2) as pool, trio.open_nursery() as nursery:
        for pause in (0, 1, 3):
            nursery.start_soon(use, pause)


def plant_double_claim(patch: Patch) -> None:
    check_out = Desk.check_out_at_checkpoint

    async def look_then_take(self: Desk, key: Any) -> Any:
        worker = next(iter(self._idle), None)
        if worker is None:
            return await check_out(self, key)
        await checkpoint()
        self._idle.pop(worker, None)
        worker.state = BUSY
        return worker

    patch.setattr(Desk, "check_out_at_checkpoint", look_then_take)


PLANTED: list[tuple[Callable[[], Awaitable[object]], Callable[[Patch], object]]] = [
    (calls_are_answered_at_once, plant_lost_wake_up),
    (a_name_goes_with_its_actor, plant_stale_name),
    (a_name_goes_to_the_first_in_line, plant_unfair_queue),
    (a_call_of_an_actor_that_ends_fails, plant_lost_message),
    (a_name_is_free_when_its_actor_has_ended, plant_early_release),
    (a_restarted_actor_keeps_its_name, plant_lost_name),
    (a_worker_has_one_user_at_a_time, plant_double_claim),
]


@pytest.mark.parametrize(("scenario", "plant"), PLANTED)
def test_a_bug_in_the_runtime_is_found(scenario: Any, plant: Any, monkeypatch: Patch) -> None:
    plant(monkeypatch)
    with pytest.raises(ScheduleFailed):
        explore(scenario, runs=1000)


@pytest.mark.parametrize("scenario", [scenario for scenario, _ in PLANTED])
def test_the_runtime_without_that_bug_passes(scenario: Any) -> None:
    assert explore(scenario, runs=RUNS).schedules > 1
