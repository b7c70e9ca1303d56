"""What a schedule has changed, as text for people: which task ran before which, and where both stood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs
import trio

from .._runtime import counted
from .blocked import label_of, place_of
from .schedule import moved_order, moves_of

if TYPE_CHECKING:
    from trio.lowlevel import Task

    from .schedule import Move, Order

_SHOWN = 6
"""How many moves a trace shows."""


@attrs.frozen
class _Change:
    number: int
    at: float
    tasks: list[Task]
    is_before: bool
    places: list[str]


class Trace:
    """Looks at a run while it runs. ``str(trace)`` shows the changes of the order.

    Args:
        moves: The moves that the schedule is made of; None: find out.
    """

    def __init__(self, moves: Sequence[Move] | None = None) -> None:
        self._moves = moves
        self._seen: dict[Task, None] = {}
        self._changes: list[_Change] = []
        self._others = 0

    def look(self, number: int, tasks: list[Task], order: Order) -> None:
        """Called by the `Chooser`."""
        self._seen.update(dict.fromkeys(tasks))
        moves = moves_of(number, order) if self._moves is None else [each for each in self._moves if each[0] == number]
        now = list(range(len(tasks)))
        for _, place, to in moves:
            if place >= len(now) or place == to:
                continue
            if len(self._changes) == _SHOWN:
                self._others += 1
                continue
            passed = now[to:place] if to < place else now[place + 1 : to + 1]
            involved = [tasks[index] for index in (now[place], *passed)]
            places = [place_of(task) for task in involved[:2]]
            self._changes.append(_Change(number, trio.current_time(), involved, to < place, places))
            now = [now[index] for index in moved_order([(number, place, to)], len(now))]

    def __str__(self) -> str:
        if not self._changes:
            return "All tasks run in the order in which they were started."
        lines: list[str] = []
        for change in self._changes:
            names = [self._name(task) for task in change.tasks]
            more = f" and {counted(len(names) - 2, 'more task')}" if len(names) > 2 else ""
            relation = "before" if change.is_before else "after"
            lines.append(f"  round {change.number}, at {change.at:g} s: {names[0]} runs {relation} {names[1]}{more}")
            lines += [f"      {name} is at {place}" for name, place in zip(names, change.places, strict=False) if place]
        if self._others:
            lines.append(f"  and {counted(self._others, 'more change')}")
        lines.append("All others run in the order in which they were started.")
        return "\n".join(lines)

    def _name(self, task: Task) -> str:
        label = label_of(task)
        alike = [other for other in self._seen if label_of(other) == label]  # now: a task may change its name
        return f"'{label}'" if len(alike) == 1 else f"'{label}' ({alike.index(task) + 1})"
