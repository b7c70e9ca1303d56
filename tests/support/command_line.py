"""Numbers on the command line of a long run: one that makes no sense is refused, and not taken for "nothing to do"."""

from __future__ import annotations


def positive(text: str) -> int:
    """A whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def seconds(text: str) -> float:
    """A number of seconds, more than 0."""
    number = float(text)
    if not number > 0:
        raise ValueError
    return number
