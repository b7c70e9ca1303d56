"""A failing schedule is made as small as it can be."""

from __future__ import annotations

import pytest

from trioreg._testing.schedule import Move
from trioreg._testing.shrink import MOST_TRIES, shrink

MANY: list[Move] = [(number, place, 0) for number in range(60) for place in (1, 2, 3)]


def test_only_the_moves_that_matter_are_left() -> None:
    needed = {(7, 2, 0), (40, 1, 0)}
    assert shrink(MANY, lambda moves: needed <= set(moves)) == sorted(needed)


def test_nothing_is_left_if_the_default_order_fails_too() -> None:
    assert shrink(MANY, lambda moves: True) == []


def test_a_task_is_moved_past_as_few_others_as_possible() -> None:
    assert shrink([(3, 5, 0)], lambda moves: any(place - to >= 2 for _, place, to in moves)) == [(3, 5, 3)]
    assert shrink([(3, 0, 5)], lambda moves: any(to - place >= 2 for _, place, to in moves)) == [(3, 0, 2)]


def test_the_number_of_tries_is_limited() -> None:
    tries = 0

    def fails(moves: list[Move]) -> bool:
        nonlocal tries
        tries += 1
        return len(moves) > 0 and all(move in moves for move in MANY[::3])

    assert shrink(MANY, fails)
    assert tries <= MOST_TRIES


def test_the_time_for_it_is_limited_and_what_was_reached_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def fails(moves: list[Move]) -> bool:
        nonlocal now
        now += 3
        return len(moves) > 0

    monkeypatch.setattr("trioreg._testing.shrink.perf_counter", lambda: now)
    assert 0 < len(shrink(MANY, fails)) < len(MANY) / 10
    assert now <= 24


def test_behind_the_last_try_not_even_the_moves_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trioreg._testing.shrink.MOST_TRIES", 20)
    many: list[Move] = [(number, 1, 0) for number in range(50_000)]
    assert shrink(many, lambda moves: len(moves) == len(many)) == many
