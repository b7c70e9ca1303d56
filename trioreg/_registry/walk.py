"""A walk along the entries of one key, a part at a time, while others come and go.

A list of all 150,000 entries would also keep the entries that go meanwhile: they would be freed only at the end. And
Python's garbage collector would look at the whole list even in a short collection. A walk keeps one part.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .entry import Entry
    from .partition import DuplicatePartition

V = TypeVar("V")


def walk(
    partition: DuplicatePartition[Any, V], group: dict[int, Entry[V]], before: int, at_most: int
) -> Iterator[list[Entry[V]]]:
    """Give the entries of a group whose numbers are below ``before``: in lists, oldest first.

    An entry that goes before its list is made may be left out. Every other entry is given, and none is given twice. The
    cost grows with the entries. Each list costs a little more than the one before: Python counts from the beginning of
    the dict to find a place in it.

    Args:
        partition: The partition of the group.
        group: The entries of one key, by number. A later entry has a greater number.
        before: A number that no entry has yet. Entries that come from now on have greater numbers.
        at_most: The greatest number of entries in a list.
    """
    last = -1  # the number of the last entry so far
    place = 0  # each entry before this place has been given
    changes, size = partition.changes, len(group)
    while True:
        # Each entry that has gone has moved the later ones one place towards the beginning. So go back as many places.
        # How many have gone is not known, but no more than this: a change adds one entry at most.
        now, there = partition.changes, len(group)
        place = max(0, place - (size + now - changes - there))
        changes, size = now, there
        try:
            numbers = list(islice(group, place, place + at_most))
        except RecursionError:
            raise
        except RuntimeError:
            continue  # the garbage collector ran, and a `__del__` has changed the group
        if partition.changes != changes:
            continue  # the same, a moment earlier or later: the place may be wrong
        place += len(numbers)
        first, end = bisect_right(numbers, last), bisect_left(numbers, before)
        if first < end:
            last = numbers[end - 1]
        is_over = end < len(numbers) or len(numbers) < at_most
        # A second `islice`, for the entries themselves, would count from the beginning once more.
        yield [entry for number in numbers[first:end] if (entry := group.get(number)) is not None]
        if is_over:
            return
