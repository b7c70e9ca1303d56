"""How the examples end: what they have printed before an error, or before Ctrl-C, is not lost, and fails quietly."""

from __future__ import annotations

import os
import subprocess
import sys
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
    places = os.pathsep.join([str(EXAMPLES), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(error=error)],
        stdout=stdout,
        stderr=subprocess.STDOUT if stdout == subprocess.PIPE else subprocess.PIPE,
        text=True,
        timeout=SECONDS,
        env={**os.environ, "PYTHONUNBUFFERED": "", "PYTHONPATH": places},
        check=False,
    )


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
