"""Waits before restarts: which children wait for their next life. A book that the engine keeps.

A child that waits has no life, and so neither a reference nor its name in a registry; here it is found by what it had,
and is to have again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .child import Pause

if TYPE_CHECKING:
    from .._actors import Cell
    from .._registry import Via
    from .._runtime import Owner
    from .child import Child


class Pauses:
    """The children of one supervisor that wait for their next restart."""

    __slots__ = ("_by_life", "_by_name")

    def __init__(self) -> None:
        self._by_life: dict[Owner, Child] = {}
        self._by_name: dict[Via[Any, Any], Child] = {}

    def after(self, life: Owner) -> Child | None:
        """The child that waits since this life of it has ended."""
        child = self._by_life.get(life)
        return None if child is None or child.pause is None else child

    def for_name(self, name: Via[Any, Any]) -> Pause | None:
        """The wait of the child that is to have this name again."""
        child = self._by_name.get(name)
        return None if child is None else child.pause

    def begin(self, child: Child, last: Cell, *, holds_up: bool) -> Pause:
        """A child waits from here on, its ``last`` life having ended."""
        child.pause = Pause(holds_up=holds_up)
        self._by_life[last.ref] = child
        if child.spec.name is not None:
            self._by_name[child.spec.name] = child
        return child.pause

    def end(self, child: Child, last: Cell, pause: Pause) -> bool:
        """Its time is up, or it was given up. Returns whether it is to be restarted.

        Not told by the scope: it may have been given up when its time was up, but it was not yet its turn.
        """
        is_wanted = child.pause is pause
        if is_wanted:
            child.pause = None
            pause.over.set()
        # Given up, started by hand, and waiting again: that is another one.
        if child.pause is None or child.cell is not last:
            self._by_life.pop(last.ref, None)
        name = child.spec.name
        if child.pause is None and name is not None and self._by_name.get(name) is child:
            del self._by_name[name]
        return is_wanted
