"""The actor whose code is running: `current`, and what its code can do without a `self`.

`receive`, `send_after` and `send_every` are for function actors. An `Actor` has methods of its own for that.
"""

from __future__ import annotations

from typing import Any, cast

from trio.lowlevel import current_task, enable_ki_protection

from .._runtime import current_actor
from .cell import Cell, Reference
from .function_actor import receive_next
from .ref import ActorRef
from .timer import Timer, message_timer


def current() -> ActorRef[Any]:
    """The reference of the actor whose code calls this: ``self()``. Not a checkpoint; constant time.

    Raises:
        RuntimeError: The caller is not an actor's code.
    """
    return _own_ref("current()")


@enable_ki_protection
async def receive() -> object:
    """Wait for the next message to the function actor that calls this: ``receive do ... end``.

    If the actor was asked to stop and has received every message from before, this does not return: the actor is
    cancelled here. A checkpoint; constant time.

    Raises:
        RuntimeError: The caller is not a function actor, or another task of the actor already waits here.
    """
    return await receive_next(_own_cell("receive"))


def send_after(seconds: float, message: object) -> Timer:
    """Send ``message`` to the actor that calls this after ``seconds``: ``Process.send_after(self(), ...)``.

    For function actors: the message comes to `receive`. (An `Actor` has `Actor.send_after`.) It does not come
    if you cancel the `Timer`, or if the actor ends first. Not a checkpoint; constant time.

    Raises:
        TypeError, ValueError: ``seconds`` is not a number of at least 0.
        RuntimeError: The caller is not an actor's code.
        ActorExited: The actor is ending.
    """
    return message_timer(_own_cell("send_after"), seconds, message, repeats=False)


def send_every(seconds: float, message: object) -> Timer:
    """Send ``message`` to the actor that calls this every ``seconds``, the first time after ``seconds``.

    For function actors: the messages come to `receive`. As with `Actor.send_every`, late messages do not pile up. Not a
    checkpoint; constant time.

    Raises:
        TypeError, ValueError: ``seconds`` is not a number of more than 0.
        RuntimeError, ActorExited: As `send_after`.
    """
    return message_timer(_own_cell("send_every"), seconds, message, repeats=True)


def current_cell() -> Cell | None:
    """The cell of the actor whose context this is. None if there is no such actor, or if it has ended.

    A task elsewhere may have a copy of the context: ask `Cell.owns`.
    """
    ref = current_actor.get(None)
    return ref._cell if isinstance(ref, Reference) else None


def _own_ref(caller: str) -> ActorRef[Any]:
    owner = current_actor.get(None)
    if owner is None or not owner._owns(current_task()):
        raise RuntimeError(f"{caller} was called outside of an actor")
    return cast("ActorRef[Any]", owner)


def _own_cell(function: str) -> Cell:
    cell = _own_ref(f"{function}()")._cell
    assert cell is not None  # an actor that has ended has no task
    return cell
