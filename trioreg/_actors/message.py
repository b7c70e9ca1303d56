"""What a message is: two objects, its kind and its payload.

The kinds are below. The most common message has none of them: for a cast without keyword arguments the kind is the
method's `Handler`, and the payload is the tuple of arguments.
"""

from __future__ import annotations

from collections.abc import Mapping

CALL = object()
"""A call. The payload is the `Call`."""

CAST = object()
"""A cast with keyword arguments, or the second half of a cast. The payload is (handler, args, kwargs)."""

INFO = object()
"""Any object, for ``on_message`` or ``receive()``. The payload is that object."""

TICK = object()
"""The message of a timer, for ``on_message`` or ``receive()``. The payload is the `Tick`."""

STOP = object()
"""The actor was asked to stop: it takes no message behind this one."""

NO_KWARGS: Mapping[str, object] = {}
"""The keyword arguments of a message that has none."""


class Tick:
    """The message of a timer.

    Attributes:
        is_waiting: Whether it is in the mailbox, or waits for room there. The timer does not send it again meanwhile.
    """

    __slots__ = ("is_waiting", "message")

    def __init__(self, message: object) -> None:
        self.message: object = message
        self.is_waiting: bool = False

    def taken(self) -> object:
        """Give the message. From now on the timer may send it again."""
        self.is_waiting = False
        return self.message
