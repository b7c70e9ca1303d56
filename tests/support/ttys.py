"""A program that runs in a terminal of its own, which a test reads and types into."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs

from .processes import SECONDS, running

# The first terminal that the leader of a session opens is that of the session: then Ctrl-C is a signal.
_MAIN = """
import os, sys
for file in (0, 1, 2):
    os.dup2(terminal := os.open(sys.argv[1], os.O_RDWR), file)
    os.close(terminal)
del sys.argv[1]
"""


@attrs.define
class Tty:
    """The terminal.

    Attributes:
        before: Its attributes before the program began.
        seen: All that the program has written.
        pid: The process of the program.
    """

    master: int
    slave: int
    pid: int
    before: list[Any]
    seen: str = ""

    def read_until(self, text: str) -> str:
        """Read until the program has written this. Returns what it has written since the last time, and forgets it."""
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], SECONDS)
            assert ready, f"the program has not written {text!r} but {self.seen!r}"
            self.seen += os.read(self.master, 65536).decode("utf-8", "replace")
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.master, keys.encode())

    def resize(self, width: int, height: int) -> None:
        """Make it that large."""
        termios.tcsetwinsize(self.master, (height, width))

    def attributes(self) -> list[Any]:
        """As they are now."""
        return termios.tcgetattr(self.slave)

    def wait_for_stop(self) -> None:
        """Wait until the program is stopped, as by Ctrl-Z."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), status

    def go_on(self) -> None:
        """Let a program that is stopped go on."""
        os.kill(self.pid, signal.SIGCONT)

    def exit_status(self) -> int:
        """Wait for the end of the program."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


@contextmanager
def in_a_tty(code: str, arguments: Sequence[str], width: int = 100, height: int = 30) -> Generator[Tty]:
    """Run Python code with arguments. It is killed at the end of the block."""
    master, slave = os.openpty()
    termios.tcsetwinsize(master, (height, width))
    command = [sys.executable, "-c", _MAIN + code, os.ttyname(slave), *arguments]
    env = {**os.environ, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
    env = {name: value for name, value in env.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    try:
        with running(command, start_new_session=True, env=env) as process:
            yield Tty(master, slave, process.pid, termios.tcgetattr(slave))
    finally:
        os.close(master)
        os.close(slave)
