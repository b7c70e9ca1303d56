"""How a `Schedule` takes over Trio's order of tasks.

Trio shuffles the tasks of each round with a random generator of its own. Hypothesis needs that to be deterministic, so
Trio has a switch for it: with `_ALLOW_DETERMINISTIC_SCHEDULING` on, Trio first sorts the tasks by age, and then calls
``_r.shuffle(tasks)``. `scheduling` turns the switch on, and puts a `Chooser` in the place of ``_r``. Both names are
private to Trio, and there is no public way. `tests/testing/test_chooser.py` would notice a change of them.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, MutableSequence
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any

from trio._core import _run as _scheduler

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.lowlevel import Task

    from .schedule import Order, Schedule

MOST_ROUNDS = 100_000
"""A run with more rounds than that is taken for one without an end. If time passes in each round, it takes some ten
seconds.
"""


class Chooser(Random):
    """Stands in for Trio's own random generator, for one run, in the thread in which it was made.

    Args:
        schedule: What chooses.
        too_long: Called after more than `MOST_ROUNDS` rounds.
        keeps: Whether to keep ``orders``.
        look: Called with each round that has a choice: its number, its tasks by age, and their order.

    Attributes:
        rounds: How many rounds with a choice there were.
        steps: How many rounds there were at all.
        mark: A number for all that was chosen: two runs with different numbers have taken different orders.
        orders: The order of each round with a choice, unless it is by age. None if orders are not kept.
    """

    def __init__(
        self,
        schedule: Schedule,
        too_long: Callable[[], object],
        *,
        keeps: bool = False,
        look: Callable[[int, list[Task], Order], object] | None = None,
    ) -> None:
        super().__init__()
        self.rounds = 0
        self.steps = 0
        self.mark = 0
        self.orders: dict[int, Order] | None = {} if keeps else None
        self._thread = threading.get_ident()
        self._schedule = schedule
        self._too_long = too_long
        self._look = look
        self._oldest: int | None = None

    def shuffle(self, x: MutableSequence[Any]) -> None:
        """Called by Trio with the tasks of a round by age. It runs the last one first."""
        if threading.get_ident() != self._thread:  # another Trio run, in another thread
            super().shuffle(x)
            return
        self.steps += 1
        if self.steps > MOST_ROUNDS:
            self._too_long()
        count = len(x)
        if self._oldest is None and count:
            self._oldest = x[0]._counter  # private, as there is no other mark of a task's age
        if count < 2:
            return
        oldest = self._oldest
        tasks = [task._counter - oldest for task in x]
        number, self.rounds = self.rounds, self.rounds + 1
        order = self._schedule(number, tasks)
        if order is None:
            order = list(range(count))
        elif self.orders is not None:
            self.orders[number] = order
        self.mark = hash((self.mark, *[tasks[place] for place in order]))
        if self._look is not None:
            self._look(number, list(x), order)
        x[:] = [x[place] for place in reversed(order)]


_lock = threading.Lock()


@contextmanager
def scheduling(chooser: Chooser) -> Generator[None]:
    """While the block runs, the chooser says in which order the tasks of this thread's Trio run take their steps."""
    if not _lock.acquire(blocking=False):
        raise RuntimeError("explore() and replay() run one at a time in a process: another thread runs one now")
    scheduler: Any = _scheduler
    before = scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r
    try:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r = True, chooser
        yield
    finally:
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING, scheduler._r = before
        _lock.release()
