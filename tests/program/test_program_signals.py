"""run(): signals, in this process and in virtual time."""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import threading
from functools import partial
from types import FrameType

import pytest
import trio
from support.children import worker
from support.errors import Bang, gives_up
from support.programs import HANDLED, INT, TERM, does, gets, run
from support.workers import Worker

import trioreg
from trioreg import Actor, Backoff, ChildSpec, Exit, Supervisor
from trioreg._program.signals import Signals


def test_sigterm_shuts_a_tree_down_in_reverse_order_and_is_what_run_returns() -> None:
    log: list[str] = []
    inner = ChildSpec(Supervisor, ([worker(log, "b1"), worker(log, "b2")],), id="inner")
    assert run(worker(log, "a"), inner, worker(log, "c"), gets(TERM)) is TERM
    assert log == ["+a", "+b1", "+b2", "+c", "-c", "-b2", "-b1", "-a"]


def test_sigint_shuts_a_tree_down_in_reverse_order_and_leaves_as_keyboard_interrupt() -> None:
    log: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run(worker(log, "a"), worker(log, "b", stop=2), gets(INT))
    assert log == ["+a", "+b", "-b", "-a"]


def test_code_that_never_waits_is_not_torn_by_sigint() -> None:
    log: list[str] = []

    async def busy() -> None:
        signal.raise_signal(INT)
        log.append("went on")

    with pytest.raises(KeyboardInterrupt):
        run(ChildSpec(busy), worker(log, "a"))
    assert log[0] == "went on"


def test_each_child_has_its_shutdown_time_and_is_killed_after_it() -> None:
    log: list[str] = []
    ends: dict[str, float] = {}

    class Ends(trio.abc.Instrument):
        def before_run(self) -> None:
            self.start = trio.current_time()

        def task_exited(self, task: trio.lowlevel.Task) -> None:
            ends[task.name.split()[0]] = trio.current_time() - self.start

    class First(Worker):
        pass

    class Hanging(Worker):
        pass

    class Last(Worker):
        pass

    run(
        ChildSpec(partial(First, log, "a", stop=10), shutdown=20),
        ChildSpec(partial(Hanging, log, "b", stop=math.inf), shutdown=30),
        ChildSpec(partial(Last, log, "c"), shutdown="kill"),
        gets(TERM),
        instruments=[Ends()],
    )
    assert (ends["Last"], ends["Hanging"], ends["First"]) == (1, 1 + 30, 1 + 30 + 10)
    assert log == ["+a", "+b", "+c", "-a"]


