"""One life of an actor, from the first step of its task to its `Exit`.

`run_actor` is the task. It makes the actor, serves its messages (`hot_paths.serve`), refuses what it has not answered,
runs `on_stop`, and gives the names back in its last step.

The supervisor decides about a restart (`Child.ended`). How an address becomes a cell is in `ref.py`, and what a method
is in `handler.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import trio
from trio.lowlevel import cancel_shielded_checkpoint, checkpoint, current_task, enable_ki_protection

from .._runtime import (
    KILLED,
    NORMAL,
    SHUTDOWN,
    Exit,
    async_result,
    await_user,
    combine,
    current_actor,
    do_later,
    is_being_closed,
    run_user,
    shown_safely,
    split,
    wake,
)
from .background import end_background_tasks
from .call import Call, refuse
from .cell import ENDED, ENDING, NOTHING, REFUSED_PER_TURN, STOPPING
from .function_actor import run_function
from .hot_paths import serve
from .intake import Next
from .log import log_left
from .message import CALL, CAST, STOP
from .observed import tell_left
from .resumed import Resumed

if TYPE_CHECKING:
    from collections.abc import Callable

    from .cell import Behaviour, Cell


_new = object.__new__
_NO_INIT = object.__init__


@enable_ki_protection
async def run_actor(cell: Cell, factory: Callable[..., Any], args: tuple[object, ...]) -> None:
    """The whole life; the main function of the actor's task."""
    cell.task = current_task()
    cell.context = cell.task.context
    current_actor.set(cell.ref)
    cancelled: BaseException | None = None
    hooks = cell.hooks
    is_set_up = is_stopped = False
    try:
        try:
            # As few frames as possible: an idle actor waits in all of them, and wakes through all of them.
            if cell.state >= ENDING:
                pass
            elif hooks is None:
                await run_function(cell, factory, args)
            else:
                if hooks.is_made_plainly and factory is cell.handlers.cls:
                    # `type.__call__` and `Actor.__new__`, written out.
                    cls: Any = factory
                    new: Any = _new(cls)
                    new._trioreg_bind(cell)
                    init: Any = cls.__init__
                    result: object = None
                    if init is hooks.init:
                        # `run_user`, without its frame. Without ``*``, too: Python 3.11 calls a function quicker then.
                        result = hooks.unprotected_init(new, *args) if args else hooks.unprotected_init(new)
                    elif init is not _NO_INIT:  # a decorator's object, or one that was put there later
                        result = run_user(init, new, *args)
                    elif args:
                        raise TypeError(f"{cls.__qualname__}() takes no arguments")
                    if result is not None:
                        raise TypeError(f"__init__() should return None, not {type(result).__name__!r}")
                    del new
                else:
                    made = run_user(factory, *args)
                    if made is None or cell.actor is not made:
                        _take(cell, made)
                    del made
                assert cell.actor is not None
                if cell.state == ENDING:
                    pass
                elif hooks.has_on_start:
                    with trio.CancelScope() as cell.scope:
                        cell.begin_hook("on_start")
                        await await_user(cell.actor._trioreg_start())
                        cell.handling = None
                        if cell.state < ENDING:
                            cell.set_started()
                            if hooks.has_on_started:
                                await _run_on_started(cell)
                            await serve(cell)
                        else:
                            is_set_up = True  # its start was cancelled, and `on_start` has come to its end all the same
                else:
                    cell.set_started()
                    if await serve(cell):
                        # From the first async handler on there is something to cancel.
                        with trio.CancelScope() as cell.scope:
                            await serve(cell)
        except BaseException as error:
            if is_being_closed(cell.task):
                raise
            cell.handling = None
            cancelled, failure = split(error)
            if failure is not None and not cell.is_of_this_end(failure):
                cell.fail(failure)
            del failure
        cell.scope = None
        if cell.state == STOPPING and cancelled is None and not cell.queue:
            # `Cell.end`, written out: nothing is left, and nothing is to be woken or cancelled.
            cell.life.exit = NORMAL
            cell.state = ENDING
            cell.is_open = False
            cell.waits = cell.life.end_waits
        else:
            cell.end(SHUTDOWN if cancelled is not None else NORMAL)
        # Most actors end with nothing left: they need no coroutine for it.
        if cell.queue or cell.kind is not None or cell.call is not None or cell.deferred or cell.overflow:
            await _refuse_unanswered(cell)
        cell.inbox = cell.queue = cell.withdrawn = cell.deferred = None
        if cell.life.background is not None:
            await end_background_tasks(cell.life.background)
        if hooks is not None and hooks.has_on_stop and (cell.life.has_started or is_set_up):
            is_stopped = True
            await _run_on_stop(cell)
        if cell.life.errors:
            try:  # noqa: SIM105  # no call that could fail outside of it
                await cell.ref._run.crashes.go_through()
            except (MemoryError, RecursionError):
                pass  # it ends before its turn
    except (MemoryError, RecursionError) as error:
        if is_being_closed(cell.task):
            raise
        await _end_after(error, cell, is_set_up=is_set_up, is_stopped=is_stopped)
    finally:
        del factory, args  # the traceback of a crash may keep this frame
        _finish(cell)
    if cancelled is not None:
        try:
            raise cancelled
        finally:
            del cancelled


