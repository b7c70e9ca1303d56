"""What there is beside the handlers of an actor: its background tasks, which live and die with it, and its control.

`start_soon.py` starts a task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import trio

if TYPE_CHECKING:
    from trio.lowlevel import Task

    from .turns import Turns


class Holding(Protocol):
    """What may hold an actor, so that it handles nothing: a `Control`."""

    def release(self) -> None:
        """The actor is to handle messages again."""


class Background:
    """What there is beside the handlers of one actor. Most actors have none.

    Attributes:
        scopes: A cancel scope for each task, from before its start until after its end.
        tasks: The tasks that have begun.
        gone: Set when the last task has ended; None until the actor waits for that.
        turns: The messages that are handled beside the others; None if there was none yet.
        control: What is asked of the actor from outside, or holds it; None if there is nothing.
        watchdog: What limits the time of the actor's handlers; None if nothing does, or none has run yet.
    """

    __slots__ = ("control", "gone", "scopes", "tasks", "turns", "watchdog")

    def __init__(self) -> None:
        self.scopes: set[trio.CancelScope] = set()
        self.tasks: set[Task] = set()
        self.gone: trio.Event | None = None
        self.turns: Turns | None = None
        self.control: Holding | None = None
        self.watchdog: object = None


async def end_background_tasks(background: Background) -> None:
    """Cancel all background tasks, and wait until they have ended. Shielded."""
    if background.scopes:
        for scope in list(background.scopes):
            scope.cancel()
        background.gone = trio.Event()
        with trio.CancelScope(shield=True):
            await background.gone.wait()