def test_a_process_forked_from_a_program_leaves_a_signal_to_the_handler_from_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    came: list[int] = []
    before = signal.signal(TERM, lambda signum, _: came.append(signum))
    try:
        with Signals() as signals:
            monkeypatch.setattr(os, "getpid", lambda: 0)  # as in another process
            signal.raise_signal(TERM)
            assert (came, signals.received) == ([TERM], None)
    finally:
        signal.signal(TERM, before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't hold signals back")
@pytest.mark.parametrize("pid", [os.getpid(), 1], ids=["", "in_a_container"])
def test_two_signals_that_come_together_are_one(pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: pid)
    ends: list[int] = []
    monkeypatch.setattr(os, "_exit", ends.append)
    problems: list[sys.UnraisableHookArgs] = []
    monkeypatch.setattr(sys, "unraisablehook", problems.append)
    with Signals() as signals:
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        for signum in HANDLED:
            signal.pthread_kill(threading.get_ident(), signum)  # this thread has blocked them
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        assert (signals.received, problems, ends) == (INT, [], [])


def test_handlers_of_the_program_that_call_ours_are_not_replaced() -> None:
    before = {each: signal.getsignal(each) for each in HANDLED}
    with Signals() as signals:
        handle = signal.getsignal(TERM)
        assert callable(handle)

        def own(signum: int, frame: FrameType | None) -> None:
            handle(signum, frame)

        for each in HANDLED:
            signal.signal(each, own)
        signal.raise_signal(TERM)
        assert (signals.received, {signal.getsignal(each) for each in HANDLED}) == (TERM, {own})
    for each in HANDLED:
        signal.signal(each, before[each])


# When the signal comes


class At(trio.abc.Instrument):
    """A signal comes before the n-th step of the scheduler; 0 is before the first task is there.

    Attributes:
        is_reached: Whether there were as many steps.
    """

    def __init__(self, n: int, signum: signal.Signals) -> None:
        self.n = n
        self.signum = signum
        self.is_reached = False
        self._steps = 0
        self._count()

    def _count(self) -> None:
        if self._steps == self.n:
            self.is_reached = True
            signal.raise_signal(self.signum)
        self._steps += 1

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._count()


class AtStart(trio.abc.Instrument):
    def before_run(self) -> None:
        signal.raise_signal(TERM)


class AtEnd(trio.abc.Instrument):
    def __init__(self, signum: signal.Signals) -> None:
        self.signum = signum

    def after_run(self) -> None:
        signal.raise_signal(self.signum)


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_a_signal_at_any_step_shuts_down_in_order_what_had_started(strategy: str) -> None:
    # Slow starts, two crashes, restarts of one child or of several, a delayed restart, and an end by itself.
    for n in range(1, 1000):
        log: list[str] = []
        crashes = [Bang(), Bang()]

        def crash(crashes: list[Bang] = crashes) -> None:
            if crashes:
                raise crashes.pop()

        inner = ChildSpec(Supervisor, ([worker(log, "b1", start=1), worker(log, "b2", stop=1)],), id="inner")
        tree = [
            worker(log, "a", start=1),
            does(crash, after=3),
            inner,
            does(crash, after=4, backoff=Backoff(initial=1)),
            worker(log, "c", stop=1),
            ChildSpec(trio.sleep, (20,), significant=True),
        ]
        at = At(n, TERM)
        received = run(*tree, strategy=strategy, auto_shutdown="any_significant", instruments=[at])
        alive: list[str] = []
        for line in log:
            if line[0] == "+":
                alive.append(line[1:])
            else:
                assert alive.pop() == line[1:], (n, log)
        assert alive == [], (n, log)
        if not at.is_reached:
            assert received is None
            assert n > 50
            return
        assert received is TERM
    raise AssertionError("there is no end of steps")


def test_a_signal_before_the_first_child_starts_none() -> None:
    log: list[str] = []
    assert run(worker(log, "a"), instruments=[AtStart()]) is TERM
    assert log == []


def test_a_signal_while_a_child_starts_ends_it_and_the_children_before_it_and_starts_no_other() -> None:
    log: list[str] = []
    assert run(worker(log, "a"), gets(TERM), worker(log, "b", start=math.inf), worker(log, "c")) is TERM
    assert log == ["+a", "-a"]


def test_a_signal_after_the_tree_has_ended_is_not_lost() -> None:
    assert run(instruments=[AtEnd(TERM)]) is TERM
    with pytest.raises(KeyboardInterrupt):
        run(instruments=[AtEnd(INT)])


# Several signals, and other handlers


def test_after_the_first_signal_a_second_is_left_to_the_system() -> None:
    seen: list[object] = []

    class Last(Actor):
        async def on_stop(self, exit: Exit) -> None:
            seen.extend(map(signal.getsignal, HANDLED))

    run(ChildSpec(Last), gets(TERM))
    assert seen == [signal.SIG_DFL, signal.SIG_DFL]


def test_signals_that_come_together_count_as_one() -> None:
    log: list[str] = []

    class Both(trio.abc.Instrument):
        def task_scheduled(self, task: trio.lowlevel.Task) -> None:
            if "+a" in log and "both" not in log:
                log.append("both")
                received = signal.getsignal(TERM)
                assert callable(received)
                received(TERM, None)
                received(INT, None)

    assert run(worker(log, "a"), instruments=[Both()]) is TERM
    assert log == ["+a", "both", "-a"]


@pytest.mark.parametrize("signum", HANDLED)
def test_an_ignored_signal_is_left_ignored(signum: signal.Signals) -> None:
    before = signal.signal(signum, signal.SIG_IGN)
    try:
        work = ChildSpec(trio.sleep, (2,), significant=True)
        assert run(gets(signum), work, auto_shutdown="any_significant") is None
    finally:
        signal.signal(signum, before)


def test_a_handler_of_the_user_is_put_back() -> None:
    got: list[int] = []
    before = signal.signal(TERM, lambda signum, frame: got.append(signum))
    try:
        assert run(gets(TERM)) is TERM
        assert got == []
        signal.raise_signal(TERM)
        assert got == [TERM]
    finally:
        signal.signal(TERM, before)


def test_a_child_can_have_a_signal_for_itself() -> None:
    got: list[int] = []

    async def listen() -> None:
        with trio.open_signal_receiver(TERM) as signals:
            signal.raise_signal(TERM)
            async for each in signals:
                got.append(each)
                signal.raise_signal(INT)
                await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        run(ChildSpec(listen))
    assert got == [TERM]


def test_a_handler_that_the_program_sets_for_good_stays() -> None:
    def mine(*_: object) -> None:
        raise AssertionError

    async def work() -> None:
        signal.signal(TERM, mine)

    before = signal.getsignal(TERM)
    try:
        assert trioreg.run(ChildSpec(work)) is None
        assert signal.getsignal(TERM) is mine
    finally:
        signal.signal(TERM, before)


# The log


def test_a_signal_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trioreg")
    run(gets(TERM), name="bonds")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "bonds: SIGTERM: shutting down; a second signal ends it at once")
    ]


