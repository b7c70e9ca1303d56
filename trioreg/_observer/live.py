"""The live pages that are open: while there is one, an instrument is installed, and samples are taken.

There is no task for it. The stream of each page is a `Watch`: the first one installs the instrument, and the last one
removes it. What is sampled is sampled in the looks of the open pages.

Must never happen: looks that take more than about a tenth of the loop's time, however large the program is and however
many pages are open; two looks in slices at the same time, or the loop would be held for a slice of each.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar, TypeVarTuple

import trio

from .._actors import Message
from .._program import hooks_of
from .._runtime import install, uninstall
from .series import POINTS
from .timed import timed

if TYPE_CHECKING:
    from .._runtime import Run
    from .happenings import Happenings
    from .samples import Samples

T = TypeVar("T")
Args = TypeVarTuple("Args")

SHARE = 0.1
"""How much of the loop's time all looks together may take."""

SOON = 0.25
"""How much time is between two looks at least, in seconds, if something happens."""


class Rhythm(Protocol):
    """When a page wants its next look: a `Page`."""

    @property
    def seconds(self) -> float: ...
    @property
    def is_eager(self) -> bool: ...


class Live:
    """The open pages of one run.

    Args:
        run: The run.
        happenings: What happens in it.
        samples: Its samples.
        when_closed: Called when the last page is closed.

    Attributes:
        free_at: When the next look may begin, as `trio.current_time`: the looks before it have used up the time until
            then.
        turn: Of the page that has its look now.
    """

    def __init__(self, run: Run, happenings: Happenings, samples: Samples, when_closed: Callable[[], object]) -> None:
        self.free_at: float = -math.inf
        self.turn: trio.Lock = trio.Lock()
        self._run = run
        self._happenings = happenings
        self._samples = samples
        self._when_closed = when_closed
        self._watches = 0
        self._began = -math.inf
        self._ended = -math.inf

    @property
    def seconds(self) -> float:
        """Since when somebody looks, in seconds. 0 if nobody does."""
        return self._run.now() - self._began if self._watches else 0.0

    @contextmanager
    def watching(self) -> Generator[Watch, None, None]:
        """As `Observation.watching`."""
        self._watches += 1
        try:
            if self._watches == 1:
                self._begin()
            yield Watch(self, self._happenings, self._samples)
        finally:
            self._watches -= 1
            if not self._watches:
                self._end()

    def _begin(self) -> None:
        now = self._run.now()
        if now - self._ended > POINTS:  # else a page was closed only a moment ago, as when another one is opened
            self._began = now
            self._happenings.clear()
            self._samples.clear()
        install(self._run, self._happenings, hooks_of(self._happenings), Message)
        self._samples.watch()

    def _end(self) -> None:
        self._ended = self._run.now()
        instruments = self._run.instruments
        if instruments is not None and self._happenings in instruments.all:  # else the run is over
            uninstall(self._run, self._happenings)
        self._happenings.pause()
        self._samples.pause()
        self._when_closed()

    def spend(self, seconds: float) -> None:
        """A look has taken so much of the loop's time: the next one has to wait for it."""
        self.free_at = max(self.free_at, self._run.now()) + seconds * (1 - SHARE) / SHARE


class Watch:
    """One live page that is open, from `Observation.watching`."""

    def __init__(self, live: Live, happenings: Happenings, samples: Samples) -> None:
        self._live = live
        self._happenings = happenings
        self._samples = samples
        self._looked = -math.inf
        self._seen = 0

    async def next_look(self, page: Rhythm) -> None:
        """Wait until it is time for the next look; the first one is now. A checkpoint.

        An eager page gets it sooner if something has happened, up to four times a second. If looks cost much, it comes
        later: all together take about a tenth of the loop's time.

        Args:
            page: A `Page`.
        """
        await trio.lowlevel.checkpoint()
        while True:
            now = trio.current_time()
            is_new = page.is_eager and self._happenings.number != self._seen
            due = max(self._looked + (min(SOON, page.seconds) if is_new else page.seconds), self._live.free_at)
            if now >= due:
                return
            # An eager page asks now and then. So a hook has nothing to wake, however much happens.
            await trio.sleep_until(min(due, now + SOON) if page.is_eager else due)

    async def look(self, function: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
        """Make one look: its time is counted, and the samples of this second are taken. A checkpoint.

        It waits until no other page has its look.

        Args:
            function: An async function that makes the look, as in ``await watch.look(page.view, observation, params)``.
            args: Its arguments.
        """
        live = self._live
        async with live.turn:
            if trio.current_time() < live.free_at:  # another page has had its look meanwhile
                await trio.sleep_until(live.free_at)
            self._looked = trio.current_time()
            self._seen = self._happenings.number
            spent = 0.0

            def note(seconds: float) -> None:
                nonlocal spent
                spent += seconds

            async def sampled() -> T:
                await self._samples.census()
                return await function(*args)

            try:
                return await timed(sampled(), note)
            finally:
                live.spend(spent)
