"""What a function actor does differently: it has no methods and no hooks, and takes its messages itself.

`Function` is what the reference to one is a reference to.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Generic, cast

import trio
from trio.lowlevel import checkpoint, current_task

from .._runtime import NORMAL, await_user, run_user
from .cell import ENDING
from .message import STOP, TICK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    # Type checkers know it even where it is not installed; at run time the default of PEP 696 plays no part.
    from typing_extensions import TypeVar

    from .cell import Cell
    from .message import Tick

    R_co = TypeVar("R_co", covariant=True, default=object)
else:
    from typing import TypeVar

    R_co = TypeVar("R_co", covariant=True)


class Function(Generic[R_co]):
    """The type of a function actor, in ``ActorRef[Function[int]]``: it has no methods to call.

    Its parameter is what the function returns, as `ActorRef.result` gives it; ``Function`` alone is of any result.
    """

    __slots__ = ()


async def run_function(cell: Cell, function: Callable[..., object], args: tuple[object, ...]) -> None:
    """Run the function of a function actor, and keep what it returns."""
    # Arguments that do not fit are an error of the start.
    result = run_user(function, *args)
    if not inspect.isawaitable(result):
        raise TypeError(f"{cell.ref._label} must be an Actor class or an async function, but it returned {result!r}")
    if cell.state == ENDING:  # it has ended itself
        if inspect.iscoroutine(result):
            result.close()
        return
    with trio.CancelScope() as cell.scope:
        cell.set_started()
        cell.life.value = await await_user(cast("Awaitable[object]", result))


async def receive(cell: Cell) -> object:
    """The next plain message. A checkpoint."""
    if cell.hooks is not None:
        raise RuntimeError(f"{cell.ref!r} is an Actor: its messages come to on_message(), not to receive()")
    if cell.taker is None:
        cell.taker = current_task()  # from now on `Cell.stop` leaves the end to the message that says so
    if cell.queue or cell.kind is not None:  # what has woken another task of it is for that one
        await checkpoint()
    while True:
        message = cell.take()
        if message is None:
            if cell.is_idle:
                raise RuntimeError(f"another task of {cell.ref!r} is waiting in receive()")
            await cell.wait_for_message()
            if cell.state == ENDING and cell.scope is not None:
                cell.scope.cancel()  # not done yet, where it is a message that has woken it: see `Cell.end`
        elif message[0] is STOP:
            # Everything sent before has been received: this is the end that `stop` asked for.
            cell.end(NORMAL)
            await trio.sleep_forever()
        else:
            cell.handled += 1
            kind, payload = message
            return cast("Tick", payload).taken() if kind is TICK else payload
