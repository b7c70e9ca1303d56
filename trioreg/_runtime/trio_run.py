"""What trioreg keeps for one `trio.run`: which thread it is, and the plain Trio tasks that hold names.

An actor releases its names itself, in the last step of its task. A plain task knows nothing of us, so its end is
seen through Trio's public instrumentation: `task_exited` is called in the very step in which the task ends, before
any other task runs. The instrument is there only while a plain task holds a name, so that nobody else pays for it.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Protocol

import trio
from trio.lowlevel import RunVar, add_instrument, current_trio_token, remove_instrument

if TYPE_CHECKING:
    from types import CoroutineType

    from trio.lowlevel import Task

logger = logging.getLogger("trioreg")


class Holder(Protocol):
    """What a `Run` knows of those who hold names as plain tasks."""

    def _task_ended(self) -> None: ...


class EventSource(Protocol):
    """What a `Run` knows of a registry with listeners: that it has events to deliver."""

    def deliver(self) -> None: ...


class Run(trio.abc.Instrument):
    """The state of one `trio.run`.

    Attributes:
        thread: The identifier of the thread it runs in.
        token: What gets a function called there, from anywhere.
        holders: The plain Trio tasks that hold a name, by their coroutines, each with its holder.
        is_over: It has ended: nothing in it runs any more, or ever will.
        undelivered: While an owner gives its names back: the registries that have events to deliver when that is done.
    """

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.token = current_trio_token()
        self.is_over = False
        self.holders: dict[CoroutineType[Any, Any, Any], Holder] = {}
        self.undelivered: dict[EventSource, None] | None = None
        self._installed = False

    def __repr__(self) -> str:
        return f"<trio run in thread {self.thread}>"

    def hold(self, coro: CoroutineType[Any, Any, Any], holder: Holder) -> None:
        """From here on, a task holds a name: tell ``holder`` in the step in which it ends."""
        self.holders[coro] = holder
        if not self._installed:
            add_instrument(self)
            self._installed = True

    def drop(self, coro: CoroutineType[Any, Any, Any]) -> None:
        """A task holds no name any more.

        The instrument itself stays until the next task ends: a task that registers and unregisters in a loop does
        not pay for installing it each time.
        """
        self.holders.pop(coro, None)

    def begin_step(self) -> bool:
        """Begin a change of many names: its events are delivered at `end_step`. False: inside another such change."""
        if self.undelivered is not None:
            return False
        self.undelivered = {}
        return True

    def end_step(self) -> None:
        undelivered, self.undelivered = self.undelivered, None
        for source in undelivered or ():
            try:
                source.deliver()
            except BaseException:
                # A listener raised `SystemExit`. A task ends here: there is no user code that the error could leave.
                logger.exception("a listener failed when it was told of an end")

    # Trio's hooks. An instrument that raises is thrown out by Trio, so nothing in here may.

    def task_exited(self, task: Task) -> None:
        holder = self.holders.pop(task.coro, None)
        if holder is not None:
            holder._task_ended()
        if not self.holders and self._installed:
            self._installed = False
            remove_instrument(self)


class _End(trio.abc.Instrument):
    """Sees the end of a run. It is there all the time, which costs nothing: Trio calls only what an instrument has."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def after_run(self) -> None:
        # Reached with names left only if the run broke down (`TrioInternalError`): its tasks are gone all the same.
        holders = self._run.holders
        while holders:
            holders.popitem()[1]._task_ended()
        self._run.is_over = True


_run: RunVar[Run] = RunVar("trioreg run")


def current_run() -> Run:
    """The state of the running `trio.run`; `RuntimeError` outside of one."""
    try:
        return _run.get()
    except LookupError:
        run = Run()
        add_instrument(_End(run))
        _run.set(run)
        return run
