"""The wait of one task for the ends of several actors.

Each of the actors has the `Ends` among its watchers, and tells it when it has ended. There is no task for each of them,
so ten thousand actors are waited for at the cost of a dict entry each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._runtime import wake

if TYPE_CHECKING:
    from trio.lowlevel import Task

    from .._runtime import Exit, Owner


class Ends:
    """What one task waits for.

    Attributes:
        left: How many actors have not ended yet.
        ends_with: The end of the actor that ended the wait early: the first one, or the first one without a result.
        has_slept: Whether the task has gone to sleep. While it sleeps, it has this in its ``custom_sleep_data``.
    """

    __slots__ = ("_takes_first", "_task", "ends_with", "has_slept", "left")

    def __init__(self, task: Task, left: int, *, takes_first: bool) -> None:
        self._task = task
        self._takes_first = takes_first
        self.left = left
        self.ends_with: tuple[Owner, Exit] | None = None
        self.has_slept = False

    @property
    def is_woken(self) -> bool:
        """Whether the task goes on, by the end of an actor or by a cancellation, and may not have had its turn yet."""
        return self.is_over or (self.has_slept and self._task.custom_sleep_data is not self)

    @property
    def is_over(self) -> bool:
        return self.left == 0 or self.ends_with is not None

    def note(self, ref: Owner, exit: Exit) -> None:
        """An actor has ended. If this raises, nothing has changed."""
        before = self.left, self.ends_with
        try:
            self.left -= 1
            if self.ends_with is None and (self._takes_first or not exit.has_returned):
                self.ends_with = ref, exit
            if self.is_over and self._task.custom_sleep_data is self:  # else it is not asleep, or being cancelled
                wake(self._task)
        except BaseException:
            self.left, self.ends_with = before
            raise
