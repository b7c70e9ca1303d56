"""run(dump_on=...): a signal at which a program prints its dump."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from typing import Any

import pytest
import trio
from support.dumps import SHOP, Stock, Web, found, names, part
from support.interrupts import tracing
from support.programs import TERM, gets, run

from trioreg import (
    Actor,
    ChildSpec,
)
from trioreg._program import dump_signal

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGUSR1")


class Blocks(Actor):
    def block(self) -> None:
        signal.raise_signal(signal.SIGUSR1)


@posix
def test_a_signal_prints_where_the_code_stands_that_blocks_the_loop(capfd: pytest.CaptureFixture[str]) -> None:
    async def drive() -> None:
        await names.via("blocks", of=Blocks).call(Blocks.block)

    shop = [ChildSpec(Blocks, name=names.via("blocks")), ChildSpec(drive, significant=True)]
    run(*shop, auto_shutdown="any_significant", dump_on=signal.SIGUSR1)
    lines = part(capfd.readouterr().err, "The loop")
    assert lines[0].startswith("runs <Blocks #")
    assert "Blocks.block, in task drive" in lines[0]
    assert [line.rsplit(" in ", 1)[1] for line in lines[1:-2]] == [
        'drive: await names.via("blocks", of=Blocks).call(Blocks.block)',
        "block: signal.raise_signal(signal.SIGUSR1)",
    ]
    assert lines[-2:] == [
        "Nothing else runs until that code waits.",
        "If the next dump shows the same line, it blocks the program.",
    ]


@posix
def test_a_signal_while_nothing_runs_says_that_nothing_blocks(capfd: pytest.CaptureFixture[str]) -> None:
    async def drive() -> None:
        token = trio.lowlevel.current_trio_token()
        token.run_sync_soon(signal.raise_signal, signal.SIGUSR1)
        await trio.sleep(1)

    tree = ChildSpec(drive, significant=True)
    assert run(tree, auto_shutdown="any_significant", dump_on=signal.SIGUSR1) is None
    err = capfd.readouterr().err
    assert "program" in part(err, "The tree")
    assert len(part(err, "The loop")) >= 1


@posix
def test_code_of_no_task_that_blocks_the_loop_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    class Blocking(trio.abc.Instrument):
        is_on = False

        def before_io_wait(self, timeout: float) -> None:
            if self.is_on:
                self.is_on = False
                signal.raise_signal(signal.SIGUSR1)

    blocking = Blocking()

    async def drive() -> None:
        blocking.is_on = True
        await trio.sleep(1)

    tree = ChildSpec(drive, significant=True)
    run(tree, auto_shutdown="any_significant", dump_on=signal.SIGUSR1, instruments=[blocking])
    lines = part(capfd.readouterr().err, "The loop")
    assert lines[0] == "runs code that belongs to no task"
    assert lines[1].endswith("in before_io_wait: signal.raise_signal(signal.SIGUSR1)")


@posix
def test_the_program_goes_on_after_the_signal_and_the_handler_is_put_back(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        assert run(*SHOP, gets(signal.SIGUSR1), gets(TERM), dump_on=signal.SIGUSR1) is TERM
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert part(capfd.readouterr().err, "The tree")[0] == "program"


@posix
def test_a_signal_before_the_first_step_says_that_the_program_has_not_begun(capfd: pytest.CaptureFixture[str]) -> None:
    class First(trio.abc.Instrument):
        def before_run(self) -> None:
            signal.raise_signal(signal.SIGUSR1)

    run(instruments=[First()], dump_on=signal.SIGUSR1)
    assert capfd.readouterr().err == "trioreg: the program has not begun yet, or is over\n"


class At(trio.abc.Instrument):
    """The signal comes before and after each step of the scheduler, up to the n-th."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.steps:
            self.steps -= 1
            signal.raise_signal(signal.SIGUSR1)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.before_task_step(task)


@posix
def test_a_signal_at_any_step_of_a_program_prints_whole_dumps(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*SHOP, gets(TERM), instruments=[At(200)], dump_on=signal.SIGUSR1) is TERM
    err = capfd.readouterr().err
    assert err.count("The loop") > 20
    assert "could not be shown" not in err


@posix
def test_a_signal_on_any_line_of_the_runtime_raises_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    # As a signal does, this interrupts between two lines: each 37th line that runs in the package.
    count = 0
    is_at_work = False

    def trace(frame: Any, event: str, arg: object) -> Any:
        nonlocal count, is_at_work
        if "/trioreg/" not in frame.f_code.co_filename or is_at_work:
            return None
        count += event == "line"
        if event == "line" and count % 37 == 0 and callable(signal.getsignal(signal.SIGUSR1)):
            is_at_work = True
            signal.raise_signal(signal.SIGUSR1)
            is_at_work = False
        return trace

    async def drive() -> None:
        await names.via("web", of=Web).cast(Web.checkout)
        await trio.sleep(1)
        found("cart").kill()
        await trio.sleep(1)

    tree = [*SHOP, ChildSpec(drive, significant=True)]
    with tracing(trace):
        run(*tree, auto_shutdown="any_significant", dump_on=signal.SIGUSR1)
    err = capfd.readouterr().err
    assert err.count("The loop") > 10
    assert "could not be shown" not in err


