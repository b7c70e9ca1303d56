"""Messages that instruments watch: an `Observed` handler tells of its message when it begins and when it is done.

While an instrument sees messages, each message that is put into a mailbox gets a `Message` (`watched_message.py`), and
its handler is wrapped in an `Observed`. That is an ordinary handler to the loops which handle messages: they know
nothing of instruments. Its function tells ``handling``, runs the real handler, and tells ``handled``. A function actor
has no handlers: there an `Item` is in the mailbox, and `receive` opens it.

Must never happen: a message that is told twice as handled, or as both handled and left; a handler that does not run, or
an answer that is lost, because somebody watches.
"""

from __future__ import annotations

from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast

from .._runtime import await_user
from .call import Reply
from .handler import Handler, RuntimeHandler, Timed
from .message import CALL, CAST, INFO, NO_KWARGS, TICK, Tick

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from .._runtime import Instruments, Owner
    from .call import Call
    from .handler import Hooks

MessageKind: TypeAlias = Literal["call", "cast", "send", "timer", "publication", "idle"]
WhyLeft: TypeAlias = Literal["withdrawn", "exited", "dropped"]

COROUTINE: type[object] = CoroutineType
"""What the call of an async function gives. By this name, type checkers do not narrow to it."""


class Receiver(Protocol):
    """The actor that a message is for: its `Cell`."""

    @property
    def ref(self) -> Owner: ...
    @property
    def hooks(self) -> Hooks | None: ...


class WatchedMessage(Protocol):
    """One message that is watched: a `Message`."""

    def _begin(self) -> None:
        """The actor begins with it."""

    def _end(self, value: object, error: BaseException | None) -> None:
        """The handler is done. Nothing, if the message is over already."""

    def _answer(self, value: object, error: BaseException | None) -> None:
        """Its caller has the answer, an error, or is cancelled. Nothing, if the actor has not begun with it."""

    def _leave(self, why: WhyLeft) -> None:
        """Nobody handles it. Nothing, if it is over already."""


class Observed(Handler):
    """Runs another handler, and tells the instruments.

    Attributes:
        inner: That handler.
        message: The message that it is for.
    """

    __slots__ = ("inner", "message")

    def __init__(self, inner: Handler, message: WatchedMessage) -> None:
        self.name, self.declared, self.limit = inner.name, inner.declared, inner.limit
        self.is_async, self.has_own_turn = inner.is_async, inner.has_own_turn
        self.inner = inner
        self.message = message
        # Not a method of this object: that would refer back to it, garbage in a circle.
        self.function = partial(_run_async if inner.is_async else _run, message, inner)

    def answered(self, value: object, error: BaseException | None) -> None:
        self.message._answer(value, error)


def _run(message: WatchedMessage, inner: Handler, actor: object, /, *args: object, **kwargs: object) -> Any:
    message._begin()
    try:
        result = inner.function(actor, *args, **kwargs)
    except BaseException as error:
        message._end(None, error)
        raise
    if type(result) is not COROUTINE:  # else the message is handled when that is done: `answers.go_on`
        message._end(result, None)
    return result


def _run_and_answer(message: WatchedMessage, inner: Handler, actor: object, /, *args: object, **kwargs: object) -> Any:
    """Run a handler in the turn of a caller, which gets the result at once: no `Call` tells of the answer."""
    result: object = _run(message, inner, actor, *args, **kwargs)
    if type(result) not in (COROUTINE, Reply):
        message._answer(result, None)
    return result


async def _run_async(message: WatchedMessage, inner: Handler, actor: object, /, *args: object, **kwargs: object) -> Any:
    message._begin()
    try:
        result = await inner.function(actor, *args, **kwargs)
    except BaseException as error:
        message._end(None, error)
        raise
    message._end(result, None)
    return result


def rest_of(message: WatchedMessage | None, coroutine: Coroutine[Any, Any, object]) -> Coroutine[Any, Any, object]:
    """The second half of a sync handler that returned a coroutine. With it, the message is handled."""
    return await_user(coroutine) if message is None else _run_rest(message, coroutine)


async def _run_rest(message: WatchedMessage, coroutine: Coroutine[Any, Any, object]) -> object:
    try:
        result = await await_user(coroutine)
    except BaseException as error:
        message._end(None, error)
        raise
    message._end(result, None)
    return result


