"""Programs: a tree that runs until it ends or a signal ends it, in this process and in processes of their own."""

from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
import trio
from support.errors import Bang, leaves
from support.workers import Worker
from trio.testing import MockClock

import trioreg
from trioreg import Actor, Backoff, ChildSpec, Exit, RestartLimitExceeded, Supervisor

TERM, INT = signal.SIGTERM, signal.SIGINT
HANDLED = (INT, TERM)


def worker(log: list[str], name: str, *, start: float = 0, stop: float = 0, **options: Any) -> ChildSpec:
    return ChildSpec(partial(Worker, log, name, start=start, stop=stop), id=name, **options)


def does(action: Callable[[], object], *, after: float = 1, **options: Any) -> ChildSpec:
    """A child that does something after some seconds, and goes on."""

    async def act() -> None:
        await trio.sleep(after)
        action()
        await trio.sleep_forever()

    return ChildSpec(act, **options)


def gets(signum: signal.Signals) -> ChildSpec:
    """A child in whose time a signal comes, after one second."""
    return does(partial(signal.raise_signal, signum))


def fails(error: BaseException) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def run(*tree: ChildSpec, **options: Any) -> signal.Signals | None:
    """`trioreg.run` in virtual time; whatever happens, the handlers are those that were there before."""
    before = [signal.getsignal(each) for each in HANDLED]
    options = {"clock": MockClock(autojump_threshold=0), **options}
    try:
        return trioreg.run(tree, **options)
    finally:
        assert [signal.getsignal(each) for each in HANDLED] == before


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A shell starts its background jobs, and so perhaps these tests, with SIGINT ignored, and children inherit it."""
    before = signal.signal(INT, signal.default_int_handler)
    yield
    signal.signal(INT, before)


# The end by itself


def test_a_program_ends_with_its_last_child() -> None:
    done: list[float] = []

    async def work(seconds: float) -> None:
        await trio.sleep(seconds)
        done.append(seconds)

    assert run(ChildSpec(work, (2,)), ChildSpec(work, (1,))) is None
    assert done == [1, 2]


def test_a_program_without_children_ends_at_once() -> None:
    assert run() is None


def test_a_tree_can_be_a_single_child() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    assert trioreg.run(ChildSpec(work)) is None
    assert done == ["work"]


def test_a_child_that_ends_while_others_start_does_not_end_the_program() -> None:
    log: list[str] = []

    async def short() -> None:
        pass

    run(ChildSpec(short), worker(log, "slow", start=1), gets(TERM))
    assert log == ["+slow", "-slow"]


def test_the_end_of_a_significant_child_ends_the_program_in_order() -> None:
    log: list[str] = []
    work = ChildSpec(trio.sleep, (1,), significant=True)
    assert run(worker(log, "a"), worker(log, "b"), work, auto_shutdown="any_significant") is None
    assert log == ["+a", "+b", "-b", "-a"]


def test_options_are_those_of_a_supervisor() -> None:
    log: list[str] = []
    crashes = [Bang(), Bang(), Bang(), Bang(), Bang()]

    async def crash() -> None:
        await trio.sleep(1)
        if crashes:
            raise crashes.pop()

    run(
        worker(log, "a", restart="transient"),
        ChildSpec(crash, significant=True),
        strategy="one_for_all",
        max_restarts=5,
        max_seconds=10.0,
        auto_shutdown="all_significant",
        name="bonds",
    )
    assert log == ["+a", "-a"] * 6


# Signals


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
            ends[task.name.rsplit(".", 1)[-1]] = trio.current_time() - self.start

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
    # Slow starts, two crashes, restarts of one or of several, one of them after a pause, and an end by itself.
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
        try:
            received = run(*tree, strategy=strategy, auto_shutdown="any_significant", instruments=[at])
        except* Bang:
            received = TERM  # crashed after the signal: a failure
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
    raise AssertionError("it does not end")


def test_a_signal_before_the_first_child_starts_none() -> None:
    log: list[str] = []
    assert run(worker(log, "a"), instruments=[AtStart()]) is TERM
    assert log == []


def test_a_signal_while_a_child_starts_ends_it_and_those_before_it_and_starts_no_other() -> None:
    log: list[str] = []
    assert run(worker(log, "a"), gets(TERM), worker(log, "b", start=math.inf), worker(log, "c")) is TERM
    assert log == ["+a", "-a"]


def test_a_signal_after_the_tree_has_ended_is_not_lost() -> None:
    assert run(instruments=[AtEnd(TERM)]) is TERM
    with pytest.raises(KeyboardInterrupt):
        run(instruments=[AtEnd(INT)])


def test_after_the_first_signal_a_second_is_left_to_the_system() -> None:
    seen: list[object] = []

    class Last(Actor):
        async def on_stop(self, exit: Exit) -> None:
            seen.extend(map(signal.getsignal, HANDLED))

    run(ChildSpec(Last), gets(TERM))
    assert seen == [signal.SIG_DFL, signal.SIG_DFL]


def test_signals_that_come_together_are_one() -> None:
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


def test_a_signal_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trioreg")
    run(gets(TERM), name="bonds")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "bonds: SIGTERM: shutting down; a second signal ends it at once")
    ]


def test_an_error_of_the_log_leaves_the_program_after_an_orderly_end() -> None:
    log: list[str] = []

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ZeroDivisionError

    handler = Broken(logging.INFO)
    logger = logging.getLogger("trioreg")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with pytest.RaisesGroup(ZeroDivisionError):
            run(worker(log, "a"), gets(TERM))
    finally:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(handler)
    assert log == ["+a", "-a"]


# Errors


def test_a_program_that_gives_up_fails_with_the_errors_of_its_children() -> None:
    log: list[str] = []
    with pytest.raises(RestartLimitExceeded) as caught:
        run(worker(log, "a"), does(fails(Bang())))
    assert {type(error) for error in caught.value.exceptions} == {Bang}
    assert log == ["+a", "-a"]


def test_a_subtree_that_gives_up_is_restarted_by_the_program() -> None:
    subtree = ChildSpec(partial(Supervisor, max_restarts=0), ([does(fails(Bang()))],))
    with pytest.raises(RestartLimitExceeded) as caught:
        run(subtree, max_restarts=2, max_seconds=100)
    assert len(caught.value.exceptions) == 3
    assert {type(leaf) for leaf in leaves(caught.value)} == {Bang}


def test_a_child_that_does_not_start_fails_the_program_in_order() -> None:
    log: list[str] = []

    class Fails(Actor):
        async def on_start(self) -> None:
            raise Bang

    with pytest.RaisesGroup(Bang):
        run(worker(log, "a"), ChildSpec(Fails), worker(log, "c"))
    assert log == ["+a", "-a"]


@pytest.mark.parametrize("signum", HANDLED)
def test_a_failure_during_the_shutdown_outweighs_the_signal(signum: signal.Signals) -> None:
    log: list[str] = []

    class Fails(Actor):
        async def on_stop(self, exit: Exit) -> None:
            raise Bang

    with pytest.RaisesGroup(Bang):
        run(worker(log, "a"), ChildSpec(Fails), gets(signum))
    assert log == ["+a", "-a"]


@pytest.mark.parametrize("is_deep", [False, True])
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt("mine")])
def test_a_wish_to_exit_shuts_down_in_order_and_leaves_as_it_is(is_deep: bool, error: BaseException) -> None:
    log: list[str] = []
    child = does(fails(error))
    if is_deep:
        child = ChildSpec(Supervisor, ([worker(log, "b"), child],))
    with pytest.raises(type(error)) as caught:
        run(worker(log, "a"), child)
    assert caught.value is error
    assert log == (["+a", "+b", "-b", "-a"] if is_deep else ["+a", "-a"])


def test_a_wish_to_exit_outweighs_a_signal() -> None:
    class Exits(Actor):
        async def on_stop(self, exit: Exit) -> None:
            sys.exit(3)

    with pytest.raises(SystemExit) as caught:
        run(ChildSpec(Exits), gets(TERM))
    assert caught.value.code == 3


def test_a_failure_outweighs_a_wish_to_exit_and_both_are_there() -> None:
    class Fails(Actor):
        async def on_stop(self, exit: Exit) -> None:
            raise Bang

    with pytest.RaisesGroup(SystemExit, Bang):
        run(ChildSpec(Fails), does(fails(SystemExit(0))))


def test_the_cause_of_a_wish_to_exit_stays() -> None:
    def leave() -> None:
        try:
            raise Bang
        except Bang as error:
            raise SystemExit(2) from error

    with pytest.raises(SystemExit) as caught:
        run(does(leave))
    assert isinstance(caught.value.__cause__, Bang)


# What it can't do


def test_it_can_not_run_outside_of_the_main_thread() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="main thread"):
            await trio.to_thread.run_sync(run)

    trio.run(main)


async def test_it_can_not_run_inside_of_a_run() -> None:
    with pytest.raises(RuntimeError, match="inside"):
        run()


@pytest.mark.parametrize("tree", [None, Actor, trio.sleep_forever, [Actor], "tree", [ChildSpec(Actor), None]])
def test_what_is_no_tree_is_refused(tree: Any) -> None:
    with pytest.raises(TypeError, match="tree must be a ChildSpec, or several, not"):
        trioreg.run(tree)


def test_options_are_checked_before_anything_starts() -> None:
    log: list[str] = []
    with pytest.raises(ValueError, match="strategy"):
        run(worker(log, "a"), strategy="one_for_none")
    assert log == []


# Processes of their own. They tell what they do line by line, and nothing here is a matter of time.

posix = pytest.mark.skipif(sys.platform == "win32", reason="on Windows, one process can't send another a signal")
SECONDS = 30  # for a program that hangs; each takes less than one

PRELUDE = """
import atexit, math, os, signal, sys, time
import trio, trioreg
from trioreg import Actor, ChildSpec, Supervisor

