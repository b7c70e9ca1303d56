"""`nox -s differential`: random programs on trioreg and on Elixir, for a number of operations or of seconds."""

from __future__ import annotations

import argparse
import collections
import secrets
import sys
import time
from collections.abc import Sequence

from .comparing import compare, first_mismatch, run_on_trio
from .program import Program
from .report import report
from .shrink import shrink
from .there import Elixir, find_elixir


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="nox -s differential --", description=__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000, help="how many, at least (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--seed", type=int, help="the seed of the first program (default: a new one)")
    parser.add_argument("--each", type=int, default=2_000, help="operations in a program (default: %(default)s)")
    given = parser.parse_args(arguments)
    command = find_elixir()
    if command is None:
        print("There is no `elixir` on PATH: nothing is compared.")
        return 0
    seed = secrets.randbelow(10**9) if given.seed is None else given.seed
    with Elixir(command) as elixir:
        print(f"trioreg beside {elixir.version}; the first seed is {seed}", flush=True)
        try:
            return run(elixir, seed, given.each, given.operations, given.seconds)
        except EOFError as error:
            print(error)
            return 1


def run(elixir: Elixir, seed: int, each: int, operations: int, seconds: float) -> int:
    """Run programs from ``seed`` on. Returns the exit status: 1 if one differs."""
    began = told = time.monotonic()
    counts: collections.Counter[str] = collections.Counter()
    following = Program.random(seed, each)
    elixir.send(following)
    while counts.total() < operations and time.monotonic() - began < seconds:
        program = following
        seed += 1
        following = Program.random(seed, each)
        elixir.send(following)  # Elixir goes on while trioreg runs the one before
        if first_mismatch(run_on_trio(program), elixir.receive()) is not None:
            elixir.receive()
            print(report(*shrink(program, lambda program: compare(program, elixir)), each=each))
            return 1
        counts.update(operation.name for operation in program.steps())
        if time.monotonic() - told > 60:
            told = time.monotonic()
            print(f"{counts.total():,} operations, no difference so far", flush=True)
    took = time.monotonic() - began
    print(f"{counts.total():,} operations in {took:.0f} s ({counts.total() / took:,.0f} a second): no difference")
    print(", ".join(f"{name} {count:,}" for name, count in counts.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
