"""A turn beside the others: a message that is handled in a task of its own, while its actor takes the next one.

The methods of a supervisor are handled like that if they return a coroutine: one slow start does not delay the others
(`Actor._trioreg_is_side_by_side`). All turns begin in the order of their messages. They end in any order.

Must never happen: a turn that outlives its actor; a coroutine that is never awaited, or a call that is never answered,
because its actor ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from trio.lowlevel import current_task, enable_ki_protection

from .._runtime import NORMAL, discard
from .call import Call, Reply, refuse
from .cell import ENDING
from .handler import Timed
from .log import log_declared
from .method import BESIDE
from .observed import WatchedMessage, end_early, plain, rest_of, watched_message_of
from .start_soon import start_background_task
from .turns import Turn, Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .cell import Cell
    from .handler import Handler

F = TypeVar("F", bound="Callable[..., object]")


def beside(function: F) -> F:
    """Say of an async method of a class whose turns are side by side that it is handled in a turn of its own."""
    setattr(function, BESIDE, True)
    return function


def go_on_beside(cell: Cell, coroutine: Coroutine[Any, Any, object], handler: Handler, call: Call | None) -> None:
    """A handler returned a coroutine: run that in a task of its own, and give its result to the caller, if any."""
    message = watched_message_of(handler)
    if cell.state >= ENDING:
        discard(coroutine)
        end_early(message)
        if call is not None:
            refuse(call, cell.ref, cell.life.exit or NORMAL)
        return
    background = cell.life.background
    assert background is not None  # a supervisor keeps its children in a background task
    turns = background.turns
    if turns is None:
        turns = background.turns = Turns()
    turn = Turn(cell.ref, cell.title)
    if call is not None:
        call.turn = turn
        defer(cell, call)
    try:
        what = handler.name
        args = (cell, turns, turn, turns.last, coroutine, handler, message, call)
        start_background_task(cell, _run, *args, what=what)
    except BaseException:
        discard(coroutine)
        end_early(message)
        if call is not None and call.deferred is not None:
            del call.deferred[call]
            call.deferred = None
        raise
    timed = plain(handler)
    if isinstance(timed, Timed):
        timed.tick.is_waiting = True  # or slow turns of one timer would pile up
    # Here, and not in their tasks: Trio starts tasks in no order.
    turns.last = turn
    turns.unfinished.add(turn)


def defer(cell: Cell, call: Call) -> None:
    """A call is to be answered later. If the actor ends before, that refuses it."""
    if cell.deferred is None:
        cell.deferred = {}
    cell.deferred[call] = None
    call.deferred = cell.deferred


@enable_ki_protection
async def _run(
    cell: Cell,
    turns: Turns,
    turn: Turn,
    before: Turn | None,
    coroutine: Coroutine[Any, Any, object],
    handler: Handler,
    message: WatchedMessage | None,
    call: Call | None,
) -> None:
    task = current_task()
    turns.by_task[task] = turn
    try:
        if before is not None:
            if not before.begun.is_set():
                await before.begun.wait()
            before = None  # or each turn would keep all before it
        turn.begun.set()  # the next one begins when this one waits for something
        result = await rest_of(message, coroutine)
        if call is None or call.is_done:
            pass
        elif type(result) is Reply:
            call.end_wait()
            result._bind(call)
        else:
            call.answer(result)
    except handler.declared as error:
        if call is not None:
            call.fail(error)
        else:
            log_declared(cell, handler, error)
    finally:
        timed = plain(handler)
        if isinstance(timed, Timed):
            timed.tick.is_waiting = False
        end_early(message)  # if it has not come to its end
        turn.begun.set()
        discard(coroutine)  # another turn may be awaiting it: a method gave it twice
        if turns.last is turn:
            turns.last = None
        del turns.by_task[task]
        turns.unfinished.discard(turn)
        if turns.over is not None and not turns.unfinished:
            turns.over.set()
        call = None  # its error's traceback leads here: no cycle
