"""How an actor starts a background task: `Actor.start_soon`, and what the runtime itself does beside the handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from trio.lowlevel import current_task, enable_ki_protection

from .._runtime import NORMAL, ActorExited, require_room
from .background import Background
from .cell import ENDING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .cell import Cell


@enable_ki_protection
def start_background_task(
    cell: Cell, function: Callable[..., Awaitable[object]], *args: object, what: str | None = None
) -> None:
    """Run ``await function(*args)`` beside the handlers. If it raises, the actor crashes.

    The Trio task is named after the actor, and after ``what`` it does or the function.
    """
    if cell.state >= ENDING:
        raise ActorExited(cell.ref, cell.life.exit or NORMAL)
    if not callable(function):
        raise TypeError(f"async_fn must be an async function, not {function!r}")
    background = cell.life.background
    if background is None:
        background = cell.life.background = Background()
    require_room()  # Trio can't undo the start of a task
    scope = trio.CancelScope()

    @enable_ki_protection
    async def run() -> None:
        task = current_task()
        background.tasks.add(task)
        try:
            with scope:
                await cell.run_or_fail(function, *args)
        finally:
            background.tasks.discard(task)
            background.scopes.discard(scope)
            if background.gone is not None and not background.scopes:
                background.gone.set()

    # In a copy of the actor's context, not the caller's: what runs there is the actor's code.
    assert cell.context is not None and cell.task is not None
    if what is None:
        qualname: object = getattr(function, "__qualname__", None)
        what = qualname if isinstance(qualname, str) else "background"
    background.scopes.add(scope)
    try:
        cell.context.copy().run(cell.life.child.spawn, run, f"{cell.task.name}, {what}")
    except BaseException:
        background.scopes.discard(scope)  # or the end of the actor would wait for a task that is not there
        raise
