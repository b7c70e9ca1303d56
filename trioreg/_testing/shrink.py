"""Make a failing schedule small: fewer rounds that differ from the default order, fewer tasks moved, shorter moves.

The way to fewer is delta debugging (Zeller and Hildebrandt, 2002): leave large parts out, then smaller ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from time import perf_counter
from typing import TypeVar

from .schedule import Move

MOST_TRIES = 500
"""How many runs are made to shrink one failure, at most."""

LONGEST = 20.0
"""For how many real seconds one failure is made smaller, at most: a run without an end takes some of them."""

T = TypeVar("T")


def shrink(moves: Sequence[Move], fails: Callable[[list[Move]], bool]) -> list[Move]:
    """The fewest moves that still fail, as far as `MOST_TRIES` tries in `LONGEST` seconds lead.

    Args:
        moves: Moves that fail.
        fails: Whether some moves fail in the same way.
    """
    tries = _Tries(fails)
    tries.smallest = sorted_moves(moves)
    with suppress(_Enough):
        if tries([]):
            return []
        rounds = [list(group) for _, group in groupby(tries.smallest, key=lambda move: move[0])]
        _fewest(rounds, lambda kept: tries([move for group in kept for move in group]))
        _fewest(tries.smallest, tries)
        _shorter(tries.smallest, tries)
    return tries.smallest


def sorted_moves(moves: Sequence[Move]) -> list[Move]:
    """By round. The moves of one round keep their order: each is of the places that those before it have left."""
    return sorted(moves, key=lambda move: move[0])


class _Enough(Exception):
    """There is no try left. A long run has a million moves: not even a look at each is free."""


class _Tries:
    """Counts the tries, and makes none twice.

    Attributes:
        smallest: The moves of the last try that has failed: each one has less than those before it.
    """

    def __init__(self, fails: Callable[[list[Move]], bool]) -> None:
        self.smallest: list[Move] = []
        self._fails = fails
        self._known: dict[tuple[Move, ...], bool] = {}
        self._end = perf_counter() + LONGEST

    def __call__(self, moves: list[Move]) -> bool:
        key = tuple(moves)
        if key not in self._known:
            if len(self._known) == MOST_TRIES or perf_counter() > self._end:
                raise _Enough
            self._known[key] = self._fails(moves)
        if self._known[key]:
            self.smallest = moves
        return self._known[key]


def _fewest(parts: list[T], fails: Callable[[list[T]], bool]) -> None:
    """Look for the fewest parts that still fail: leave out one half, then one quarter, and so on to one part."""
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


def _shorter(moves: list[Move], fails: Callable[[list[Move]], bool]) -> None:
    """Look for the same moves past fewer tasks."""
    for index, (number, place, to) in enumerate(moves):
        step = 1 if to > place else -1
        for nearer in range(place + step, to, step):
            shorter = [*moves[:index], (number, place, nearer), *moves[index + 1 :]]
            if fails(shorter):
                moves = shorter
                break
