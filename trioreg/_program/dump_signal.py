"""A signal that makes a running program print its `dump` to stderr: ``run(dump_on=...)``.

It is a plain signal handler, so it answers also while a handler blocks the loop, and shows where that code stands. It
can interrupt any line of the main thread.

Must never happen: an error that leaves the handler; a change to what it shows; a program that stands still because
no one reads its stderr.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from .._actors import ActorRef, handling
from .._runtime import current_actor, frames_of, is_of_trio, is_running, running_from, users_part
from .dump import SHOWN, dump_of_run, lines_of
from .signals import SIGNALS

if TYPE_CHECKING:
    from types import FrameType
    from typing import Self

    from .._runtime import Run
    from .signals import Action

NOT_TO_HANDLE = [
    number
    for name in ("SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL")
    if (number := getattr(signal, name, None)) is not None
]
"""No process can handle the first two. After the others, code that failed would fail again and again: Python's handler
runs only when that code is done."""

AT_ONCE = getattr(select, "PIPE_BUF", 512)
"""How many bytes of a dump are written at once."""

_IF_AGAIN = "If the next dump shows the same line, it blocks the program."

PATIENCE = 1.0
"""For how many seconds a dump waits until stderr takes more of it."""


def require_dump_signal(dump_on: object) -> None:
    """`TypeError` or `ValueError` unless this is None, or a signal that a program can handle and `run` does not."""
    if dump_on is None:
        return
    if not isinstance(dump_on, int) or isinstance(dump_on, bool):
        raise TypeError(f"dump_on must be a signal, as in signal.SIGUSR1, not {dump_on!r}")
    if dump_on in SIGNALS:
        raise ValueError(f"dump_on must be another signal: {signal.Signals(dump_on).name} ends the program")
    if dump_on not in signal.valid_signals() or dump_on in NOT_TO_HANDLE:
        raise ValueError(f"dump_on must be a signal that a Python program can handle, not {dump_on!r}")


class DumpSignal:
    """The handler of the signal, in place while a program runs.

    Attributes:
        run: The Trio run of the program; None until it has begun.
    """

    def __init__(self, signum: int | None) -> None:
        self.run: Run | None = None
        self._signum = signum
        self._pid = os.getpid()
        self._before: Action | None = None
        self._is_printing = False

    def __enter__(self) -> Self:
        if self._signum is not None:
            self._before = signal.getsignal(self._signum)
            signal.signal(self._signum, self._print)
        return self

    def __exit__(self, *_: object) -> None:
        if self._signum is not None and signal.getsignal(self._signum) == self._print:
            # None: its handler was not Python's, and can't be put back.
            signal.signal(self._signum, signal.SIG_DFL if self._before is None else self._before)

    def _print(self, signum: int, frame: FrameType | None) -> None:
        # While a dump is being made, more signals add nothing. In a storm of them, dumps within dumps use up the stack.
        if self._is_printing or os.getpid() != self._pid:  # a process forked from the program has nothing to show
            return
        self._is_printing = True
        try:
            run = self.run
            if run is None or run.is_over:
                text = "trioreg: the program has not begun yet, or is over"
            else:
                text = dump_of_run(run, SHOWN, loop=_now_in_the_loop)
        except BaseException as error:
            text = f"trioreg: the program could not be shown: {type(error).__name__}"
        with suppress(BaseException):
            _write(f"{text}\n")
        self._is_printing = False


def _now_in_the_loop() -> list[str]:
    """What the main thread was at when the signal came."""
    try:
        task = trio.lowlevel.current_task()
    except RuntimeError:
        task = None
    thread = threading.get_ident()
    if task is None or not is_running(task):
        stack = users_part(running_from(is_of_trio, thread))
        if not stack:
            return ["waits for something to happen: no code blocks it"]
        return [
            "runs code that belongs to no task",
            *lines_of(stack),
            "Nothing else runs until that code returns.",
            _IF_AGAIN,
        ]
    actor = current_actor.get(None)  # of the code that was interrupted
    who = f"task {task.name}"
    if isinstance(actor, ActorRef):
        cell = actor._cell
        name = None if cell is None else handling(cell)[0]
        who = f"<{actor._label} #{actor._number}>" + ("" if name is None else f", {name}")
        if cell is None or cell.task is not task:
            who += f", in task {task.name}"
    stack = users_part(frames_of(task, thread))
    return [
        f"runs {who}",
        *lines_of(stack),
        "Nothing else runs until that code waits.",
        _IF_AGAIN,
    ]


def _write(text: str) -> None:
    """Write to stderr. Not through its buffer: the code that was interrupted may be writing there."""
    try:
        number = sys.stderr.fileno()
        data = text.encode(sys.stderr.encoding or "utf-8", "backslashreplace")
    except Exception:
        sys.stderr.write(text.encode("utf-8", "backslashreplace").decode())  # something else stands for it
        return
    while data and _has_room(number):
        # To a pipe that has room at all, so much can be written at once.
        with suppress(BlockingIOError):
            data = data[os.write(number, data[:AT_ONCE]) :]


def _has_room(number: int) -> bool:
    """Wait until a file takes data. False if no one reads it: the program must go on."""
    try:
        return bool(select.select([], [number], [], PATIENCE)[1])
    except (OSError, ValueError):
        return True  # this system, or this number, can't be asked
