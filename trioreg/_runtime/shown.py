"""What the user wrote as text for errors, the log and people: an object, an error, a name. Its `repr` may raise."""

from __future__ import annotations

import reprlib
from typing import cast


def shown_safely(value: object) -> str:
    """The `repr` of a user's object, cut to a readable length. Never raises, even if that `repr` does."""
    try:
        return reprlib.repr(value)
    except Exception as failure:  # no call in here: the stack may be full
        return f"<{type(value).__name__}, whose repr raises {type(failure).__name__}>"


def shown_error(error: BaseException) -> str:
    """An error in one line: its `repr`, but not the reprs of all members of a group."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return f"{type(group).__name__}: {group}"
    try:
        return repr(error)
    except Exception as failure:  # no call in here, as above
        return f"<{type(error).__name__}, whose repr raises {type(failure).__name__}>"


def shown_whole(value: object) -> str:
    """The `repr` of a user's object, for an error or the log. Never raises, even if that `repr` does.

    Trio shows each error that leaves a nursery, and the run fails if that raises.
    """
    try:
        return repr(value)
    except Exception as failure:  # no call in here, as above
        return f"<{type(value).__name__}, whose repr raises {type(failure).__name__}>"


def one_line(text: str) -> str:
    """The text without line breaks, control characters and lone surrogates: these are shown as Python writes them.

    A name with a line break must not look like two, and any stream must be able to take the text.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
