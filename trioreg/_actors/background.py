"""The background tasks of an actor: they live and die with it.

`start_soon.py` starts one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from trio.lowlevel import Task

    from .turns import Turns


class Background:
    """The background tasks of an actor: they live and die with it.

    Attributes:
        scopes: A cancel scope for each task, from before its start until after its end.
        tasks: The tasks that have begun.
        gone: Set when the last task has ended; None until the actor waits for that.
        turns: The messages that are handled beside the others; None if there was none yet.
        watch: What limits the time of the actor's handlers; None if nothing does, or none has run yet.
    """

    __slots__ = ("gone", "scopes", "tasks", "turns", "watch")

    def __init__(self) -> None:
        self.scopes: set[trio.CancelScope] = set()
        self.tasks: set[Task] = set()
        self.gone: trio.Event | None = None
        self.turns: Turns | None = None
        self.watch: object = None


async def end_background_tasks(background: Background) -> None:
    """Cancel all background tasks, and wait until they have ended. Shielded."""
    if background.scopes:
        for scope in list(background.scopes):
            scope.cancel()
        background.gone = trio.Event()
        with trio.CancelScope(shield=True):
            await background.gone.wait()
