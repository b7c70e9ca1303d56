"""Exceptions of the tests: a crash, and the originals in a group."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

import pytest
import trio

from trioreg import RestartLimitExceeded


def leaves(error: BaseException) -> list[BaseException]:
    """The originals in an exception group."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return [leaf for inner in group.exceptions for leaf in leaves(inner)]
    return [error]


class Bang(Exception):
    """A crash."""


class GaveUp:
    """What left a supervisor that gave up.

    Attributes:
        limit: The first member of the group.
        errors: The others.
    """

    limit: RestartLimitExceeded
    errors: list[BaseException]


@contextmanager
def gives_up(match: str = "") -> Generator[GaveUp]:
    """A block that is left by a supervisor which gives up: with one group, and no group in it."""
    gave_up = GaveUp()
    with pytest.raises(ExceptionGroup) as caught:
        yield gave_up
    first, *others = caught.value.exceptions
    assert isinstance(first, RestartLimitExceeded), caught.value
    assert not any(isinstance(error, BaseExceptionGroup) for error in others)
    assert re.search(match, str(first))
    gave_up.limit, gave_up.errors = first, list(others)


def a_cancelled_of_elsewhere() -> trio.Cancelled:
    """A `trio.Cancelled` of a scope that is over, as code keeps one that catches it and raises it later."""
    kept: list[trio.Cancelled] = []

    async def wait() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled as cancelled:
            kept.append(cancelled)
            raise

    async def main() -> None:
        with trio.move_on_after(0):
            await wait()

    trio.run(main)
    return kept[0]
