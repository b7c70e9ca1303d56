"""OpenTelemetry for trioreg: spans for messages, with the sender's context carried along, and metrics.

Install ``trioreg[otel]``. The guide is "Traces and metrics" in the docs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

try:
    from opentelemetry import context as _context
    from opentelemetry import trace as _trace
except ImportError as _error:
    raise ImportError('trioreg.telemetry needs OpenTelemetry: pip install "trioreg[otel]"') from _error

import trio

from ._program import Instrument
from ._telemetry import Failures, Handling, Metrics, Publications, Routes, SpanAttributes, Spans, outcome_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from ._actors import ActorRef, Message, WhyLeft
    from ._runtime import Exit, RestartLimitExceeded

__all__ = ["Telemetry"]


class Telemetry(Instrument):
    """An instrument that makes spans and metrics with the API of OpenTelemetry.

    ::

        trioreg.run([...], instruments=[Telemetry()])

    It exports nothing by itself: which exporter gets what, and what is sampled, is up to the providers of your SDK. It
    never waits for one. If a span processor raises, that is logged, and the program goes on.

    **Context.** A message carries the context of its sender: the current span, and the baggage. The handler runs in
    that context, below a span of its own. Behind the handler the actor has its own context again. A timer and
    `~trioreg.Actor.on_idle` have no sender: their handler runs in the actor's own context.

    Install it before the actors start. It counts only those that start while it is installed. Two of them with the same
    providers count everything twice.

    Args:
        tracer_provider: Where the spans go; None: the global provider, also if you set it later.
        meter_provider: Where the metrics go; None: the global provider, also if you set it later.
        attributes: Called with a `~trioreg.Message` for each span of it that is sampled. Returns more attributes for
            the span, such as the actor's registered name. It must be short.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        attributes: SpanAttributes | None = None,
    ) -> None:
        self._failures = Failures()
        self._routes = Routes()
        self._spans = Spans(tracer_provider, attributes, self._failures)
        self._publications = Publications(self._spans)
        self._metrics = Metrics(meter_provider, self._failures)

    # Messages

    def message_sent(self, message: Message, /) -> None:
        route = self._routes.of(message)
        handling = message.data[self] = Handling(route)
        context = _context.get_current()
        if not route.has_sender:
            handling.cause = _trace.get_current_span(context).get_span_context()
        elif route.is_publication:
            handling.publication = self._publications.of(message.args[0], context)
            handling.cause = handling.publication.span.get_span_context()
            handling.carried = context
        else:
            span = self._spans.start(message, route.sent_name, route.sent_kind, route.sent_attributes, context)
            handling.sent = span
            handling.carried = _trace.set_span_in_context(span, context)

    def handling(self, message: Message, /) -> None:
        handling = self._handling_of(message)
        if handling is None:
            return
        route = handling.route
        own = handling.own_context()
        context = own if handling.carried is None else handling.carried
        if handling.sent is None:  # a trace of its own, which links to where it comes from
            context = _trace.set_span_in_context(_trace.INVALID_SPAN, context)
            if handling.publication is not None:
                self._publications.end(handling.publication)
        elif not route.is_call:
            self._spans.finish(handling.sent)
        span = self._spans.start(
            message, route.handled_name, route.handled_kind, route.handled_attributes, context, handling.cause
        )
        handling.begin(span, context)
        assert message.began_at is not None
        self._metrics.began(route, message.began_at - message.sent_at)

    def handled(self, message: Message, value: object, error: BaseException | None, /) -> None:
        handling = self._handling_of(message)
        if handling is None or handling.handled is None:
            return
        route, span = handling.route, handling.handled
        outcome = outcome_of(message, error)
        assert message.began_at is not None
        self._metrics.handled(route, trio.current_time() - message.began_at, outcome, error)
        handling.end(is_method=message.method is not None)
        # The caller gets the declared error of a call. No code gets the declared error of another message.
        is_status = route.is_call and outcome == "declared_error"
        is_failed = not is_status and outcome in ("declared_error", "error")
        self._spans.end(span, outcome, error, is_failed=is_failed, is_recorded=is_failed, is_status=is_status)

    def answered(self, message: Message, value: object, error: BaseException | None, /) -> None:
        handling = self._handling_of(message)
        if handling is None or handling.sent is None:
            return
        outcome = outcome_of(message, error)
        self._metrics.answered(handling.route, trio.current_time() - message.sent_at, outcome, error)
        is_status = outcome == "declared_error"
        is_failed = outcome in ("declared_error", "error")
        self._spans.end(handling.sent, outcome, error, is_failed=is_failed, is_status=is_status)

    def message_left(self, message: Message, why: WhyLeft, /) -> None:
        route = self._routes.of(message)
        self._metrics.over(route, why)
        handling = self._handling_of(message)
        if handling is None:
            return  # it was sent before this was installed
        if route.is_call:
            self._metrics.answered(route, trio.current_time() - message.sent_at, why, None)
        if handling.publication is not None:
            self._publications.end(handling.publication)
        if handling.sent is not None:
            self._spans.left(handling.sent, why)

    def published(self, pubsub: str, topic: Hashable, message: object, count: int, /) -> None:
        self._publications.published(pubsub, message, count, _context.get_current())

    def _handling_of(self, message: Message) -> Handling | None:
        handling: object = message.data.get(self)
        return handling if isinstance(handling, Handling) else None

    # Actors

    def actor_starting(self, ref: ActorRef[object], /) -> None:
        self._metrics.starting(ref)

    def actor_exited(self, ref: ActorRef[object], exit: Exit, /) -> None:
        self._metrics.exited(ref, exit.reason)

    def restarted(self, ref: ActorRef[object], restarts: int, /) -> None:
        self._metrics.restarted(ref)

    def gave_up(self, supervisor: str, error: RestartLimitExceeded, /) -> None:
        self._metrics.gave_up()
