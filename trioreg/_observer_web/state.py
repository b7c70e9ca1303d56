"""What an application of the observer has in one Trio run: what it observes, who may look, and how many look now."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from .._observer import Observation
from .._runtime import current_run
from .answers import Refused

if TYPE_CHECKING:
    from collections.abc import Generator

    from .sessions import Sessions

MOST_STREAMS = 32
"""How many live streams may be open."""


class State:
    """One run.

    Attributes:
        observation: What is observed.
        sessions: Who may look.
        ending: Set when the streams are to end. A stream that is opened then ends at once.
        says_goodbye: Whether a stream that ends, or is cancelled, tells its page that the program is over. While a
            server of ours runs, it does not: if the server fails, the program goes on.
    """

    def __init__(self, sessions: Sessions) -> None:
        self.observation: Observation = Observation(current_run())
        self.sessions = sessions
        self.ending: trio.Event = trio.Event()
        self.says_goodbye: bool = True
        self._streams = 0
        self._servers = 0

    def begin(self) -> None:
        """A server of ours starts, or starts again: live streams may be opened until `end`."""
        self.says_goodbye = False
        self.observation.log.attach()
        if self.ending.is_set():
            self.ending = trio.Event()

    def end(self, *, says_goodbye: bool = True) -> None:
        """End all live streams. If that is for good, nothing of the program is kept from now on."""
        self.says_goodbye = says_goodbye
        if says_goodbye:
            self.observation.log.detach()
        self.ending.set()

    def begin_serving(self) -> None:
        """A server of the user's that has this application in it starts, or starts again."""
        self._servers += 1
        if self.ending.is_set():
            self.ending = trio.Event()

    def end_serving(self) -> None:
        """A server ends, and so do all live streams. Until another server starts, a new stream ends at once."""
        self._servers -= 1
        self.ending.set()
        if self._servers:  # the pages of the other server open new streams
            self.ending = trio.Event()

    @contextmanager
    def one_stream(self) -> Generator[None]:
        """A live stream. `Refused` if there are too many."""
        if self._streams >= MOST_STREAMS:
            raise Refused(
                503, f"More than {MOST_STREAMS} live pages are open. Close some of them.", {"retry-after": "10"}
            )
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1
