"""The end of a supervisor's block: `at_end`, and the line that a block which waits writes into the log."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import pytest
import trio
from support.children import worker
from support.errors import Bang
from support.workers import Worker
from trio.testing import MockClock

from trioreg import (
    Actor,
    ChildSpec,
    Exit,
    Registry,
    RestartLimit,
    open_dynamic_supervisor,
    open_partition_supervisor,
    open_supervisor,
    run,
)

OPENERS: list[Callable[..., AbstractAsyncContextManager[Any]]] = [
    open_supervisor,
    open_dynamic_supervisor,
    partial(open_partition_supervisor, 2, Actor),
]


async def job() -> None:
    await trio.sleep(1)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, "trioreg")
    return lambda: [record.getMessage() for record in caplog.records if "waits" in record.getMessage()]


async def test_a_block_with_stop_at_its_end_shuts_its_children_down_in_order(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with open_supervisor([worker(log, "a"), worker(log, "b", stop=1)], at_end="stop"):
        log.append("block")
    assert log == ["+a", "+b", "block", "-b", "-a"]


async def test_a_dynamic_block_with_stop_at_its_end_shuts_its_children_down(autojump_clock: MockClock) -> None:
    names: Registry[int, None] = Registry("names")
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        for number in range(3):
            await supervisor.start_child(partial(Worker, [], "a", stop=1), name=names.via(number))
    assert names.count() == 0
    assert trio.current_time() == 1


async def test_a_partition_block_with_stop_at_its_end_shuts_its_children_down(autojump_clock: MockClock) -> None:
    async with open_partition_supervisor(2, Actor, at_end="stop") as partitions:
        pass
    assert partitions.partitions.whereis(0) is None


async def test_an_error_of_a_block_leaves_it_whatever_is_at_its_end(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with pytest.RaisesGroup(Bang):
        async with open_supervisor([worker(log, "a")], at_end="stop"):
            raise Bang
    assert log == ["+a", "-a"]


@pytest.mark.parametrize("at_end", ["cancel", None, True])
@pytest.mark.parametrize("opener", OPENERS)
async def test_at_end_must_be_one_of_two(
    opener: Callable[..., AbstractAsyncContextManager[Any]], at_end: Any, autojump_clock: MockClock
) -> None:
    with pytest.raises(ValueError, match=re.escape(f"at_end must be 'wait' or 'stop', not {at_end!r}")):
        opener(at_end=at_end)


# The line of a block that waits


async def test_a_block_that_waits_for_permanent_children_says_so_in_one_line(
    lines: Callable[[], list[str]], autojump_clock: MockClock
) -> None:
    with trio.move_on_after(5):
        async with open_supervisor([worker([], "a"), ChildSpec(job), worker([], "b")]):
            assert lines() == []
    assert lines() == [
        "supervisor: the block waits for its children, and permanent ones never end by themselves ('a', 'b'): "
        "call stop(), or open it with at_end='stop'"
    ]


async def test_the_line_names_no_more_than_three_children(
    lines: Callable[[], list[str]], autojump_clock: MockClock
) -> None:
    with trio.move_on_after(5):
        async with open_supervisor([worker([], f"{number}") for number in range(100)]):
            pass
    assert "('0', '1', '2', ...)" in lines()[0]


async def test_a_block_that_ends_by_itself_writes_no_such_line(
    lines: Callable[[], list[str]], autojump_clock: MockClock
) -> None:
    async with open_supervisor([ChildSpec(job), worker([], "a")], at_end="stop"):
        pass
    async with open_supervisor([ChildSpec(job)]):
        pass
    async with open_supervisor([worker([], "a")]) as supervisor:
        await supervisor.terminate_child("a")
    async with open_supervisor([worker([], "a", limit=RestartLimit(0))]) as supervisor:
        child = supervisor.which_child("a").ref
        assert child is not None
        child.kill()
        await child.wait()
    async with open_supervisor([worker([], "a")]) as supervisor:
        supervisor.stop()
    with trio.CancelScope() as scope:
        async with open_supervisor([worker([], "a")]):
            scope.cancel()
    assert lines() == []


def test_a_program_writes_no_such_line(lines: Callable[[], list[str]]) -> None:
    children = [ChildSpec(Actor), ChildSpec(job, significant=True)]
    run(children, auto_shutdown="any_significant", clock=MockClock(autojump_threshold=0))
    assert lines() == []


@pytest.mark.parametrize("opener", [open_supervisor, open_dynamic_supervisor])
async def test_children_that_hang_or_crash_at_the_end_of_a_block_do_not_keep_the_others_from_ending(
    opener: Callable[..., AbstractAsyncContextManager[Any]], autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Hanging(Actor):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep_forever()

    class Crashing(Actor):
        async def on_stop(self, exit: Exit) -> None:
            raise Bang

    log: list[str] = []
    with pytest.RaisesGroup(Bang):
        async with opener(at_end="stop") as supervisor:
            await supervisor.start_child(partial(Worker, log, "first"))
            await supervisor.start_child(Hanging, shutdown=2)
            await supervisor.start_child(Crashing)
            await supervisor.start_child(partial(Worker, log, "last", stop=0.1))
    assert sorted(log[2:]) == ["-first", "-last"]
    assert trio.current_time() == pytest.approx(2.1 if opener is open_supervisor else 2)
    killed, *_ = [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]
    assert "is killed: its 2 seconds to end are over" in killed
