"""The command: `python -m trioreg.observer URL`. It chooses how to show the program, and what its exit status is."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import trio
from rich.console import Console

from .arguments import Arguments, read_arguments
from .client import NoAnswer
from .keys import gives_keys, pressed
from .live import Left, Live, status_of
from .look import look, stay, wanted, wanted_as_json
from .once import look_once
from .screen import whole
from .terminal import Terminal, obey, signals

INTERRUPTED = 130
BROKEN_PIPE = 141
"""128 and the number of the signal, as a shell says it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    It must be called in the main thread, and not in a Trio run.

    Args:
        argv: The arguments, without the name of the program. None: the arguments of the process.

    Returns:
        The exit status. ``--help`` says what it means.

    Raises:
        SystemExit: After ``--help``, with 0; if an argument is wrong, with 2.
    """
    arguments = read_arguments(argv)
    reconfigure: Callable[..., None] | None = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")  # names have characters that not every encoding has
    try:
        left = _run(arguments)
        if left.sentence:
            print(left.sentence, file=sys.stderr if left.status else sys.stdout)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseExceptionGroup as group:
        if group.split(KeyboardInterrupt)[1] is not None:
            raise
        return INTERRUPTED
    except OSError as error:  # of stdout: an error of the network is a `NoAnswer`
        with suppress(OSError, ValueError):  # Python flushes once more at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return BROKEN_PIPE
        print(f"The output cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return left.status


def _run(arguments: Arguments) -> Left:
    console = Console(
        force_terminal=sys.stdout.isatty(),  # not as FORCE_COLOR says: what is no terminal gets plain text
        markup=False,
        emoji=False,
        highlight=False,
    )
    if arguments.json:
        return _print_json(arguments)
    if arguments.once or not console.is_terminal or console.is_dumb_terminal:
        return _print_once(arguments, console)
    return trio.run(_live, arguments, console)


def _print_json(arguments: Arguments) -> Left:
    try:
        looked = trio.run(look_once, arguments, wanted_as_json(arguments), look, stay)
    except NoAnswer as error:
        return Left(status_of(error), f"{error}")
    print(json.dumps(looked, indent=2))  # in ASCII, so no name reaches the terminal as it is
    return Left(0)


def _print_once(arguments: Arguments, console: Console) -> Left:
    try:
        looked = trio.run(look_once, arguments, wanted(arguments, arguments.page), look, stay)
    except NoAnswer as error:
        return Left(status_of(error), f"{error}")
    lines = whole(arguments.page, looked, console.width)
    if console.is_terminal:
        for line in lines:
            console.print(line, no_wrap=True, crop=True)
    else:
        print("\n".join(line.plain.rstrip() for line in lines))
    return Left(0)


async def _live(arguments: Arguments, console: Console) -> Left:
    keys = sys.stdin.fileno() if sys.stdin is not None and gives_keys(sys.stdin) else None
    with trio.open_signal_receiver(*signals()) as received, Terminal(console, keys) as terminal:
        live = Live(arguments, terminal, look, stay)
        listeners = [partial(obey, live, terminal, received)]
        if keys is not None:
            listeners.append(partial(live.listen, pressed(keys)))
        return await live.run(*listeners)
