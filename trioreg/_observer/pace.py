"""Work in slices: a long look at the program never holds the loop for longer than some milliseconds."""

from __future__ import annotations

from time import perf_counter

import trio

SLICE = 0.002
"""How long a slice takes, in seconds."""

STEPS = 50
"""After how many steps the clock is asked."""


class Pace:
    """Ends a slice when its time is over, so that other tasks run.

    ::

        pace = Pace()
        for child in children:
            ...
            if pace.is_over():
                await pace.rest()
    """

    __slots__ = ("_began", "_steps", "seconds", "slices")

    def __init__(self) -> None:
        self._began = perf_counter()
        self._steps = 0
        self.slices: int = 0
        self.seconds: float = 0.0
        """How much time the slices took together. The slices of other tasks do not count."""

    def is_over(self) -> bool:
        """Count one step. Whether it is time to `rest`."""
        self._steps += 1
        return self._steps % STEPS == 0 and perf_counter() - self._began >= SLICE

    def is_late(self) -> bool:
        """Whether it is time to `rest`, after a step that may have been long: a user's `repr`, say."""
        return perf_counter() - self._began >= SLICE

    async def rest(self) -> None:
        """End the slice: every other task that can run does so. A checkpoint."""
        self.seconds += perf_counter() - self._began
        self.slices += 1
        await trio.lowlevel.checkpoint()
        self._began = perf_counter()

    def done(self) -> float:
        """The work is done: how much time it took, in seconds."""
        self.seconds += perf_counter() - self._began
        self._began = perf_counter()
        return self.seconds