def say(text):
    print(text, flush=True)

class Service(Actor):
    def __init__(self, name):
        self.name = name
        say("+" + name)

    async def on_stop(self, exit):
        say("-" + self.name)

def service(name):
    return ChildSpec(Service, (name,), id=name)

async def ready():
    say("ready")
    await trio.sleep_forever()
"""


@contextmanager
def program(tmp_path: Path, source: str, *, is_module: bool = False) -> Generator[subprocess.Popen[str]]:
    """A program that runs, as a script or as the package ``python -m`` is given; killed if it takes too long."""
    package = tmp_path / "bonds"
    package.mkdir()
    (package / "__init__.py").touch()
    script = package / "__main__.py"
    script.write_text(PRELUDE + textwrap.dedent(source), encoding="utf-8")
    home = str(Path(trioreg.__file__).parent.parent)
    with subprocess.Popen(
        [sys.executable, *(["-m", "bonds"] if is_module else [str(script)])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": home},
    ) as process:
        timer = Timer(SECONDS, process.kill)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            process.kill()


def hear(process: subprocess.Popen[str], last: str) -> list[str]:
    """The lines that a program writes, up to that one."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or lines[-1] not in (last, ""):
        lines.append(process.stdout.readline().rstrip("\n"))
    assert lines[-1] == last, lines
    return lines


