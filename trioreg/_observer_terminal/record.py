"""The answers of a program, read with care: it may be another version of trioreg, or no trioreg at all.

A field that is missing, or that has another type, reads as if nothing was known. Texts are safe to print.
"""

from __future__ import annotations

import math
from typing import cast

from .plain import plain


class Record:
    """One JSON object."""

    __slots__ = ("_fields",)

    def __init__(self, fields: object = None) -> None:
        self._fields = cast("dict[str, object]", fields) if isinstance(fields, dict) else {}

    def __bool__(self) -> bool:
        return bool(self._fields)

    def text(self, name: str) -> str:
        """A text, as `plain` makes it. ``""`` if there is none."""
        value = self._fields.get(name)
        return plain(value) if isinstance(value, str) else ""

    def number(self, name: str) -> float | None:
        """A finite number, or None."""
        return number_of(self._fields.get(name))

    def whole(self, name: str) -> int:
        """A whole number. 0 if there is none."""
        return int(self.number(name) or 0)

    def flag(self, name: str) -> bool:
        """Whether it is true."""
        return self._fields.get(name) is True

    def record(self, name: str) -> Record:
        """An object. An empty one if there is none."""
        return Record(self._fields.get(name))

    def records(self, name: str) -> list[Record]:
        """A list of objects."""
        return [Record(item) for item in self._list(name)]

    def numbers(self, name: str) -> list[float | None]:
        """A list of numbers, some of them not known."""
        return [number_of(item) for item in self._list(name)]

    def texts(self) -> dict[str, str]:
        """Each field that is a text."""
        return {plain(name): plain(value) for name, value in self._fields.items() if isinstance(value, str)}

    def _list(self, name: str) -> list[object]:
        value = self._fields.get(name)
        return cast("list[object]", value) if isinstance(value, list) else []


def number_of(value: object) -> float | None:
    """A finite number, or None. A whole number beyond 2**53 is none: nothing in a program is counted that far."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= 2**53 and math.isfinite(value) else None
