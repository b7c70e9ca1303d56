"""The terminal itself: a screen of its own while we run, and the one before when we are done."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack

from rich.console import Console
from rich.control import Control
from rich.text import Text

from .keys import key_by_key
from .lines import cut
from .live import Live


class Terminal:
    """The surface that `Live` draws on.

    Args:
        console: The terminal.
        keys: The file that keys are read from, or None.
    """

    def __init__(self, console: Console, keys: int | None) -> None:
        self._console = console
        self._keys = keys
        self._opened = ExitStack()

    def __enter__(self) -> Terminal:
        self._opened.enter_context(self._console.screen())
        self._opened.callback(self._wrap, True)
        self._wrap(False)
        if self._keys is not None:
            self._opened.enter_context(key_by_key(self._keys))
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def size(self) -> tuple[int, int]:
        return self._console.size

    def draw(self, lines: list[Text]) -> None:
        width = self._console.size.width
        whole = [cut(line, width, pad=True) for line in lines]
        self._console.print(Control.home(), Text("\n").join(whole), sep="", end="", no_wrap=True, crop=True)

    def _wrap(self, is_on: bool) -> None:
        """Whether a line that is too long goes on in the next one: a character may be wider here than elsewhere."""
        if not self._console.legacy_windows:
            self._console.file.write("\x1b[?7h" if is_on else "\x1b[?7l")
            self._console.file.flush()

    def stop(self) -> None:
        """Do what Ctrl-Z asks for: give the terminal back, stop, and take it again when we go on."""
        if sys.platform != "win32":
            self.__exit__()
            os.kill(os.getpid(), signal.SIGSTOP)
            self.__enter__()


def signals() -> list[signal.Signals]:
    """The signals that are for `obey`."""
    if sys.platform == "win32":
        return [signal.SIGINT, signal.SIGTERM]
    return [signal.SIGINT, signal.SIGTERM, signal.SIGWINCH, signal.SIGTSTP]


async def obey(live: Live, terminal: Terminal, received: AsyncIterator[int]) -> None:
    """Ctrl-C ends it, and so does SIGTERM, with 128 and the number of the signal. A new size is drawn at once."""
    async for number in received:
        if number in (signal.SIGINT, signal.SIGTERM):
            live.leave(128 + number)
        elif sys.platform != "win32":
            if number == signal.SIGTSTP:
                terminal.stop()
            live.draw()
