"""A call without a waiting task: `post` puts it into the mailbox in one step, and a function gets the answer.

The sender may be any code that must not wait: a connection that serves the calls of another process, an observer. To
the actor it is a call like any other: it has its place behind the messages that were sent before it, and it gets one
answer, which may come from a `Reply`.

Must never happen: an answer that the function does not get, or gets twice; an error of the function in the actor.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar, overload

from trio.lowlevel import enable_ki_protection

from .._runtime import do_later, is_finalizing, require_room
from .call import Call, Reply
from .cell import STOPPING
from .log import logger
from .message import CALL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextvars import Context

    from .._runtime import Owner
    from .handler import Handler
    from .ref import Address

A = TypeVar("A")
R = TypeVar("R")
P = ParamSpec("P")

Answered: TypeAlias = "Callable[[Any, BaseException | None], object]"


class Posted(Call):
    """A call that has a function for its answer instead of a task.

    It is no edge of the wait-for graph: the actor that made it goes on, and answers its own callers meanwhile.

    Attributes:
        answered: What gets the answer or the error; None when it has got it.
        context: The context of the code that made the call. The function runs in it.
    """

    __slots__ = ("answered", "context")

    def __init__(
        self,
        target: Owner,
        handler: Handler,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        answered: Answered,
        context: Context,
    ) -> None:
        super().__init__(target, None, handler, args, kwargs)
        self.answered: Answered | None = answered
        self.context = context

    def _done(self) -> None:
        require_room()  # for the function: without room the call is as before, and can be answered again
        answered, self.answered = self.answered, None
        value, error = self.value, self.error
        self.value = self.error = None  # the traceback of the error may lead here: no cycle
        try:
            super()._done()
        finally:
            if answered is not None:
                _give(self.context, answered, value, error)
            del error


def _give(
    context: Context,
    answered: Answered,
    value: object,
    error: BaseException | None,
) -> None:
    try:
        context.run(answered, value, error)
    except Exception as failure:
        text = "the function %r, which got the answer of a call, failed"
        logger.error("callback_failed", text, answered, exc_info=failure)
    finally:
        del error


@overload
def post(
    address: Address[A],
    answered: Callable[[R | None, BaseException | None], object],
    method: Callable[Concatenate[A, P], Awaitable[Reply[R]]],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> None: ...
@overload
def post(
    address: Address[A],
    answered: Callable[[R | None, BaseException | None], object],
    method: Callable[Concatenate[A, P], Awaitable[R]],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> None: ...
@overload
def post(
    address: Address[A],
    answered: Callable[[R | None, BaseException | None], object],
    method: Callable[Concatenate[A, P], Reply[R]],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> None: ...
@overload
def post(
    address: Address[A],
    answered: Callable[[R | None, BaseException | None], object],
    method: Callable[Concatenate[A, P], R],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> None: ...
@enable_ki_protection
def post(
    address: Address[Any],
    answered: Answered,
    method: Callable[..., Any],
    /,
    *args: object,
    **kwargs: object,
) -> None:
    """Put a call into the mailbox, in order, and have its answer given to a function. Not a checkpoint; constant time.

    If this returns, ``answered(value, error)`` is called exactly once: with the result of the method, or with the error
    that a caller would get. It runs in the turn of the task that answers, in a copy of the context of this call. So it
    must be short: it may send messages, set an event, or put something into a queue. If it raises, that is logged.

    The handler runs in the actor's own task. A bounded mailbox without room is no error, as for every call: the call
    waits for room.

    Raises:
        ActorExited, NotRegistered, TypeError: As `Address.call`, before anything is sent. The function is not called.
        RuntimeError: This is not the thread of the Trio run.
    """
    cell = address._find()
    if cell is None or cell.state >= STOPPING:
        cell = address._instead_of(cell)
    cell.ref._require_thread()
    handler = cell.handlers.find(method, args, kwargs)
    context = copy_context()
    if is_finalizing():
        do_later(cell.ref._run.token, _post_or_fail, context, address, answered, method, args, kwargs)
    else:
        cell.put_or_line_up(CALL, Posted(cell.ref, handler, args, kwargs, answered, context))


def _post_or_fail(
    context: Context,
    address: Address[Any],
    answered: Answered,
    method: Callable[..., Any],
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> None:
    """`post` for a finalizer, which is over by now: the function gets an error of the sending, too."""
    try:
        context.run(post, address, answered, method, *args, **kwargs)
    except Exception as error:
        _give(context, answered, None, error)
