"""How the examples end: what they have printed before an error, or before Ctrl-C, is not lost, and fails quietly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

import pytest
from support.processes import SECONDS

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAM = """
import sys
from ending import exit_status

def program():
    print("the first line")
    raise {error}

sys.exit(exit_status(program))
"""


def run(error: str, stdout: IO[str] | int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """A program that prints a line, which waits in the buffer, and then raises. Its errors go where its output goes."""
    return run_program(PROGRAM.format(error=error), stdout)


def run_program(
    program: str, stdout: IO[str] | int = subprocess.PIPE, before: Callable[[], object] | None = None
) -> subprocess.CompletedProcess[str]:
    places = os.pathsep.join([str(EXAMPLES), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", program],
        stdout=stdout,
        stderr=subprocess.STDOUT if stdout == subprocess.PIPE else subprocess.PIPE,
        text=True,
        timeout=SECONDS,
        env={**os.environ, "PYTHONUNBUFFERED": "", "PYTHONPATH": places},
        check=False,
        preexec_fn=before,
    )


STORY = """
import signal, sys
import trio
from ending import exit_status

async def story():
    try:
        signal.raise_signal(signal.SIGTERM)
        await trio.sleep(60)
    finally:
        print("the end of the story")

sys.exit(exit_status(lambda: trio.run(story)))
"""


@pytest.mark.parametrize(("error", "status"), [("KeyboardInterrupt", 130), ("BrokenPipeError", 0)])
def test_what_was_printed_before_the_end_is_shown(error: str, status: int) -> None:
    done = run(error)
    assert (done.returncode, done.stdout) == (status, "the first line\n")


def test_what_was_printed_before_an_error_comes_before_the_line_of_the_error() -> None:
    done = run("OSError('the disk is broken')")
    assert (done.returncode, done.stdout) == (2, "the first line\n-c: the disk is broken\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no disk that is full")
def test_ctrl_c_is_quiet_if_nothing_can_be_printed() -> None:
    with open("/dev/full", "w") as full:
        done = run("KeyboardInterrupt", full)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.skipif(sys.platform == "win32", reason="there, SIGTERM ends a process at once")
def test_sigterm_ends_a_story_as_ctrl_c_does_with_a_status_of_its_own() -> None:
    done = run_program(STORY)
    assert (done.returncode, done.stdout) == (143, "the end of the story\n")


@pytest.mark.skipif(sys.platform == "win32", reason="there, SIGTERM ends a process at once")
def test_sigterm_ends_a_story_that_ctrl_c_does_not_reach() -> None:
    """A shell has the programs that it runs in the background ignore SIGINT."""
    done = run_program(STORY, before=partial(signal.signal, signal.SIGINT, signal.SIG_IGN))
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "")
