"""What one observer knows of one Trio run, beside what it can ask: the log, and what happened while a page was open.

It has no task. While a live page is open, its stream is a `Watch`: the first one installs the instrument, and the last
one removes it. What is sampled is sampled in the looks of the open pages.

Must never happen: looks that take more than about a tenth of the loop's time, however large the program is and however
many pages are open.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, TypeVarTuple
from weakref import WeakValueDictionary

import trio

from .._actors import Message
from .._program import hooks_of
from .._runtime import install, uninstall
from .happenings import Happenings
from .log_ring import LogRing
from .registry_numbers import RegistryNumbers
from .samples import Samples
from .series import POINTS
from .timed import timed
from .tracing import Traces

if TYPE_CHECKING:
    from .._actors import ActorRef
    from .._runtime import Run

T = TypeVar("T")
Args = TypeVarTuple("Args")

SHARE = 0.1
"""How much of the loop's time all looks together may take."""

REMEMBERED = 1000
"""Of how many actors the places are kept."""

SOON = 0.25
"""How much time is between two looks at least, in seconds, if something happens."""


class Rhythm(Protocol):
    """When a page wants its next look: a `Page`."""

    @property
    def seconds(self) -> float: ...
    @property
    def is_eager(self) -> bool: ...


class Observation:
    """One run, as it is observed.

    Attributes:
        run: The Trio run.
        log: The last lines of the log.
        refs: Actors that were looked for, by their numbers. It keeps none of them.
        nodes: The places in the tree of the last actors that were looked at, by their numbers.
        registries: The numbers of the registries.
        traces: The actors whose messages are shown.
        happenings: What happened while a live page was open.
        samples: The numbers of the whole program, and the charts.
        free_at: When the next look may begin, as `trio.current_time`: the looks before it have used up the time until
            then.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.happenings = Happenings(run)
        self.samples = Samples(run, self.happenings)
        self.log = LogRing()
        self.refs: WeakValueDictionary[int, ActorRef[Any]] = WeakValueDictionary()
        self.nodes: OrderedDict[int, str] = OrderedDict()
        self.registries = RegistryNumbers()
        self.traces = Traces(run)
        self.free_at = -math.inf
        self._watches = 0
        self._began = -math.inf
        self._ended = -math.inf

    @property
    def watched_seconds(self) -> float:
        """Since when somebody looks, in seconds. 0 if nobody does."""
        return self.run.now() - self._began if self._watches else 0.0

    @contextmanager
    def watching(self) -> Generator[Watch, None, None]:
        """A live page is open in the block. Not a checkpoint; constant time, but for the first one.

        ::

            with observation.watching() as watch:
                while True:
                    await watch.next_look(page)
                    data = await watch.look(page.view, observation, params)
        """
        self._watches += 1
        try:
            if self._watches == 1:
                self._begin()
            yield Watch(self)
        finally:
            self._watches -= 1
            if not self._watches:
                self._end()

    def _begin(self) -> None:
        now = self.run.now()
        if now - self._ended > POINTS:  # else a page was closed only a moment ago, as when another one is opened
            self._began = now
            self.happenings.clear()
            self.samples.clear()
        install(self.run, self.happenings, hooks_of(self.happenings), Message)
        self.samples.watch()

    def _end(self) -> None:
        self._ended = self.run.now()
        instruments = self.run.instruments
        if instruments is not None and self.happenings in instruments.all:  # else the run is over
            uninstall(self.run, self.happenings)
        self.happenings.pause()
        self.samples.pause()
        self.traces.end()

    def remember(self, number: int, node: str) -> None:
        """An actor was looked at in this place of the tree. Not a checkpoint; constant time."""
        self.nodes[number] = node
        self.nodes.move_to_end(number)
        if len(self.nodes) > REMEMBERED:
            self.nodes.popitem(last=False)

    def spend(self, seconds: float) -> None:
        """A look has taken so much of the loop's time: the next one has to wait for it."""
        self.free_at = max(self.free_at, self.run.now()) + seconds * (1 - SHARE) / SHARE


class Watch:
    """One live page that is open, from `Observation.watching`."""

    def __init__(self, observation: Observation) -> None:
        self._observation = observation
        self._looked = -math.inf
        self._seen = 0

    async def next_look(self, page: Rhythm) -> None:
        """Wait until it is time for the next look; the first one is now. A checkpoint.

        An eager page gets it sooner if something has happened, up to four times a second. If looks cost much, it comes
        later: all together take about a tenth of the loop's time.

        Args:
            page: A `Page`.
        """
        observation = self._observation
        await trio.lowlevel.checkpoint()
        while True:
            now = trio.current_time()
            is_new = page.is_eager and observation.happenings.number != self._seen
            due = max(self._looked + (min(SOON, page.seconds) if is_new else page.seconds), observation.free_at)
            if now >= due:
                return
            # An eager page asks now and then. So a hook has nothing to wake, however much happens.
            await trio.sleep_until(min(due, now + SOON) if page.is_eager else due)

    async def look(self, function: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
        """Make one look: its time is counted, and the samples of this second are taken. A checkpoint.

        Args:
            function: An async function that makes the look, as in ``await watch.look(page.view, observation, params)``.
            args: Its arguments.
        """
        observation = self._observation
        self._looked = trio.current_time()
        self._seen = observation.happenings.number
        spent = 0.0

        def note(seconds: float) -> None:
            nonlocal spent
            spent += seconds

        async def sampled() -> T:
            await observation.samples.census()
            return await function(*args)

        try:
            return await timed(sampled(), note)
        finally:
            observation.spend(spent)
