"""When an actor has been idle for long enough: its ``idle_timeout``, a setting of the class or of the instance.

A claimed worker of a pool is not idle. Its idle time begins when the claim ends.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from weakref import WeakSet

import trio

from .._runtime import OPTIONAL_SECONDS, require_number

if TYPE_CHECKING:
    from .cell import Cell


_in_use: WeakSet[Cell] = WeakSet()


def idle_deadline(cell: Cell) -> float:
    """When `on_idle` is due, if the actor is idle from now on."""
    actor = cell.actor
    timeout = None if actor is None else actor.idle_timeout
    if timeout is None:
        return math.inf
    require_idle_timeout(type(actor), timeout)
    return math.inf if cell in _in_use else trio.current_time() + timeout


def begin_use(cell: Cell) -> None:
    """The actor is not idle from now on, however long it waits for a message. Until `end_use`, or its end."""
    _in_use.add(cell)
    if cell.idle_scope is not None:
        cell.idle_scope.deadline = math.inf


def end_use(cell: Cell) -> None:
    """If the actor waits for a message, its time begins now."""
    _in_use.discard(cell)
    if cell.idle_scope is not None:
        try:
            cell.idle_scope.deadline = idle_deadline(cell)
        except (TypeError, ValueError) as error:  # its ``idle_timeout`` was changed meanwhile
            cell.fail(error)


def require_idle_timeout(cls: type, seconds: object) -> None:
    """`TypeError` or `ValueError` unless this can be the ``idle_timeout`` of an actor of that class."""
    if seconds is not None:
        require_number(f"{cls.__qualname__}.idle_timeout", seconds, what=OPTIONAL_SECONDS, infinite=True)
