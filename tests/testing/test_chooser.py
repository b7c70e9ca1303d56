"""explore() decides the order of Trio's tasks, in that run only. It relies on private names of Trio's."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
import trio
from trio._core import _run as scheduler

from trioreg._testing.chooser import Chooser, scheduling
from trioreg._testing.one_run import run_once
from trioreg._testing.schedule import Schedule, moved, numbered

ran: list[int] = []


async def three() -> None:
    async def step(number: int) -> None:
        await trio.lowlevel.checkpoint()
        ran.append(number)

    ran.clear()
    async with trio.open_nursery() as nursery:
        for number in (1, 2, 3):
            nursery.start_soon(step, number)


@pytest.mark.parametrize(
    ("schedule", "order"),
    [
        (numbered(0), [1, 2, 3]),
        (numbered(1), [3, 2, 1]),
        (moved([(2, 2, 0)]), [3, 1, 2]),
        (moved([(2, 0, 2), (2, 0, 1)]), [3, 2, 1]),
    ],
)
def test_a_schedule_says_which_task_runs_first(schedule: Schedule, order: list[int]) -> None:
    run_once(three, schedule)
    assert ran == order


def test_each_order_of_a_round_comes_up() -> None:
    seen: set[tuple[int, ...]] = set()
    for number in range(60):
        run_once(three, numbered(number))
        seen.add(tuple(ran))
    assert len(seen) == 6


def test_a_run_without_explore_is_trios_own_again() -> None:
    before: tuple[Any, Any] = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r
    run_once(three, numbered(0))
    assert (scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r) == before


def test_a_trio_run_in_another_thread_keeps_its_own_order() -> None:
    chooser = Chooser(numbered(0), list)
    with scheduling(chooser):
        thread = threading.Thread(target=trio.run, args=(three,))
        thread.start()
        thread.join()
    assert sorted(ran) == [1, 2, 3]
    assert chooser.steps == 0


def test_random_gives_the_same_numbers_in_each_run_and_goes_on_afterwards() -> None:
    drawn: list[float] = []

    async def draw() -> None:
        drawn.append(random.random())

    random.seed(5)
    expected = random.random()
    random.seed(5)
    run_once(draw, numbered(0))
    run_once(draw, numbered(7))
    assert drawn[0] == drawn[1]
    assert random.random() == expected
