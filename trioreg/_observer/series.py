"""The points of the charts: one a second, the last three minutes. Numbers only."""

from __future__ import annotations

from collections import deque
from typing import TypedDict

POINTS = 180
"""How many points a chart has, one a second."""


class Chart(TypedDict):
    """One chart.

    Attributes:
        name: What it is called in the data, as in ``"messages"``.
        title: What it is called on the screen.
        unit: ``"/s"``, ``""``, ``"s"`` or ``"B"``.
        points: Oldest first, one a second, at most 180. None: nobody looked.
        latest: The last one that is known; None if none is.
        highest: The highest one; None if none is known.
    """

    name: str
    title: str
    unit: str
    points: list[float | None]
    latest: float | None
    highest: float | None


class Series:
    """The points of one chart."""

    __slots__ = ("_last", "_name", "_points", "_title", "_unit")

    def __init__(self, name: str, title: str, unit: str) -> None:
        self._name, self._title, self._unit = name, title, unit
        self._points: deque[float | None] = deque(maxlen=POINTS)
        self._last = 0

    def add(self, second: int, value: float | None, since: int) -> None:
        """A value.

        Args:
            second: In which second it was measured. In one second the last value counts.
            value: The value.
            since: From which second on it stands: the seconds before, without a value of their own, have none.
        """
        if not self._points:
            self._last = second - 1
        for each in range(max(self._last + 1, second - POINTS + 1), second + 1):
            self._points.append(value if each >= since else None)
        if second <= self._last:
            self._points[-1] = value
        self._last = max(self._last, second)

    @property
    def latest(self) -> float | None:
        """The last value, or None."""
        return self._points[-1] if self._points else None

    def chart(self) -> Chart:
        """The points as they are now."""
        known = [point for point in self._points if point is not None]
        return Chart(
            name=self._name,
            title=self._title,
            unit=self._unit,
            points=list(self._points),
            latest=known[-1] if known else None,
            highest=max(known, default=None),
        )
