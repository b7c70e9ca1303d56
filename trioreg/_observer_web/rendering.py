"""How data become text on the screen: the templates, and the formats of numbers and times that they use.

All text is escaped by the templates. A name that a template uses and nobody gives is an error, not an empty text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from math import isfinite
from typing import Any, cast

import jinja2

NOTHING = "\N{EN DASH}"
"""Shown where a number is not known."""

CHART_WIDTH = 180
"""How many points a chart has room for: one each second."""

CHART_HEIGHT = 40


def environment() -> jinja2.Environment:
    """The templates of the observer, with all filters. Make it once: it keeps what it has compiled."""
    templates = _Templates(
        loader=jinja2.PackageLoader("trioreg._observer_web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    # The type that Jinja gives its filters is the union of those that it brings along.
    filters = cast("dict[str, Callable[..., str]]", templates.filters)
    for each in (thousands, size, seconds, figure, counted, compact, time_of, date_of, line_of, area_of):
        filters[each.__name__] = each
    return templates


class _Templates(jinja2.Environment):
    """In these templates, ``row.label`` is mostly ``row["label"]``.

    Jinja looks for an attribute first, and that costs an exception each time: a tree of 200 boxes takes twice as long.
    """

    def getattr(self, obj: Any, attribute: str) -> Any:
        found = cast("dict[str, Any]", obj)
        if type(obj) is dict and attribute in found:
            return found[attribute]
        return super().getattr(obj, attribute)


def thousands(number: float | None) -> str:
    """As in ``"12,345"``. Only a small number that is not whole keeps a digit after the point."""
    if number is None or not isfinite(number):
        return NOTHING
    if isinstance(number, float) and not number.is_integer() and abs(number) < 100:
        return f"{number:,.1f}"
    return f"{round(number):,}"


def compact(number: int) -> str:
    """As in ``"950"``, ``"1.2k"``, ``"35k"``, ``"1.2M"``: at most four characters, below a billion."""
    if number < 1000:
        return f"{number}"
    count, unit = (number / 1e3, "k") if number < 999_500 else (number / 1e6, "M")
    return f"{count:.1f}{unit}" if count < 9.95 else f"{count:,.0f}{unit}"


def counted(number: int, one: str, many: str = "") -> str:
    """As in ``"1 actor"`` and ``"12,345 actors"``."""
    return f"{thousands(number)} {one if number == 1 else many or one + 's'}"


def size(count: float | None) -> str:
    """Bytes, as in ``"1.5 MB"``."""
    if count is None:
        return NOTHING
    for unit in ("B", "kB", "MB"):
        if abs(count) < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or abs(count) >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"


def seconds(duration: float | None) -> str:
    """As in ``"0.3 ms"``, ``"1.2 s"``, ``"3 min 20 s"``, ``"2 h 5 min"``, ``"3 d 4 h"``."""
    if duration is None or not isfinite(duration):
        return NOTHING
    if duration < 0.9995:
        return f"{duration * 1e3:.1f} ms" if duration < 0.01 else f"{duration * 1e3:.0f} ms"
    if duration < 60:
        return f"{duration:.1f} s" if duration < 9.95 else f"{max(10, int(duration))} s"
    whole = int(duration)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400:,} d {whole % 86400 // 3600} h"


def figure(number: float | None, unit: str) -> str:
    """The number of a chart, in its unit: ``"s"``, ``"B"``, ``"/s"``, or none."""
    if unit == "s":
        return seconds(number)
    if unit == "B":
        return size(number)
    return f"{thousands(number)}{unit}" if number is not None else NOTHING


def time_of(clock: float) -> str:
    """The time of day, where the program runs."""
    return datetime.fromtimestamp(clock).strftime("%H:%M:%S")


def date_of(clock: float) -> str:
    """The date and the time with its zone, as a machine reads it."""
    return datetime.fromtimestamp(clock).astimezone().isoformat(timespec="seconds")


def line_of(points: Sequence[float | None], highest: float | None) -> str:
    """The line of a chart, as the path of an SVG. It has a gap where a number is not known."""
    return " ".join("M" + " L".join(f"{x} {y}" for x, y in piece) for piece in _pieces(points, highest))


def area_of(points: Sequence[float | None], highest: float | None) -> str:
    """The area below that line."""
    return " ".join(
        f"M{piece[0][0]} {CHART_HEIGHT} L"
        + " L".join(f"{x} {y}" for x, y in piece)
        + f" L{piece[-1][0]} {CHART_HEIGHT}Z"
        for piece in _pieces(points, highest)
    )


def _pieces(points: Sequence[float | None], highest: float | None) -> list[list[tuple[int, float]]]:
    """The latest point is at the right end. A line of one point would not be seen, so it gets a second one."""
    points = points[-CHART_WIDTH:]
    top = max(highest or 0.0, max((point for point in points if point is not None), default=0.0))
    scale = (CHART_HEIGHT - 2) / top if top > 0 else 0.0
    pieces: list[list[tuple[int, float]]] = [[]]
    for x, point in enumerate(points, CHART_WIDTH - len(points) + 1):
        if point is not None:
            pieces[-1].append((x, round(CHART_HEIGHT - 1 - point * scale, 1)))
        elif pieces[-1]:
            pieces.append([])
    return [[(piece[0][0] - 1, piece[0][1]), *piece] for piece in pieces if piece]