@posix
def test_without_a_real_stderr_the_text_goes_to_what_stands_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stands_for_it = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stands_for_it)
    run(gets(signal.SIGUSR1), gets(TERM), dump_on=signal.SIGUSR1)
    assert "The tree" in stands_for_it.getvalue()


@posix
def test_a_signal_while_a_dump_is_being_made_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Storm(io.StringIO):
        dumps = 0

        def write(self, text: str) -> int:
            Storm.dumps += 1
            signal.raise_signal(signal.SIGUSR1)
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", storm := Storm())
    assert run(gets(signal.SIGUSR1), gets(signal.SIGUSR1), gets(TERM), dump_on=signal.SIGUSR1) is TERM
    assert storm.dumps == storm.getvalue().count("The tree") == 2


@posix
def test_a_dump_that_can_not_be_made_says_so_and_the_program_goes_on(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise MemoryError

    monkeypatch.setattr(dump_signal, "dump_of_run", fail)
    assert run(gets(signal.SIGUSR1), gets(TERM), dump_on=signal.SIGUSR1) is TERM
    assert capfd.readouterr().err == "trioreg: the program could not be shown: MemoryError\n"


@posix
def test_a_pipe_that_no_one_reads_does_not_hold_up_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(write, b"x" * size)
    os.set_blocking(write, True)
    with open(read, "rb"), open(write, "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        monkeypatch.setattr(dump_signal, "PATIENCE", 0.0)
        assert run(gets(signal.SIGUSR1), gets(TERM), dump_on=signal.SIGUSR1) is TERM


@posix
def test_a_pipe_with_some_room_is_written_as_far_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    monkeypatch.setattr(dump_signal, "PATIENCE", 0.0)
    many = [ChildSpec(Stock, id=f"{number} {'x' * 150}") for number in range(10)]
    with open(read, "rb") as end, open(write, "w") as pipe:
        monkeypatch.setattr(sys, "stderr", pipe)
        signals = [gets(signal.SIGUSR1) for _ in range(60)]
        assert run(*many, *signals, gets(TERM), dump_on=signal.SIGUSR1) is TERM
        assert end.read(4096).startswith(b"trioreg, process")


@posix
@pytest.mark.parametrize("error", [NotImplementedError, TypeError, ValueError])
def test_a_stderr_without_a_number_is_written_to(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(io.StringIO):
        def fileno(self) -> int:
            raise error

    monkeypatch.setattr(sys, "stderr", odd := Odd())
    run(gets(signal.SIGUSR1), gets(TERM), dump_on=signal.SIGUSR1)
    assert "The tree" in odd.getvalue()


@posix
def test_a_stderr_that_is_closed_disturbs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for broken in (None, io.TextIOWrapper(io.BytesIO())):
        if broken is not None:
            broken.close()
        monkeypatch.setattr(sys, "stderr", broken)
        assert run(gets(signal.SIGUSR1), gets(TERM), dump_on=signal.SIGUSR1) is TERM


@pytest.mark.parametrize(
    ("dump_on", "error"),
    [
        ("SIGUSR1", TypeError),
        (True, TypeError),
        (1.0, TypeError),
        (0, ValueError),
        (12345, ValueError),
        (signal.SIGTERM, ValueError),
        (signal.SIGINT, ValueError),
        (signal.SIGSEGV, ValueError),
        *([] if sys.platform == "win32" else [(signal.SIGKILL, ValueError), (signal.SIGSTOP, ValueError)]),
    ],
)
def test_what_no_program_can_be_asked_by_is_refused_before_anything_starts(
    dump_on: Any, error: type[Exception]
) -> None:
    log: list[str] = []

    async def starts() -> None:
        log.append("started")

    with pytest.raises(error, match="dump_on must be"):
        run(ChildSpec(starts), dump_on=dump_on)
    assert log == []


def test_any_signal_that_can_be_handled_will_do(capfd: pytest.CaptureFixture[str]) -> None:
    async def drive() -> None:
        signal.raise_signal(signal.SIGABRT)

    run(ChildSpec(drive, significant=True), auto_shutdown="any_significant", dump_on=signal.SIGABRT)
    assert part(capfd.readouterr().err, "The tree")[0] == "program"
