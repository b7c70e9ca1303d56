"""One life of an actor, from the first step of its task to its `Exit`.

`run_actor` is the task. It makes the actor, serves its messages (`hot_paths.serve`), refuses what it has not answered,
runs `on_stop`, and gives the names back in its last step.

The supervisor decides about a restart (`Child.ended`). How an address becomes a cell is in `ref.py`, and what a method
is in `handler.py`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

import trio
from trio.lowlevel import current_task, enable_ki_protection

from .._runtime import (
    NORMAL,
    SHUTDOWN,
    Exit,
    await_user,
    combine,
    counted,
    current_actor,
    run_user,
    split,
    wake,
)
from .background import end_background_tasks
from .call import Call, refuse
from .cell import ENDED, ENDING, NOTHING
from .function_actor import run_function
from .handler import Resumed
from .hot_paths import serve
from .message import CALL, CAST, STOP

if TYPE_CHECKING:
    from collections.abc import Callable

    from .cell import Behaviour, Cell

logger = logging.getLogger("trioreg")


@enable_ki_protection
async def run_actor(cell: Cell, factory: Callable[..., object], args: tuple[object, ...]) -> None:
    """The whole life; the main function of the actor's task."""
    cell.task = current_task()
    cell.context = cell.task.context
    current_actor.set(cell.ref)
    cancelled: BaseException | None = None
    hooks = cell.hooks
    try:
        try:
            # As few frames as possible: an idle actor waits in all of them, and wakes through all of them.
            if cell.state >= ENDING:
                pass
            elif hooks is None:
                await run_function(cell, factory, args)
            else:
                cell.actor = cast("Behaviour", run_user(factory, *args))
                if cell.state == ENDING:
                    pass
                elif hooks.has_on_start:
                    with trio.CancelScope() as cell.scope:
                        await await_user(cell.actor._run_on_start())
                        if cell.state < ENDING:
                            cell.set_started()
                            await serve(cell)
                else:
                    cell.set_started()
                    if await serve(cell):
                        # From the first async handler on there is something to cancel.
                        with trio.CancelScope() as cell.scope:
                            await serve(cell)
        except GeneratorExit:
            raise  # the Trio run has broken down and throws its coroutines away: nothing can be awaited any more
        except BaseException as error:
            cancelled, failure = split(error)
            if failure is not None:
                cell.fail(failure)
            del failure
        cell.scope = None
        cell.end(SHUTDOWN if cancelled is not None else NORMAL)
        _refuse_unanswered(cell)
        if cell.life.background is not None:
            await end_background_tasks(cell.life.background)
        if hooks is not None and hooks.has_on_stop and cell.life.has_started:
            await _run_on_stop(cell)
    finally:
        del factory, args  # the traceback of a crash may keep this frame
        _finish(cell)
    if cancelled is not None:
        try:
            raise cancelled
        finally:
            del cancelled


def _refuse_unanswered(cell: Cell) -> None:
    """Nothing more is handled. Tell all callers before `on_stop` takes its time; log how many messages are left."""
    life = cell.life
    exit = life.exit
    assert exit is not None
    if life.errors and exit.error is None:
        exit = Exit("crashed", combine(life.errors, cell.ref._label))  # it was being ended, and crashed on the way
    cell.refuse_senders(exit)
    if cell.call is not None:
        refuse(cell.call, cell.ref, exit)
        cell.call = None
    if cell.deferred:
        for call in list(cell.deferred):
            refuse(call, cell.ref, exit)
    cell.deferred = None
    left = 0
    kind: object
    payload: Any
    for kind, payload in cell.drain():
        if kind is CALL:
            call = cast("Call", payload)
            if isinstance(call.handler, Resumed):
                call.handler.coroutine.close()
            refuse(call, cell.ref, exit)
        elif kind is not STOP:
            if kind is CAST and isinstance(payload[0], Resumed):
                payload[0].coroutine.close()
            left += 1
    if left:
        messages = "message" if left == 1 else "messages"
        logger.warning(f"%r ended (%s) with %d unhandled {messages} in its mailbox", cell.ref, exit, left)


async def _run_on_stop(cell: Cell) -> None:
    """Run `on_stop`, shielded and within the actor's shutdown time, unless the actor was killed."""
    life, actor = cell.life, cell.actor
    exit = life.exit
    assert exit is not None and actor is not None
    if exit.reason == "killed":
        return
    limit = life.child.shutdown
    with trio.CancelScope(shield=True, deadline=trio.current_time() + limit) as cell.scope:
        await cell.run_or_fail(actor.on_stop, exit)
    if cell.scope.cancelled_caught and life.exit is exit:
        logger.warning("%r: on_stop took longer than %s and was cancelled", cell.ref, counted(limit, "second"))
    cell.scope = None


def _finish(cell: Cell) -> None:
    """The last step of the task: from here to its end no other task runs."""
    life = cell.life
    exit = life.exit or SHUTDOWN
    if life.errors:
        exit = Exit("crashed", combine(life.errors, cell.ref._label))
    elif life.value is not NOTHING:
        exit = Exit(exit.reason, value=life.value, has_returned=True)
    life.exit = exit
    cell.state = ENDED
    run = cell.ref._run
    is_outermost = run.begin_step()
    cell.ref._set_ended(exit)
    try:
        life.child.ended(cell)
    finally:
        # After the supervisor has started a successor, which takes its name over: so the name is never seen free.
        cell.ref._release(exit)
        if is_outermost:
            run.end_step()
        if life.starter is not None:
            wake(life.starter)
            life.starter = None
        if life.started is not None:
            life.started.set()
        for task in life.watchers or ():
            if task.custom_sleep_data is life.watchers:  # else it is being cancelled
                wake(task)
        cell.actor = cell.task = cell.taker = cell.context = life.background = None
