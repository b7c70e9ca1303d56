"""One run of a scenario, in virtual time, under one schedule."""

from __future__ import annotations

import gc
import math
import random
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from time import perf_counter
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, Never, TypeAlias

import attrs
import trio
import trio.testing
from trio import run  # this one, also where a test has put another one in its place

from .._actors import keep_own_turns
from .._runtime import flat, owner_numbers, shown_safely
from .blocked import report_of_waits, tasks_of_run, waits_outside
from .chooser import MOST_ROUNDS, Chooser, scheduling

if TYPE_CHECKING:
    from trio.lowlevel import Task

    from .schedule import Order, Schedule

Scenario: TypeAlias = Callable[[], Awaitable[object]]
"""An async function without arguments."""

_LONGEST_REAL = 10.0
"""For how many real seconds a run may wait for a thread or a socket while nothing else happens."""

_QUIET = 0.05
"""After how many real seconds without news from a socket the virtual clock goes on, and how often a run looks whether
a thread of the program still runs.
"""

_ROUNDS_TO_END = 5000
"""How many rounds a scenario without an end gets to clean up, before that is broken."""

_OWNERS_REPEAT = 5040
"""The owners of each run are numbered from a multiple of this on. So each owner is in the same partition in each run,
if the registry has 1 to 10 partitions, or 12, 14, 15 or 16.
"""

_MOST_BREAKS = 100
"""How often the waits of a scenario are broken that can't be cancelled."""


class Stuck(AssertionError):
    """A scenario of `explore` or `replay` does not end.

    All its tasks are blocked, there is no deadline, and nothing from outside can wake one. Or it runs and runs. The
    message shows where each task waits.
    """


@attrs.frozen
class Ended:
    """How a run has ended.

    Attributes:
        error: What left it, or None.
        mark: As `Chooser.mark`.
        rounds: How many rounds with a choice it had.
        orders: The orders that were not by age, if they were to be kept.
        met_outside: Whether it has waited for a thread, a socket, a process or a signal.
    """

    error: BaseException | None
    mark: int
    rounds: int
    orders: dict[int, Order]
    met_outside: bool


def run_once(
    scenario: Scenario,
    schedule: Schedule,
    *,
    keeps: bool = False,
    look: Callable[[int, list[Task], Order], object] | None = None,
) -> Ended:
    """Run a scenario once under a schedule. ``keeps`` and ``look`` are arguments of `Chooser`.

    Some errors are raised as they are: Ctrl-C, ``SystemExit``, what pytest and hypothesis raise for themselves, and the
    ``TypeError`` for a scenario that is no async function.
    """
    __tracebackhide__ = True  # pytest shows the scenario, and not what is in here
    watch = _Watch()
    chooser = Chooser(schedule, watch.too_long, keeps=keeps, look=look)
    watch.chooser = chooser

    async def main() -> None:
        __tracebackhide__ = True
        watch.main = trio.lowlevel.current_task()
        watch.main.name = getattr(scenario, "__name__", "scenario")
        keep_own_turns()
        with watch.scope:
            begun: Any = scenario()
            if not hasattr(begun, "__await__"):
                watch.refusal = TypeError(
                    f"scenario must be an async function without arguments, not {shown_safely(scenario)}"
                )
                raise watch.refusal
            await begun

    error: BaseException | None = None
    with scheduling(chooser), _collector_off(), _random_fixed():
        _align_owner_numbers()
        try:
            run(main, clock=watch.clock)
        except BaseException as raised:
            error = raised
    if watch.refusal is not None:
        raise watch.refusal
    leaves = [] if error is None else flat([error])
    for leaf in leaves:
        if isinstance(leaf, KeyboardInterrupt | SystemExit) or all(map(_is_for_caller, leaves)):
            raise leaf  # without its group, which pytest would take for a failure
    return Ended(watch.stuck or error, chooser.mark, chooser.rounds, chooser.orders or {}, watch.met_outside)


