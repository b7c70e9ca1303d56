"""Keys, as they are pressed: without Enter, and without a wait that holds anything else. Not on Windows."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager, suppress
from typing import TextIO

import trio

if sys.platform != "win32":
    import termios
    import tty

_NAMES = {
    "\t": "tab",
    "\x1b[Z": "shift-tab",
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1b[C": "tab",
    "\x1b[D": "shift-tab",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[H": "home",
    "\x1b[F": "end",
    "\x1b[1~": "home",
    "\x1b[4~": "end",
}

# A sequence, then the beginning of one at the end of what was read, then any other character.
_KEY = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Z])|(\x1b(?:\[[0-9;]*|O)?\Z)|.", re.DOTALL)


def split_keys(text: str) -> tuple[list[str], str]:
    """The names of the keys in what a terminal sends, and the rest: the beginning of a key that is not whole."""
    keys: list[str] = []
    for match in _KEY.finditer(text):
        key = match.group()
        if match.group(1):
            return keys, key
        key = key.replace("\x1bO", "\x1b[")
        if key != "\x1b":
            keys.append(_NAMES.get(key, key))
    return keys, ""


async def pressed(file: int) -> AsyncIterator[str]:
    """Each key that is pressed, until the terminal hangs up."""
    rest = ""
    while True:
        await trio.lowlevel.wait_readable(file)
        try:
            read = os.read(file, 1024)
        except OSError:  # the terminal is gone
            return
        if not read:
            return
        keys, rest = split_keys(rest + read.decode("utf-8", "replace"))
        for key in keys:
            yield key


def gives_keys(file: TextIO) -> bool:
    """Whether it is a terminal that we may read: one in whose background we run would stop us."""
    if sys.platform == "win32":
        return False
    try:
        return file.isatty() and os.tcgetpgrp(file.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


@contextmanager
def key_by_key(file: int) -> Generator[None]:
    """The terminal gives each key at once and does not show it. At the end it is as before."""
    if sys.platform != "win32":
        before = termios.tcgetattr(file)
        tty.setcbreak(file)
        try:
            yield
        finally:
            with suppress(termios.error):  # it is gone
                termios.tcsetattr(file, termios.TCSADRAIN, before)
