"""`nox -s differential`: random programs on trioreg and on Elixir, for a number of operations or of seconds."""

from __future__ import annotations

import argparse
import collections
import math
import secrets
import sys
import time
from collections.abc import Sequence

from support.command_line import positive, seconds

from .comparing import compare, first_mismatch, run_on_trio
from .program import Program
from .report import report
from .shrink import shrink
from .there import Elixir, find_elixir


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="nox -s differential --", description=__doc__)
    parser.add_argument("--operations", type=positive, help="how many, at least (default: a million)")
    parser.add_argument("--seconds", type=seconds, help="how long, instead of how many; or both: what comes first")
    parser.add_argument("--seed", type=int, help="the seed of the first program (default: a new one)")
    parser.add_argument("--each", type=positive, default=2_000, help="operations in a program (default: %(default)s)")
    given = parser.parse_args(arguments)
    if given.operations is None and given.seconds is None:
        given.operations = 1_000_000
    command = find_elixir()
    if command is None:
        print("There is no `elixir` on PATH: nothing is compared.")
        return 0
    seed = secrets.randbelow(10**9) if given.seed is None else given.seed
    try:
        with Elixir(command) as elixir:
            print(f"trioreg beside {elixir.version}; the first seed is {seed}", flush=True)
            return run(elixir, seed, given.each, given.operations or math.inf, given.seconds or math.inf)
    except EOFError as error:
        print(error)
        return 1


def run(elixir: Elixir, seed: int, each: int, operations: float, seconds: float) -> int:
    """Run programs from ``seed`` on. Returns the exit status: 1 if one differs, 130 after Ctrl-C."""
    began = time.monotonic()
    counts: collections.Counter[str] = collections.Counter()
    status = 0
    try:
        differing = first_that_differs(elixir, seed, each, operations, began + seconds, counts)
        if differing is not None:
            print(report(*shrink(differing, lambda program: compare(program, elixir)), each=each))
            return 1
    except KeyboardInterrupt:
        status = 130
    took = time.monotonic() - began
    many = counts.total()
    print(
        f"{many:,} operations in {took:.0f} s ({many / took:,.0f} a second): no difference{' so far' if status else ''}"
    )
    print(", ".join(f"{name} {count:,}" for name, count in counts.most_common()))
    return status


def first_that_differs(
    elixir: Elixir, seed: int, each: int, operations: float, until: float, counts: collections.Counter[str]
) -> Program | None:
    """The first program that differs, if there is one within the bounds. Adds up in ``counts`` what was compared."""
    told = time.monotonic()
    following = Program.random(seed, each)
    elixir.send(following)
    while counts.total() < operations and time.monotonic() < until:
        program = following
        seed += 1
        following = Program.random(seed, each)
        elixir.send(following)  # Elixir goes on while trioreg runs the one before
        if first_mismatch(run_on_trio(program), elixir.receive()) is not None:
            elixir.receive()
            return program
        counts.update(operation.name for operation in program.steps())
        if time.monotonic() - told > 60:
            told = time.monotonic()
            print(f"{counts.total():,} operations, no difference so far", flush=True)
    return None


if __name__ == "__main__":
    sys.exit(main())