def test_an_error_of_the_log_disturbs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    log: list[str] = []

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ZeroDivisionError

    handler = Broken(logging.INFO)
    logger = logging.getLogger("trioreg")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        assert run(worker(log, "a"), gets(TERM)) is TERM
    finally:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(handler)
    assert log == ["+a", "-a"]
    assert "ZeroDivisionError" in capsys.readouterr().err


# A crash after the signal


def sore(error: BaseException) -> ChildSpec:
    """A child that fails while it is shut down."""

    class Sore(Actor):
        async def on_stop(self, exit: Exit) -> None:
            raise error

    return ChildSpec(Sore)


def test_a_crash_after_a_signal_is_logged_and_does_not_decide_how_the_program_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log: list[str] = []
    deep = ChildSpec(Supervisor, ([sore(Bang("deep"))],))
    assert run(worker(log, "a"), sore(Bang("top")), deep, gets(TERM)) is TERM
    assert log == ["+a", "-a"]
    logged = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert {"top", "deep"} <= set(logged)
    with pytest.raises(KeyboardInterrupt):
        run(sore(Bang()), gets(INT))


def test_a_child_that_fails_to_start_after_a_signal_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Fails(Actor):
        async def on_start(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise Bang("no start")

    assert run(gets(TERM), ChildSpec(Fails)) is TERM
    assert "no start" in [str(record.exc_info[1]) for record in caplog.records if record.exc_info]


def test_a_crash_before_the_signal_decides() -> None:
    def crash() -> None:
        raise Bang

    with gives_up():
        run(worker([], "a", stop=3), does(crash), does(partial(signal.raise_signal, TERM), after=2), max_restarts=0)


def test_a_system_exit_after_a_signal_gives_the_status_and_a_crash_beside_it_does_not() -> None:
    with pytest.raises(SystemExit) as caught:
        run(sore(Bang()), ChildSpec(Supervisor, ([sore(SystemExit(3)), sore(Bang())],)), gets(TERM))
    assert caught.value.code == 3


def test_the_status_of_a_program_that_crashes_all_the_time_does_not_depend_on_the_moment_of_the_signal() -> None:
    class Loops(Actor):
        async def on_start(self) -> None:
            self.start_soon(self.crash)

        async def crash(self) -> None:
            await trio.lowlevel.checkpoint()
            raise Bang

        async def on_stop(self, exit: Exit) -> None:
            await trio.lowlevel.checkpoint()

    for n in range(30, 150):
        at = At(n, TERM)
        assert run(ChildSpec(Loops), ChildSpec(Loops), max_restarts=math.inf, instruments=[at]) is TERM
        assert at.is_reached
