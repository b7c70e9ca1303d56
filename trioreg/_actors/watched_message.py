"""`Message`: one message on its way, as an instrument sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import trio

from .._runtime import Identity, current_actor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._runtime import Instruments
    from .cell import Reference
    from .observed import MessageKind, WhyLeft
    from .ref import ActorRef


class Message(Identity):
    """One message on its way, as an instrument sees it. All hooks get the same object for the same message.

    Attributes:
        kind: ``"call"``, ``"cast"``, ``"send"``, ``"timer"`` (the actor sent it to itself), ``"publication"`` (from a
            `PubSub`) or ``"idle"`` (its `~Actor.on_idle` is due).
        to: The actor that it is for.
        method: The method, as in ``"Cart.add"``. None for a message to a function actor.
        args, kwargs: Its arguments. Of a ``"send"``, the only argument is the message.
        declared: The errors that the method declares with `raises`. Any other error of it is a crash.
        sender: The actor whose code sent it, or None.
        sent_at: When it was sent, as `trio.current_time`, in seconds.
        began_at: When the actor began with it; None until then.
    """

    __slots__ = (
        "_data",
        "_hooks",
        "_instruments",
        "_is_answered",
        "_is_over",
        "args",
        "began_at",
        "declared",
        "kind",
        "kwargs",
        "method",
        "sender",
        "sent_at",
        "to",
    )

    def __init__(
        self,
        instruments: Instruments,
        kind: MessageKind,
        to: Reference,
        method: str | None,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        declared: tuple[type[Exception], ...] = (),
    ) -> None:
        self.kind: MessageKind = kind
        self.to: ActorRef[Any] = cast("ActorRef[Any]", to)
        self.method: str | None = method
        self.args: tuple[object, ...] = args
        self.kwargs: Mapping[str, object] = kwargs
        self.declared: tuple[type[Exception], ...] = declared
        self.sender: ActorRef[Any] | None = cast("ActorRef[Any] | None", current_actor.get(None))
        self.sent_at: float = trio.current_time()
        self.began_at: float | None = None
        self._data: dict[object, Any] | None = None
        self._instruments = instruments
        self._hooks = instruments.hooks
        self._is_over = False
        self._is_answered = False

    def __repr__(self) -> str:
        return f"<{self.kind} {self.method or 'message'} to {self.to!r}>"

    @property
    def data(self) -> dict[object, Any]:
        """What instruments keep with the message. Use the instrument itself as the key."""
        if self._data is None:
            self._data = {}
        return self._data

    def _tell(self, hook: str, *args: object) -> None:
        if hook in self._hooks:
            self._instruments.tell_those(self._hooks, hook, self, *args)

    def _begin(self) -> None:
        self.to = cast("ActorRef[Any]", current_actor.get())  # it may have been handed on to the next life
        self.began_at = trio.current_time()
        self._tell("handling")

    def _end(self, value: object, error: BaseException | None) -> None:
        if not self._is_over:
            self._is_over = True
            self._tell("handled", value, error)

    def _answer(self, value: object, error: BaseException | None) -> None:
        if self.began_at is not None and not self._is_answered:
            self._is_answered = True
            self._tell("answered", value, error)

    def _leave(self, why: WhyLeft) -> None:
        if not self._is_over:
            self._is_over = True
            # All instruments of now are told, even if the message was sent before they were installed.
            instruments = self.to._run.instruments
            if instruments is not None:
                instruments.tell("message_left", self, why)
