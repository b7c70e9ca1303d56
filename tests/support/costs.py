"""What an operation costs, in counts that are the same on each machine: calls, looks at keys, and bytes.

Calls alone miss a loop in C, such as a copy of a list. Such a loop compares keys, or it needs memory.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Awaitable, Callable

import attrs

from support.calls import counted_calls


class Key:
    """A key that counts how often any key is hashed or compared."""

    looks = 0

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        Key.looks += 1
        return hash(self.number)

    def __eq__(self, other: object) -> bool:
        Key.looks += 1
        return isinstance(other, Key) and self.number == other.number

    def __lt__(self, other: Key) -> bool:
        return self.number < other.number

    def __repr__(self) -> str:
        return f"Key({self.number})"


@attrs.frozen
class Cost:
    """Function calls, looks at keys, and the most bytes that were needed at once."""

    calls: int
    looks: int
    bytes: int

    def is_flat(self, small: Cost) -> bool:
        """Whether it is what it costs in a small world, but for a table of Python's that happens to be fuller."""
        return (
            self.calls <= small.calls * 1.1 + 3
            and self.looks <= small.looks * 1.2 + 4
            and self.bytes <= small.bytes * 1.2 + 600
        )


async def cost_of(operation: Callable[[int], Awaitable[object]], *, times: int = 3) -> Cost:
    """The least that one of some runs costs. A dict that grows in one of them is not counted.

    Args:
        operation: Gets the numbers 0, 1, 2, ... It leaves the world as large as it was.
        times: How many runs are counted, and in how many the bytes are.
    """
    counts: list[tuple[int, int]] = []
    await operation(0)  # what is made only once
    for number in range(1, times + 1):
        looks = Key.looks
        with counted_calls() as calls:
            await operation(number)
        counts.append((calls.count, Key.looks - looks))
    peaks: list[int] = []
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(times + 1, 2 * times + 1):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            await operation(number)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    return Cost(min(calls for calls, _ in counts), min(looks for _, looks in counts), min(peaks))