class _Watch:
    """The clock of a run, and what notices that it does not end.

    Trio asks its clock how long to sleep only when no task can run, and says until when. So this is the place to notice
    that nothing can go on. The clock is a `trio.testing.MockClock` whose method is replaced: that class is final, and
    with a clock of another class, Trio can't jump.
    """

    def __init__(self) -> None:
        self.chooser: Chooser | None = None
        self.scope = trio.CancelScope()
        self.main: Task | None = None
        self.stuck: Stuck | None = None
        self.refusal: TypeError | None = None
        self.met_outside = False
        self._breaks = 0
        self._steps = -1
        self._since = 0.0
        self._threads_before = set(threading.enumerate())
        self.clock = trio.testing.MockClock(autojump_threshold=0)
        self._sleep_time = self.clock.deadline_to_sleep_time
        self.clock.deadline_to_sleep_time = self.sleep_time  # type: ignore[method-assign]

    def sleep_time(self, deadline: float) -> float:
        """All tasks are blocked. The virtual clock jumps to the deadline, unless a task waits for something else."""
        if trio.lowlevel.current_statistics().run_sync_soon_queue_size:
            return 0  # a call from another thread, or from Trio itself: it comes with the next events
        thread, io, idle = waits_outside()
        if not (thread or io):
            is_blocked = deadline == math.inf and not idle
            if not is_blocked or not self._has_own_thread():
                self.clock.autojump_threshold = 0
                if not is_blocked:
                    return self._sleep_time(deadline)
                self._end("All tasks are blocked, and nothing can wake one of them")
                return 0
        self.met_outside = True
        if io and not thread and deadline < math.inf:
            self.clock.autojump_threshold = _QUIET
            return self._sleep_time(deadline)
        self.clock.autojump_threshold = math.inf  # Trio sleeps in real time until there is news
        assert self.chooser is not None
        if self.chooser.steps - self._steps > 1:
            self._since = perf_counter()
        self._steps = self.chooser.steps
        left = self._since + _LONGEST_REAL - perf_counter()
        if left <= 0:
            what = "the system" if io and not thread else "a thread"
            self._end(f"For {_LONGEST_REAL:g} seconds, all tasks wait for {what}")
            return 0
        return left if thread or io else min(left, _QUIET)

    def _has_own_thread(self) -> bool:
        """Whether the program has started a thread without Trio that still runs: it can call the run at any moment."""
        return any(
            thread not in self._threads_before and not thread.name.startswith("Trio thread ")  # Trio keeps idle ones
            for thread in threading.enumerate()
        )

    def too_long(self) -> None:
        self._end(f"The scenario has not ended after {MOST_ROUNDS:,} rounds of the scheduler")

    def _end(self, what: str) -> None:
        """Note it, and cancel the scenario. If it goes on nevertheless, break each wait of its tasks, shielded or not.

        If that is of no use either, the run ends with an error of Trio's, and its coroutines are thrown away.
        """
        assert self.chooser is not None
        self.chooser.steps = MOST_ROUNDS - _ROUNDS_TO_END
        if self.stuck is None:
            self.stuck = Stuck(f"{what}:\n{report_of_waits()}")
            self.scope.cancel()
            return
        self._breaks += 1
        if self._breaks > _MOST_BREAKS:
            raise self.stuck
        for task in list(tasks_of_run(self.main)):
            # Trio's own way to deliver a cancellation, without the question whether the task is shielded: there is no
            # public one. tests/testing/test_explore.py has a deadlock in a shielded block.
            if task._abort_func is not None:
                task._attempt_abort(_break)


class _Broken(BaseException):
    """Breaks the waits of a scenario that can't be cancelled."""


def _break() -> Never:
    raise _Broken


@contextmanager
def _collector_off() -> Generator[None]:
    """No garbage collection in the middle of a run: a finalizer would run at another step each time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def _random_fixed() -> Generator[None]:
    """In the block, `random` gives the same numbers in each run. After it, `random` goes on as without the block."""
    before = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(before)


def _align_owner_numbers() -> None:
    """Have each run put its owners into the same partitions: the partition follows from the number of the owner."""
    while next(owner_numbers) % _OWNERS_REPEAT:
        pass


def _is_for_caller(error: BaseException) -> bool:
    """Whether an error is no failure, but tells pytest or hypothesis something. Neither has to be installed."""
    module, name = type(error).__module__, type(error).__name__
    return (
        name in ("Skipped", "SkipTest", "XFailed")
        or (module, name) == ("_pytest.outcomes", "Exit")
        or module == "hypothesis.errors"
        or (name == "Failed" and _is_of_pytest_timeout(error))
    )


def _is_of_pytest_timeout(error: BaseException) -> bool:
    """Whether an error is from pytest-timeout. It raises one in the scenario, and only once: another run could hang."""
    frames = (frame for frame, _ in walk_tb(error.__traceback__))
    return any(frame.f_globals.get("__name__") == "pytest_timeout" for frame in frames)
