"""Exceptions: take them apart, put them together, and show them."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable
from typing import cast

import trio

# The folder of the whole package: all its frames are the runtime's.
_RUNTIME = os.path.dirname(os.path.dirname(__file__)) + os.sep


def split(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """Take an exception apart: the part that is Trio's cancellation, and the part that is a failure."""
    if isinstance(error, trio.Cancelled):
        return error, None
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).split(trio.Cancelled)
    return None, error


def combine(errors: list[BaseException], label: str) -> BaseException:
    """One exception for several."""
    return errors[0] if len(errors) == 1 else BaseExceptionGroup(f"{label} failed more than once", flat(errors))


def flat(errors: Iterable[BaseException]) -> list[BaseException]:
    """The errors, and instead of each plain group its members: for one group with no group in it.

    A subclass of a group means something to those who wrote it, and stays whole.
    """
    found: list[BaseException] = []
    todo = list(errors)[::-1]
    while todo:
        error = todo.pop()
        if type(error) in (ExceptionGroup, BaseExceptionGroup):
            todo += cast("BaseExceptionGroup[BaseException]", error).exceptions[::-1]
        else:
            found.append(error)
    return found


def without_runtime_frames(error: BaseException) -> BaseException:
    """The exception, with a traceback that begins where the runtime calls the user's code."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(_RUNTIME):
        tb = tb.tb_next
    return error if tb is None else error.with_traceback(tb)


def shown_safely(value: object) -> str:
    """The `repr` of a user's object for the log, cut to a readable length. Never raises, even if that `repr` does."""
    try:
        return reprlib.repr(value)
    except Exception as error:
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
