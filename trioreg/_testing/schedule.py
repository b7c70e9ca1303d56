"""Schedules: in which order the tasks run that can run at the same moment.

Trio runs its tasks in rounds. In each round, each task that can run takes one step, and Trio promises no order among
them. A round with two tasks or more is a choice, and a `Schedule` makes it. Rounds with one task are not counted.

The default order is by age: the task that was started first runs first. A seed says how a schedule differs from
it. It is one of two things:

- a number: a schedule of some kind, at random in all its rounds (`numbered`);
- moves, as in ``"4:2>0,9:1>0"``: in round 4 the task at place 2 runs at place 0 instead, in round 9 that at place 1
  (`moved`). Such a seed is what is left of a number when it has been made as small as possible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from random import Random
from typing import TypeAlias

from .._runtime import shown_safely

Order: TypeAlias = list[int]
"""The places that the tasks of a round have by age, in the order in which they run."""

Schedule: TypeAlias = Callable[[int, list[int]], Order | None]
"""Called with the number of a round and with its tasks by age: for each its number in the run. Gives their order; None:
by age."""

Move: TypeAlias = tuple[int, int, int]
"""A round, the place of a task in it, and the place at which it runs instead."""


def numbered(number: int) -> Schedule:
    """The schedule with a number. The same number is the same schedule, in each process."""
    if number < len(_FIXED):
        return _FIXED[number]
    return _KINDS[number % len(_KINDS)](Random(number))


def moved(moves: Iterable[Move]) -> Schedule:
    """The schedule that differs from the default order in these moves only."""
    by_round: dict[int, list[Move]] = {}
    for move in moves:
        by_round.setdefault(move[0], []).append(move)

    def order_of(number: int, tasks: list[int]) -> Order | None:
        moves = by_round.get(number)
        return None if moves is None else moved_order(moves, len(tasks))

    return order_of


def moved_order(moves: Iterable[Move], count: int) -> Order:
    """The order of ``count`` tasks after the moves. A move of a task that is not there changes nothing."""
    order = list(range(count))
    for _, place, to in moves:
        if place < count:
            order.insert(to, order.pop(place))
    return order


def moves_of(number: int, order: Order) -> list[Move]:
    """The moves that make this order of a round."""
    moves: list[Move] = []
    now = list(range(len(order)))
    for to, task in enumerate(order):
        place = now.index(task)
        if place != to:
            now.insert(to, now.pop(place))
            moves.append((number, place, to))
    return moves


# Seeds


def seed_of(moves: Iterable[Move]) -> str:
    """The seed of some moves. Without any it is ``"0"``, the number of the default order."""
    return ",".join(f"{number}:{place}>{to}" for number, place, to in moves) or "0"


def schedule_of(seed: int | str) -> Schedule:
    """The schedule of a seed. `ValueError` if it is none."""
    if isinstance(seed, bool) or not isinstance(seed, int | str):
        raise TypeError(f"seed must be a seed from explore(), or an int, not {shown_safely(seed)}")
    if isinstance(seed, str) and _MOVES.fullmatch(seed):
        return moved([_move(text) for text in seed.split(",")])
    if isinstance(seed, str) and re.fullmatch("[0-9]+", seed):
        seed = int(seed)
    if isinstance(seed, str) or seed < 0:
        shown = shown_safely(seed)
        raise ValueError(f"seed must be a seed from explore(), as in '4:2>0', or an int of at least 0, not {shown}")
    return numbered(seed)


_MOVES = re.compile("[0-9]+:[0-9]+>[0-9]+(,[0-9]+:[0-9]+>[0-9]+)*")


def _move(text: str) -> Move:
    number, place, to = re.split("[:>]", text)
    return int(number), int(place), int(to)


# The kinds of schedules. Different bugs need different ones, so `numbered` takes them in turn.


def _by_age(number: int, tasks: list[int]) -> Order | None:
    return None


def _by_age_reversed(number: int, tasks: list[int]) -> Order | None:
    return list(range(len(tasks)))[::-1]


def _shuffled(random: Random) -> Schedule:
    """Each round in any order."""

    def order_of(number: int, tasks: list[int]) -> Order | None:
        order = list(range(len(tasks)))
        random.shuffle(order)
        return order

    return order_of


def _seldom_shuffled(random: Random) -> Schedule:
    """Most rounds in one order, a few shuffled."""
    share = random.choice((0.5, 0.2, 0.05))
    is_reversed = random.random() < 0.5

    def order_of(number: int, tasks: list[int]) -> Order | None:
        order = list(range(len(tasks)))
        if random.random() < share:
            random.shuffle(order)
        elif is_reversed:
            order.reverse()
        return order

    return order_of


def _reversed_at_times(random: Random) -> Schedule:
    """What Trio itself does: it reverses half of the rounds."""

    def order_of(number: int, tasks: list[int]) -> Order | None:
        return _by_age_reversed(number, tasks) if random.random() < 0.5 else None

    return order_of


def _by_priority(random: Random) -> Schedule:
    """Each task has a priority, at random. Now and then a task gets the lowest one: probabilistic concurrency testing
    (Burckhardt and others, 2010), which finds a bug that needs few changes of the order with a known probability.
    """
    priorities: dict[int, float] = {}
    change = random.choice((0.2, 0.05, 0.01))
    lowest = 0.0

    def order_of(number: int, tasks: list[int]) -> Order | None:
        nonlocal lowest
        for task in tasks:
            if task not in priorities:
                priorities[task] = random.random()
        if random.random() < change:
            lowest -= 1
            priorities[random.choice(tasks)] = lowest
        return sorted(range(len(tasks)), key=lambda place: priorities[tasks[place]], reverse=True)

    return order_of


def _one_apart(random: Random) -> Schedule:
    """One task is always the first or always the last one of its rounds. The others are by age, or shuffled."""
    # Young tasks and old ones alike: half of all runs take one of the first 7 tasks.
    chosen = int(1.1 ** random.uniform(0, 40))
    is_first = random.random() < 0.5
    shuffles = random.random() < 0.5

    def order_of(number: int, tasks: list[int]) -> Order | None:
        order = list(range(len(tasks)))
        if shuffles:
            random.shuffle(order)
        if chosen in tasks:
            place = tasks.index(chosen)
            order.remove(place)
            order.insert(0 if is_first else len(order), place)
        return order

    return order_of


_FIXED: tuple[Schedule, ...] = (_by_age, _by_age_reversed)
_KINDS = (_shuffled, _by_priority, _seldom_shuffled, _by_priority, _reversed_at_times, _one_apart)
