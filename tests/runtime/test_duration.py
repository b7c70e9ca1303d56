"""Spans of time, as people say them."""

from __future__ import annotations

import pytest

from trioreg._runtime.duration import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5.0, "0.0 seconds"),
        (0.0, "0.0 seconds"),
        (0.34, "0.3 seconds"),
        (9.94, "9.9 seconds"),
        (9.95, "10 seconds"),
        (119.4, "119 seconds"),
        (119.5, "2 minutes"),
        (7169.0, "119 minutes"),
        (7171.0, "2 hours"),
        (7230.0, "2 hours"),
        (7231.0, "2 hours 1 minute"),
        (47 * 3600 + 59 * 60, "47 hours 59 minutes"),
        (48 * 3600, "2 days"),
        (60 * 3600 + 3600, "3 days"),
    ],
)
def test_a_span_is_shown_in_two_figures_or_so(seconds: float, text: str) -> None:
    assert duration(seconds) == text
