"""The signals that end a program: `Signals`, which has its handlers in place while `run` runs.

They are in place from before Trio's run begins until it is over. So a signal always meets one of them, and never
Trio's own handler, which raises `KeyboardInterrupt` in the task that happens to run. The first signal tells the
supervisor to shut down, and puts the system's default in place of our handler. So a second signal needs nothing of the
program: not the event loop, not even the interpreter.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import trio

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Self

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
        ours = [each for each in self._before if signal.getsignal(each) == self._receive]
        for each in ours:
            signal.signal(each, came_together)
        if ours:
            # If another signal has come together with this one, Python is about to call its handler. `raise_signal` has
            # Python do so now, while the handler is `came_together`. Later, there would be no handler, which Python
            # reports, or it would be `exit_at_once`.
            signal.raise_signal(ours[0])
        for each in ours:
            signal.signal(each, self._at_once)
        if self._token is not None:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._arrived.set)


def came_together(signum: int, frame: FrameType | None) -> None:
    """Do nothing: the signal has come together with the first one, for which the program shuts down already."""


def exit_at_once(signum: int, frame: FrameType | None) -> None:
    """End the process as the signal's default would, and with the status that a shell reports for that."""
    os._exit(128 + signum)
