"""Exceptions: take them apart, put them together, and show them."""

from __future__ import annotations

import os
import reprlib
from types import MemberDescriptorType
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
    return errors[0] if len(errors) == 1 else BaseExceptionGroup(f"{label} failed more than once", errors)


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


def attributes_of(value: object) -> dict[str, object]:
    """The attributes of a user's object, to be shown: those in slots too, and none of the runtime's own."""
    slots = [
        name
        for cls in type(value).__mro__
        for name, each in vars(cls).items()
        if isinstance(each, MemberDescriptorType) and not name.startswith("__")
    ]
    attributes = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    attributes |= getattr(value, "__dict__", {})
    return {name: each for name, each in attributes.items() if not name.startswith("_trioreg_")}
