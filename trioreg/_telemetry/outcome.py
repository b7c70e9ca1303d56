"""How a message ended, in one word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from .._runtime import split

if TYPE_CHECKING:
    from .._actors import Message

Outcome: TypeAlias = Literal["ok", "declared_error", "error", "cancelled", "withdrawn", "exited", "dropped"]
"""What is behind each word:

- ``declared_error``: an error that the method declares.
- ``error``: a crash, or any other error of a call.
- ``cancelled``: the actor was ended, or the caller was cancelled, while the handler ran.
- ``withdrawn``, ``exited``, ``dropped``: no actor handled it, as in `Instrument.message_left`.
"""


def outcome_of(message: Message, error: BaseException | None) -> Outcome:
    if error is None:
        return "ok"
    if isinstance(error, message.declared):
        return "declared_error"
    return "cancelled" if split(error)[1] is None else "error"


def error_type(error: BaseException) -> str:
    """Its class, as in ``json.decoder.JSONDecodeError``, or ``KeyError``."""
    cls = type(error)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
