"""The termination of one child while its supervisor goes on.

A task of the supervisor's nursery does the work, not the task that asks for it. The asking task may be the child, or
run below it, or be another child that is being terminated too. If it is cancelled, the termination goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from trio.lowlevel import current_task, enable_ki_protection

from .._actors import current_cell, waiting_for_end
from .._runtime import require_room
from .shutdown import end

if TYPE_CHECKING:
    from .._actors import Cell
    from .child import Child
    from .children import Children
    from .lifecycle import Lifecycle
    from .restart_group import RestartGroup


class Termination:
    """The terminations of one supervisor."""

    __slots__ = ("_children", "_group", "_lifecycle")

    def __init__(self, lifecycle: Lifecycle, children: Children, group: RestartGroup) -> None:
        self._lifecycle = lifecycle
        self._children = children
        self._group = group

    @enable_ki_protection
    async def terminate_child(self, which: object) -> None:
        """End a child. A checkpoint; if the wait is cancelled, the end goes on."""
        child = self._children.find(which)
        await trio.lowlevel.checkpoint_if_cancelled()
        require_room()  # for what comes behind the change, when it can't be undone any more
        life = child.life
        if life is None:
            self._group.remove(child)
            child.cancel_delayed_restart()
            self._terminated(child)
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        # A task of the child would wait for the end of the child, and so for itself. While the child runs, the end of
        # the child cancels that wait. Once the child is ending, nothing cancels it.
        own = current_cell()
        if own is not None and own.is_ending and life.owns(current_task()):
            self._begin(child, life, trio.Event())
            await trio.lowlevel.checkpoint()
            return
        with waiting_for_end(life, current_task()):
            ended = trio.Event()
            self._begin(child, life, ended)
            current_task().custom_sleep_data = ended  # `EndWait` looks at it
            await ended.wait()

    def _begin(self, child: Child, life: Cell, ended: trio.Event) -> None:
        lifecycle = self._lifecycle
        if life.life.starter is not None:
            lifecycle.starts[life] = child  # if a group restart ends that start too, it is not begun anew
        lifecycle.nursery.start_soon(self._terminate, child, ended, name=f"{lifecycle.label}, end of {child}")
        child.is_terminating = True  # only now: if the task has not begun, the child goes on as before
        self._group.remove(child)  # before it ends: a group restart leaves it out

    @enable_ki_protection
    async def _terminate(self, child: Child, ended: trio.Event) -> None:
        try:
            await self.end_child(child)
            ended.set()
        except Exception as error:
            self._lifecycle.fail(error)  # an error that left here would cancel all children at once
            ended.set()

    async def end_child(self, child: Child) -> None:
        """End a child that ``is_terminating``, and wait for it. Shielded."""
        await end(child)
        self._terminated(child)

    def _terminated(self, child: Child) -> None:
        child.is_terminating = False
        self._group.remove(child)
        self._children.forget_if_not_kept(child)
        self._lifecycle.notify()  # the children of its group that it blocked are not blocked any more
        self._lifecycle.close_if_done()
