"""The second half of a sync handler that returned a coroutine."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import Any

from .._runtime import discard
from .handler import Handler
from .observed import WatchedMessage, end_early, rest_of, watched_message_of


class Resumed(Handler):
    """Awaits the coroutine that a sync handler returned. It needs no arguments.

    It goes in front of all messages, so nothing else is handled between the two halves.
    """

    __slots__ = ("_coroutine", "_first", "_message")

    def __init__(self, first: Handler, coroutine: Coroutine[Any, Any, object]) -> None:
        self.name, self.declared = first.name, first.declared
        self._first = first
        self._coroutine = coroutine
        self._message = watched_message_of(first)
        function = partial(_go_on, self._message, coroutine)  # a method of this object would refer back to it: a circle
        self.function = function if first.limit is None else first.limit(function, first.name)
        self.is_async = self.has_own_turn = True

    def answered(self, value: object, error: BaseException | None) -> None:
        self._first.answered(value, error)

    def discard(self) -> None:
        """The actor ends before this runs."""
        discard(self._coroutine)
        end_early(self._message)


def _go_on(
    message: WatchedMessage | None,
    coroutine: Coroutine[Any, Any, object],
    _actor: object,
    /,
    *_args: object,
    **_kwargs: object,
) -> Coroutine[Any, Any, object]:
    return rest_of(message, coroutine)