def _take(cell: Cell, made: object) -> None:
    """The actor is an object that the factory has not made in the usual way: a `__new__` or a metaclass gave it."""
    cls = cell.handlers.cls
    assert cls is not None
    other = type(made)
    if other is not cls:
        must = f"{cls.__qualname__}() must give an instance of its own class"
        if hasattr(other, "_trioreg_cell"):  # an `Actor`, which is made of more than this file knows
            raise TypeError(f"{must}, not of {other.__qualname__}: pass {other.__qualname__}")
        raise TypeError(f"{must}, not {shown_safely(made)}")
    cast("Behaviour", made)._trioreg_take(cell)


async def _end_after(error: BaseException, cell: Cell, *, is_set_up: bool, is_stopped: bool) -> None:
    """A step of the end has failed half-way, for want of memory: that is a crash of the actor, and its end goes on.

    Each step can be done again from its beginning. Only `on_stop` can't: it is not run twice.
    """
    cell.scope = None
    cell.fail(error)
    await _refuse_unanswered(cell)
    cell.inbox = cell.queue = cell.withdrawn = cell.deferred = None
    if cell.life.background is not None:
        await end_background_tasks(cell.life.background)
    hooks = cell.hooks
    if hooks is not None and hooks.has_on_stop and (cell.life.has_started or is_set_up) and not is_stopped:
        await _run_on_stop(cell)


async def _refuse_unanswered(cell: Cell) -> None:
    """Nothing more is handled. Tell all callers before `on_stop` takes its time; log how many messages are left.

    Other tasks have their turn on the way. It can't be cancelled, and nothing gets in meanwhile: the actor is ending.
    If it fails half-way, it can be called again.
    """
    life = cell.life
    exit = life.exit
    assert exit is not None
    if life.errors and exit.error is None:
        exit = Exit("crashed", combine(life.errors, cell.ref._label))  # it was being ended, and crashed on the way
    if cell.call is not None:
        refuse(cell.call, cell.ref, exit)
        cell.call = None
    done = 0
    if cell.deferred:
        for done, call in enumerate(list(cell.deferred), 1):
            refuse(call, cell.ref, exit)
            if done % REFUSED_PER_TURN == 0:
                await cancel_shielded_checkpoint()
    cell.deferred = None
    # Before the messages in the mailbox: for each of these that is taken out, another one would get in.
    while cell.refuse_sender(exit):
        done += 1
        if done % REFUSED_PER_TURN == 0:
            await cancel_shielded_checkpoint()
    left = 0
    payload: Any
    longest = cell.longest
    while (message := cell.take()) is not None:
        cell.longest = longest  # `STOP` lies in front of them, and is not to be counted in the peak
        kind, payload = message
        if kind is CALL:
            cell.call = payload  # it is not lost if the refusal fails half-way
        left += _refuse(cell, kind, payload, exit)
        cell.call = None
        done += 1
        if done % REFUSED_PER_TURN == 0:
            await cancel_shielded_checkpoint()
    if left:
        log_left(cell, exit, left)


def _refuse(cell: Cell, kind: object, payload: Any, exit: Exit) -> int:
    """Refuse one message. Returns how many messages it stands for that no caller waits for."""
    if kind is CALL:
        call = cast("Call", payload)
        if isinstance(call.handler, Resumed):
            call.handler.discard()
        else:
            tell_left(cell, kind, call, "exited")
        refuse(call, cell.ref, exit, was_begun=call.has_begun)
        return 0
    if kind is CAST:
        handler = payload[0]
        if isinstance(handler, Next):
            return handler.intake.refuse()
        if isinstance(handler, Resumed):
            handler.discard()
            return 1
    if kind is STOP:
        return 0
    tell_left(cell, kind, payload, "exited")
    return 1


