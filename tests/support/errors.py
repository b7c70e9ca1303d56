"""Exceptions of the tests: a crash, and the originals in a group."""

from __future__ import annotations

from typing import cast


def leaves(error: BaseException) -> list[BaseException]:
    """The originals in an exception group."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return [leaf for inner in group.exceptions for leaf in leaves(inner)]
    return [error]


class Bang(Exception):
    """A crash."""
