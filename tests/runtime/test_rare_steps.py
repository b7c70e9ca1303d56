"""Small steps of the runtime that come rarely: a second look, a change of mind, a failure at the last moment."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.faults import fail_once
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, Instrument, PubSub, Registry, current_owner
from trioreg._runtime import UNUSUAL, current_run, finalizers, frames, instruments, sleeping, trio_run, turnstile
from trioreg._runtime.attributes import Kept
from trioreg._runtime.log import SafeLogger
from trioreg._runtime.sleeping import WOKEN, finish_waking, sleep_until_woken, wake
from trioreg._runtime.turnstile import PER_TURN, Turnstile


async def test_the_second_of_two_first_looks_at_a_run_gets_the_state_that_the_first_has_made() -> None:
    run = current_run()
    assert trio_run._begin_run() is run


async def test_a_change_of_many_names_inside_of_another_is_a_part_of_that() -> None:
    run = current_run()
    assert run.begin_step()
    try:
        assert not run.begin_step()
    finally:
        run.end_step()


@pytest.mark.parametrize("forgets_itself", [False, True])
async def test_each_holder_is_told_of_the_end_of_its_task_once(forgets_itself: bool, autojump_clock: MockClock) -> None:
    run = current_run()
    told: list[str] = []

    class Holder:
        def __init__(self, name: str, coro: Any) -> None:
            self.name = name
            self.coro = coro

        def _task_ended(self) -> None:
            told.append(self.name)
            if forgets_itself:
                del run.holders[self.coro]

    async def hold(name: str) -> None:
        coro = trio.lowlevel.current_task().coro
        run.hold(coro, Holder(name, coro))
        await wait_all_tasks_blocked()

    async with trio.open_nursery() as nursery:
        for name in ("a", "b"):
            nursery.start_soon(hold, name)
    assert sorted(told) == ["a", "b"]
    assert not run.holders


async def test_a_second_task_that_holds_a_name_needs_no_second_instrument(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    names.register("a")

    async def hold() -> None:
        names.register("b")
        assert names.count() == 2

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold)
    assert names.count() == 1


async def test_an_end_that_fails_for_want_of_memory_is_done_a_little_later(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    failures: list[BaseException] = [MemoryError()]
    ended = trioreg.TaskOwner._task_ended

    def task_ended(self: Any) -> None:
        if failures:
            raise failures.pop()
        ended(self)

    async def hold() -> None:
        names.register("a")
        monkeypatch.setattr(trioreg.TaskOwner, "_task_ended", task_ended)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold)
    await wait_all_tasks_blocked()
    assert not failures
    assert names.count() == 0


async def test_the_owner_of_a_task_is_the_same_one_inside_of_an_actors_context(autojump_clock: MockClock) -> None:
    owner = current_owner()
    assert owner._owns(trio.lowlevel.current_task())

    async def other() -> None:
        assert not owner._owns(trio.lowlevel.current_task())
        assert current_owner() != owner

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)


# To wake a task


async def test_a_task_that_is_cancelled_before_it_is_woken_late_is_not_woken_twice(autojump_clock: MockClock) -> None:
    ended: list[str] = []

    async def sleep(task_status: trio.TaskStatus[trio.lowlevel.Task]) -> None:
        task_status.started(trio.lowlevel.current_task())
        try:
            await sleep_until_woken()
        except trio.Cancelled:
            ended.append("cancelled")
            raise

    async with trio.open_nursery() as nursery:
        task = await nursery.start(sleep)
        await wait_all_tasks_blocked()
        finalizers._notice("start", {})
        try:
            wake(task)
        finally:
            finalizers._notice("stop", {})
        nursery.cancel_scope.cancel()
    assert ended == ["cancelled"]


async def test_a_task_that_is_in_the_queue_is_not_put_there_again(autojump_clock: MockClock) -> None:
    steps: list[int] = []

    async def sleep(task_status: trio.TaskStatus[trio.lowlevel.Task]) -> None:
        task_status.started(trio.lowlevel.current_task())
        await sleep_until_woken()
        steps.append(1)
        await trio.sleep(1)
        steps.append(2)

    async with trio.open_nursery() as nursery:
        task = await nursery.start(sleep)
        await wait_all_tasks_blocked()
        trio.lowlevel.reschedule(task, WOKEN)
        finish_waking(task)
        await wait_all_tasks_blocked()
        assert steps == [1]
    assert steps == [1, 2]


async def test_a_wake_that_fails_after_the_task_was_put_into_the_queue_has_woken_it(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    def reschedule(task: Any, value: Any) -> None:
        trio.lowlevel.reschedule(task, value)
        raise RecursionError

    woken: list[bool] = []

    async def sleep(task_status: trio.TaskStatus[trio.lowlevel.Task]) -> None:
        task_status.started(trio.lowlevel.current_task())
        await sleep_until_woken()
        woken.append(True)

    async with trio.open_nursery() as nursery:
        task = await nursery.start(sleep)
        await wait_all_tasks_blocked()
        with monkeypatch.context() as patch:
            patch.setattr(sleeping, "reschedule", reschedule)
            wake(task)
    assert woken == [True]


# A collection that was left behind


def test_the_end_of_a_collection_takes_out_its_thread_once() -> None:
    finalizers._notice("start", {})
    (thread,) = finalizers.COLLECTING
    UNUSUAL.remove(thread)  # another thread's notice came first
    finalizers._notice("stop", {})
    assert not finalizers.COLLECTING
    assert thread not in UNUSUAL


# An item whose receiver fails


async def test_an_item_goes_to_the_next_receiver_if_the_first_one_fails_before_it_takes_it(
    autojump_clock: MockClock,
) -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    got: list[int] = []

    async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:

        async def receive() -> None:
            got.append(await feed.receive())

        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        feed._put_back(7)  # as if another task had got it and failed
        await wait_all_tasks_blocked()
        assert got == [7]


async def test_an_item_whose_receiver_fails_is_received_before_later_items(autojump_clock: MockClock) -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    async with ticks.subscribe("a") as feed:
        ticks.publish_nowait("a", 8)
        feed._put_back(7)  # as if a task had got it and failed
        assert await feed.receive_some() == [7, 8]


async def test_a_feed_whose_sender_fails_to_forget_it_is_closed_all_the_same(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    async with ticks.subscribe("a") as feed:
        leave = feed._leave
        assert leave is not None
        fail_once(monkeypatch, feed, "_leave")
        with pytest.raises(MemoryError):
            feed.close()
        with pytest.raises(trio.ClosedResourceError):
            feed.receive_nowait()
        feed.close()
    assert ticks.count("a") == 0


# What an actor's attributes were


class Slotted(Actor):
    __slots__ = ("changed", "kept", "made")

    changed: int
    kept: int
    made: int


def test_only_what_has_changed_in_slots_is_put_back() -> None:
    value = Slotted.__new__(Slotted)
    value.changed, value.kept = 1, 2
    before = Kept(value)
    value.changed, value.made = 9, 9
    before.put_back()
    assert (value.changed, value.kept) == (1, 2)
    assert not hasattr(value, "made")


# Instruments


class Leaving(Instrument):
    """It removes itself when it is told of a name, and fails then."""

    def registered(self, event: object, /) -> None:
        trioreg.remove_instrument(self)
        raise Bang("hook")


async def test_an_instrument_that_has_removed_itself_and_fails_is_reported_and_not_removed_again(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    instrument = Leaving()
    trioreg.add_instrument(instrument)
    names.register("a")
    assert names.count() == 1
    (record,) = [record for record in caplog.records if "failed in registered()" in record.getMessage()]
    assert record.exc_info is not None
    with pytest.raises(KeyError):
        trioreg.remove_instrument(instrument)


async def test_an_instrument_that_is_added_twice_is_told_once(autojump_clock: MockClock) -> None:
    class Counting(Instrument):
        told = 0

        def registered(self, event: object, /) -> None:
            self.told += 1

    names: Registry[str, None] = Registry("names")
    instrument = Counting()
    trioreg.add_instrument(instrument)
    trioreg.add_instrument(instrument)
    names.register("a")
    trioreg.remove_instrument(instrument)
    assert instrument.told == 1


def test_an_instrument_whose_failure_could_not_be_reported_at_once_is_reported_at_the_end_of_the_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Instrument):
        def registered(self, event: object, /) -> None:
            raise Bang("hook")

    def fail() -> None:
        raise MemoryError

    async def main() -> None:
        names: Registry[str, None] = Registry("names")
        trioreg.add_instrument(Failing())
        with monkeypatch.context() as patch:
            patch.setattr(instruments, "require_room", fail)
            names.register("a")
        assert not caplog.records

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert ["failed in registered()" in record.getMessage() for record in caplog.records] == [True]


# The log


def test_a_report_never_raises_even_if_a_log_handler_and_stderr_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Leaving(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise SystemExit("a handler")

    logger = logging.getLogger("trioreg.runtime")
    handler = Leaving()
    logger.addHandler(handler)
    try:
        SafeLogger("trioreg.runtime").report(Bang("first"), "late_call_failed", "it failed")
    finally:
        logger.removeHandler(handler)
    assert "SystemExit: a handler" in capsys.readouterr().err


# The turnstile


@pytest.mark.parametrize("has_been_woken", [False, True])
async def test_a_task_that_can_not_wait_in_line_for_want_of_memory_leaves_the_line(
    has_been_woken: bool, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    gate = Turnstile()
    raised: list[str] = []
    went: list[int] = []

    async def fail(abort: Callable[..., object]) -> None:
        if has_been_woken:
            gate._waiting.remove(trio.lowlevel.current_task())
        raise MemoryError

    async def go(number: int) -> None:
        try:
            await gate.go_through()
        except MemoryError:
            raised.append("for want of memory")
        else:
            went.append(number)

    monkeypatch.setattr(turnstile, "wait_task_rescheduled", fail)
    async with trio.open_nursery() as nursery:
        for number in range(PER_TURN + 3):
            nursery.start_soon(go, number)
    assert len(went) == PER_TURN + 1
    assert len(raised) == 2
    assert not gate._waiting


async def test_a_leader_that_fails_for_want_of_memory_leaves_no_line_behind_it(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    gate = Turnstile()
    for _ in range(PER_TURN):
        await gate.go_through()
    with monkeypatch.context() as patch:
        fail_once(patch, turnstile, "cancel_shielded_checkpoint")
        with pytest.raises(MemoryError):
            await gate.go_through()
    assert not gate._is_led  # else the next one would wait for a leader that is gone


async def test_a_task_in_the_line_can_not_be_cancelled(autojump_clock: MockClock) -> None:
    gate = Turnstile()
    went: list[int] = []

    async def go(number: int) -> None:
        await gate.go_through()
        went.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(3 * PER_TURN):
            nursery.start_soon(go, number)
        await trio.lowlevel.cancel_shielded_checkpoint()
        nursery.cancel_scope.cancel()
    assert len(went) == 3 * PER_TURN


async def test_a_task_that_comes_when_the_line_is_gone_need_not_wait(autojump_clock: MockClock) -> None:
    gate = Turnstile()
    async with trio.open_nursery() as nursery:
        for _ in range(PER_TURN + 1):
            nursery.start_soon(gate.go_through)
    with trio.testing.assert_no_checkpoints():
        await gate.go_through()


# The frames of a task


async def test_a_task_that_seems_to_run_but_whose_thread_does_not_show_it_has_the_frames_it_awaits_in(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def sleep(task_status: trio.TaskStatus[trio.lowlevel.Task]) -> None:
        task_status.started(trio.lowlevel.current_task())
        await trio.sleep(1)

    def seems_to_run(task: trio.lowlevel.Task) -> bool:
        return True

    async with trio.open_nursery() as nursery:
        task = await nursery.start(sleep)
        monkeypatch.setattr(frames, "is_running", seems_to_run)
        assert next(frame.f_code.co_name for frame, _ in frames.frames_of(task, thread=0)) == "sleep"


def test_nothing_is_left_of_the_collections_of_these_tests() -> None:
    gc.collect()
    assert not finalizers.COLLECTING
