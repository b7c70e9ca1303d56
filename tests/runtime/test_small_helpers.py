"""Small functions that all wings use: a span of time in words, and the items of a dict that changes."""

from __future__ import annotations

from collections.abc import ItemsView
from typing import Any

import pytest

from trioreg._runtime import duration, items_of


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0.0 seconds"),
        (0.32, "0.3 seconds"),
        (42.4, "42 seconds"),
        (119.6, "2 minutes"),
        (5 * 60, "5 minutes"),
        (119 * 60, "119 minutes"),
        (2 * 3600, "2 hours"),
        (2 * 3600 + 61, "2 hours 1 minute"),
        (3 * 86_400, "3 days"),
    ],
)
def test_a_span_of_time_is_said_in_two_figures_or_so(seconds: float, words: str) -> None:
    assert duration(seconds) == words


class Trouble(dict[str, int]):
    """A dict that can't be copied, and whose items can be read only at the third look."""

    looks = 0
    error: type[Exception] = RuntimeError

    def copy(self) -> dict[str, int]:
        raise ValueError("a key's own __eq__")

    def items(self) -> Any:
        self.looks += 1
        if self.looks < 3:
            raise self.error("dictionary changed size during iteration")
        return ItemsView(self)


def test_the_items_of_a_dict_that_changes_meanwhile_are_read_again() -> None:
    assert [*items_of(Trouble(a=1, b=2))] == [("a", 1), ("b", 2)]


def test_the_items_of_a_dict_are_not_read_again_if_the_stack_is_full() -> None:
    trouble = Trouble(a=1)
    trouble.error = RecursionError
    with pytest.raises(RecursionError):
        items_of(trouble)
    assert trouble.looks == 1
