"""Numbers on the command line of a long run: one that makes no sense is refused, and not taken for "nothing to do"."""

from __future__ import annotations

from argparse import ArgumentTypeError
from contextlib import suppress


def positive(text: str) -> int:
    """A whole number from 1 on."""
    with suppress(ValueError):
        if (number := int(text)) >= 1:
            return number
    raise ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")


def seconds(text: str) -> float:
    """A number of seconds, more than 0."""
    with suppress(ValueError):
        if (number := float(text)) > 0:
            return number
    raise ArgumentTypeError(f"must be a number of more than 0, not {text!r}")
