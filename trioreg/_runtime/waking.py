"""Wake very many sleeping tasks: a few in each pass of Trio's scheduler, so that other tasks run in between.

Trio runs all tasks that can run before it looks at time and I/O again. Ten thousand tasks that are woken together would
hold it up for a tenth of a second.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol, TypeVar

from trio.lowlevel import current_trio_token, in_trio_run

from .finalizers import do_later
from .sleeping import wake

if TYPE_CHECKING:
    from trio.lowlevel import Task

PER_PASS = 200
"""How many tasks are woken before other tasks run."""


class Sleeper(Protocol):
    """A task that sleeps. While it does, it has this in its ``custom_sleep_data``.

    Attributes:
        task: The task; None if it does not sleep yet.
    """

    @property
    def task(self) -> Task | None: ...


S = TypeVar("S", bound=Sleeper)


def wake_in_slices(sleepers: OrderedDict[S, None]) -> None:
    """Wake tasks in their order: the first of them now, and all others in the next passes of Trio's scheduler.

    The tasks that are woken now are taken out. The dict belongs to the loop from now on. If this raises, it does not:
    call it again with those that are left. A task that is woken otherwise meanwhile, by a cancellation, is left alone.
    """
    _wake_some(sleepers, PER_PASS)
    if sleepers and in_trio_run():
        do_later(current_trio_token(), _wake_others, sleepers)
    else:
        _wake_some(sleepers, len(sleepers))


def _wake_others(sleepers: OrderedDict[S, None]) -> None:
    try:
        wake_in_slices(sleepers)
    except (MemoryError, RecursionError):
        _wake_some(sleepers, len(sleepers))  # no other code would


def _wake_some(sleepers: OrderedDict[S, None], at_most: int) -> None:
    for _ in range(min(at_most, len(sleepers))):
        sleeper = next(iter(sleepers))
        task = sleeper.task
        if task is not None and task.custom_sleep_data is sleeper:
            wake(task)
        del sleepers[sleeper]
