"""One message on its way: its spans, and the context of its handler.

The handler runs in the context that its message carries. Behind it the actor has its own context again, whatever the
handler has attached.

A token of OpenTelemetry could not do that: it works only where it was made, and a handler may end in another task than
it began in (a supervisor's methods go on beside each other). So a variable says which message a context was attached
for. It goes with copies of the context, and it knows the actor's own one.

Must never happen: a context of one message while the actor handles another one, or in the code of a caller.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry.context import attach, get_current
from opentelemetry.trace import set_span_in_context

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext

    from .publications import Publication
    from .route import Route

_current: ContextVar[Handling | None] = ContextVar("the message that is handled", default=None)


class Handling:
    """One message on its way.

    Attributes:
        route: What its spans are called.
        carried: The context that it carries. None if it has no sender: its handler runs in the actor's own one.
        sent: The sender's span; None if there is none.
        cause: What the handler's span links to, if it is not below the sender's; or None.
        publication: The publication that it belongs to, or None.
        handled: The handler's span, while the handler runs.
    """

    __slots__ = ("_attached", "_own", "carried", "cause", "handled", "publication", "route", "sent")

    def __init__(self, route: Route) -> None:
        self.route = route
        self.carried: Context | None = None
        self.sent: Span | None = None
        self.cause: SpanContext | None = None
        self.publication: Publication | None = None
        self.handled: Span | None = None
        self._own: Context | None = None
        self._attached: Context | None = None

    def own_context(self) -> Context:
        """The actor's own context, before its handler begins."""
        before = _current.get()
        # The handler before it may go on elsewhere, and what it attached is still here.
        own = get_current() if before is None or before._own is None else before._own
        self._own = own
        return own

    def begin(self, span: Span, context: Context) -> None:
        """Its handler begins here, with this span."""
        self.handled = span
        self._attached = set_span_in_context(span, context)
        _current.set(self)
        attach(self._attached)

    def end(self, *, is_method: bool) -> None:
        """Its handler is done. The code of a function actor goes on: a context that it has attached stays."""
        self.handled = None
        if _current.get() is self:  # else this is not where it began
            _current.set(None)
            if self._own is not None and (is_method or get_current() is self._attached):
                attach(self._own)
