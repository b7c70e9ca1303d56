"""Two operations measured in turns, in one process: what they cost beside each other.

The speed of a machine changes within seconds, and no two processes are laid out alike in memory. So a ratio of two
figures that were measured one after the other, or in two processes, is not the same in the next run. Here both
operations are set up in one Trio run. Then they take turns in pieces of a few milliseconds. Each pair of neighbours
gives a ratio.

The pieces are timed in processor time of this thread: what other programs use does not count.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Mapping
from time import thread_time

import trio
from _peer import Pair, Run, Sampler

Measure = Callable[[Sampler], Awaitable[list[float]]]


class OneOfTwo(Sampler):
    """Sets an operation up. From then on it measures one piece each time that it is asked to."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds, 0, thread_time)
        self._ask, self._asked = trio.open_memory_channel[None](0)
        self._answer, self._answered = trio.open_memory_channel[float](0)

    async def wait(self, run: Run, each: int = 1) -> list[float]:
        search = self._enough()
        n = next(search)
        while True:
            took = await self.time(run, n)
            try:
                n = search.send(took)
            except StopIteration as done:
                n = done.value
                break
        await self._answer.send(0.0)
        async for _ in self._asked:
            await self._answer.send(await self.time(run, n) / (n * each))
        return []

    async def ready(self) -> None:
        await self._answered.receive()

    async def piece(self) -> float:
        await self._ask.send(None)
        return await self._answered.receive()

    def end(self) -> None:
        self._ask.close()


async def ratios(first: Measure, second: Measure, seconds: float, pairs: int) -> list[float]:
    """For each pair of pieces: the time of the first operation, divided by the time of the second."""
    one, two = OneOfTwo(seconds), OneOfTwo(seconds)
    found: list[float] = []
    async with trio.open_nursery() as nursery:
        for sampler, measure in ((one, first), (two, second)):
            nursery.start_soon(measure, sampler)
            await sampler.ready()
        gc.collect()
        for number in range(pairs):
            # Each is as often the first of its pair as the second.
            if number % 2:
                theirs = await two.piece()
                ours = await one.piece()
            else:
                ours = await one.piece()
                theirs = await two.piece()
            found.append(ours / theirs)
        one.end()
        two.end()
    return found


def in_pairs(measures: Mapping[str, Measure]) -> Pair:
    """Measures two of these operations in turns."""

    def pair(first: str, second: str, seconds: float, pairs: int) -> list[float]:
        return trio.run(ratios, measures[first], measures[second], seconds, pairs)

    return pair
