"""The state of one `trio.run`: its thread, and the plain Trio tasks that hold names.

An actor releases its names itself, in the last step of its task. A plain task knows nothing of trioreg, so a Trio
instrument sees its end: Trio calls `task_exited` in the very step in which the task ends, before any other task runs.
The instrument is installed only while a plain task holds a name, so a program without such tasks does not pay for it.
"""

from __future__ import annotations

import gc
import os
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

import trio
from trio.lowlevel import (
    RunVar,
    add_instrument,
    current_clock,
    current_trio_token,
    enable_ki_protection,
    remove_instrument,
)

from .finalizers import do_later, unwatch_collector, watch_collector
from .log import SafeLogger
from .turnstile import Turnstile

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CoroutineType

    from trio.lowlevel import Task, TrioToken

    from .instruments import Instruments

logger = SafeLogger("trioreg.runtime")


class Holder(Protocol):
    """The owner of a plain task, as a `Run` sees it."""

    def _task_ended(self) -> None: ...


class EventSource(Protocol):
    """What a `Run` knows of a registry with listeners: that it has events to deliver."""

    def deliver(self) -> None: ...


class Hosted(Protocol):
    """What belongs to a `Run` until it ends: the names of one registry, or the lives of actors on demand."""

    def forget_run(self) -> None: ...

    def watch(self) -> None:
        """Tell the instruments of the run of each change of a name from now on."""


class Run(trio.abc.Instrument):
    """The state of one `trio.run`.

    Attributes:
        thread: The identifier of its thread.
        now: `trio.current_time`, with less on the way.
        token: Trio's token, with which another thread can have a function called in this run.
        holders: The owner of each plain Trio task that holds a name, by the coroutine of the task.
        is_over: Whether the run has ended: no task in it will ever run again.
        undelivered: While an owner gives its names back: the registries that have events to deliver after that. Else
            None.
        reports: The lines of the log that are to be written at the end of that step.
        supervisors: The supervisors that run and have no other above them, in the order of their starts. With each the
            actor whose code has opened it, or None.
        registries: The names of the registries that belong to it, and the actors on demand that it runs.
        ending: The owner that is in its last step. Other threads do not see its end before its names are gone.
        crashes: Actors that have crashed go through it before their last step, which logs and restarts.
        instruments: What watches it; None while nothing does.
        sees_ends: Whether it is told of the end of each task: whether it is installed as an instrument of Trio's.
    """

    def __init__(self) -> None:
        self.thread: int = threading.get_ident()
        self.token: TrioToken = current_trio_token()
        self.now: Callable[[], float] = current_clock().current_time
        self.is_over = False
        self.holders: dict[CoroutineType[Any, Any, Any], Holder] = {}
        self.undelivered: dict[EventSource, None] | None = None
        self.supervisors: dict[object, object] = {}
        self.registries: WeakSet[Hosted] = WeakSet()
        self.ending: object = None
        self.crashes: Turnstile = Turnstile()
        self.instruments: Instruments | None = None
        self.reports: list[Callable[[], object]] = []
        self.sees_ends: bool = False
        _runs.add(self)

    def __repr__(self) -> str:
        return f"<trio run in thread {self.thread}>"

    def hold(self, coro: CoroutineType[Any, Any, Any], holder: Holder) -> None:
        """A task holds a name now: call ``holder._task_ended`` in the step in which the task ends."""
        if not self.sees_ends:
            add_instrument(self)
            self.sees_ends = True
        self.holders[coro] = holder

    def begin_step(self) -> bool:
        """Begin a change of many names. `end_step` delivers its events. False if such a change has already begun."""
        if self.undelivered is not None:
            return False
        self.undelivered = {}
        return True

    def after_step(self, write_log: Callable[[], object]) -> None:
        """Call ``write_log`` now, or at the end of the change of many names that has begun.

        The end of an owner is reported when its names are gone: no log handler finds a name of an owner that has ended.
        """
        if self.undelivered is None:
            write_log()
        else:
            self.reports.append(write_log)

    def tell_after_step(self, hook: str, *args: object) -> None:
        """Tell the instruments, at the same time as the log."""
        if self.instruments is not None:
            self.after_step(partial(self.instruments.tell, hook, *args))

    def watch_names(self) -> None:
        """Have all registries of the run tell the instruments of their names."""
        for names in list(self.registries):
            names.watch()

    def end_step(self) -> None:
        """End the change of many names: write the log lines that were put off, then deliver the events."""
        undelivered, self.undelivered = self.undelivered, None
        if self.reports:
            reports, self.reports = self.reports, []
            for write_log in reports:
                try:
                    write_log()
                except (MemoryError, RecursionError):
                    do_later(self.token, write_log)
                except BaseException as error:
                    # A log handler may raise `SystemExit`. The owner has ended, and the events are still to come.
                    logger.report(error, "log_handler_failed", "a log handler raised when it was told of an end")
        for source in undelivered or ():
            try:
                source.deliver()
            except (MemoryError, RecursionError):
                do_later(self.token, source.deliver)
            except BaseException as error:
                # A listener may raise `SystemExit`. A task is ending: no code of the user's is left to raise it in.
                logger.report(error, "listener_failed", "a listener raised when it was told that a name is free")

    # Called by Trio. Trio removes an instrument that raises, so this never raises.

    def task_exited(self, task: Task) -> None:
        coro = task.coro
        if coro in self.holders:
            holder = self.holders[coro]
            try:
                holder._task_ended()
            except (MemoryError, RecursionError):
                do_later(self.token, holder._task_ended)
            if coro in self.holders:
                del self.holders[coro]
        if not self.holders and self.sees_ends:
            self.sees_ends = False
            remove_instrument(self)


class _End(trio.abc.Instrument):
    """Sees the end of a run. It is always installed, at no cost: Trio calls only the hooks that an instrument has."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def after_run(self) -> None:
        # Names are left only if Trio itself has failed (`TrioInternalError`). The tasks are gone all the same. An error
        # may keep their coroutines, so they may be closed much later, in the middle of the next run.
        run = self._run
        while run.holders:
            run.holders.popitem()[1]._task_ended()
        for names in list(run.registries):
            names.forget_run()
        run.supervisors.clear()
        run.is_over = True
        if run.instruments is not None:
            run.instruments.end()
            run.instruments = None
        unwatch_collector(run)


_run: RunVar[Run] = RunVar("trioreg run")

_runs: WeakSet[Run] = WeakSet()


def _forget_runs() -> None:
    """This process is the child of a fork: it has no task of the parent's runs, so no name has a holder."""
    for run in list(_runs):
        run.is_over = True
        run.holders.clear()
        run.supervisors.clear()
        for names in list(run.registries):
            names.forget_run()


if hasattr(os, "register_at_fork"):  # pragma: no branch  # Windows has no fork
    os.register_at_fork(after_in_child=_forget_runs)


def _begun() -> bool:
    try:
        _run.get()
    except LookupError:
        return False
    return True


@enable_ki_protection  # Ctrl-C between two of these lines would leave a half of it
def _begin_run() -> Run:
    # A finalizer may look at the run, too. In the middle of this it would make a second run.
    collects = gc.isenabled()
    gc.disable()
    try:
        if _begun():
            return _run.get()
        run = Run()
        add_instrument(_End(run))
        watch_collector(run)
        _run.set(run)
    finally:
        if collects:
            gc.enable()
    return run


def current_run() -> Run:
    """The state of the current `trio.run`. `RuntimeError` outside of Trio."""
    try:
        return _run.get()
    except LookupError:
        return _begin_run()
