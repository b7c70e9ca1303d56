"""Which test runs which line of `trioreg/`, and how long each test takes: a plugin for pytest, and its database.

The plugin needs `sys.monitoring`, and so Python 3.12. It sees a line once for each test, and costs almost nothing.
A tool that follows frames would miss the lines that an actor runs: no function of the test is on the stack there.
"""

from __future__ import annotations

import gc
import os
import sqlite3
import sys
from collections.abc import Container, Generator, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import attrs
import pytest

MONITORING: Any = getattr(sys, "monitoring", None)  # the checkers know Python 3.11, which has none

TOOL = 3
"""A number of `sys.monitoring` that no debugger, profiler or coverage tool takes."""

TABLES = """
create table if not exists tests (id integer primary key, name text unique, seconds real);
create table if not exists lines (test integer, file text, numbers blob, primary key (test, file));
create table if not exists files (name text primary key, digest text);
"""


@attrs.frozen
class Runs:
    """What is known of the tests: how long each takes, and which lines it runs.

    Attributes:
        seconds: For each test, by its node id, the seconds of CPU time that it took.
        lines: For each file, by its path below the project, and each test that runs some of it: the lines, a bit each.
    """

    seconds: Mapping[str, float]
    lines: Mapping[str, Mapping[str, int]]

    def tests_of(self, file: str, first: int = 0, last: int = 1 << 15) -> set[str]:
        """The tests that run any line of a file between two lines."""
        mask = (1 << last + 1) - (1 << first)
        return {test for test, lines in self.lines.get(file, {}).items() if lines & mask}


class Lines:
    """The plugin: notes the lines that each test runs below a folder, and adds them to a database.

    If it is blind, it notes only how long each test takes. A test that follows each call of a program to fail in it
    takes a hundred times as long while something else follows it.
    """

    def __init__(self, database: Path, root: Path, *, is_blind: bool = False) -> None:
        self._is_blind = is_blind
        self._database = connect(database)
        self._root = f"{root}/"
        self._below = f"{root}/trioreg/"
        self._seen: dict[str, set[int]] = {}

    def pytest_sessionstart(self) -> None:
        MONITORING.use_tool_id(TOOL, "lines of each test")
        MONITORING.register_callback(TOOL, MONITORING.events.LINE, self._line)

    def pytest_collection_finish(self) -> None:
        """Watch the code of all functions there are."""
        gc.unfreeze()  # what is frozen is not among the objects that the collector shows
        for code in {function.__code__ for function in gc.get_objects() if type(function) is FunctionType}:
            if code.co_filename.startswith(self._below) and not self._is_blind:
                self._watch(code)

    def pytest_sessionfinish(self) -> None:
        MONITORING.free_tool_id(TOOL)
        self._database.close()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self._passed = True
        self._seen = {}
        MONITORING.restart_events()
        began = cpu_time()
        result = yield
        seconds = cpu_time() - began
        if self._passed:
            add(self._database, item.nodeid, seconds, self._seen)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test that fails, or is skipped, kills no mutant."""
        self._passed = self._passed and report.passed

    def _watch(self, code: CodeType) -> None:
        MONITORING.set_local_events(TOOL, code, MONITORING.events.LINE)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._watch(constant)

    def _line(self, code: CodeType, line: int) -> Any:
        self._seen.setdefault(code.co_filename.removeprefix(self._root), set()).add(line)
        return MONITORING.DISABLE  # until the next test


def cpu_time() -> float:
    """Seconds of CPU time of this process, and of the processes that it has started and that have ended."""
    return sum(os.times()[:4])


def connect(database: Path) -> sqlite3.Connection:
    """The database in that file, which is made if it is not there."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.executescript(TABLES)
    connection.execute("pragma synchronous = off")
    return connection


def add(connection: sqlite3.Connection, test: str, seconds: float, lines: Mapping[str, Iterable[int]]) -> None:
    """Note what a test has run, instead of what it ran before."""
    connection.execute("begin")
    connection.execute("delete from lines where test = (select id from tests where name = ?)", (test,))
    connection.execute("insert or replace into tests (name, seconds) values (?, ?)", (test, seconds))
    number = connection.execute("select id from tests where name = ?", (test,)).fetchone()[0]
    rows = [(number, file, bits(numbers)) for file, numbers in lines.items()]
    connection.executemany("insert into lines values (?, ?, ?)", rows)
    connection.execute("commit")


def noted_files(database: Path) -> dict[str, str]:
    """The files whose tests are noted, and those of the runtime at that time: what was in each, as a digest."""
    with closing(connect(database)) as connection:
        return dict(connection.execute("select name, digest from files"))


def note_files(database: Path, digests: Mapping[str, str]) -> None:
    """All tests of these files are noted. A run that is ended before goes on with the other ones."""
    with closing(connect(database)) as connection:
        connection.executemany("insert or replace into files values (?, ?)", digests.items())


def forget(database: Path, files: Container[str]) -> None:
    """The tests of these files are to be noted anew: some may be gone."""
    with closing(connect(database)) as connection:
        tests = [
            (number,)
            for number, name in connection.execute("select id, name from tests").fetchall()
            if name.partition("::")[0] in files
        ]
        connection.execute("begin")
        connection.executemany("delete from lines where test = ?", tests)
        connection.executemany("delete from tests where id = ?", tests)
        connection.execute("commit")


def read(database: Path) -> Runs:
    """All that the database knows."""
    lines: dict[str, dict[str, int]] = {}
    with closing(connect(database)) as connection:
        seconds = dict(connection.execute("select name, seconds from tests"))
        of_tests = connection.execute("select file, name, numbers from lines join tests on lines.test = tests.id")
        for file, test, numbers in of_tests:
            lines.setdefault(file, {})[test] = int.from_bytes(numbers, "little")
    return Runs(seconds, lines)


def bits(numbers: Iterable[int]) -> bytes:
    """Line numbers as one bit each."""
    total = 0
    for number in numbers:
        total |= 1 << number
    return total.to_bytes(total.bit_length() // 8 + 1, "little")