def end_early(message: WatchedMessage | None) -> None:
    """The second half of a handler is not run."""
    if message is not None:
        message._end(None, None)


def watched_message_of(handler: Handler) -> WatchedMessage | None:
    """The message that a handler runs, if somebody watches it: of an `Observed`, or of the `Next` of an intake.

    Ask when it returns its coroutine: a `Next` may run other messages before that is done.
    """
    return None if type(handler) is Handler else getattr(handler, "message", None)


def plain(handler: Handler) -> Handler:
    """The handler itself, also of a message that is watched."""
    return handler.inner if type(handler) is Observed else handler


class Item:
    """A message for a function actor that instruments watch."""

    __slots__ = ("kind", "message", "payload")

    def __init__(self, message: WatchedMessage, kind: object, payload: object) -> None:
        self.message = message
        self.kind = kind
        self.payload = payload

    def open(self, cell: Receiver) -> tuple[object, object]:
        """The actor takes it: with that, it is done with the one before."""
        end_received(cell)
        instruments = cell.ref._run.instruments
        if instruments is not None:
            instruments.received[cell] = self.message
        self.message._begin()
        return self.kind, self.payload


def end_received(cell: Receiver, error: BaseException | None = None) -> None:
    """A function actor is done with the message that it received last."""
    instruments = cell.ref._run.instruments
    if instruments is not None:
        message = cast("WatchedMessage | None", instruments.received.pop(cell, None))
        if message is not None:
            message._end(None, error)


# What goes into the mailbox


def observed(cell: Receiver, kind: object, payload: object) -> tuple[object, object]:
    """A message as it goes into the mailbox while somebody may watch. It is told as sent."""
    instruments = cell.ref._run.instruments
    if instruments is None or instruments.new_message is None:
        return kind, payload
    if type(kind) is Handler:
        args = cast("tuple[object, ...]", payload)
        return CAST, (_watched(cell, instruments, _kind_of(cell, kind), kind, args, NO_KWARGS), args, NO_KWARGS)
    if kind is CALL:
        call = cast("Call", payload)
        if type(call.handler) is Handler:
            call.handler = _watched(cell, instruments, "call", call.handler, call.args, call.kwargs)
    elif kind is CAST and _is_tuple(payload):
        handler, args, kwargs = cast("tuple[Handler, tuple[object, ...], Mapping[str, object]]", payload)
        if type(handler) is Handler:
            return CAST, (_watched(cell, instruments, "cast", handler, args, kwargs), args, kwargs)
        if type(handler) is Timed:
            return CAST, (_watched(cell, instruments, "timer", handler, args, kwargs), args, kwargs)
    elif kind is INFO or kind is TICK:
        if type(payload) is Item:
            return kind, payload
        tick = cast("Tick", payload) if kind is TICK else None
        args = (payload if tick is None else tick.message,)
        if cell.hooks is None:
            message = _message(cell, instruments, "send" if tick is None else "timer", None, args)
            return INFO, Item(message, kind, payload)
        handler = cell.hooks.on_message
        if tick is None:
            return CAST, (_watched(cell, instruments, "send", handler, args, NO_KWARGS), args, NO_KWARGS)
        return CAST, (_watched(cell, instruments, "timer", Timed(handler, tick), args, NO_KWARGS), args, NO_KWARGS)
    return kind, payload


