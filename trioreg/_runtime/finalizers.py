"""Finalizers that the garbage collector runs: what they ask for is done a little later, by the Trio run.

The collector may run in the middle of anything: between two statements of Trio's own scheduler, too. A task that is
woken there can be lost. So while the collector runs, the runtime changes nothing. It hands the change to the loop.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import suppress
from threading import get_ident
from typing import Any, Literal

import trio
from trio.lowlevel import enable_ki_protection

from .log import SafeLogger

logger = SafeLogger("trioreg.runtime")

COLLECTING: list[int] = []
"""The threads in which the garbage collector runs now. Ask first whether it is empty: nearly always it is."""

UNUSUAL: list[object] = []
"""Why a message has to take the long way: the same threads, and the `Instruments` that see messages."""

_runs: list[object] = []


@enable_ki_protection  # Ctrl-C in here would be lost, and the end of the collection with it
def _notice(phase: Literal["start", "stop"], info: dict[str, int]) -> None:
    _forget()  # the collector never runs twice at once, so what is there was left behind
    if phase == "start":
        COLLECTING.append(get_ident())
        UNUSUAL.append(COLLECTING[0])


def _forget() -> None:
    while COLLECTING:
        thread = COLLECTING.pop()
        if thread in UNUSUAL:
            UNUSUAL.remove(thread)


def watch_collector(run: object) -> None:
    """Notice from now on when the collector runs, until `unwatch_collector`. It costs a call for each collection."""
    if not _runs:
        gc.callbacks.append(_notice)
    _runs.append(run)


def unwatch_collector(run: object) -> None:
    _runs.remove(run)
    if not _runs:
        gc.callbacks.remove(_notice)
        _forget()


def is_finalizing() -> bool:
    """Whether the garbage collector runs in this thread, so that the caller is a finalizer."""
    return bool(COLLECTING) and get_ident() in COLLECTING


def do_later(token: trio.lowlevel.TrioToken, function: Callable[..., object], *args: object, **kwargs: object) -> None:
    """Have the Trio run call a function soon. If it raises, that is logged: no caller is left."""
    with suppress(trio.RunFinishedError):
        token.run_sync_soon(_call, function, args, kwargs)


def _call(function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    try:
        function(*args, **kwargs)
    except Exception as error:
        logger.error("late_call_failed", "what was put off for a moment was not done: %s", error, exc_info=error)
