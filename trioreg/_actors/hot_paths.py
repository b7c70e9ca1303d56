"""The paths that every message takes, written out by hand for speed: sending one, and handling one.

A function call is what a message costs most, so these paths do in place what a plain function does elsewhere. A
comment at each such place names the plain function. tests/actors/test_hot_paths.py drives both and compares them: if
you change one, change the other.

| here | stands for |
|---|---|
| `serve` | a loop of `Mailbox.take`, `Mailbox.wait_for_message`, and running the handler |
| `serve_casts` | `serve`, for casts to sync methods only |
| `MessagePaths.call` | `Mailbox.is_idle`, then `answer_in_callers_turn` or `ask` |
| `MessagePaths.cast_nowait`, `send_nowait` | `Handlers.find`, `Mailbox.put` |

`Registry.cast_nowait` (`key_cast.py`) is a copy of the usual part of `MessagePaths.cast_nowait`: change both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, TypeVarTuple, cast, overload

import trio
from trio.lowlevel import checkpoint, checkpoint_if_cancelled, enable_ki_protection, reschedule

from .._runtime import (
    UNUSUAL,
    WOKEN,
    MailboxFull,
    TrioregError,
    do_later,
    finish_waking,
    is_finalizing,
    sleep_until_woken,
    split,
)
from .answers import (
    answer_in_callers_turn,
    answer_later,
    ask,
    go_on,
    wait_answer,
)
from .call import Call, Reply
from .cell import ENDING, STOPPING
from .handler import Handler
from .idle import idle_deadline
from .log import log_declared
from .message import CALL, CAST, INFO, NO_KWARGS, STOP, TICK
from .observed import COROUTINE

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Mapping

    from .._runtime import ActorExited
    from .cell import Cell

A = TypeVar("A", covariant=True)
R = TypeVar("R")
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")

NOTHING_QUEUED = ()

BATCH = 256
"""How many messages an actor handles before it lets other tasks run."""


async def serve(cell: Cell) -> bool:
    """Handle messages, one at a time, until the actor is to end.

    Returns:
        True if an async handler comes first and there is no scope to cancel it by. That message is still there: make a
        scope and call this again.
    """
    hooks, actor, task = cell.hooks, cell.actor, cell.task
    assert hooks is not None and task is not None
    cell.taker = task
    # Nothing is checked twice in here: this loop is the cost of every message.
    handler: Any = None
    function: Any
    args: Any = ()
    kwargs: Mapping[str, object] = NO_KWARGS
    call: Call | None = None
    kind: Any = None
    payload: Any = None
    result: Any = None
    budget = BATCH
    while True:
        # `Mailbox.take`, written out.
        queue: Any = cell.queue
        if cell.kind is not None:
            if cell.state == ENDING:
                return False
            kind, payload = cell.kind, cell.payload
            cell.kind = cell.payload = None
            queue = queue or NOTHING_QUEUED
        elif queue:
            if not budget:
                await checkpoint()
                budget = BATCH
                continue  # the next message may have been withdrawn meanwhile
            if cell.limit is None:
                budget = serve_casts(cell, queue, budget)
                if not queue or not budget or cell.kind is not None:
                    continue
            budget -= 1
            kind = queue.popleft()
            payload = queue.popleft()
        elif cell.state == ENDING:
            return False
        else:
            # An idle actor keeps nothing of its last message. (The handler of one that is watched leads to it.)
            handler = function = args = payload = result = None
            if hooks.has_on_idle:
                await wait_for_message_or_idle(cell)
            else:
                # `Mailbox.wait_for_message`, written out: every actor pays for each frame that a parked task keeps.
                sleep = sleep_until_woken()
                if cell.kind is not None or cell.queue or cell.state == ENDING:
                    continue
                task.custom_sleep_data = cell
                await sleep
            budget = BATCH
            continue
        if type(kind) is Handler:
            handler, args = kind, payload
        elif kind is CALL:
            # `Mailbox.take`, written out, goes on: only a call can have been withdrawn.
            if cell.withdrawn and cell.forget_withdrawn(payload):
                continue
            call = cast("Call", payload)
            handler, args, kwargs = payload.handler, payload.args, payload.kwargs
        elif kind is INFO:
            handler, args = hooks.on_message, (payload,)
        elif kind is CAST:
            handler, args, kwargs = payload
        elif kind is TICK:
            handler, args = hooks.on_message, (payload.taken(),)
        else:
            assert kind is STOP
            if cell.life.background is not None and cell.life.background.turns is not None:
                await cell.life.background.turns.wait_over()
            return False
        if handler.is_async and cell.scope is None:
            cell.put_first(kind, payload)
            return True
        # `Mailbox.take`, written out, ends here: the message is not put back any more.
        if len(queue) >= cell.longest:
            cell.update_peak()
        if cell.overflow:
            cell.admit()
        if call is not None:
            cell.call = call
        function = handler.function
        try:
            if kwargs:
                result = function(actor, *args, **kwargs)
            elif len(args) == 1:
                result = function(actor, args[0])
            else:
                result = function(actor, *args)
            if handler.is_async:
                cell.handling = handler.name
                cell.handling_since = cell.ref._run.now()
                try:
                    result = await result
                finally:
                    cell.handling = None
        except handler.declared as error:
            if call is not None:
                call.fail(error)
            else:
                log_declared(cell, handler, error)
        except BaseException as error:
            if split(error)[1] is not None:  # else it was only cancelled: a crash, if any, is not of this handler
                cell.life.crashed_in = (handler.name, args, kwargs)
            raise
        else:
            if result is not None and type(result) is COROUTINE and not handler.is_async:
                go_on(cell, cast("Any", result), handler, args, kwargs, call)
            elif call is None:
                pass
            elif type(result) is Reply:
                answer_later(cell, call, cast("Reply[object]", result))
            else:
                call.answer(result)
        if call is not None:
            cell.call = call = None
        if kwargs:
            kwargs = NO_KWARGS
        cell.handled += 1


@enable_ki_protection
def serve_casts(cell: Cell, queue: deque[Any], budget: int) -> int:
    """Handle the next messages as `serve` does, as long as they are casts to sync methods. Returns the budget left.

    Most messages are such casts, and a loop for nothing else is quicker.
    """
    actor = cell.actor
    handler: Any = None
    args: Any = None
    result: Any
    try:
        while budget and queue:
            # `Mailbox.take`, written out: nothing waits for room, and no cast is ever withdrawn.
            handler = queue.popleft()
            if type(handler) is not Handler or handler.is_async:
                queue.appendleft(handler)  # for `serve`
                break
            args = queue.popleft()
            if len(queue) >= cell.longest:
                cell.update_peak()
            budget -= 1
            function = handler.function
            result = function(actor, args[0]) if len(args) == 1 else function(actor, *args)
            cell.handled += 1
            if result is not None and type(result) is COROUTINE:
                go_on(cell, cast("Any", result), handler, args, NO_KWARGS, None)
                break
    except BaseException as error:
        if not isinstance(error, handler.declared):
            cell.life.crashed_in = (handler.name, args, NO_KWARGS)
            raise
        log_declared(cell, handler, error)
        cell.handled += 1
    return budget


async def wait_for_message_or_idle(cell: Cell) -> None:
    """`Mailbox.wait_for_message`; after `idle_timeout` seconds, `on_idle` is the message."""
    assert cell.hooks is not None
    with trio.CancelScope(deadline=idle_deadline(cell)) as cell.idle_scope:
        try:
            await cell.wait_for_message()
        finally:
            cell.idle_scope = None
        return
    if not cell.queue:  # messages that have come since the time was up are in the queue
        cell.kind, cell.payload = cell.hooks.on_idle, ()
        if UNUSUAL:
            cell.kind, cell.payload = cell.observed(cell.kind, cell.payload)
        cell.note_own()


class MessagePaths(Generic[A]):
    """The half of `Address` through which most messages go."""

    __slots__ = ()

    # Of a name in a registry with one table: the table and the key, for a lookup without a call of `_find`.
    _table: dict[Any, Any] | None = None
    _key: Any = None

    # Of a reference: the cell of its actor.
    _cell: Cell | None = None

    def _find(self) -> Cell | None:
        """The cell of the actor that the address leads to now. None if that has ended; raises if there is none."""
        raise NotImplementedError  # pragma: no cover  # abstract

    def _exited(self, cell: Cell | None) -> ActorExited:
        """The error for a message that does not get in."""
        raise NotImplementedError  # pragma: no cover  # abstract

    def _instead_of(self, cell: Cell | None) -> Cell:
        """The cell that takes a message when this one does not take it any more. Raises if there is none."""
        raise self._exited(cell)

    def _instead_of_closed(self, cell: Cell) -> Cell:
        """As `_instead_of`, for a message without an answer, which a stopping actor may still send to itself."""
        if cell.is_sent_by_itself():
            return cell
        return self._instead_of(cell)

    @overload
    async def call(
        self, method: Callable[Concatenate[A, P], Awaitable[Reply[R]]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    async def call(
        self, method: Callable[Concatenate[A, P], Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    async def call(self, method: Callable[Concatenate[A, P], Reply[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    async def call(self, method: Callable[Concatenate[A, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    # For ``nursery.start_soon(ref.call, ...)``: the type checkers can't see through a `ParamSpec` there.
    @overload
    async def call(self, method: Callable[[A, *Ts], R], /, *args: *Ts) -> R: ...
    @enable_ki_protection
    async def call(self, method: Callable[..., Any], /, *args: object, **kwargs: object) -> object:
        """Have the actor run one of its methods, and wait for the result: ``GenServer.call``.

        The actor handles one message at a time. If you cancel the call while the message still waits, the message is
        withdrawn. A handler that has begun goes on, and its result is dropped. A checkpoint. Constant time: an idle
        actor's sync method costs one checkpoint, anything else two task switches.

        Args:
            method: A method of the actor's class (or of a base class), sync or async.
            args, kwargs: Its arguments.

        Returns:
            The result of the method. If it returns a `Reply`, the answer that comes with that.

        Raises:
            ActorExited: The actor has ended, is ending, or ends before it answers. If the handler crashed it, that
                error is the ``__cause__``.
            CallCycle: The actor waits for the caller: it could not answer before the caller's own handler ends.
            NotRegistered: The address is a name that no actor has.
            TypeError: The actor has no such method, or the arguments do not fit. The actor lives on.
            Exception: The method raised an error that it declares with `raises`.
        """
        try:
            cell = self._cell or self._find()
            if cell is None or cell.state >= STOPPING:
                cell = self._instead_of(cell)
        except TrioregError:
            # A caller that is cancelled together with the actor, or with what runs it, does not learn of that end.
            await checkpoint_if_cancelled()
            raise
        if get_ident() != cell.thread:
            cell.ref._require_thread()
        # `Handlers.find`, written out, for a method and a count of arguments that are known to fit.
        try:
            handler = None if kwargs else cell.handlers.by_count[len(args)][method]
        except (LookupError, TypeError):
            handler = None
        if handler is None:
            handler = cell.handlers.find(method, args, kwargs)
        # `Mailbox.is_idle`, written out, before the checkpoint and behind it.
        task = cell.taker
        if task is not None and task.custom_sleep_data is cell and not handler.has_own_turn:
            await checkpoint()
            if task.custom_sleep_data is cell:
                result = answer_in_callers_turn(cell, handler, args, kwargs)
                return await wait_answer(result) if type(result) is Call else result
            if cell.state >= STOPPING:
                cell = self._instead_of(cell)
        return await wait_answer(ask(cell, handler, args, kwargs))

    @enable_ki_protection
    def cast_nowait(self, method: Callable[Concatenate[A, P], object], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """`Address.cast` that never waits. Not a checkpoint; constant time.

        Raises:
            MailboxFull: The mailbox is bounded and has no room.
            ActorExited, NotRegistered, TypeError: As `Address.cast`.
        """
        # `NameAddress._find`, written out.
        table = self._table
        if table is None:
            cell = self._cell or self._find()
        else:
            try:
                cell = table[self._key][0]._cell
            except (LookupError, TypeError, AttributeError):
                cell = self._find()
        if cell is None:
            cell = self._instead_of(None)
        inbox = cell.inbox
        if inbox is None and not cell.is_open:
            cell = self._instead_of_closed(cell)
            inbox = cell.inbox
        # `Handlers.find`, written out, as in `call`.
        try:
            handler = None if kwargs else cell.handlers.by_count[len(args)][method]
        except (LookupError, TypeError):
            handler = None
        if handler is None:
            handler = cell.handlers.find(method, args, kwargs)
        if UNUSUAL or get_ident() != cell.thread:
            cell.ref._require_thread()
            if is_finalizing():
                do_later(cell.ref._run.token, self.cast_nowait, method, *args, **kwargs)
            else:
                message = (CAST, (handler, args, kwargs)) if kwargs else (handler, args)
                self._deliver_nowait(cell, *message)
            return
        if kwargs:
            self._deliver_nowait(cell, CAST, (handler, args, kwargs))
            return
        # `Mailbox.put`, written out.
        if inbox:  # messages wait, so the actor is not idle
            inbox.append(handler)
            try:
                inbox.append(args)
            except BaseException:
                inbox.pop()
                raise
            return
        task = cell.taker
        if task is not None and task.custom_sleep_data is cell:
            cell.kind = handler
            cell.payload = args
            # `wake`, written out.
            task.custom_sleep_data = WOKEN
            try:
                reschedule(task, WOKEN)
            except BaseException:
                if task.custom_sleep_data is WOKEN:
                    task.custom_sleep_data = cell
                    cell.kind = cell.payload = None
                    raise
                finish_waking(task)
        else:
            self._deliver_nowait(cell, handler, args)

    @enable_ki_protection
    def send_nowait(self, message: object) -> None:
        """`Address.send` that never waits. Not a checkpoint; constant time.

        Raises:
            MailboxFull: The mailbox is bounded and has no room.
            ActorExited, NotRegistered: As `Address.send`.
        """
        cell = self._cell or self._find()
        if cell is None:
            cell = self._instead_of(None)
        if not cell.is_open:
            cell = self._instead_of_closed(cell)
        if UNUSUAL or get_ident() != cell.thread:
            cell.ref._require_thread()
            if is_finalizing():
                do_later(cell.ref._run.token, self.send_nowait, message)
            else:
                self._deliver_nowait(cell, INFO, message)
            return
        # `Mailbox.put`, written out.
        task = cell.taker
        if task is not None and task.custom_sleep_data is cell:
            cell.kind = INFO
            cell.payload = message
            # `wake`, written out.
            task.custom_sleep_data = WOKEN
            try:
                reschedule(task, WOKEN)
            except BaseException:
                if task.custom_sleep_data is WOKEN:
                    task.custom_sleep_data = cell
                    cell.kind = cell.payload = None
                    raise
                finish_waking(task)
        else:
            self._deliver_nowait(cell, INFO, message)

    def _deliver_nowait(self, cell: Cell, kind: object, payload: object) -> None:
        if not cell.put_if_room(kind, payload):
            assert cell.limit is not None
            raise MailboxFull(cell.ref, cell.limit)
