"""How the examples end: Ctrl-C, a full disk or a closed pipe makes no traceback, and an error is one line."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from trioreg import TrioregError


def exit_status(program: Callable[[], object], *errors: type[Exception]) -> int:
    """Run the program of an example. Returns 0, or 130 after Ctrl-C, or 2 after an error, which is printed.

    ``errors`` are the errors that are expected beside `OSError` and those of trioreg. Another one has its traceback.
    """
    expected: tuple[type[Exception], ...] = (OSError, TrioregError, *errors)
    status, report = 0, ""
    try:
        program()
        print(end="", flush=True)  # here, too: if that is an error, the program has failed
    except* KeyboardInterrupt:
        status = 130
    except* expected as group:
        _, causes = group.split(TrioregError)
        error = first(causes or group)  # if a supervisor has given up, the error that led to it
        if status == 0 and not isinstance(error, BrokenPipeError):  # if Ctrl-C ends an actor, its callers get an error
            status, report = 2, f"{Path(sys.argv[0]).name}: {error}"
    try:
        print(end="", flush=True)  # the lines before an error, or before Ctrl-C
    except OSError:  # nothing can be printed any more: a full disk, or a closed pipe (`| head`), which is no failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python's last flush would have a traceback
    if report:
        print(report, file=sys.stderr)
    return status


def first(group: BaseExceptionGroup[Exception]) -> Exception:
    """The first error in a group, and in the groups inside."""
    error = group.exceptions[0]
    return first(error) if isinstance(error, BaseExceptionGroup) else error
