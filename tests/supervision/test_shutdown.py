"""Leaving the block of a supervisor, and shutting it down."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, sweep
from support.children import Verbose, verbose
from support.errors import Bang
from support.supervisors import supervised, supervising
from support.watcher import watching
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorRef,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    Owner,
    Registry,
    Supervisor,
    open_dynamic_supervisor,
    open_supervisor,
)

# Leaving the block


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
    began = trio.current_time()
    async with open_dynamic_supervisor():
        pass
    async with open_supervisor():
        pass
    assert trio.current_time() == began


async def test_leaving_a_block_by_an_error_shuts_down_and_the_error_leaves(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with pytest.RaisesGroup(ZeroDivisionError):
        async with open_supervisor([verbose(log, "a", stop=1), verbose(log, "b", stop=1)]):
            log.clear()
            raise ZeroDivisionError
    assert log == ["b stopping", "b stopped", "a stopping", "a stopped"]


# The order


async def test_a_shutdown_ends_one_child_at_a_time_in_reverse_order(autojump_clock: MockClock) -> None:
    log: list[str] = []
    began = trio.current_time()
    with trio.CancelScope() as scope:
        async with open_supervisor([verbose(log, "a", stop=1), verbose(log, "b", stop=2), verbose(log, "c", stop=3)]):
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
            await supervisor.start_child(verbose(log, str(number), stop=number))
    assert trio.current_time() - began == 3
    assert sum(entry.endswith("stopped") for entry in log) == 4


async def test_a_supervisor_ends_its_children_and_no_others(autojump_clock: MockClock) -> None:
    async with supervised() as outer:
        ref = await outer.start_child(Verbose, list[str](), "of the outer")
        async with supervised() as inner:
            await inner.start_child(Verbose, list[str](), "of the inner")
        assert ref.is_alive


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


async def test_a_shutdown_raises_nothing_when_a_child_is_calling_a_later_child(
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
    ended: list[Owner | None] = []
    with trio.CancelScope() as scope:
        async with open_supervisor(children):
            ended += [names.whereis("caller"), names.whereis("callee")]
            names.via("caller").cast_nowait(Caller.work)
            await wait_all_tasks_blocked()
            scope.cancel()
    assert [owner is None or owner.is_alive for owner in ended] == [False, False]
    assert names.count() == 0


# The time


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
async def test_a_child_that_takes_longer_than_its_shutdown_time_is_cut_off(
    opener: Callable[[], Any], autojump_clock: MockClock
) -> None:
    log: list[str] = []
    ref: ActorRef[Any] | None = None
    began = trio.current_time()
    with trio.CancelScope() as scope:
        async with opener() as supervisor:
            ref = await supervisor.start_child(verbose(log, "slow", stop=1000, shutdown=7))
            scope.cancel()
    assert trio.current_time() - began == 7
    assert log[-1] == "slow stopping"
    assert ref is not None
    assert ref.exit == Exit("killed")


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
async def test_a_child_has_five_seconds_to_end_by_default(opener: Callable[[], Any], autojump_clock: MockClock) -> None:
    began = trio.current_time()
    with trio.CancelScope() as scope:
        async with opener() as supervisor:
            await supervisor.start_child(verbose([], "slow", stop=1000))
            scope.cancel()
    assert trio.current_time() - began == 5


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
async def test_a_child_can_be_given_all_the_time_it_needs(opener: Callable[[], Any], autojump_clock: MockClock) -> None:
    log: list[str] = []
    began = trio.current_time()
    with trio.CancelScope() as scope:
        async with opener() as supervisor:
            await supervisor.start_child(verbose(log, "slow", stop=1000, shutdown=math.inf))
            scope.cancel()
    assert trio.current_time() - began == 1000
    assert log[-1] == "slow stopped"


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
async def test_a_child_can_be_killed_without_its_on_stop(opener: Callable[[], Any], autojump_clock: MockClock) -> None:
    log: list[str] = []
    ref: ActorRef[Any] | None = None
    with trio.CancelScope() as scope:
        async with opener() as supervisor:
            ref = await supervisor.start_child(verbose(log, "a", shutdown="kill"))
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


async def test_a_child_that_shields_itself_does_not_give_the_children_beside_it_more_time(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    ended: list[float] = []

    async def stubborn() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(100)

    async with open_dynamic_supervisor() as supervisor:
        subtree = [verbose(log, "a", stop=50, shutdown=math.inf)]
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
    """A task that shields itself from cancellation cannot be ended. It is never left running after the block."""
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


# Cancelled from outside


async def test_an_outer_cancellation_waits_for_the_orderly_shutdown(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with trio.move_on_after(10) as scope:
        async with open_supervisor([verbose(log, "a", stop=1), verbose(log, "b", stop=1)]):
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert log[-4:] == ["b stopping", "b stopped", "a stopping", "a stopped"]
    assert trio.current_time() == 12


async def test_an_outer_cancellation_while_the_block_is_being_left_shuts_down_too(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with trio.move_on_after(10) as scope:
        async with open_supervisor([verbose(log, "a"), verbose(log, "b")]):
            pass
    assert scope.cancelled_caught
    assert log[-4:] == ["b stopping", "b stopped", "a stopping", "a stopped"]


async def test_a_block_that_is_cancelled_at_any_step_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []

    async def use() -> None:
        children = [verbose(log, "a", name=names.via("a")), ChildSpec(Supervisor, ([verbose(log, "b")],), id="nested")]
        async with open_supervisor(children) as supervisor:
            ref = await supervisor.start_child(verbose(log, "c", name=names.via("c")))
            await names.via("a").call(Verbose.ping)
            ref.kill()
            await ref.wait()
            await names.via("c").call(Verbose.ping)
            # These children have no end of their own.
            await names.via("a").cast(Verbose.ping)
            supervisor.stop()

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
