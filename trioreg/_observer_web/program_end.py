"""Whether the program is over, or only a part of it is restarted: what a live page is told at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .._actors import ActorRef
from .._runtime import current_owner
from .._supervision import Child

if TYPE_CHECKING:
    from .._supervision import Engine


def is_program_over() -> bool:
    """Whether the whole tree ends that has the actor whose code calls this. True in a task that is no actor's.

    The actor's own exit can't say it: it is shut down to be restarted, too.
    """
    owner = current_owner()
    cell = owner._cell if isinstance(owner, ActorRef) else None
    child = None if cell is None else getattr(cell.life, "child", None)
    is_closing = True
    while isinstance(child, Child):
        engine = cast("Engine", child.parent)
        is_closing, child = engine.is_closing(), engine.own_child
    return is_closing
