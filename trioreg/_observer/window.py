"""One page of a list whose length is known only when all of it was looked at."""

from __future__ import annotations

from typing import Generic, TypeVar

from .page import PAGE_ROWS, Cut, cut

T = TypeVar("T")


class Window(Generic[T]):
    """Keeps the items of one page, and counts all. A page behind the last one is the last one.

    Attributes:
        matched: How many items there were.
    """

    __slots__ = ("_asked", "_last", "_page", "matched")

    def __init__(self, page: int) -> None:
        self._page = page
        self._asked: list[T] = []
        self._last: list[T] = []
        self.matched = 0

    def add(self, item: T) -> None:
        """The next item."""
        page, place = divmod(self.matched, PAGE_ROWS)
        self.matched += 1
        if page + 1 == self._page:
            self._asked.append(item)
        elif page + 1 < self._page:
            if place == 0:
                self._last = []
            self._last.append(item)

    @property
    def items(self) -> list[T]:
        """The items of the page."""
        return self._asked or self._last

    @property
    def cut(self) -> Cut:
        """Which page that is."""
        return cut(self.matched, self._page)
