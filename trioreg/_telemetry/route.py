"""What the spans and the metrics of messages are called: one `Route` for all messages of a kind to a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import attrs
from opentelemetry.trace import SpanKind

from .schema import (
    ACTOR_CLASS,
    DESTINATION_TEMPLATE,
    KIND,
    MESSAGING_SYSTEM,
    METHOD,
    OPERATION,
    OPERATION_TYPE,
    RPC_METHOD,
    RPC_SYSTEM,
    SYSTEM,
)

if TYPE_CHECKING:
    from .._actors import Message

Attributes: TypeAlias = Mapping[str, str]
"""The attributes of a span or of a metric. Their names are in `schema.py`."""


@attrs.frozen(eq=False)
class Route:
    """Names and attributes.

    Attributes:
        is_call: Whether the sender waits for an answer.
        has_sender: Whether some code sends such a message. Timers and `on_idle` have none.
        is_publication: Whether one message has many receivers.
        sent_name, sent_kind, sent_attributes: Of the sender's span.
        handled_name, handled_kind, handled_attributes: Of the handler's span.
        duration_attributes: Of the metric of the handler's duration, and of the caller's.
        attributes: Of our own metrics.
    """

    is_call: bool
    has_sender: bool
    is_publication: bool
    sent_name: str
    sent_kind: SpanKind
    sent_attributes: Attributes
    handled_name: str
    handled_kind: SpanKind
    handled_attributes: Attributes
    duration_attributes: Attributes
    attributes: Attributes


class Routes:
    """The routes that have been seen. They are as many as there are methods in the program."""

    __slots__ = ("_routes",)

    def __init__(self) -> None:
        self._routes: dict[tuple[str, str, str | None], Route] = {}

    def of(self, message: Message) -> Route:
        label = message.to._label
        key = message.kind, label, message.method
        route = self._routes.get(key)
        if route is None:
            route = self._routes[key] = _make(*key)
        return route


def _make(kind: str, label: str, method: str | None) -> Route:
    target = method or label
    about = {ACTOR_CLASS: label, KIND: kind}
    if method is not None:
        about[METHOD] = method
    if kind == "call":
        call = {RPC_SYSTEM: SYSTEM, RPC_METHOD: target, ACTOR_CLASS: label}
        return Route(
            is_call=True,
            has_sender=True,
            is_publication=False,
            sent_name=target,
            sent_kind=SpanKind.CLIENT,
            sent_attributes=call,
            handled_name=target,
            handled_kind=SpanKind.SERVER,
            handled_attributes=call,
            duration_attributes=call,
            attributes=about,
        )
    has_sender = kind not in ("timer", "idle")
    operation = "publish" if kind == "publication" else kind
    messaging = {MESSAGING_SYSTEM: SYSTEM, DESTINATION_TEMPLATE: target}
    process = {OPERATION: "process", OPERATION_TYPE: "process", **messaging}
    return Route(
        is_call=False,
        has_sender=has_sender,
        is_publication=kind == "publication",
        sent_name=f"{operation} {target}",
        sent_kind=SpanKind.PRODUCER,
        sent_attributes={OPERATION: operation, OPERATION_TYPE: "send", **messaging, **about},
        handled_name=f"{'process' if has_sender else kind} {target}",
        handled_kind=SpanKind.CONSUMER if has_sender else SpanKind.INTERNAL,
        handled_attributes={**process, **about} if has_sender else about,
        duration_attributes={**process, **about},
        attributes=about,
    )
