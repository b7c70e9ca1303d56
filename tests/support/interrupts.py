"""Ctrl-C at every line of the runtime's own code, one line after the other."""

from __future__ import annotations

import contextlib
import functools
import linecache
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Generator
from itertools import count
from opcode import opmap
from types import FrameType
from typing import Any

import trio
from trio.testing import MockClock

import trioreg
from support.errors import leaves

_RUNTIME = os.path.dirname(trioreg.__file__)


def interrupted_at_each_line(
    main: Callable[[], Awaitable[object]], *files: str
) -> Generator[tuple[str, set[type[BaseException]]]]:
    """Run ``main`` in a Trio run of its own, again and again, with SIGINT at the 1st, 2nd, ... line of some files.

    They are files of the runtime, by default all. ``contextlib`` counts too: the runtime's blocks may stand on it.

    Gives, for each run, the place of the line, and the types of the errors that have left the run.
    """
    for line in count(1):
        place, errors = _interrupted_at(line, main, files)
        if not place:
            assert line > 10, "these files have hardly run"
            return
        yield place, errors


@contextlib.contextmanager
def tracing(function: Any) -> Generator[None]:
    """Have Python trace lines with a function within the block, or with None trace no lines, of all tasks."""
    before = sys.gettrace()
    sys.settrace(function)
    try:
        yield
    finally:
        sys.settrace(before)


def _interrupted_at(
    line: int, main: Callable[[], Awaitable[object]], files: tuple[str, ...]
) -> tuple[str, set[type[BaseException]]]:
    lines = 0
    place = ""

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines, place
        path = frame.f_code.co_filename
        if not _is_counted(path, files):
            return None
        if event == "line" and not _is_exit_of_a_block(frame):
            lines += 1
            if lines == line:
                place = f"{os.path.basename(path)}:{frame.f_lineno}"
                sys.settrace(None)  # what follows is as quick as without a trace
                signal.raise_signal(signal.SIGINT)
        return trace

    async def traced() -> None:
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            await main()
        finally:
            sys.settrace(before)

    errors: set[type[BaseException]] = set()
    try:
        trio.run(traced, clock=MockClock(autojump_threshold=0))
    except trio.TrioInternalError:
        raise  # Ctrl-C never leads to one: show where it comes from
    except BaseException as error:
        errors = {type(leaf) for leaf in leaves(error)}
    return place, errors


@functools.cache
def _is_counted(path: str, files: tuple[str, ...]) -> bool:
    folder, file = os.path.split(path)
    return path == contextlib.__file__ or (folder.startswith(_RUNTIME) and (not files or file in files))


def _is_exit_of_a_block(frame: FrameType) -> bool:
    """Whether a frame goes back to the line of a ``with``. Python looks for no signal before the exit is called."""
    # The first instruction of an entry loads the context manager; that of an exit, the three None for its arguments.
    code = frame.f_code
    return _is_with(code.co_filename, frame.f_lineno) and code.co_code[frame.f_lasti] == opmap["LOAD_CONST"]


@functools.cache
def _is_with(path: str, line: int) -> bool:
    return linecache.getline(path, line).strip().startswith(("with ", "async with "))
