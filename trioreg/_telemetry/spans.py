"""Spans: how one is started, and how it ends. Neither raises.

Must never happen: a span of ours that is ended twice, or never although its message is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from opentelemetry import trace
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode
from opentelemetry.util.types import Attributes

from .._actors import Message
from .outcome import error_type
from .schema import ERROR_TYPE, OUTCOME, RPC_STATUS, SCHEMA_URL, SYSTEM

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import TracerProvider

    from .failures import Failures
    from .outcome import Outcome

SpanAttributes: TypeAlias = Callable[[Message], Attributes]


class Spans:
    """Starts and ends spans.

    Args:
        provider: Where they come from; None: the global provider.
        attributes: Gives more attributes for the spans of a message; None: there are none.
        failures: Where errors go.
    """

    __slots__ = ("_attributes", "_failures", "_tracer")

    def __init__(self, provider: TracerProvider | None, attributes: SpanAttributes | None, failures: Failures) -> None:
        self._tracer = trace.get_tracer(SYSTEM, tracer_provider=provider, schema_url=SCHEMA_URL)
        self._attributes = attributes
        self._failures = failures

    def start(
        self,
        message: Message | None,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        context: Context,
        link: SpanContext | None = None,
    ) -> Span:
        """A span below the current one of a context. If that fails, one that only carries the trace on."""
        try:
            links = None if link is None or not link.is_valid else [Link(link)]
            span = self._tracer.start_span(name, context, kind, attributes, links)
        except Exception as error:
            self._failures.report(error)
            return NonRecordingSpan(trace.get_current_span(context).get_span_context())
        if self._attributes is not None and message is not None and span.is_recording():
            try:
                span.set_attributes(self._attributes(message) or {})
            except Exception as error:
                self._failures.report(error)
        return span

    def end(
        self,
        span: Span,
        outcome: Outcome,
        error: BaseException | None = None,
        *,
        is_failed: bool = False,
        is_recorded: bool = False,
        is_status: bool = False,
    ) -> None:
        """End a span.

        Args:
            span: The span.
            outcome: How the message ended.
            error: With which error.
            is_failed: Whether that is a failure of what the span stands for.
            is_recorded: Whether the span keeps the error with its traceback. One span of a message does.
            is_status: Whether the error belongs to the interface of the method: it is like a status code.
        """
        try:
            if span.is_recording():
                try:
                    span.set_attribute(OUTCOME, outcome)
                    if error is not None and is_status:
                        span.set_attribute(RPC_STATUS, error_type(error))
                    if is_failed:
                        span.set_attribute(ERROR_TYPE, outcome if error is None else error_type(error))
                        span.set_status(StatusCode.ERROR, None if error is None else str(error))
                    if error is not None and is_recorded:
                        span.record_exception(error)
                finally:
                    span.end()
        except Exception as failure:
            self._failures.report(failure)

    def left(self, span: Span, why: Outcome) -> None:
        """End the sender's span of a message that nobody handles."""
        try:
            if span.is_recording():
                span.add_event("message_left", {"why": why})
        except Exception as error:
            self._failures.report(error)
        self.end(span, why, is_failed=why == "exited")

    def finish(self, span: Span) -> None:
        """End a span that says nothing of an outcome, if it has not ended."""
        try:
            if span.is_recording():
                span.end()
        except Exception as error:
            self._failures.report(error)
