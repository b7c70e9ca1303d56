"""Restarts of several children: who is wanted again, and from whom on. A book that the engine keeps and works off."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .child import Child


class Due:
    """The children that have ended, or are about to be ended, and are owed a life by a restart of several.

    Attributes:
        cause: The first in order of those whose end wants such a restart, which has not begun yet.
    """

    __slots__ = ("_is_counted", "_is_for_all", "cause")

    def __init__(self, *, is_for_all: bool) -> None:
        self.cause: Child | None = None
        self._is_for_all = is_for_all
        # For each whether this restart of it is in its count already.
        self._is_counted: dict[Child, bool] = {}

    def __contains__(self, child: Child) -> bool:
        return child in self._is_counted

    def __bool__(self) -> bool:
        return bool(self._is_counted)

    def want(self, child: Child) -> None:
        """A child has ended, and that is counted: restart it, and those that the strategy restarts with it."""
        self._is_counted[child] = True
        if self.cause is None or child.number < self.cause.number:
            self.cause = child

    def covers(self, child: Child) -> bool:
        """Whether a restart of several, wanted already or under way, is going to restart this child too."""
        if child in self._is_counted:
            return True
        return self.cause is not None and (self._is_for_all or self.cause.number < child.number)

    def note(self, child: Child) -> None:
        """A child that is covered has ended by itself, and that is counted."""
        self._is_counted[child] = True

    def take(self, children: Iterable[Child]) -> list[Child]:
        """Begin the restart that is wanted: returns its members, in order. From here on each of them is due."""
        cause = self.cause
        assert cause is not None
        self.cause = None
        members = [child for child in children if self._is_for_all or child.number >= cause.number]
        for member in members:
            self._is_counted.setdefault(member, False)
        return members

    def is_counted(self, child: Child) -> bool:
        return self._is_counted[child]

    def drop(self, child: Child) -> None:
        """A child is started, or is not to be started any more."""
        if self.cause is child:
            self.cause = None
        self._is_counted.pop(child, None)

    def in_order(self) -> list[Child]:
        return sorted(self._is_counted, key=lambda child: child.number)

    def clear(self) -> None:
        self.cause = None
        self._is_counted.clear()
