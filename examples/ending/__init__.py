"""How the examples end: Ctrl-C, SIGTERM, a full disk or a closed pipe makes no traceback, and an error is one line."""

import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from trioreg import TrioregError


def exit_status(program: Callable[[], object], *errors: type[Exception]) -> int:
    """Run the program of an example. Returns 0, or 130 after Ctrl-C, 143 after SIGTERM, or 2 after an error.

    The error is printed. ``errors`` are the errors that are expected beside `OSError` and those of trioreg. Another one
    has its traceback.
    """
    expected: tuple[type[Exception], ...] = (OSError, TrioregError, *errors)
    status, report = 0, ""
    with sigterm_as_ctrl_c() as terminated:
        try:
            program()
            print(end="", flush=True)  # here, too: if that is an error, the program has failed
        except* KeyboardInterrupt:
            status = 128 + (terminated or [signal.SIGINT])[0]
        except* expected as group:
            _, causes = group.split(TrioregError)
            error = first(causes or group)  # if a supervisor has given up, the error that led to it
            if status == 0 and not isinstance(error, BrokenPipeError):  # if Ctrl-C ends an actor, its callers get one
                status, report = 2, f"{Path(sys.argv[0]).name}: {error}"
    try:
        print(end="", flush=True)  # the lines before an error, or before Ctrl-C
    except OSError:  # nothing can be printed any more: a full disk, or a closed pipe (`| head`), which is no failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python's last flush would have a traceback
    if report:
        print(report, file=sys.stderr)
    return status


@contextmanager
def sigterm_as_ctrl_c() -> Generator[list[int]]:
    """In the block, SIGTERM ends the program as Ctrl-C does: each ``finally`` runs. It gives the list of what came.

    By default SIGTERM ends a process at once: temporary files stay, and a progress bar leaves a terminal without its
    cursor. `trioreg.run` has its own handler.
    """
    came = list[int]()

    def handle(signum: int, frame: object) -> None:
        came.append(signum)
        signal.raise_signal(signal.SIGINT)

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, in the background of a shell
        yield came
        return
    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)


def first(group: BaseExceptionGroup[Exception]) -> Exception:
    """The first error in a group, and in the groups inside."""
    error = group.exceptions[0]
    return first(error) if isinstance(error, BaseExceptionGroup) else error
