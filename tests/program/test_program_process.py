"""run() in processes of their own.

They tell what they do line by line, and nothing here is a matter of time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.processes import running
from support.programs import INT, TERM

import trioreg

posix = pytest.mark.skipif(sys.platform == "win32", reason="on Windows, one process can't send another a signal")
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
    """A running program: a script, or a package run by ``python -m``. It is killed if it takes too long."""
    package = tmp_path / "bonds"
    package.mkdir()
    (package / "__init__.py").touch()
    script = package / "__main__.py"
    script.write_text(PRELUDE + textwrap.dedent(source), encoding="utf-8")
    home = str(Path(trioreg.__file__).parent.parent)
    command = [sys.executable, *(["-m", "bonds"] if is_module else [str(script)])]
    with running(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": home}) as process:
        yield process


def hear(process: subprocess.Popen[str], last: str) -> list[str]:
    """The lines that a program writes, up to the line ``last``."""
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
def test_a_process_forked_from_a_program_gets_signals_as_any_other_process(tmp_path: Path) -> None:
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
    assert (
        "RestartLimitExceeded: program gave up: more than 3 restarts in 5 seconds, the last one of child 'crash'" in err
    )
    assert 'raise Bang("my name is Bang")' in err
    assert "Bang: my name is Bang" in err


@posix
def test_a_process_that_fails_while_a_signal_shuts_it_down_still_dies_of_the_signal(tmp_path: Path) -> None:
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
    assert (lines, status) == (["-a"], -INT)
    assert "ZeroDivisionError: while it stopped" in err  # in the log


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


@posix
def test_a_signal_from_outside_shows_where_a_handler_blocks_the_loop(tmp_path: Path) -> None:
    source = """
    class Blocks(Actor):
        def block(self):
            say("ready")
            time.sleep(60)

    async def drive():
        await blocks.via("it").call(Blocks.block)

    blocks = trioreg.Registry("blocks")
    trioreg.run([ChildSpec(Blocks, name=blocks.via("it")), ChildSpec(drive)], dump_on=signal.SIGUSR1)
    """
    with program(tmp_path, source) as process:
        hear(process, "ready")
        process.send_signal(signal.SIGUSR1)
        assert process.stderr is not None
        lines: list[str] = []
        while not lines or "└──" not in lines[-1]:
            lines.append(process.stderr.readline().rstrip("\n"))
            assert lines[-1] or len(lines) < 100
        assert "Blocks.block, in task drive" in lines[3]
        assert any(", in block: " in line for line in lines)
        process.kill()
