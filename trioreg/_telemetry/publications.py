"""Publications: one span for all messages of one publication, to which the handlers of all subscribers link.

An instrument sees the messages of a publication first, one for each actor that is subscribed, and the publication
itself behind them. So the first message starts the span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from opentelemetry.trace import SpanKind
from trio.lowlevel import current_task

from .schema import DESTINATION, MESSAGING_SYSTEM, OPERATION, OPERATION_TYPE, REACHED, SYSTEM

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from .spans import Spans

_OVER = object()
"""It is no message. None could be one."""

_ATTRIBUTES = {MESSAGING_SYSTEM: SYSTEM, OPERATION: "publish", OPERATION_TYPE: "send"}


class Publication:
    """One publication.

    Attributes:
        message: What was published. `_OVER` once a subscriber has begun to handle it: a message that is sent after that
            belongs to another publication.
        span: Its span.
    """

    __slots__ = ("message", "span")

    def __init__(self, message: object, span: Span) -> None:
        self.message = message
        self.span = span


class Publications:
    """The last publication of each task, as long as it may have more messages."""

    __slots__ = ("__weakref__", "_last", "_spans")

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        self._last: WeakKeyDictionary[object, Publication] = WeakKeyDictionary()

    def of(self, message: object, context: Context) -> Publication:
        """The publication that a message to one subscriber belongs to."""
        task = self._task()
        publication = self._last.get(task)
        if publication is None or publication.message is not message:
            if publication is not None:
                self.end(publication)
            publication = self._last[task] = Publication(message, self._start(context))
        return publication

    def end(self, publication: Publication) -> None:
        """It is over, or a subscriber has begun with it."""
        publication.message = _OVER
        self._spans.finish(publication.span)

    def published(self, pubsub: str, message: object, count: int, context: Context) -> None:
        """All its messages were sent."""
        publication = self._last.pop(self._task(), None)
        if publication is not None and publication.message is not message:
            self.end(publication)
            publication = None
        span = self._start(context) if publication is None else publication.span
        if span.is_recording():
            span.update_name(f"publish {pubsub}")
            span.set_attributes({DESTINATION: pubsub, REACHED: count})
        self._spans.finish(span)

    def _start(self, context: Context) -> Span:
        return self._spans.start(None, "publish", SpanKind.PRODUCER, _ATTRIBUTES, context)

    def _task(self) -> object:
        try:
            return current_task()
        except RuntimeError:  # a function that Trio calls between tasks
            return self
