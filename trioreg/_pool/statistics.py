"""The numbers of a pool at one moment: `PoolStatistics`."""

from __future__ import annotations

import attrs


@attrs.frozen
class PoolStatistics:
    """The numbers of a pool at one moment, from `Pool.statistics`.

    Attributes:
        size: How many workers the pool has, those included that are being started or restarted.
        idle: How many of them are free.
        busy: How many work for a caller, are claimed, or finish what a caller has left behind.
        waiting: How many callers wait for a worker.
        longest_wait: For how long the first of these has waited, in seconds; 0 if none waits.
        waits: How many callers have waited and got a worker, since the pool was started.
        total_wait: How long all of these have waited, in seconds. Divide it by ``waits`` for the mean.
        max_wait: The longest of these waits, in seconds.
        crashes: How many workers have crashed since the pool was started.
    """

    size: int
    idle: int
    busy: int
    waiting: int
    longest_wait: float
    waits: int
    total_wait: float
    max_wait: float
    crashes: int


class Waits:
    """How long callers have waited, of those that have got a worker.

    Attributes:
        count: How many waits there were.
        total: All of them together, in seconds.
        longest: The longest, in seconds.
    """

    __slots__ = ("count", "longest", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.total += seconds
        self.longest = max(self.longest, seconds)
