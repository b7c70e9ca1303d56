"""auto_shutdown: a supervisor that ends with its significant children."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import trio
from support.children import bang, ref_of, states_by_id, went_on, worker
from support.errors import Bang
from support.supervisors import supervising
from trio.testing import MockClock

from trioreg import (
    Backoff,
    ChildSpec,
    Supervisor,
    open_supervisor,
)


async def test_any_significant_child_that_ends_shuts_the_supervisor_down(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [
        worker(log, "a"),
        worker(log, "b", restart="transient", significant=True),
        worker(log, "c", restart="transient", significant=True),
    ]
    async with open_supervisor(children, auto_shutdown="any_significant") as supervisor:
        log.clear()
        await ref_of(supervisor, "b").stop()
        await went_on()
    assert log == ["-b", "-c", "-a"]


async def test_the_last_of_all_significant_children_shuts_the_supervisor_down(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [
        worker(log, "a"),
        worker(log, "b", restart="transient", significant=True),
        worker(log, "c", restart="temporary", significant=True),
    ]
    async with open_supervisor(children, auto_shutdown="all_significant") as supervisor:
        log.clear()
        await ref_of(supervisor, "c").stop()
        await trio.sleep(10)
        log.append("the block goes on")  # a shutdown would cancel it
        assert states_by_id(supervisor) == {"a": "running", "b": "running"}
        await ref_of(supervisor, "b").stop()
        await went_on()
    assert log == ["-c", "the block goes on", "-b", "-a"]


@pytest.mark.parametrize("backoff", [None, Backoff(initial=1)])
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
async def test_a_significant_child_that_is_restarted_has_not_ended(
    strategy: Any, backoff: Backoff | None, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    goes_on = False
    options: dict[str, Any] = {"restart": "transient", "significant": True, "backoff": backoff}
    children = [worker(log, "a", **options), worker(log, "b", **options)]
    async with supervising(children, strategy=strategy, auto_shutdown="all_significant") as supervisor:
        ref = ref_of(supervisor, "b")
        bang(supervisor, "a")
        await ref_of(supervisor, "a").wait()
        await ref.stop()
        await trio.sleep(10)
        goes_on = True  # a shutdown would cancel the block
        assert states_by_id(supervisor)["a"] == "running"
    assert goes_on


async def test_a_child_that_is_not_significant_ends_without_consequences(autojump_clock: MockClock) -> None:
    goes_on = False
    children = [
        worker([], "a", restart="transient"),
        worker([], "b", restart="transient", significant=True),
    ]
    async with supervising(children, auto_shutdown="any_significant") as supervisor:
        await ref_of(supervisor, "a").stop()
        await trio.sleep(10)
        goes_on = True  # a shutdown would cancel the block
        assert states_by_id(supervisor) == {"a": "ended", "b": "running"}
    assert goes_on


async def test_a_significant_child_that_is_terminated_from_outside_shuts_nothing_down(
    autojump_clock: MockClock,
) -> None:
    goes_on = False
    with trio.CancelScope() as scope:
        children = [worker([], "a"), worker([], "b", restart="transient", significant=True)]
        async with open_supervisor(children, auto_shutdown="any_significant") as supervisor:
            await supervisor.terminate_child("b")
            await trio.sleep(10)
            goes_on = True  # a shutdown would cancel the block
            assert states_by_id(supervisor) == {"a": "running", "b": "ended"}
            scope.cancel()
    assert goes_on


async def test_a_significant_child_that_crashes_for_good_is_logged_and_shuts_down(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    children = [worker([], "a", restart="temporary", significant=True)]
    async with open_supervisor(children, auto_shutdown="any_significant") as supervisor:
        bang(supervisor, "a")
        await went_on()
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [Bang]


# Before it has started


async def done_at_once() -> None:
    pass


SIGNIFICANT = ChildSpec(done_at_once, restart="transient", significant=True)


@pytest.mark.parametrize("others", [0, 1, 2])
async def test_a_supervisor_that_ends_before_its_block_is_entered_cancels_the_block(
    others: int, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    children = [SIGNIFICANT, *(worker(log, name, start=1) for name in "ab"[:others])]
    entered = False
    async with open_supervisor(children, auto_shutdown="any_significant") as supervisor:
        entered = True
        assert [child.ref for child in supervisor.which_children()] == [None]
        await went_on()
    assert entered
    assert sum(line[0] == "+" for line in log) == sum(line[0] == "-" for line in log)


async def test_a_nested_supervisor_that_ends_before_it_has_started_is_shown_as_ended(autojump_clock: MockClock) -> None:
    nested = functools.partial(Supervisor, [SIGNIFICANT], auto_shutdown="any_significant")
    async with supervising([ChildSpec(nested, id="nested", restart="transient")]) as supervisor:
        await trio.sleep(10)
        assert states_by_id(supervisor) == {"nested": "ended"}


async def test_a_nested_supervisor_that_shuts_down_by_itself_is_shown_as_ended(autojump_clock: MockClock) -> None:
    log: list[str] = []
    inner = [worker(log, "a"), worker(log, "b", restart="transient", significant=True)]
    nested = functools.partial(Supervisor, inner, auto_shutdown="any_significant")
    async with supervising([ChildSpec(nested, id="nested", restart="transient")]) as supervisor:
        (_, b) = await ref_of(supervisor, "nested").call(Supervisor.which_children)
        assert b.ref is not None
        b.ref.cancel()
        await trio.sleep(10)
        assert log == ["+a", "+b", "-b", "-a"]
        assert states_by_id(supervisor) == {"nested": "ended"}