async def _run_on_started(cell: Cell) -> None:
    """Run `on_started`. No message is taken before it is done."""
    # The task in `start_child` has just been woken, and is to return first. It has its turn in the next round of the
    # scheduler, as this task has, in any order. In the round after that it is surely done.
    await checkpoint()
    await checkpoint()
    actor = cell.actor
    assert actor is not None
    cell.begin_hook("on_started")
    await await_user(async_result(actor.on_started, run_user(actor.on_started)))
    cell.handling = None


async def _run_on_stop(cell: Cell) -> None:
    """Run `on_stop`, shielded and within the actor's shutdown time, unless the actor was killed."""
    life, actor = cell.life, cell.actor
    exit = life.exit
    assert exit is not None and actor is not None
    if exit.reason == "killed":
        return
    if life.value is not NOTHING:
        exit = life.exit = life.decided(cell.ref._label) or exit
    with trio.CancelScope(shield=True, deadline=trio.current_time() + life.child.shutdown) as cell.scope:
        cell.begin_hook("on_stop")
        await cell.run_or_fail(actor.on_stop, exit)
        cell.handling = None
    if cell.scope.cancel_called and life.exit is exit:
        # Its supervisor may find at the same moment that the time is up. Both say the same, and only the first says it.
        life.exit = KILLED
        life.child.timed_out(cell)
    cell.scope = None


def _finish(cell: Cell) -> None:
    """The last step of the task: from here to its end no other task runs.

    A part of it may fail, for want of memory. All other parts are done all the same, each in a ``finally``. What has to
    be done is then left to the loop, a little later.
    """
    life, ref = cell.life, cell.ref
    child, run = life.child, ref._run
    is_outermost = False
    exit = life.exit or SHUTDOWN
    try:
        if life.errors or life.value is not NOTHING:
            try:
                exit = life.decided(ref._label) or SHUTDOWN
            except (MemoryError, RecursionError):
                exit = life.decided(ref._label) or SHUTDOWN  # it changes nothing, so it can be tried again
        if run.undelivered is None:  # `Run.begin_step`, written out
            run.undelivered = {}
            is_outermost = True
    finally:
        life.exit = ref._exit = exit
        ref._cell = None
        cell.state = ENDED
        run.ending = ref
        if run.instruments is not None:
            run.tell_after_step("actor_exited", ref, exit)
        try:
            try:
                child.ended(cell)
            except (MemoryError, RecursionError):
                child.ended(cell)  # it had not begun: what fails in it does not leave it
        except BaseException as error:
            if exit.error is None:
                raise
            raise BaseExceptionGroup(f"{ref._label} ended, and this could not be told", [exit.error, error]) from None
        finally:
            # After the supervisor has started a successor, which takes its name over: so the name is never seen free.
            try:
                ref._release(exit)
            except (MemoryError, RecursionError):
                do_later(run.token, ref._release, exit)
            finally:
                run.ending = None
                try:
                    if is_outermost:
                        if run.undelivered or run.reports:
                            run.end_step()
                        else:
                            run.undelivered = None
                except (MemoryError, RecursionError):
                    do_later(run.token, run.end_step)
                finally:
                    try:
                        _tell(cell, exit)
                    except (MemoryError, RecursionError):
                        do_later(run.token, _tell, cell, exit)
                    finally:
                        cell.actor = cell.task = cell.taker = cell.context = life.background = None
                        # It keeps its last life: an actor that has ended is no garbage for the collector.
                        del life.child


def _tell(cell: Cell, exit: Exit) -> None:
    """Wake all tasks that wait for the start or the end. If it fails half-way, it can be called again."""
    life = cell.life
    if life.starter is not None:
        wake(life.starter)
        life.starter = None
    if life.started is not None:
        life.started.set()
    watchers = life.watchers
    if watchers:
        for task, ends in watchers.items():
            if ends is not None:
                ends.note(cell.ref, exit)
                watchers[task] = None  # it is told once
            elif task.custom_sleep_data is watchers:  # else it is being cancelled
                wake(task)
