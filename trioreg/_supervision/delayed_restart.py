"""Delayed restarts: the children that wait for their next life, and the wait itself.

A child that waits has no life, and so neither a reference nor its name in a registry. Here it is found by its last
reference, and by the name that it gets again.

Must never happen: a supervisor that closes because it has no child left, while one waits here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import enable_ki_protection

from .child import DelayedRestart

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._actors import Cell
    from .._registry import Via
    from .._runtime import Owner
    from .child import Child
    from .lifecycle import Lifecycle


class DelayedRestarts:
    """The children of one supervisor that wait for their next restart."""

    __slots__ = ("_by_last_life", "_by_name", "_lifecycle")

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._by_last_life: dict[Owner, Child] = {}
        self._by_name: dict[Via[Any, Any, Any], Child] = {}

    def after(self, life: Owner) -> Child | None:
        """The child that waits since this life of it has ended."""
        child = self._by_last_life.get(life)
        return None if child is None or child.delayed_restart is None else child

    def for_name(self, name: Via[Any, Any, Any]) -> DelayedRestart | None:
        """The wait of the child that gets this name again."""
        child = self._by_name.get(name)
        return None if child is None else child.delayed_restart

    def begin(
        self, child: Child, last: Cell, seconds: float, restart: Callable[[], None], *, blocks_group: bool
    ) -> None:
        """Call ``restart`` after some seconds, unless the wait is cancelled. ``last`` is the life that has ended."""
        lifecycle = self._lifecycle
        delayed = child.delayed_restart = DelayedRestart(blocks_group=blocks_group)
        self._by_last_life[last.ref] = child
        if child.spec.name is not None:
            self._by_name[child.spec.name] = child
        lifecycle.lives += 1  # it counts as alive: the supervisor must not take its last child for ended

        lifecycle.nursery.start_soon(
            self._wait_and_restart,
            child,
            last,
            delayed,
            seconds,
            restart,
            name=f"{lifecycle.label}, restart of {child}",
        )

    @enable_ki_protection
    async def _wait_and_restart(
        self, child: Child, last: Cell, delayed: DelayedRestart, seconds: float, restart: Callable[[], None]
    ) -> None:
        lifecycle = self._lifecycle
        try:
            try:
                with delayed.scope:
                    await trio.sleep(seconds)
            finally:
                lifecycle.lives -= 1
            if self._end(child, last, delayed) and not lifecycle.is_closing:
                restart()
            lifecycle.close_if_done()
        except Exception as error:
            lifecycle.fail(error)  # an error that left here would cancel all children at once

    def _end(self, child: Child, last: Cell, delayed: DelayedRestart) -> bool:
        """The wait is over. Returns whether the child is to be restarted.

        The scope can't tell: the wait may have been cancelled when its time was up, but before its task had its turn.
        """
        is_wanted = child.delayed_restart is delayed
        if is_wanted:
            delayed.over.set()  # first: if it fails, the shutdown that follows does it
            child.delayed_restart = None
        self._by_last_life.pop(last.ref, None)
        # The child may have been terminated, started by hand, and be waiting again: then that is another wait.
        name = child.spec.name
        if child.delayed_restart is None and name is not None and self._by_name.get(name) is child:
            del self._by_name[name]
        return is_wanted
