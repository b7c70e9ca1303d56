"""Room for actors on demand: at most `max_running` lives have a task at once.

If `max_running` lives have one, the next life waits in line, and the idle actor that was used the longest time ago is
asked to stop. If no actor is idle, each gets one more message: when it comes to that, it has handled what it had.

It does not know what is sent to which key, and which life comes next: that is in `on_demand_lives.py`.

Must never happen: more tasks than `max_running`; a life that waits in line while there is room; an actor that is asked
to stop while no life waits for its room.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, cast

import trio

from .._actors import LAUNCHED, STARTING, STOPPING, WAITING, PassingCell, YieldingWait, stuck_nodes, targets_of
from .._runtime import NORMAL, current_actor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .._actors import Node, Wait
    from .._runtime import Owner


class Room:
    """The lives that have a task, and those that wait in line for one.

    Attributes:
        running: The lives with a task that take messages, the one that was used the longest time ago first.
        asked: Those of them that were asked to say when they are idle.
        leaving: The lives with a task that take no more messages.
        waiting: The lives that wait in line for their task.
        woken: Set when a life gets its task. (It is for the task that waits for the first one: put another one here.)
    """

    __slots__ = (
        "_is_asking",
        "_is_unlimited",
        "_max_running",
        "_start",
        "asked",
        "leaving",
        "running",
        "waiting",
        "woken",
    )

    def __init__(self, max_running: float, start: Callable[[PassingCell], None]) -> None:
        self._max_running = max_running
        self._is_unlimited = max_running == math.inf
        self._start = start
        self._is_asking = False
        self.woken = trio.Event()
        self.running: OrderedDict[PassingCell, None] = OrderedDict()
        self.asked: dict[PassingCell, None] = {}
        self.leaving: dict[PassingCell, None] = {}
        self.waiting: OrderedDict[PassingCell, None] = OrderedDict()

    @property
    def is_there(self) -> bool:
        """Whether one more life may have a task."""
        return self._is_unlimited or len(self.running) + len(self.asked) + len(self.leaving) < self._max_running

    # A task is started

    def line_up(self, cell: PassingCell) -> None:
        """Start the task of a life, as soon as there is room."""
        if not self.waiting and self.is_there:
            self.launch(cell)
        else:
            self.waiting[cell] = None
            self._make_room()

    def launch(self, cell: PassingCell) -> None:
        """Start the task of a life now."""
        # What can fail comes first: a task can't be taken back.
        try:
            self.move(cell, self.leaving if cell.state >= STOPPING else self.running)
            cell.stage = LAUNCHED
            self.woken.set()
            self._start(cell)
        except BaseException:
            cell.stage = WAITING
            self.move(cell, None)
            raise

    def launch_next(self) -> None:
        """A life has ended: the first in line get their tasks."""
        while self.waiting and self.is_there:
            cell = next(iter(self.waiting))
            del self.waiting[cell]
            if cell.has_messages or cell.state != STARTING:
                self.launch(cell)
            else:
                cell.end(NORMAL)
        self._make_room()

    def move(self, cell: PassingCell, place: dict[PassingCell, None] | None) -> None:
        """Take a life out of the table that it is in, and put it into another one, or into none."""
        if cell.place is not None:
            cell.place.pop(cell, None)
        cell.place = place
        if place is not None:
            place[cell] = None

    # Room for the next one

    def touch(self, cell: PassingCell) -> None:
        """A message comes for it."""
        cell.noted += 1
        if cell.place is self.running:
            self.running.move_to_end(cell)

    def _make_room(self) -> None:
        """Have as many lives end as wait in line. Those that are not idle now say when they are."""
        while self.running and len(self.leaving) < len(self.waiting):
            cell = next(iter(self.running))
            if not cell.is_unused:
                self.move(cell, self.asked)
                cell.ask_round()
            elif cell.uses > cell.noted:
                # What it was sent by its name in the registry, or by its reference, has not come by here.
                cell.noted = cell.uses
                self.running.move_to_end(cell)
            else:
                cell.stop()

    def came_round(self, cell: PassingCell) -> None:
        """A life has handled what it had when it was asked."""
        if cell.place is not self.asked:
            return
        if len(self.leaving) >= len(self.waiting):
            self.move(cell, self.running)
        elif cell.has_come_round:
            cell.stop()
        elif cell.deferred and not cell.has_messages:
            cell.watch_answers()
        elif not cell.rounds:  # else there is another one behind it: it was looked at, too
            cell.ask_round()

    # Cycles of calls

    def blockers_of(self, cell: PassingCell) -> Iterable[Owner]:
        """The lives that take up the room that ``cell`` needs, if none of these lives can end. Else an empty result.

        One life that can end is enough. So this is no simple path in the wait-for graph.
        """
        if self._is_asking or not self._lacks_room(cell):
            return ()
        self._is_asking = True
        try:
            busy: list[PassingCell] = [*self.leaving, *self.asked, *self.running]
            current, home = current_actor.get(None), cell.home

            def waits_already(node: Node) -> bool:
                if isinstance(node, PassingCell) and node.home is home and self._lacks_room(node):
                    return True
                return node.ref is current

            stuck = stuck_nodes(cast("list[Node]", busy), waits_already, _targets)
            return [each.ref for each in busy] if stuck.issuperset(busy) else ()
        finally:
            self._is_asking = False

    def _lacks_room(self, cell: PassingCell) -> bool:
        """Whether a life waits in line for room, or would have to: it is new, or it waits for a backoff."""
        return cell.stage < LAUNCHED and cell.older is None and (bool(self.waiting) or not self.is_there)


def _targets(wait: Wait) -> tuple[bool, list[Node | None]]:
    gives_way = isinstance(wait, YieldingWait) and wait.may_give_way()
    return (False, []) if gives_way else targets_of(wait)
