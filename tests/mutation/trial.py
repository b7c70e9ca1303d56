"""One mutant before the tests: a process for it alone, the tests in the given order until one fails, and a verdict.

Most mutants are tried in a fork of a process that has collected the tests. pytest, trio and the tests are imported
there already. A mutant of what a module does at its import is tried in a new process, and so is each survivor: what
the tests have made before the fork may keep the right code.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

import attrs
import pytest

MOST_MEMORY = 4 << 30
"""Bytes that a mutant may take: one that fills the memory ends itself, and not the machine."""

START = 60.0
"""Seconds that a new process may take until its first test."""

LEAST, TIMES = 5.0, 20.0
"""The limit for a test: this many seconds, or this many times its own seconds without a mutation."""

OPTIONS = ("-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--timeout=0", "--capture=sys", "--color=no")


@attrs.frozen
class Verdict:
    """What has become of a mutant.

    Attributes:
        killer: The test that failed, or that did not end; None if the mutant has survived.
        how: `failed`, `too slow`, `died`, or `survived`.
        tests: How many tests were run.
        seconds: How long that took.
    """

    killer: str | None
    how: str
    tests: int
    seconds: float


class Told:
    """A plugin that tells another process, line by line, which test begins, and which has failed."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def say(self, line: str) -> None:
        os.write(self._pipe, f"{line}\n".encode())

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.say(f"begins {nodeid}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.say(f"failed {report.nodeid}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.say(f"failed {report.nodeid}")

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self.say("ended" if exitstatus == 0 else "failed its session")

    def pytest_collection(self) -> None:
        quicken_hypothesis()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """In the order of the command line: pytest puts the tests of a file together."""
        if wanted := os.environ.get("TRIOREG_TESTS_IN_ORDER"):
            place = {name: number for number, name in enumerate(Path(wanted).read_text().splitlines())}
            items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])


def quicken_hypothesis() -> None:
    """An example that fails has done its work: it is not made smaller. The profile of conftest.py stays otherwise."""
    hypothesis: Any = import_module("hypothesis")  # pytest wants to import its plugins first
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutation", hypothesis.settings(), phases=phases, database=None)
    hypothesis.settings.load_profile("mutation")


class Forks:
    """Tries mutants in forks of this process. It has collected the tests of ``session``."""

    def __init__(self, session: pytest.Session, seconds: Mapping[str, float]) -> None:
        self._session = session
        self._items = {item.nodeid: item for item in session.items}
        self._seconds = seconds

    def knows(self, test: str) -> bool:
        return test in self._items

    def run(self, tests: Sequence[str], prepare: Callable[[], None], *, patience: float = 1.0) -> Verdict:
        """Run those tests, in that order, after ``prepare()``, in a process of their own.

        They may take ``patience`` times as long as tests of a mutant.
        """
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            try:
                self._child(tests, prepare, write)
            finally:
                os._exit(1)
        os.close(write)
        return watch(read, pid, self._seconds, patience)

    def _child(self, tests: Sequence[str], prepare: Callable[[], None], write: int) -> None:
        become_a_child()
        silence = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(silence, descriptor)
        prepare()
        told = Told(write)
        config = self._session.config
        config.pluginmanager.register(told)
        items = [self._items[test] for test in tests]
        for item, following in zip(items, [*items[1:], None], strict=True):
            self._session.shouldfail = False
            config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        told.say("ended")
        os._exit(0)


def in_a_new_process(
    tests: Sequence[str], root: Path, scratch: Path, seconds: Mapping[str, float], *, patience: float = 1.0
) -> Verdict:
    """Run those tests in a new process, which imports the project in the folder ``root``."""
    order = scratch / "order"
    order.write_text("\n".join(tests))
    read, write = os.pipe()
    program = (
        "import sys, pytest; from mutation.trial import Told, OPTIONS; "
        "sys.exit(pytest.main([*OPTIONS, *sys.argv[2:]], plugins=[Told(int(sys.argv[1]))]))"
    )
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")]),
        "TRIOREG_TESTS_IN_ORDER": str(order),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(write), *files],
        cwd=root,
        env=env,
        pass_fds=[write],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=become_a_child,
    )
    os.close(write)
    verdict = watch(read, process.pid, seconds, patience)
    process.wait()
    return verdict


def become_a_child() -> None:
    """A group of processes of its own, which ends as one; and not all of the machine's memory."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def watch(read: int, pid: int, seconds: Mapping[str, float], patience: float) -> Verdict:
    """Read what the process says until a test fails, or takes too long, or all are done. Then end the process."""
    began = monotonic()
    until = began + START
    test: str | None = None
    tests = 0
    how = "died"
    with contextlib.closing(spoken(read, lambda: until - monotonic())) as lines:
        for line in lines:
            word, _, name = line.partition(" ")
            if word == "begins":
                test, tests = name, tests + 1
                until = monotonic() + patience * max(LEAST, TIMES * seconds.get(name, 0.0))
            elif word == "failed":
                test, how = name, "failed"
                break
            elif word == "ended":
                test, how = None, "survived"
                break
            else:
                how = "too slow"
                break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
    return Verdict("its start" if how == "died" and test is None else test, how, tests, monotonic() - began)


def spoken(read: int, left: Callable[[], float]) -> Generator[str]:
    """The lines that come through a pipe, and `silent` when the time is over. Ends when the pipe is closed."""
    buffer = b""
    try:
        while True:
            ready, _, _ = select.select([read], [], [], max(0.0, left()))
            if not ready:
                yield "silent"
                return
            new: Any = os.read(read, 1 << 16)
            if not new:
                return
            *lines, buffer = (buffer + new).split(b"\n")
            yield from (line.decode() for line in lines)
    finally:
        os.close(read)
