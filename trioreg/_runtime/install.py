"""To install an instrument in a Trio run, and to remove it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .instruments import Instruments, NewMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .trio_run import Run


def install(run: Run, instrument: object, hooks: Mapping[str, Callable[..., object]], new_message: NewMessage) -> None:
    """Have a run call these hooks of an instrument from now on. Does nothing if it does so already."""
    if run.instruments is None:
        run.instruments = Instruments(new_message)
    if instrument not in run.instruments.all:
        run.instruments._add(instrument, hooks)
    if run.instruments.see_names:
        run.watch_names()


def uninstall(run: Run, instrument: object) -> None:
    """Call no hook of an instrument any more. `KeyError` if it is not installed."""
    instruments = run.instruments
    if instruments is None or instrument not in instruments.all:
        raise KeyError(instrument)
    instruments._remove(instrument)
    if not instruments.all:
        run.instruments = None
