"""Check the numbers that a user gives: seconds and counts.

One place for all of them, so that the same mistake gives the same error wherever it is made. The error names the
argument and the value, shortened.
"""

from __future__ import annotations

import math
import sys
from typing import Any

from .shown import shown_safely

SECONDS = "a number of seconds"
OPTIONAL_SECONDS = "None or a number of seconds"


def require_number(
    argument: str, value: object, *, what: str = "a number", infinite: bool = False, zero: bool = True
) -> None:
    """Raise unless ``value`` is an int or a float of at least 0 that a float can hold.

    Args:
        argument: What the value was given as.
        value: The value.
        what: What it must be, for a `TypeError`.
        infinite: Whether ``math.inf`` is allowed.
        zero: Whether 0 is allowed.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{argument} must be {what}, not {shown_safely(value)}")
    if not (value >= 0 if zero else value > 0) or (value == math.inf and not infinite):
        least = "at least 0" if zero else "more than 0"
        raise ValueError(f"{argument} must be {least}{'' if infinite else ' and finite'}, not {shown_safely(value)}")
    try:
        float(value)
    except OverflowError:
        allowed = ", or math.inf" if infinite else ""
        shown = shown_safely(value)
        raise ValueError(f"{argument} must be a number that a float can hold{allowed}, not {shown}") from None


def require_count(argument: str, value: object, least: int, *, infinite: bool = False) -> None:
    """Raise unless ``value`` is an int of at least ``least``, or ``math.inf`` if that is allowed."""
    is_infinite = isinstance(value, float) and value == math.inf
    if isinstance(value, bool) or not (isinstance(value, int) or (infinite and is_infinite)):
        raise TypeError(f"{argument} must be an int{' or math.inf' if infinite else ''}, not {shown_safely(value)}")
    _require_bounds(argument, value, least, infinite)


def require_whole(argument: str, value: object) -> None:
    """Raise unless ``value`` is a whole number of at least 0, which may be a float, or ``math.inf``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{argument} must be an int or math.inf, not {shown_safely(value)}")
    if not value >= 0 or (isinstance(value, float) and value != math.inf and not value.is_integer()):
        raise ValueError(f"{argument} must be a whole number of at least 0, or math.inf, not {shown_safely(value)}")
    _require_bounds(argument, value, 0, True)


def _require_bounds(argument: str, value: Any, least: int, infinite: bool) -> None:
    if value < least:
        raise ValueError(f"{argument} must be at least {least}, not {shown_safely(value)}")
    # Python counts nothing beyond that: `len` and `range` fail.
    if sys.maxsize < value < math.inf:
        allowed = ", or math.inf" if infinite else ""
        raise ValueError(f"{argument} must be at most {sys.maxsize}{allowed}, not {shown_safely(value)}")
