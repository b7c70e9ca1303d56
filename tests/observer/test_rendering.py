"""How numbers, times and charts are shown."""

from __future__ import annotations

import math
import re
from datetime import datetime
from pathlib import Path

import pytest

from trioreg._observer_web import rendering
from trioreg._observer_web.rendering import (
    NOTHING,
    area_of,
    compact,
    counted,
    date_of,
    figure,
    line_of,
    seconds,
    size,
    thousands,
    time_of,
)

STATIC = Path(rendering.__file__).parent / "static"


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0"), (12_345, "12,345"), (1.25, "1.2"), (3.0, "3"), (1234.5, "1,234"), (None, NOTHING), (math.inf, NOTHING)],
)
def test_a_number_has_commas_and_keeps_a_digit_only_if_it_is_small(number: float | None, shown: str) -> None:
    assert thousands(number) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0"), (999, "999"), (1200, "1.2k"), (9_960, "10k"), (999_499, "999k"), (999_500, "1.0M"), (35_000_000, "35M")],
)
def test_a_number_in_a_box_is_short(number: int, shown: str) -> None:
    assert compact(number) == shown


@pytest.mark.parametrize(
    ("duration", "shown"),
    [
        (None, NOTHING),
        (math.nan, NOTHING),
        (0.00031, "0.3 ms"),
        (0.25, "250 ms"),
        (0.9996, "1.0 s"),
        (9.94, "9.9 s"),
        (9.95, "10 s"),  # not less than for 9.94
        (12.9, "12 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_a_duration_has_at_most_two_units(duration: float | None, shown: str) -> None:
    assert seconds(duration) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, NOTHING),
        (0, "0 B"),
        (464, "464 B"),
        (1500, "1.5 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (52_400_000, "52.4 MB"),
        (3.2e9, "3.2 GB"),
    ],
)
def test_bytes_are_shown_in_a_fitting_unit(count: float | None, shown: str) -> None:
    assert size(count) == shown


def test_a_figure_is_shown_in_the_unit_of_its_chart() -> None:
    assert [figure(1500, unit) for unit in ("", "/s", "B", "s")] == ["1,500", "1,500/s", "1.5 kB", "25 min 0 s"]
    assert [figure(None, unit) for unit in ("", "/s", "B", "s")] == [NOTHING] * 4


def test_one_is_singular() -> None:
    assert [counted(1, "child", "children"), counted(1000, "child", "children"), counted(2, "restart")] == [
        "1 child",
        "1,000 children",
        "2 restarts",
    ]


def test_a_time_is_the_one_of_the_place_where_the_program_runs() -> None:
    clock = datetime(2026, 3, 1, 9, 5, 7).timestamp()
    assert time_of(clock) == "09:05:07"
    assert datetime.fromisoformat(date_of(clock)).timestamp() == clock


def test_a_line_ends_at_the_right_and_its_highest_point_is_at_the_top() -> None:
    assert line_of([0.0, 5.0, 10.0], 10.0) == "M177 39.0 L178 39.0 L179 20.0 L180 1.0"


def test_a_line_has_a_gap_where_a_number_is_not_known() -> None:
    assert line_of([None, 4.0, None, 4.0], 4.0).count("M") == area_of([None, 4.0, None, 4.0], 4.0).count("Z") == 2
    assert line_of([None, None], None) == area_of([], None) == ""


def test_a_line_of_zeros_is_at_the_bottom() -> None:
    assert line_of([0.0, 0.0], 0.0) == "M178 39.0 L179 39.0 L180 39.0"


def test_only_as_many_points_are_drawn_as_there_is_room_for() -> None:
    assert line_of([1.0] * 500, 1.0).startswith("M0 1.0 L1 1.0")


def test_the_files_for_the_browser_take_nothing_from_elsewhere_and_run_no_text_as_code() -> None:
    for file in STATIC.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|@import|url\(|\beval\b|new Function|cssText|document\.write", text), file.name