def end(process: subprocess.Popen[str]) -> tuple[list[str], str, int]:
    """The lines it still writes, its errors, and its status."""
    out, err = process.communicate()
    return out.splitlines(), err, process.returncode


SERVES = """
inner = ChildSpec(Supervisor, ([service("b1"), service("b2")],), id="inner")
atexit.register(say, "at exit")
received = trioreg.run([service("a"), inner, service("c"), ChildSpec(ready)])
say(f"after {received!r}")
"""
STARTED = ["+a", "+b1", "+b2", "+c", "ready"]
STOPPED = ["-c", "-b2", "-b1", "-a"]


@posix
@pytest.mark.parametrize("is_module", [False, True], ids=["script", "module"])
def test_a_process_that_gets_sigterm_ends_in_order_with_status_0(tmp_path: Path, is_module: bool) -> None:
    with program(tmp_path, SERVES, is_module=is_module) as process:
        assert hear(process, "ready") == STARTED
        process.send_signal(TERM)
        assert end(process) == ([*STOPPED, "after <Signals.SIGTERM: 15>", "at exit"], "", 0)


@posix
@pytest.mark.parametrize("is_module", [False, True], ids=["script", "module"])
def test_a_process_that_gets_sigint_ends_in_order_and_dies_of_sigint(tmp_path: Path, is_module: bool) -> None:
    with program(tmp_path, SERVES, is_module=is_module) as process:
        assert hear(process, "ready") == STARTED
        process.send_signal(INT)
        lines, err, status = end(process)
    assert lines == [*STOPPED, "at exit"]
    assert err.endswith("\nKeyboardInterrupt\n")
    assert status == -INT


