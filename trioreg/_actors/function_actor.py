"""Function actors: any async function, started under a supervisor. It has no methods and no hooks.

`run_function` runs it, `receive_next` gives it the next message, and `Function` is its type.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Generic, cast

import trio
from trio.lowlevel import checkpoint, current_task

from .._runtime import NORMAL, UNUSUAL, await_user, discard, run_user
from .cell import ENDING
from .message import STOP, TICK
from .observed import Item, end_received

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    # Type checkers know this module even if it is not installed. At run time the default of PEP 696 is not needed.
    from typing_extensions import TypeVar

    from .cell import Cell
    from .message import Tick

    R_co = TypeVar("R_co", covariant=True, default=object)
else:
    from typing import TypeVar

    R_co = TypeVar("R_co", covariant=True)


class Function(Generic[R_co]):
    """The type of a function actor, as in ``ActorRef[Function[int]]``. It has no methods to call.

    Its parameter is the type of the function's result, which `ActorRef.result` gives you. ``Function`` alone means any
    result.
    """

    __slots__ = ()


async def run_function(cell: Cell, function: Callable[..., object], args: tuple[object, ...]) -> None:
    """Run the function of a function actor, and keep what it returns."""
    # Arguments that do not fit raise here, before the start: so `start_child` raises that.
    result = run_user(function, *args)
    if not inspect.isawaitable(result):
        instead = ""
        if hasattr(type(result), "_trioreg_cell"):  # an `Actor`, which is made of more than this file knows
            name = type(result).__qualname__
            instead = f": pass {name} and its arguments, or functools.partial({name}, ...)"
        raise TypeError(
            f"{cell.ref._label} must be an Actor class or an async function, but it returned {result!r}{instead}"
        )
    if cell.state == ENDING:  # the call itself has ended the actor
        if inspect.iscoroutine(result):
            discard(result)
        return
    with trio.CancelScope() as cell.scope:
        cell.set_started()
        try:
            cell.life.value = await await_user(cast("Awaitable[object]", result))
        except BaseException as error:
            if UNUSUAL:
                end_received(cell, error)
            raise
        if UNUSUAL:
            end_received(cell)


async def receive_next(cell: Cell) -> object:
    """The next plain message. A checkpoint."""
    if cell.hooks is not None:
        raise RuntimeError(f"{cell.ref!r} is an Actor: its messages come to on_message(), not to receive()")
    if cell.taker is None:
        cell.taker = current_task()  # from now on `Cell.stop` knows that this function takes messages
    if cell.queue or cell.kind is not None:  # a message that has woken another task of the actor is for that task
        await checkpoint()
    while True:
        message = cell.take()
        if message is None:
            if cell.is_idle:
                raise RuntimeError(f"another task of {cell.ref!r} is waiting in receive(): only one may")
            await cell.wait_for_message()
            if cell.state == ENDING and cell.scope is not None:
                cell.scope.cancel()  # `Cell.end` has not done it if a message had woken this task
        elif message[0] is STOP:
            # Every message before `STOP` has been received: now the actor ends, as `Cell.stop` has asked.
            cell.end(NORMAL)
            await trio.sleep_forever()
        else:
            cell.handled += 1
            kind, payload = message
            if type(payload) is Item:
                kind, payload = payload.open(cell)
            elif UNUSUAL:
                end_received(cell)
            return cast("Tick", payload).taken() if kind is TICK else payload
