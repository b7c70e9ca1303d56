"""A process that interrupts itself: many short runs of a `World`, each with SIGINT at a random moment, or several.

The kernel's timer chooses the moment, so it may come at any instruction: of the runtime, of Trio, or of the program.

Run as ``python -m soak.ctrl_c SEED RUNS``. Prints how many runs there were, and how many were interrupted.
"""

from __future__ import annotations

import signal
import sys
import time
from collections import Counter
from random import Random

import trio
from support.errors import leaves

from soak.exploring import no_log
from soak.modules import show_figures
from soak.storm_world import EXPECTED, Planned, World
from trioreg import RestartLimitExceeded, open_supervisor


def interrupt(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)


async def program(world: World, first: float, again: float, longest: float) -> None:
    try:
        signal.setitimer(signal.ITIMER_REAL, first, again)
        with trio.move_on_after(longest):
            async with open_supervisor(world.tree()):
                await trio.sleep_forever()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def storm(seed: int, runs: int) -> Counter[str]:
    """Do some runs. Raises if one of them leaves something, or an error that it should not."""
    done: Counter[str] = Counter()
    signal.signal(signal.SIGALRM, interrupt)
    draw = Random(seed)
    for number in range(runs):
        world = World(draw.randrange(10**6))
        first = 10 ** draw.uniform(-4.5, -1.3)
        again = draw.choice([0.0, 0.0, 10 ** draw.uniform(-2.5, -1.5)])  # not sooner than it is handled
        begin = time.monotonic()
        try:
            trio.run(program, world, first, again, first + 0.05)
        except trio.TrioInternalError:
            raise
        except BaseException as error:
            found = leaves(error)
            if not all(
                isinstance(leaf, (KeyboardInterrupt, Planned, RestartLimitExceeded, *EXPECTED)) for leaf in found
            ):
                error.add_note(f"run {number}")
                raise
            done["interrupted"] += any(isinstance(leaf, KeyboardInterrupt) for leaf in found)
        done["runs"] += 1
        done["steps"] += world.steps
        assert time.monotonic() - begin < 20, "it hung"
        world.assert_empty()
    return done


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with no_log():
        figures = storm(int(sys.argv[1]), int(sys.argv[2]))
    show_figures(figures)
