"""What supervisors write into the log."""

from __future__ import annotations

import io
import itertools
import logging
import re
import sys
from collections.abc import Generator
from typing import Any

import pytest
import trio
from support.children import Failing, ref_of, restarts, went_on
from support.errors import Bang, gives_up
from support.log_events import fields_of, recorded
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    Backoff,
    ChildSpec,
    Registry,
    open_supervisor,
)


class Lines(logging.Handler):
    """The lines of the log, without the numbers of the lives, and the errors whose tracebacks are in the log."""

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


async def test_an_id_that_can_not_be_compared_with_the_name_is_shown_beside_it(
    trace: Lines, autojump_clock: MockClock
) -> None:
    class Strict:
        def __hash__(self) -> int:
            return hash("bond")

        def __eq__(self, other: object) -> bool:
            raise Bang

        def __repr__(self) -> str:
            return "Strict()"

    names: Registry[str, None] = Registry("names")
    async with supervising([ChildSpec(Actor, id=Strict(), name=names.via("bond"))], name="agents"):
        pass
    assert trace.lines[0] == "DEBUG agents: child Strict() named 'bond': starting as <Actor>"


async def test_the_log_names_the_children_of_a_dynamic_supervisor_by_factory_and_name(
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


async def test_of_two_children_that_end_at_once_both_are_said_to_begin_again_later(
    autojump_clock: MockClock,
) -> None:
    children = [ChildSpec(Actor, id="a"), ChildSpec(Actor, id="b")]
    with recorded() as records:
        async with supervising(children, strategy="one_for_all") as supervisor:
            ref_of(supervisor, "a").kill()
            ref_of(supervisor, "b").kill()
            await wait_all_tasks_blocked()
    assert sorted(str(fields_of(each)["child_id"]) for each in records.of("restarting")) == ["a", "b"]


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


async def test_a_group_restart_is_a_line_for_each_child(trace: Lines, autojump_clock: MockClock) -> None:
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

    with gives_up():
        async with open_supervisor([ChildSpec(Fails, id="a")], strategy=strategy, max_restarts=1) as supervisor:
            fails.append(True)
            ref_of(supervisor, "a").kill()
            await went_on()
    assert trace.lines[1:] == [
        "INFO supervisor: child 'a', <Fails>, ended (killed): restart 1",
        "DEBUG supervisor: child 'a': starting as <Fails>, restart 1",
        "ERROR supervisor: child 'a', <Fails>, ended (crashed: Bang('again')): giving up, "
        "more than 1 restart in 5 seconds",
    ]
    assert trace.tracebacks == [Bang]


async def test_a_start_that_fails_is_a_line_at_debug_level(trace: Lines, autojump_clock: MockClock) -> None:
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


# Handlers that raise


class Broken(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise ZeroDivisionError


@pytest.fixture
def broken() -> Generator[None]:
    """Each line of the log, of every level, raises."""
    logger = logging.getLogger("trioreg")
    handler = Broken()
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    yield
    logger.setLevel(level)
    logger.removeHandler(handler)


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@pytest.mark.parametrize("backoff", [None, Backoff(initial=1)])
async def test_a_log_handler_that_raises_disturbs_no_start_no_restart_and_no_end(
    strategy: Any,
    backoff: Backoff | None,
    broken: None,
    capsys: pytest.CaptureFixture[str],
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")
    children = [ChildSpec(Failing, ([], "a"), id="a", name=names.via("a"), backoff=backoff), ChildSpec(Actor, id="b")]
    async with supervising(children, strategy=strategy) as supervisor:
        for _ in range(2):
            names.via("a").cast_nowait(Failing.bang)
            await trio.sleep(4)
        assert restarts(supervisor) == {"a": 2, "b": 0 if strategy == "one_for_one" else 2}
        await supervisor.terminate_child("a")
    shown = capsys.readouterr().err
    assert "--- Logging error ---" in shown
    assert "ZeroDivisionError" in shown
    assert "child %s, %r, %s" in shown


async def test_a_log_handler_that_raises_loses_no_error_when_a_supervisor_gives_up(
    broken: None, autojump_clock: MockClock
) -> None:
    with gives_up() as caught:
        async with open_supervisor([ChildSpec(Failing, ([], "a"), id="a")], max_restarts=0) as supervisor:
            ref_of(supervisor, "a").cast_nowait(Failing.bang)
            await went_on()
    assert [type(error) for error in caught.errors] == [Bang]


def other_record(*_: object, **__: object) -> logging.LogRecord:
    raise ZeroDivisionError


@pytest.mark.parametrize("what", ["stderr", "record"])
async def test_a_log_that_can_not_even_show_its_error_disturbs_nothing(
    what: str, broken: None, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    closed = io.StringIO()
    closed.close()
    spec = ChildSpec(Failing, ([], "a"), id="a", shutdown=1)
    async with supervising([spec, ChildSpec(hangs, id="b", shutdown=1)]) as supervisor:
        with monkeypatch.context() as patch:
            if what == "stderr":
                patch.setattr(sys, "stderr", closed)
            else:
                patch.setattr(logging, "_logRecordFactory", other_record)
            ref_of(supervisor, "a").cast_nowait(Failing.bang)
            await trio.sleep(1)
            await supervisor.terminate_child("b")  # its time is over: that is a line of its own
        assert restarts(supervisor) == {"a": 1, "b": 0}


async def hangs() -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep(2)
    await trio.sleep_forever()
