"""Which worker a caller gets: the four strategies of a pool.

``"idle_first"`` chooses no place: all callers wait in one line, and whichever worker is free first serves the first of
them. The others choose a place when a caller comes, and it waits for that worker.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from .._supervision import number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from .place import Place

StrategyName: TypeAlias = Literal["idle_first", "round_robin", "least_loaded", "by_key"]


class Choose(Protocol):
    """Chooses one of the places for a key."""

    def __call__(self, places: Sequence[Place], key: Hashable, /) -> Place: ...


def chooser_of(strategy: StrategyName) -> Choose | None:
    """What chooses the place of a caller. None: any worker will do."""
    make = _CHOOSERS[strategy]
    return None if make is None else make()


def jump(number: int, size: int) -> int:
    """Consistent hashing: a number from 0 to ``size - 1``, which is for most numbers the same if the size changes.

    From n to n + 1, about one in n + 1 moves, and each of these moves to the new place. It is the "jump" hash of
    Lamping and Veach (2014): no table, and some ln(size) steps.
    """
    number &= 0xFFFFFFFFFFFFFFFF
    place, following = -1, 0
    while following < size:
        place = following
        number = (number * 2862933555777941757 + 1) & 0xFFFFFFFFFFFFFFFF
        following = int((place + 1) * (2147483648 / ((number >> 33) + 1)))
    return place


def _by_key() -> Choose:
    def choose(places: Sequence[Place], key: Hashable, /) -> Place:
        return places[jump(number_of(key), len(places))]

    return choose


def _round_robin() -> Choose:
    last = -1

    def choose(places: Sequence[Place], key: Hashable, /) -> Place:
        nonlocal last
        size = len(places)
        for step in range(1, size + 1):
            place = places[(last + step) % size]
            if place.is_present:
                break
        else:
            place = places[(last + 1) % size]  # none has a worker now: each is as good as the others
        last = place.number
        return place

    return choose


def _least_loaded() -> Choose:
    turns = count(1)

    def choose(places: Sequence[Place], key: Hashable, /) -> Place:
        # Among those with the least to do: the one that was chosen the longest time ago.
        place = min(places, key=lambda place: (not place.is_present, place.load, place.turn))
        place.turn = next(turns)
        return place

    return choose


_CHOOSERS: dict[StrategyName, Callable[[], Choose] | None] = {
    "idle_first": None,
    "round_robin": _round_robin,
    "least_loaded": _least_loaded,
    "by_key": _by_key,
}

STRATEGIES: tuple[StrategyName, ...] = tuple(_CHOOSERS)
