"""A supervision tree as a program: `run`. It decides about the process's status, and not about children.

Which signals end it, and what a second one does, is in `signals.py`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import trio

from .._runtime import SafeLogger, current_run, flat
from .._supervision import ChildSpec, Supervisor, as_one_group
from .dump_signal import DumpSignal, require_dump_signal
from .instrument import Instrument, add_instrument
from .observe import Opened, prepared_observer
from .signals import Signals

if TYPE_CHECKING:
    from .._supervision import AutoShutdown, Strategy

logger = SafeLogger("trioreg.program")


def run(
    tree: ChildSpec | Iterable[ChildSpec],
    /,
    *,
    strategy: Strategy = "one_for_one",
    max_restarts: float = 3,
    max_seconds: float = 5.0,
    auto_shutdown: AutoShutdown = "never",
    name: str = "program",
    clock: trio.abc.Clock | None = None,
    instruments: Iterable[Instrument | trio.abc.Instrument] = (),
    dump_on: int | None = None,
    observe: str | None = None,
) -> signal.Signals | None:
    """Run a supervision tree as a program, from its start to its orderly end: ``trio.run`` for a tree.

    The idea is Elixir's ``Application``. It calls ``trio.run`` itself, so it is no checkpoint: do not use it inside of
    one. It costs one supervisor.

    ::

        if __name__ == "__main__":
            games = ChildSpec(Supervisor, args=([...],), id="games")
            trioreg.run([ChildSpec(Cache), games, ChildSpec(Web)])

    The children are started in order under a supervisor. The program ends, with its children shut down in reverse
    order, each within its ``shutdown`` time,

    - when SIGINT (Ctrl-C) or SIGTERM comes, also while the tree starts, restarts or ends;
    - when the last child has ended for good, or a significant one as ``auto_shutdown`` says;
    - when a child, at any depth, calls ``sys.exit(status)``;
    - when the supervisor gives up, or a child does not start.

    From the first signal on, a crash is logged and does not decide the status any more. If the program has failed
    before the signal comes, it still fails.

    A second signal ends the process at once, as if it had no handler: no ``on_stop``, no ``finally``, no ``atexit``. A
    signal that was ignored before stays ignored. All handlers are put back at the end.

    If you do not catch what it raises, the status of the process is

    - 0 after SIGTERM, and when the program ended by itself;
    - death by SIGINT (130 in a shell) after Ctrl-C: only then does a shell stop the script that it runs;
    - the status that ``sys.exit`` was given;
    - 1, with a traceback, when something failed, also during a shutdown by ``sys.exit``;
    - death by that signal (130 or 143 in a shell) after a second one.

    Args:
        tree: What to start: one `ChildSpec`, or several, in this order.
        strategy, max_restarts, max_seconds, auto_shutdown: As in `open_supervisor`.
        name: What the supervisor is called in the log.
        clock: As in ``trio.run``.
        instruments: What watches the program from before its first child starts: an `Instrument`, or one of Trio's.
        dump_on: A signal, such as ``signal.SIGUSR1``, at which the program prints its `dump` to stderr, and goes on. It
            does so also while a handler blocks the loop, and shows where that code stands.
        observe: Where the `~trioreg.observer` of the program listens, as in ``"127.0.0.1:4001"``: on this machine only,
            and read-only. It begins before the first child starts, prints its address to stderr, and ends last.

    Returns:
        The signal that ended it, if that was SIGTERM (on Windows, SIGBREAK), or None if it ended by itself.

    Raises:
        KeyboardInterrupt: SIGINT ended it, and it has been shut down in order; or a child has raised it.
        SystemExit: A child has raised it, and the others have been shut down in order.
        ExceptionGroup: The supervisor gave up (a `RestartLimitExceeded` and the errors that led to it are in the
            group), a child did not start, or a child failed while the tree was shut down.
        OSError: The observer can't listen there. No child has been started.
        ImportError: ``trioreg[observer]`` is not installed.
        RuntimeError: You are not in the main thread, where signals arrive, or you are inside of a Trio run.
        TypeError, ValueError: An argument is not what is said above.
    """
    supervisor = Supervisor(
        specs_of(tree),
        strategy=strategy,
        max_restarts=max_restarts,
        max_seconds=max_seconds,
        auto_shutdown=auto_shutdown,
        name=name,
    )
    require_dump_signal(dump_on)
    of_trio, of_trioreg = split_instruments(instruments)
    open_observer = prepared_observer(observe)
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("run() handles signals: it must be called in the main thread (trio.run() elsewhere)")
    error: BaseException | None = None
    with Signals() as signals, DumpSignal(dump_on) as dump_signal:
        try:
            args = (supervisor, signals, dump_signal, of_trioreg, open_observer)
            trio.run(main, *args, clock=clock, instruments=of_trio)
        except BaseExceptionGroup as group:
            error = last_error(group)
    if error is not None:
        try:
            raise error
        finally:
            del error  # its traceback leads here: no cycle
    if signals.received == signal.SIGINT:
        raise KeyboardInterrupt
    return signals.received


def specs_of(tree: ChildSpec | Iterable[ChildSpec]) -> tuple[ChildSpec, ...]:
    """The specs of a tree that is given as one or as several. `TypeError` if there is something else."""
    if isinstance(tree, ChildSpec):
        return (tree,)
    if not isinstance(tree, Iterable):
        raise TypeError(f"tree must be a ChildSpec, or several, not {tree!r}")
    specs = tuple(tree)
    for spec in specs:
        if not isinstance(spec, ChildSpec):
            raise TypeError(f"tree must be a ChildSpec, or several, not {spec!r}")
    return specs


def split_instruments(
    instruments: Iterable[Instrument | trio.abc.Instrument],
) -> tuple[list[trio.abc.Instrument], list[Instrument]]:
    """Trio's instruments, and trioreg's. An object may be both."""
    if not isinstance(instruments, Iterable):
        raise TypeError(f"instruments must be an iterable of instruments, not {instruments!r}")
    each = list(instruments)
    for instrument in each:
        if not isinstance(instrument, Instrument | trio.abc.Instrument):
            must = "trioreg.Instrument or trio.abc.Instrument"
            raise TypeError(f"instruments must be instances of {must}, not {instrument!r}")
    of_trio = [instrument for instrument in each if isinstance(instrument, trio.abc.Instrument)]
    return of_trio, [instrument for instrument in each if isinstance(instrument, Instrument)]


async def main(
    supervisor: Supervisor,
    signals: Signals,
    dump_signal: DumpSignal,
    instruments: Iterable[Instrument],
    open_observer: Callable[[], Awaitable[Opened | None]],
) -> None:
    """The main function of the Trio run: the supervisor, the observer beside it, and the wait for a signal."""
    dump_signal.run = current_run()
    for instrument in instruments:
        add_instrument(instrument)
    engine = supervisor._engine
    observer = await open_observer()
    try:
        async with trio.open_nursery() as nursery:

            async def keep() -> None:
                # A program's supervisor has no block: once it has started, it ends with its last child.
                await engine.run(supervisor._specs, engine.close_when_empty)
                nursery.cancel_scope.cancel()

            if observer is not None:
                nursery.start_soon(observer.run_beside, name="trioreg observer")
            engine.forgives_crashes(lambda: signals.received is not None)
            nursery.start_soon(keep, name=engine.label)
            received = await signals.wait()
            engine.close()
            text = "%s: %s: shutting down; a second signal ends it at once"
            logger.info("shutting_down", text, engine.label, received.name, supervisor=engine.label)
    finally:
        engine.failure = None  # its traceback leads here: no cycle


def last_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that leaves the program: the request to exit if there is no other, or else the group of all errors."""
    if group.split((SystemExit, KeyboardInterrupt))[1] is None:
        return flat([group])[0]
    return as_one_group(group)
