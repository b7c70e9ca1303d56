"""Functions for streams: work that sleeps and counts, doubling, failing; and all results of a stream."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypeVar

import trio

from support.errors import Bang
from trioreg import TaskStream

T = TypeVar("T")


OnError: TypeAlias = Literal["raise", "return"]

BOTH: list[OnError] = ["raise", "return"]


class Work:
    """A function for `open_stream`: it sleeps for the seconds that an item says, and counts. Negative items fail.

    Attributes:
        started: The items it was called with, in order.
        running: How many items it works on now.
        peak: The most that it has worked on at once.
        cancelled: The items that were cancelled.
    """

    def __init__(self) -> None:
        self.started: list[float] = []
        self.running = 0
        self.peak = 0
        self.cancelled: list[float] = []

    async def __call__(self, seconds: float) -> str:
        self.started.append(seconds)
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            if seconds < 0:
                raise Bang(seconds)
            await trio.sleep(seconds)
            return f"{seconds} s"
        except trio.Cancelled:
            self.cancelled.append(seconds)
            raise
        finally:
            self.running -= 1


async def double(number: int) -> int:
    await trio.lowlevel.checkpoint()
    return 2 * number


async def fail(item: object) -> None:
    raise Bang(item)


async def taken(stream: TaskStream[T]) -> list[T]:
    return [result async for result in stream]


class Gone:
    """A block that leaves no task behind."""

    def __enter__(self) -> None:
        self.before = trio.lowlevel.current_statistics().tasks_living

    def __exit__(self, *_: object) -> None:
        assert trio.lowlevel.current_statistics().tasks_living == self.before
