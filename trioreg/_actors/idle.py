"""When an actor has been idle for long enough: its ``idle_timeout``, a setting of the class or of the instance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from .._runtime import OPTIONAL_SECONDS, require_number

if TYPE_CHECKING:
    from .cell import Cell


def idle_deadline(cell: Cell) -> float:
    """When `on_idle` is due, if the actor is idle from now on."""
    actor = cell.actor
    timeout = None if actor is None else actor.idle_timeout
    if timeout is None:
        return math.inf
    require_idle_timeout(type(actor), timeout)
    return trio.current_time() + timeout


def require_idle_timeout(cls: type, seconds: object) -> None:
    """`TypeError` or `ValueError` unless this can be the ``idle_timeout`` of an actor of that class."""
    if seconds is not None:
        require_number(f"{cls.__qualname__}.idle_timeout", seconds, what=OPTIONAL_SECONDS, infinite=True)