HANGS = {
    "on_stop": """
class Hanging(Actor):
    async def on_stop(self, exit):
        say("hangs")
        await trio.sleep_forever()
""",
    "shield": """
class Hanging(Actor):
    async def on_stop(self, exit):
        say("hangs")
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()
""",
    "blocked loop": """
class Hanging(Actor):
    async def on_stop(self, exit):
        say("hangs")
        while True:
            time.sleep(1000)  # in a child process: it blocks the loop until the second signal ends the process
""",
    "thread": """
class Hanging(Actor):
    async def on_stop(self, exit):
        say("hangs")
        await trio.to_thread.run_sync(time.sleep, 1000)
""",
}


@posix
@pytest.mark.parametrize("hanging", HANGS.values(), ids=HANGS)
@pytest.mark.parametrize(("first", "second"), [(TERM, TERM), (INT, INT), (INT, TERM)])
def test_a_second_signal_ends_a_process_at_once(
    tmp_path: Path, hanging: str, first: signal.Signals, second: signal.Signals
) -> None:
    source = f"{hanging}\ntrioreg.run([service('a'), ChildSpec(Hanging, shutdown=math.inf), ChildSpec(ready)])"
    with program(tmp_path, source) as process:
        hear(process, "ready")
        process.send_signal(first)
        hear(process, "hangs")
        process.send_signal(second)
        assert end(process) == ([], "", -second)


@posix
def test_a_second_signal_ends_the_first_process_of_a_container_at_once(tmp_path: Path) -> None:
    source = f"""
    os.getpid = lambda: 1
    {textwrap.indent(HANGS["shield"], "    ").strip()}
    trioreg.run([ChildSpec(Hanging, shutdown=math.inf), ChildSpec(ready)])
    """
    with program(tmp_path, source) as process:
        hear(process, "ready")
        process.send_signal(TERM)
        hear(process, "hangs")
        process.send_signal(TERM)
        assert end(process) == ([], "", 128 + TERM)


@posix
def test_a_process_forked_from_a_program_gets_signals_as_if_there_was_none(tmp_path: Path) -> None:
    source = """
    def sleep(write):
        try:
            os.write(write, b".")
            while True:
                time.sleep(0.01)  # short: a signal that comes just before a sleep does not wake it
        except KeyboardInterrupt:
            os._exit(7)

    async def fork():
        read, write = os.pipe()
        for signum in (signal.SIGTERM, signal.SIGINT):
            pid = os.fork()
            if pid == 0:
                sleep(write)
            os.read(read, 1)
            os.kill(pid, signum)
            say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    trioreg.run([service("a"), ChildSpec(fork, significant=True)], auto_shutdown="any_significant")
    """
    with program(tmp_path, source) as process:
        assert end(process) == (["+a", "-15", "7", "-a"], "", 0)


CRASHES = """
class Bang(Exception):
    pass

async def crash():
    raise Bang("my name is Bang")

trioreg.run([service("a"), ChildSpec(crash)])
"""


@pytest.mark.parametrize("is_module", [False, True], ids=["script", "module"])
def test_a_process_that_gives_up_has_status_1_and_shows_the_error_of_the_child(tmp_path: Path, is_module: bool) -> None:
    with program(tmp_path, CRASHES, is_module=is_module) as process:
        lines, err, status = end(process)
    assert (lines, status) == (["+a", "-a"], 1)
    assert "RestartLimitExceeded: program gave up: more than 3 restarts in 5 seconds (4 sub-exceptions)" in err
    assert 'raise Bang("my name is Bang")' in err
    assert "Bang: my name is Bang" in err


@posix
def test_a_process_that_fails_while_a_signal_shuts_it_down_has_status_1(tmp_path: Path) -> None:
    source = """
    class Fails(Actor):
        async def on_stop(self, exit):
            raise ZeroDivisionError("while it stopped")

    trioreg.run([service("a"), ChildSpec(Fails), ChildSpec(ready)])
    """
    with program(tmp_path, source) as process:
        hear(process, "ready")
        process.send_signal(INT)
        lines, err, status = end(process)
    assert (lines, status) == (["-a"], 1)
    assert "ZeroDivisionError: while it stopped" in err
    assert "KeyboardInterrupt" not in err


@pytest.mark.parametrize(
    ("argument", "status", "err"), [("", 0, ""), ("3", 3, ""), ("'the end of it'", 1, "the end of it\n")]
)
def test_a_process_ends_with_the_status_that_a_child_gives(
    tmp_path: Path, argument: str, status: int, err: str
) -> None:
    source = f"""
    async def leave():
        sys.exit({argument})

    trioreg.run([service("a"), ChildSpec(leave)])
    """
    with program(tmp_path, source) as process:
        assert end(process) == (["+a", "-a"], err, status)
