"""Make a failing schedule small: fewer rounds that differ from the default order, fewer tasks moved, shorter moves.

The way to fewer is delta debugging (Zeller and Hildebrandt, 2002): leave large parts out, then smaller ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TypeVar

from .schedule import Move

MOST_TRIES = 500
"""How many runs are made to shrink one failure, at most."""

T = TypeVar("T")


def shrink(moves: Sequence[Move], fails: Callable[[list[Move]], bool]) -> list[Move]:
    """The fewest moves that still fail, as far as `MOST_TRIES` tries lead.

    Args:
        moves: Moves that fail.
        fails: Whether some moves fail in the same way.
    """
    tries = _Tries(fails)
    if tries([]):
        return []
    rounds = [list(group) for _, group in groupby(sorted_moves(moves), key=lambda move: move[0])]
    rounds = _fewest(rounds, lambda kept: tries([move for group in kept for move in group]))
    kept = _fewest([move for group in rounds for move in group], tries)
    return _shorter(kept, tries)


def sorted_moves(moves: Sequence[Move]) -> list[Move]:
    """By round. The moves of one round keep their order: each is of the places that those before it have left."""
    return sorted(moves, key=lambda move: move[0])


class _Tries:
    """Counts the tries, and makes none twice. Behind the last one, nothing fails any more."""

    def __init__(self, fails: Callable[[list[Move]], bool]) -> None:
        self._fails = fails
        self._known: dict[tuple[Move, ...], bool] = {}

    def __call__(self, moves: list[Move]) -> bool:
        key = tuple(moves)
        if key not in self._known:
            self._known[key] = len(self._known) < MOST_TRIES and self._fails(moves)
        return self._known[key]


def _fewest(parts: list[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """The fewest of some parts that still fail: leave out one half, then one quarter, and so on to one part."""
    size = max(1, len(parts) // 2)
    while parts:
        at = 0
        left_out = False
        while at < len(parts) and len(parts) > 1:
            rest = parts[:at] + parts[at + size :]
            if fails(rest):
                parts = rest
                left_out = True
            else:
                at += size
        if size > 1:
            size = max(1, size // 2)
        elif not left_out:
            break
    return parts


def _shorter(moves: list[Move], fails: Callable[[list[Move]], bool]) -> list[Move]:
    """The same moves past fewer tasks."""
    for index, (number, place, to) in enumerate(moves):
        step = 1 if to > place else -1
        for nearer in range(place + step, to, step):
            shorter = [*moves[:index], (number, place, nearer), *moves[index + 1 :]]
            if fails(shorter):
                moves = shorter
                break
    return moves
