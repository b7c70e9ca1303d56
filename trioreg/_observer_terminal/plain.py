"""Texts and numbers as a terminal can show them.

Each text of the program goes through `plain` before it is used, in `record.py`. So a name cannot move the cursor, hide
a line or turn the direction of writing.
"""

from __future__ import annotations

import math
import unicodedata
from datetime import datetime

LONGEST = 500
"""The most characters that are kept of a text. No column is wider."""

UNKNOWN = "-"

# Cc: control characters, ESC among them. Cf: unseen ones, as those that turn the direction of writing. Cs: halves of a
# character, which no file can be written with. Co and Cn: nobody knows how wide they are. Zl and Zp: end a line.
_REPLACED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: str) -> str:
    """A text on one line, without any character that a terminal does not simply show. At most `LONGEST` characters."""
    cut = text[: LONGEST + 1]
    if cut.isascii() and cut.isprintable():
        shown = cut
    else:
        shown = "".join(_plain_character(character) for character in cut)
    return shown if len(text) <= LONGEST else shown[: LONGEST - 1] + "…"


def _plain_character(character: str) -> str:
    if character in "\n\r\t":
        return " "
    if "\ufe00" <= character <= "\ufe0f":  # the same character as text or as a picture: terminals do not agree how wide
        return ""
    return "\ufffd" if unicodedata.category(character) in _REPLACED else character


def count(number: float | None) -> str:
    """A number: ``"12,345"``, and with one decimal place below 100 if it is not whole."""
    if number is None:
        return UNKNOWN
    return f"{number:,.0f}" if number >= 100 or number == int(number) else f"{number:,.1f}"


def rate(number: float | None) -> str:
    """A number for each second."""
    return UNKNOWN if number is None else f"{count(number)}/s"


def seconds(number: float | None) -> str:
    """How long something takes: ``"1.2 ms"``, ``"3.4 s"``, ``"5 min"``, ``"2 h 5 min"``, ``"3 d 4 h"``."""
    if number is None:
        return UNKNOWN
    if number < 0.9995:
        return f"{number * 1000:.1f} ms"
    if number < 59.95:
        return f"{number:.1f} s"
    minutes = round(number / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    return f"{hours // 24:,} d {hours % 24} h"


def size(number: float | None) -> str:
    """How many bytes: ``"12 B"``, ``"34.5 kB"``, ``"67.8 MB"``."""
    if number is None:
        return UNKNOWN
    if number < 1000:
        return f"{number:.0f} B"
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 999.95:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:,.1f} TB"


def in_unit(number: float | None, unit: str) -> str:
    """A number in the unit of a chart."""
    shown = {"/s": rate, "s": seconds, "B": size}.get(unit, count)
    return shown(number)


def time_of_day(clock: float | None) -> str:
    """The local time of a Unix time: ``"13:05:59"``."""
    try:
        return UNKNOWN if clock is None else f"{datetime.fromtimestamp(clock):%H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return UNKNOWN


def sparkline(points: list[float | None], width: int) -> str:
    """The last points as bars of eight heights. A point that is not known is a space."""
    if width <= 0:
        return ""
    points = points[-width:]
    highest = max((point for point in points if point is not None), default=0.0)
    bars = "▁▂▃▄▅▆▇█"
    text = ""
    for point in points:
        if point is None:
            text += " "
        elif highest <= 0 or math.isinf(highest):
            text += bars[0]
        else:
            text += bars[min(7, max(0, int(point / highest * 8)))]
    return text
