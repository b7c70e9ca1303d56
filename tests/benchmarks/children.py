"""Many children of one supervisor: what each child costs to start, look up, restart and shut down.

    python tests/benchmarks/children.py [--quick]

The cost is linear if the figure for each child is the same at each size. ``start_child`` waits for each start, so ten
tasks start children side by side; the other steps handle all children at once. The longest pass, in parentheses, is the
longest time that the scheduler ran tasks without a look at I/O and timers: that long the loop was held.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from time import perf_counter
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

import trioreg

DYNAMIC = (1_000, 10_000, 100_000)
ORDERED = (100, 1_000, 10_000)
STARTERS = 10


class Server(trioreg.Actor):
    """A child."""


class Pass(trio.abc.Instrument):
    """The longest pass of the scheduler over the tasks that can run."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._began = perf_counter()

    def after_io_wait(self, timeout: float) -> None:
        self._began = perf_counter()

    def before_io_wait(self, timeout: float) -> None:
        self.longest = max(self.longest, perf_counter() - self._began)


class Watch:
    """Measures steps: the time of each for one child, and the longest pass in it."""

    def __init__(self, children: int) -> None:
        self.children = children
        self.figures: list[str] = []

    async def measure(self, what: str, operation: Callable[[], Any]) -> None:
        gc.collect()
        passes = Pass()
        trio.lowlevel.add_instrument(passes)
        began = perf_counter()
        await operation()
        took = perf_counter() - began
        trio.lowlevel.remove_instrument(passes)
        self.figures.append(f"{what} {took / self.children * 1e6:7.2f} µs ({passes.longest * 1e3:6.2f} ms)")


Opener = Callable[..., AbstractAsyncContextManager[trioreg.DynamicSupervisor | trioreg.Supervisor]]


async def measure(opener: Opener, children: int, **options: Any) -> None:
    agents: trioreg.Registry[int, None] = trioreg.Registry("agents")
    watch = Watch(children)

    async def start() -> None:
        async def some(first: int) -> None:
            for number in range(first, children, STARTERS):
                await supervisor.start_child(Server, name=agents.via(number))

        async with trio.open_nursery() as nursery:
            for first in range(STARTERS):
                nursery.start_soon(some, first)

    async def look_up() -> None:
        for number in range(children):
            assert agents.whereis(number) is not None
            if number % 1_000 == 0:
                await trio.lowlevel.checkpoint()

    async def crash() -> None:
        for number in range(0, children, 10):
            agents.via(number)._resolve().kill()
            if number % 1_000 == 0 and "strategy" not in options:
                # Not with a strategy: a group restart would take other names away meanwhile.
                await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()

    async def terminate() -> None:
        for number in range(0, children, 10):
            await supervisor.terminate_child(agents.via(number)._resolve())

    async def shut_down() -> None:
        supervisor.stop()
        await ended.wait()

    ended = trio.Event()
    async with trio.open_nursery() as nursery:

        async def run(*, task_status: trio.TaskStatus[Any]) -> None:
            async with opener(**options) as opened:
                task_status.started(opened)
                await trio.sleep_forever()
            ended.set()

        supervisor = await nursery.start(run)
        await watch.measure("start", start)
        await watch.measure("look up", look_up)
        await watch.measure("restart of a tenth", crash)
        assert agents.count() == children
        await watch.measure("terminate a tenth", terminate)
        await watch.measure("shut down", shut_down)
        assert agents.count() == 0
    what = ", ".join([opener.__name__, *map(str, options.values())][:2])
    print(f"{what:32} {children:7}   " + "   ".join(watch.figures), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="leave out the largest size")
    parser.add_argument("--no-gc", action="store_true", help="without Python's garbage collector: trioreg's own cost")
    arguments = parser.parse_args()
    if arguments.no_gc:
        gc.disable()
    print("for each child (and the longest pass)")
    limit: dict[str, Any] = {"max_restarts": float("inf")}
    for children in DYNAMIC[: -1 if arguments.quick else None]:
        trio.run(partial(measure, trioreg.open_dynamic_supervisor, children, **limit))
    for strategy in ("one_for_one", "one_for_all", "rest_for_one"):
        for children in ORDERED[: -1 if arguments.quick else None]:
            trio.run(partial(measure, trioreg.open_supervisor, children, strategy=strategy, **limit))


if __name__ == "__main__":
    main()
