"""How a call is answered: by the actor's own task, in the turn of its caller, or later, by a `Reply`.

A call to an idle actor's sync handler runs in the turn of its caller (`answer_in_callers_turn`). The actor's task is
parked, its mailbox is empty and none of its code runs. So order and exclusion hold, and two task switches are saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import trio
from trio.lowlevel import Abort, RaiseCancelT, checkpoint, current_task, wait_task_rescheduled

from .._runtime import UNUSUAL, ActorExited, Exit, discard
from .beside import defer, go_on_beside
from .call import Call, Reply
from .cell import CALLERS_TURN, ENDING, OWN_TURN
from .deadlock import check_for_cycle
from .idle import idle_deadline
from .message import CALL, CAST
from .observed import COROUTINE, end_early, observed_call, tell_left, watched_message_of
from .resumed import Resumed

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from .cell import Cell
    from .handler import Handler


def ask(cell: Cell, handler: Handler, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Call:
    """Put a call into the mailbox. `wait_answer` waits for its answer."""
    call = Call(cell.ref, check_for_cycle(cell, current_task()), handler, args, kwargs)
    try:
        cell.put_or_line_up(CALL, call)
    except BaseException:
        call.end_wait()
        raise
    return call


async def wait_answer(call: Call) -> object:
    """Wait until a call is answered, and give the answer or raise the error. A checkpoint."""
    if call.is_done:  # the handler returned a reply that was answered already
        await checkpoint()
    else:
        call.task = current_task()

        def abort(_: RaiseCancelT) -> Abort:
            _abandon(call)
            return Abort.SUCCEEDED

        try:
            await wait_task_rescheduled(abort)
        except BaseException as end:
            # If it was cancelled, `abort` has done this. If it has not even begun to wait, nothing may wake it.
            if call.task is not None:
                _abandon(call)
            if UNUSUAL:
                call.handler.answered(None, end)
            raise
    error = call.error
    if error is not None:
        call.error = None  # its traceback leads to a frame that keeps the call
        try:
            raise error
        finally:
            del call, error
    return call.value


def _abandon(call: Call) -> None:
    """The caller was cancelled. A call that still waits is withdrawn; a handler that has begun goes on without it."""
    # Not the cell that the call was made to: it may have been handed on to the next life.
    cell = cast("Cell | None", getattr(call.target, "_cell", None))
    if cell is None:
        call.abandon()
        return
    is_waiting = call is not cell.call and call.deferred is None and not call.has_begun
    call.abandon()
    if is_waiting and cell.state < ENDING:
        cell.withdraw(call)
        tell_left(cell, CALL, call, "withdrawn")


def answer_in_callers_turn(
    cell: Cell, handler: Handler, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> object:
    """Run a sync handler of this idle actor here and now. Returns a `Call` if the answer comes later."""
    context = cell.context
    assert context is not None
    if UNUSUAL:
        handler = observed_call(cell, handler, args, kwargs)
    cell.runs_in = CALLERS_TURN
    try:
        if kwargs:
            result = context.run(handler.function, cell.actor, *args, **kwargs)
        elif len(args) == 1:
            result = context.run(handler.function, cell.actor, args[0])
        else:
            result = context.run(handler.function, cell.actor, *args)
        if type(result) is Reply:
            call = Call(cell.ref, None, handler, args, kwargs)
            answer_later(cell, call, cast("Reply[object]", result))
            return call
    except handler.declared as error:
        if UNUSUAL:
            handler.answered(None, error)
        raise
    except BaseException as error:
        cell.life.crashed_in = (handler.name, args, kwargs)
        raise _crash(cell, handler, error)  # noqa: B904  # its cause is set, and is `error` or has that as its own cause
    finally:
        cell.runs_in = OWN_TURN
        cell.handled += 1
        if cell.idle_scope is not None:
            _put_idle_off(cell, cell.idle_scope)
    if type(result) is COROUTINE:
        later: Call | None = None
        try:
            later = Call(cell.ref, check_for_cycle(cell, current_task()), handler, args, kwargs)
            go_on(cell, cast("Any", result), handler, args, kwargs, later)
        except BaseException as error:
            # The stack is full, or the memory: leave no wait and no coroutine behind.
            discard(cast("Any", result))
            end_early(watched_message_of(handler))
            handler.answered(None, error)
            if later is not None:
                later.end_wait()
            raise
        return later
    return result


def _crash(cell: Cell, handler: Handler, error: BaseException) -> ActorExited:
    """The actor crashes. Returns what its caller gets. (No local variable of the caller's keeps it: no cycle.)"""
    crash = cell.fail(error)
    exited = ActorExited(cell.ref, Exit("crashed", crash))
    exited.__cause__ = crash
    if UNUSUAL:
        handler.answered(None, exited)
    return exited


def answer_later(cell: Cell, call: Call, reply: Reply[object]) -> None:
    """A handler returned ``reply`` for ``call``: the reply brings the answer."""
    # From here on the caller waits for the reply, which any task may answer. The actor is free: there can't be a cycle.
    call.end_wait()
    if not reply._bind(call) and not call.is_done:
        defer(cell, call)


def go_on(
    cell: Cell,
    coroutine: Coroutine[Any, Any, object],
    handler: Handler,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    call: Call | None,
) -> None:
    """A sync handler returned a coroutine: run that in the actor's own task, before all that waits.

    A call may be refused instead if the actor ends first; a cast to an ending actor is dropped. The message is counted
    as handled when the coroutine is done. An actor whose turns are side by side runs it beside them.
    """
    if cell.is_side_by_side:
        go_on_beside(cell, coroutine, handler, call)
        return
    cell.handled -= 1
    resumed = Resumed(handler, coroutine)
    if call is not None:
        call.handler = resumed
        call.has_begun = True
        cell.put_first(CALL, call)
    elif cell.state == ENDING:
        resumed.discard()
    else:
        cell.put_first(CAST, (resumed, args, kwargs))


def _put_idle_off(cell: Cell, scope: trio.CancelScope) -> None:
    try:
        scope.deadline = idle_deadline(cell)
    except Exception as error:  # an invalid `idle_timeout` is an error of the actor, not of its caller
        cell.fail(error)
