"""What the Python peers share: how they time an operation, and how they talk to `run.py`.

A peer is a process. It says what it is and which operations it has. Then it measures each operation that it is asked
for, and answers with one line of JSON. It uses only the standard library: one peer pins a Trio of years ago, and has a
venv of its own.

Python's garbage collector stays on, as in any program: the garbage that an operation leaves behind is a part of its
cost. Garbage from before a batch is collected before the batch.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import tracemalloc
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import NoReturn, cast

ACTORS = 10_000
"""How many actors one dispatch goes to."""

AUDIENCES = {"publish_one": 1, "publish_hundred": 100, "publish": 10_000}
"""How many actors have subscribed to the topic that is published to."""

CASTS = 10_000
"""How many casts are sent before one call waits until all of them are handled."""

CALLERS = 1_000
"""How many tasks call at once, each an actor of its own."""

CALLS = 20
"""How many calls each of these callers makes, one after the other."""

PARTITIONS = 8
"""How many partitions the registry has in which a name is looked up, where it has several."""

NAMES = 1_000
"""How many names the registry holds in which a name is looked up."""

IDLE = 20_000
"""How many idle actors share the memory that is measured."""


Run = Callable[[int], object]
"""``run(n)`` does an operation n times. If it returns a float, that is its time in seconds; otherwise all of it is."""


@dataclass
class Sampler:
    """Measures an operation, in batches.

    Attributes:
        seconds: How long one batch takes at least.
        batches: How many batches to measure.
        clock: The time in seconds, for a ``run`` that counts only a part of what it does.
    """

    seconds: float
    batches: int
    clock: Callable[[], float] = perf_counter

    def sync(self, run: Run, each: int = 1) -> list[float]:
        """The nanoseconds of one operation, for each batch; ``run(n)`` does ``n * each`` operations."""
        plan = self._plan(each)
        n = next(plan)
        while True:
            began = self.clock()
            counted = run(n)
            try:
                n = plan.send(counted if isinstance(counted, float) else self.clock() - began)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]  # what a generator returns has no type here

    async def wait(self, run: Run, each: int = 1) -> list[float]:
        """The same as `sync`, for a ``run`` that may be async."""
        plan = self._plan(each)
        n = next(plan)
        while True:
            took = await self.time(run, n)
            try:
                n = plan.send(took)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]

    async def time(self, run: Run, n: int) -> float:
        """The seconds of ``run(n)``."""
        began = self.clock()
        counted = run(n)
        if isinstance(counted, Awaitable):
            counted = await cast("Awaitable[object]", counted)
        return counted if isinstance(counted, float) else self.clock() - began

    def _plan(self, each: int) -> Generator[int, float, list[float]]:
        n = yield from self._enough()
        samples: list[float] = []
        for _ in range(self.batches):
            gc.collect()
            took = yield n
            samples.append(took / (n * each) * 1e9)
        return samples

    def _enough(self) -> Generator[int, float, int]:
        """Find the number of repetitions. That is the warm-up as well."""
        n = 1
        gc.collect()
        while (took := (yield n)) < self.seconds:
            n = min(n * 10, 1 + int(1.1 * n * self.seconds / max(took, 1e-9)))
        return n


class InTurns(Sampler):
    """Measures a batch whenever `run.py` asks for one, and answers with its figure; between them, others measure."""

    def _plan(self, each: int) -> Generator[int, float, list[float]]:
        n = yield from self._enough()
        _say({"ready": n})
        while sys.stdin.readline().strip() == "go":
            took = yield n
            _say({"took": took / (n * each) * 1e9})
        return []


def resident() -> int:
    """The bytes of RAM that this process uses, or 0 if this system can't tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def answer_and_exit(samples: Sequence[float]) -> NoReturn:
    """Answer, and end the process. For what would take long to clean up."""
    _say({"samples": samples})
    os._exit(0)


class Memory:
    """Counts bytes of memory from now on: those that Python allocates, or (``is_resident``) those in RAM.

    Each such measurement has a process of its own, which ends with the answer. So the benchmark does not wait until
    20,000 actors have ended one by one.
    """

    def __init__(self, *, is_resident: bool) -> None:
        self._is_resident = is_resident
        gc.collect()
        if not is_resident:
            tracemalloc.start()
        self._before = self._now()

    def _now(self) -> int:
        return resident() if self._is_resident else tracemalloc.get_traced_memory()[0]

    def answer(self, n: int) -> NoReturn:
        """Answer with the bytes for each of the ``n`` things that were made since, and end the process."""
        gc.collect()
        grown = self._now() - self._before
        is_known = not self._is_resident or resident()
        answer_and_exit([grown / n] if is_known else [])


Operation = Callable[[Sampler], list[float]]
Pair = Callable[[str, str, float, int], list[float]]
"""Measures two operations in turns, in this process: their names, the seconds of a piece, the number of pairs."""


def serve(versions: Mapping[str, str], operations: Mapping[str, Operation], pair: Pair | None = None) -> None:
    """Answer requests from stdin until it is closed. Each line is one request:

    - ``operation seconds batches``: the figure of each batch;
    - ``operation seconds turns``: the figure of one batch for each line ``go`` that follows, until the line ``end``;
    - ``operation/other seconds pairs``: the ratio of the two operations, measured in turns, for each pair.
    """
    about = {"python": platform.python_version(), **versions}
    _say({"about": about, "operations": list(operations)})
    # (Not `for line in sys.stdin`: `InTurns` reads lines too.)
    while line := sys.stdin.readline():
        name, seconds, number = line.split()
        try:
            first, _, second = name.partition("/")
            if second:
                assert pair is not None
                samples = pair(first, second, float(seconds), int(number))
            elif number == "turns":
                samples = operations[name](InTurns(float(seconds), 0))
            else:
                samples = operations[name](Sampler(float(seconds), int(number)))
        except Exception as error:
            _say({"error": f"{type(error).__name__}: {error}"})
            raise
        _say({"samples": samples})


def _say(answer: Mapping[str, object]) -> None:
    print(json.dumps(answer), flush=True)
