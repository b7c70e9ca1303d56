"""Modules of this package that run in processes of their own, and print figures."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import trioreg
from soak.parts import Figures

SECONDS = 120
"""After how long a process hangs: each takes a few seconds, on a machine that has time for it."""

TESTS = Path(__file__).parent.parent


def environment() -> dict[str, str]:
    """The environment in which a process finds this package and this trioreg."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(Path(trioreg.__file__).parent.parent)])}


def command_of(module: str, *arguments: object) -> tuple[list[str], dict[str, str]]:
    """The command that runs a module, and its environment."""
    # Never awaited: a coroutine of the program that was made, and then Ctrl-C came.
    return [sys.executable, "-W", "ignore:coroutine", "-m", f"soak.{module}", *map(str, arguments)], environment()


def run_module(module: str, *arguments: object, seconds: float = SECONDS) -> Figures:
    """Run a module in a process of its own. Its figures; `AssertionError` with its errors if it fails."""
    command, env = command_of(module, *arguments)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return figures_of(done.stdout.splitlines()[-1])


def show_figures(figures: Figures) -> None:
    """Print figures, for `run_module`."""
    print(" ".join(f"{what.replace(' ', '_')}={number}" for what, number in figures.items()))


def figures_of(line: str) -> Figures:
    """The figures in a line of `show_figures`."""
    pairs = (pair.split("=") for pair in line.split())
    return Counter({what.replace("_", " "): int(number) for what, number in pairs})
