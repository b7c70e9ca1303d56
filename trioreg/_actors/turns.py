"""The turns of an actor that handles messages side by side: the record of them. (`beside.py` runs them.)

Must never happen: an actor that was asked to stop, and ends before its turns do; a cycle of waits through a turn that
is not refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from trio.lowlevel import Task

    from .._runtime import Owner
    from .wait_graph import Wait


class Turns:
    """The open turns of one actor.

    Attributes:
        unfinished: All that are not over.
        by_task: Those that have a task already.
        last: The turn that was made last.
        over: Set when none is left; None until the actor waits for that.
    """

    __slots__ = ("by_task", "last", "over", "unfinished")

    def __init__(self) -> None:
        self.unfinished: set[Turn] = set()
        self.by_task: dict[Task, Turn] = {}
        self.last: Turn | None = None
        self.over: trio.Event | None = None

    def of(self, task: Task) -> Turn | None:
        """The turn that a task works for: its own, or one in a nursery below that."""
        step: Task | None = task
        while step is not None:
            if step in self.by_task:
                return self.by_task[step]
            nursery = step.parent_nursery
            step = None if nursery is None else nursery.parent_task
        return None

    async def wait_over(self) -> None:
        """Wait until no turn is open. New ones may begin meanwhile."""
        while self.unfinished:
            self.over = trio.Event()
            await self.over.wait()


class Turn:
    """One message that is handled beside the others: a `Node` of the wait-for graph.

    Its caller waits for this turn, and not for the actor, which answers other callers meanwhile.

    Attributes:
        ref, title: The same as of its actor.
        waits: What it waits for now; None if there was nothing yet.
        begun: Set when the coroutine has begun, or never will.
    """

    __slots__ = ("begun", "ref", "title", "waits")

    def __init__(self, ref: Owner, title: str) -> None:
        self.ref: Owner = ref
        self.title: str = title
        self.waits: dict[Wait, None] | None = None
        self.begun: trio.Event = trio.Event()
