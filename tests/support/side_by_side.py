"""A thread that reads while the test's own run writes, so that a test ends on every machine."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager

import trio

LEAST = 5
"""How many rounds each side does beside the other one."""


class _Side:
    """One of the two sides: how many rounds it has done, and how many it does at most."""

    def __init__(self, at_most: int) -> None:
        self.done = 0
        self.at_most = at_most
        self.has_ended = False

    def rounds(self, other: _Side) -> Iterator[int]:
        """The numbers of its rounds. The first side that has done all its rounds ends the other one, too."""
        while self.done < LEAST or not other.has_ended:
            if self.done >= self.at_most:
                if other.done >= LEAST:
                    return
                time.sleep(0.001)  # the other side gets the interpreter, on any machine
            yield self.done
            self.done += 1


@asynccontextmanager
async def reading(read: Callable[[], object], *, reads: int = 60, writes: int = 300) -> AsyncGenerator[Iterator[int]]:
    """Call ``read`` again and again in a thread, while the block writes: ``for number in rounds``.

    Each side ends by its own rounds. How a machine shares its time between threads decides how the rounds mix, but
    not when they end. An error of ``read`` leaves the block.

    Args:
        read: One round of reading.
        reads, writes: How many rounds each side does. It does less if the other side has done all of its own.
    """
    reader, writer = _Side(reads), _Side(writes)
    has_begun = trio.Event()

    def in_thread() -> None:
        trio.from_thread.run_sync(has_begun.set)
        try:
            for _ in reader.rounds(writer):
                read()
        finally:
            reader.has_ended = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, in_thread)
        try:  # whatever comes, Ctrl-C included: the thread ends only if it is told
            await has_begun.wait()
            yield writer.rounds(reader)
        finally:
            writer.has_ended = True
