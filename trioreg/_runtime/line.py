"""The line for room: the items that wait until a full feed can take them, first come, first served.

Must never happen: an item whose sender is being cancelled gets in.
"""

from __future__ import annotations

from collections import OrderedDict

from trio.lowlevel import Task, current_task

from .sleeping import sleep_until_woken, wake
from .waking import wake_in_slices


class Line:
    """The line of one feed. A `Feed` is built on this."""

    # The items that wait, in order; None until there was one.

    __slots__ = ("_senders",)

    _senders: OrderedDict[Place, None] | None

    def _let_first_in(self) -> Place | None:
        """Take the first item out of the line, and wake its sender. None if all senders are being cancelled."""
        while self._senders:
            place = next(iter(self._senders))
            if not place.is_being_cancelled():
                place.got_in = True
                try:
                    if place.task is not None:
                        wake(place.task)
                except BaseException:
                    place.got_in = False
                    raise
                del self._senders[place]
                return place
            del self._senders[place]
        return None

    def _send_all_away(self) -> None:
        """No item of the line gets in any more: wake all senders. If it fails half-way, call it again."""
        if self._senders:
            wake_in_slices(self._senders)
            self._senders = None


class Place:
    """The place of an item in the line for room. Its sender need not wait yet, and may have a place in many feeds.

    Attributes:
        line: The line, of a feed.
        item: The item.
        task: The sender while it waits for this. While it sleeps, it has this in its ``custom_sleep_data``.
        got_in: Whether the feed has taken the item.
    """

    __slots__ = ("got_in", "item", "line", "task")

    def __init__(self, line: Line, item: object) -> None:
        self.line = line
        self.item = item
        self.task: Task | None = None
        self.got_in = False

    def line_up(self) -> None:
        """Have the item wait for room, behind those that do. There is no room now."""
        line = self.line
        if line._senders is None:
            line._senders = OrderedDict()
        line._senders[self] = None

    async def wait(self) -> bool:
        """Wait until the feed has taken the item. False if the feed ended first. A checkpoint only if it waits."""
        if not self.is_in_line():
            return self.got_in
        task = current_task()
        sleep = sleep_until_woken()
        task.custom_sleep_data = self
        self.task = task
        try:
            await sleep
        except BaseException:
            self.withdraw()
            raise
        return self.got_in

    def is_in_line(self) -> bool:
        """Whether the item is still waiting."""
        senders = self.line._senders
        return senders is not None and self in senders

    def withdraw(self) -> None:
        """Give the place up, if the item is still waiting."""
        if self.line._senders:
            self.line._senders.pop(self, None)

    def is_being_cancelled(self) -> bool:
        """Whether the sender has been woken by a cancellation, and has not had its turn yet."""
        return self.task is not None and self.task.custom_sleep_data is not self
