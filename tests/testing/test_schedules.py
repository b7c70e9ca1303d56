"""Schedules and seeds: the same seed is the same order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioreg._testing.schedule import moved_order, moves_of, numbered, schedule_of, seed_of


@pytest.mark.parametrize("number", range(12))
def test_a_number_is_the_same_schedule_each_time(number: int) -> None:
    def orders() -> list[object]:
        schedule = numbered(number)
        return [schedule(round, list(range(5))) for round in range(40)]

    assert orders() == orders()


@pytest.mark.parametrize("number", range(30))
def test_a_schedule_gives_each_task_its_turn_in_each_round(number: int) -> None:
    schedule = numbered(number)
    for round in range(100):
        count = 2 + round % 5
        order = schedule(round, list(range(round, round + count)))
        assert order is None or sorted(order) == list(range(count))


@given(st.permutations(range(7)))
def test_an_order_is_the_moves_that_make_it(order: list[int]) -> None:
    assert moved_order(moves_of(3, order), 7) == order


def test_moves_are_a_seed_and_the_seed_is_these_moves() -> None:
    seed = seed_of([(4, 2, 0), (9, 1, 0), (9, 2, 1)])
    assert seed == "4:2>0,9:1>0,9:2>1"
    schedule = schedule_of(seed)
    assert [schedule(4, [5, 6, 7]), schedule(5, [5, 6]), schedule(9, [5, 6, 7])] == [[2, 0, 1], None, [1, 2, 0]]


def test_a_move_of_a_task_that_is_not_there_changes_nothing() -> None:
    assert schedule_of("4:2>0")(4, [5, 6]) == [0, 1]


def test_no_move_at_all_is_seed_0_the_default_order() -> None:
    assert schedule_of(seed_of([]))(0, [5, 6]) is None


@pytest.mark.parametrize("seed", ["", "4", "4:1", "4:1>", "x", "4:1>0,", -1, "-1"])
def test_a_seed_that_is_none_is_refused(seed: int | str) -> None:
    if seed == "4":
        schedule_of(seed)
        return
    with pytest.raises(ValueError, match="seed must be a seed from explore"):
        schedule_of(seed)


@pytest.mark.parametrize("seed", [None, 1.5, True, [1]])
def test_a_seed_of_another_type_is_refused(seed: int) -> None:
    with pytest.raises(TypeError, match="seed must be"):
        schedule_of(seed)