def observed_call(cell: Receiver, handler: Handler, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Handler:
    """The handler for a call in the turn of its caller."""
    instruments = cell.ref._run.instruments
    if instruments is None or instruments.new_message is None:
        return handler
    watched = _watched(cell, instruments, "call", handler, args, kwargs)
    watched.function = partial(_run_and_answer, watched.message, handler)
    return watched


def publication(cell: Receiver, kind: object, payload: Any) -> tuple[object, object]:
    """`observed`, for a message of a `PubSub`."""
    instruments = cell.ref._run.instruments
    if instruments is None or instruments.new_message is None:
        return kind, payload
    if cell.hooks is None:
        return INFO, Item(_message(cell, instruments, "publication", None, (payload,)), kind, payload)
    handler, args = (cell.hooks.on_message, (payload,)) if kind is INFO else (cast("Handler", kind), payload)
    return CAST, (_watched(cell, instruments, "publication", handler, args, NO_KWARGS), args, NO_KWARGS)


class BufferedMessage:
    """A publication that instruments watch, while it waits in the buffer of a subscription."""

    __slots__ = ("message", "payload")

    def __init__(self, message: WatchedMessage, payload: object) -> None:
        self.message = message
        self.payload = payload


def buffered(cell: Receiver, handler: Handler, payload: object) -> object:
    """`observed`, for a message as it goes into the buffer of a subscription."""
    instruments = cell.ref._run.instruments
    if instruments is None or instruments.new_message is None:
        return payload
    return BufferedMessage(_message(cell, instruments, "publication", handler, (payload,)), payload)


def run_buffered(item: BufferedMessage, handler: Handler, actor: object) -> Any:
    """Run the handler of a message that comes out of the buffer."""
    return (_run_async if handler.is_async else _run)(item.message, handler, actor, item.payload)


def tell_buffered_left(cell: Receiver, handler: Handler, item: object, why: WhyLeft) -> None:
    """`tell_left`, for a message in the buffer of a subscription."""
    if type(item) is BufferedMessage:
        item.message._leave(why)
        return
    instruments = cell.ref._run.instruments
    if instruments is not None and instruments.new_message is not None and "message_left" in instruments.hooks:
        instruments.new_message(instruments, "publication", cell.ref, handler.name, (item,), NO_KWARGS)._leave(why)


def tell_left(cell: Receiver, kind: object, payload: object, why: WhyLeft) -> None:
    """A message is never handled. One that was sent before there was an instrument is told, too."""
    if isinstance(payload, Item):
        payload.message._leave(why)
        return
    about = _about(kind, payload)
    if about is None:
        return
    what, handler, args, kwargs = about
    if type(handler) is Observed:
        handler.message._leave(why)
        return
    instruments = cell.ref._run.instruments
    if instruments is not None and instruments.new_message is not None and "message_left" in instruments.hooks:
        method = None if handler is None else handler.name
        instruments.new_message(instruments, what, cell.ref, method, args, kwargs)._leave(why)


About: TypeAlias = "tuple[MessageKind, Handler | None, tuple[object, ...], Mapping[str, object]]"


def _about(kind: object, payload: object) -> About | None:
    """What a message in a mailbox is. None if the runtime has sent it for itself."""
    if kind is CALL:
        call = cast("Call", payload)
        return None if type(call.handler) is RuntimeHandler else ("call", call.handler, call.args, call.kwargs)
    if kind is INFO:
        return "send", None, (payload,), NO_KWARGS
    if kind is TICK:
        return "timer", None, (cast("Tick", payload).message,), NO_KWARGS
    if isinstance(kind, Handler):
        return "cast", kind, cast("tuple[object, ...]", payload), NO_KWARGS
    assert kind is CAST  # of a user's: the runtime's own ones are never left
    handler, args, kwargs = cast("tuple[Handler, tuple[object, ...], Mapping[str, object]]", payload)
    return "cast", handler, args, kwargs


def _is_tuple(payload: object) -> bool:
    """Whether it is a cast of a user's. The runtime sends itself other ones."""
    return type(payload) is tuple


def _kind_of(cell: Receiver, handler: Handler) -> MessageKind:
    return "idle" if cell.hooks is not None and handler is cell.hooks.on_idle else "cast"


def _watched(
    cell: Receiver,
    instruments: Instruments,
    kind: MessageKind,
    handler: Handler,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> Observed:
    return Observed(handler, _message(cell, instruments, kind, handler, args, kwargs))


def _message(
    cell: Receiver,
    instruments: Instruments,
    kind: MessageKind,
    handler: Handler | None,
    args: tuple[object, ...],
    kwargs: Mapping[str, object] = NO_KWARGS,
) -> WatchedMessage:
    assert instruments.new_message is not None
    method, declared = (None, ()) if handler is None else (handler.name, handler.declared)
    message: WatchedMessage = instruments.new_message(instruments, kind, cell.ref, method, args, kwargs, declared)
    instruments.tell("message_sent", message)
    return message
