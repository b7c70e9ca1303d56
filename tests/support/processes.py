"""Programs in processes of their own, which a test talks to; they are killed if they hang."""

from __future__ import annotations

import os
import subprocess
import threading
import traceback
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from threading import Timer
from typing import Any

import trio

SECONDS = 30
"""How long a program may take that a test waits for; each takes less than one second."""


@contextmanager
def running(command: Sequence[str], **options: Any) -> Generator[subprocess.Popen[str]]:
    """A process with pipes for its output and errors. It is killed after `SECONDS`, so that no read waits for ever."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    with subprocess.Popen(command, encoding="utf-8", **options) as process:
        timer = Timer(SECONDS, process.kill)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            process.kill()


def in_a_fork(check: Callable[[], None]) -> None:
    """Run ``check`` in a child process; it has to come to its end."""
    pid = os.fork()
    if pid == 0:
        try:
            check()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def run_in_a_new_thread(main: Callable[[], Awaitable[None]]) -> None:
    """`trio.run` in another thread: after a fork, Trio still has the parent's run in the thread that forked."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            trio.run(main)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert errors == []
