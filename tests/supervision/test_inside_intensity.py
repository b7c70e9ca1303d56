"""Tests the inside: the window in which restarts are counted, at its exact ends."""

from __future__ import annotations

import math

from support.errors import Bang

from trioreg._supervision.restart_intensity import RestartIntensity


def counted(*times: float) -> RestartIntensity:
    """One restart is allowed in 5 seconds, and there were some at these times."""
    intensity = RestartIntensity(1, 5)
    for time in times:
        intensity.allows(time, Bang(time))
    return intensity


def test_a_restart_at_the_very_beginning_of_the_window_counts() -> None:
    assert not counted(0).allows(5, Bang())
    assert counted(0).allows(5.1, Bang())


def test_as_many_restarts_are_left_as_would_be_allowed() -> None:
    assert [counted(0).left(time) for time in (5, 5.1)] == [0, 1]


def test_a_window_is_over_when_its_last_restart_does_not_count_any_more() -> None:
    assert [counted(0, 1).is_over(time) for time in (5.1, 6, 6.1)] == [False, False, True]
    assert counted().is_over(0)


def test_restarts_are_too_many_until_the_first_of_those_above_the_limit_is_old() -> None:
    assert [counted(*range(number)).exceeded_until for number in range(4)] == [-math.inf, -math.inf, 5, 6]


def test_only_the_errors_of_the_restarts_in_the_window_are_kept() -> None:
    assert [error.args for error in counted(0, 3, 6).errors] == [(3,), (6,)]
