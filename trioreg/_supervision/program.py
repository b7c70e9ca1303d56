"""A supervision tree as a program: `run`. It decides about signals and the process's status, not about children.

The signal handlers are in place from before Trio's run begins until it is over. So a signal always meets one of them,
and never Trio's own handler, which raises `KeyboardInterrupt` in the task that happens to run. The first signal tells
the supervisor to shut down, and puts the system's default in place of our handler. So a second signal needs nothing of
the program: not the event loop, not even the interpreter.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import trio

from .._runtime import flat, logger
from .child_spec import ChildSpec
from .failures import as_one_group
from .supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import Self

    from .strategy import AutoShutdown, Strategy

    Action: TypeAlias = Callable[[int, FrameType | None], object] | int | signal.Handlers


# SIGINT is the first to be taken and the last to be given back: while we change the others, it can't interrupt us.
SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    SIGNALS.append(signal.SIGBREAK)  # Ctrl-Break, and what one process can send to another there


class Signals:
    """The signals that end a program, handled from before its first child until after its last.

    Attributes:
        received: The first signal that came, or None.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._arrived = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._pid = os.getpid()
        self._before: dict[signal.Signals, Action] = {}
        # The kernel does not let the first process of a container die by a default.
        self._at_once: Action = exit_at_once if self._pid == 1 else signal.SIG_DFL

    def __enter__(self) -> Self:
        for each in SIGNALS:
            before = signal.getsignal(each)
            # Not ours to take: ignored since the program began (nohup, a shell's background job), or handled by C code.
            if before is not None and before != signal.SIG_IGN:
                self._before[each] = before
                signal.signal(each, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for each, before in reversed(self._before.items()):
            if signal.getsignal(each) in (self._receive, self._at_once):  # unless the program has set its own
                signal.signal(each, before)

    async def wait(self) -> signal.Signals:
        """The first signal, as soon as it comes. Not a checkpoint if it has come already."""
        self._token = trio.lowlevel.current_trio_token()
        if self.received is None:
            await self._arrived.wait()
        assert self.received is not None
        return self.received

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        # It may interrupt any line of the main thread: it raises nothing, and does not log.
        if os.getpid() != self._pid:
            # A process that was forked from the program is not the program: there the signal does what it did before.
            signal.signal(signum, self._before[signal.Signals(signum)])
            signal.raise_signal(signum)
            return
        if self.received is None:
            self.received = signal.Signals(signum)
        for each in self._before:
            if signal.getsignal(each) == self._receive:
                signal.signal(each, self._at_once)
        if self._token is not None:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._arrived.set)


def exit_at_once(signum: int, frame: FrameType | None) -> None:
    """End the process as the signal's default would, and with the status that a shell reports for that."""
    os._exit(128 + signum)


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
    instruments: Sequence[trio.abc.Instrument] = (),
) -> signal.Signals | None:
    """Run a supervision tree as a program, from its start to its orderly end: ``trio.run`` for a tree.

    The idea is Elixir's ``Application``. It calls ``trio.run`` itself: do not use it inside of one.

    ::

        if __name__ == "__main__":
            trioreg.run([ChildSpec(Cache), ChildSpec(Supervisor, args=([...],), id="games"), ChildSpec(Web)])

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
        clock, instruments: As in ``trio.run``.

    Returns:
        The signal that ended it, if that was SIGTERM (on Windows, SIGBREAK), or None if it ended by itself.

    Raises:
        KeyboardInterrupt: SIGINT ended it, and it has been shut down in order; or a child has raised it.
        SystemExit: A child has raised it, and the others have been shut down in order.
        ExceptionGroup: The supervisor gave up (a `RestartLimitExceeded` and the errors that led to it are in the
            group), a child did not start, or a child failed while the tree was shut down.
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
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("run() handles signals: it must be called in the main thread (trio.run() elsewhere)")
    error: BaseException | None = None
    with Signals() as signals:
        try:
            trio.run(main, supervisor, signals, clock=clock, instruments=instruments)
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
    if isinstance(tree, ChildSpec):
        return (tree,)
    if not isinstance(tree, Iterable):
        raise TypeError(f"tree must be a ChildSpec, or several, not {tree!r}")
    specs = tuple(tree)
    for spec in specs:
        if not isinstance(spec, ChildSpec):
            raise TypeError(f"tree must be a ChildSpec, or several, not {spec!r}")
    return specs


async def main(supervisor: Supervisor, signals: Signals) -> None:
    engine = supervisor._engine
    try:
        async with trio.open_nursery() as nursery:

            async def keep() -> None:
                # A program's supervisor has no block: once it has started, it ends with its last child.
                await engine.run(supervisor._specs, engine.close_when_empty)
                nursery.cancel_scope.cancel()

            engine.forgives_crashes(lambda: signals.received is not None)
            nursery.start_soon(keep, name=engine.label)
            received = await signals.wait()
            engine.close()
            logger.info("%s: %s: shutting down; a second signal ends it at once", engine.label, received.name)
    finally:
        engine.failure = None  # its traceback leads here: no cycle


def last_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What leaves the program: the request to exit if there was nothing else, or else the group of what failed."""
    if group.split((SystemExit, KeyboardInterrupt))[1] is None:
        return flat([group])[0]
    return as_one_group(group)
