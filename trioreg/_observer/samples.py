"""What the whole program is at one moment, and how that changes: the numbers and the charts of the overview.

A `Census` is one walk over the tree. It is shared: one that is younger than a second is not taken again, however many
pages are open. Samples are the points of the charts. They are taken with a census, and only while a page is open.

It keeps texts and numbers, and nothing of the program.
"""

from __future__ import annotations

import heapq
import os
from contextlib import aclosing
from typing import TYPE_CHECKING

import attrs
import trio

from .._actors import ENDED, STARTING
from .pace import Pace
from .rows import ActorRow, row_of
from .series import Chart, Series
from .survey import Seen, walk
from .texts import Texts

if TYPE_CHECKING:
    from .._runtime import Run
    from .happenings import Happenings

INTERVAL = 1.0
"""How old a census may be, in seconds. A look a little early is late enough."""

LONGEST_QUEUES = 5
"""How many actors with long queues are shown."""

_SHORT_SLEEP = 0.001
_EARLY = 0.05


@attrs.frozen
class Census:
    """All supervisors and actors, counted.

    Attributes:
        at: When, as `trio.current_time`.
        supervisors: How many supervisors there are.
        actors: How many other actors there are, those included that wait for a restart or have ended.
        starting, restarting, ended: How many of both are in this state.
        queued: How many messages wait, all mailboxes together.
        longest: The actors with the longest queues.
        loop_lag: How late a short sleep was, in seconds.
        seconds: How much time the walk took.
    """

    at: float
    supervisors: int
    actors: int
    starting: int
    restarting: int
    ended: int
    queued: int
    longest: list[ActorRow]
    loop_lag: float
    seconds: float


class Samples:
    """The samples of one run.

    Attributes:
        messages_per_second: None: not known yet.
    """

    def __init__(self, run: Run, happenings: Happenings) -> None:
        self._run = run
        self._happenings = happenings
        self._lock = trio.Lock()
        self._census: Census | None = None
        self._is_watched = False
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._messages = Series("messages", "Messages", "/s")
        self._crashes = Series("crashes", "Crashes", "/s")
        self._queue = Series("queue", "Longest queue", "")
        self._lag = Series("lag", "Loop lag", "s")
        self._memory = Series("memory", "Memory", "B")
        self._before: tuple[float, int, int] | None = None
        self._began = self._run.now()

    def watch(self) -> None:
        """Samples are taken from now on. Nothing is known of the time before."""
        self._is_watched = True
        self._before = None
        self._census = None

    def pause(self) -> None:
        """No samples are taken any more. The charts are kept, for a page that is opened soon."""
        self._is_watched = False
        self._before = None
        self._census = None  # its rows are texts, but old ones

    @property
    def messages_per_second(self) -> float | None:
        return self._messages.latest if self._before is not None else None

    def charts(self) -> list[Chart]:
        """All charts, as they are now."""
        return [each.chart() for each in (self._messages, self._crashes, self._queue, self._lag, self._memory)]

    async def census(self) -> Census:
        """The numbers of this second. A checkpoint; in slices. The cost grows with the number of actors.

        If several tasks ask at once, one of them walks, and the others wait for it. If it is cancelled, the next one
        walks.
        """
        async with self._lock:
            census = self._census
            if census is None or self._run.now() - census.at >= INTERVAL - _EARLY:
                is_watched = self._is_watched
                census = await self._take()
                if is_watched and self._is_watched:
                    self._sample(census)
                self._census = census
            return census

    async def _take(self) -> Census:
        lag = await _lag()
        at = self._run.now()
        pace, messages = Pace(), self._happenings.messages
        counts: dict[str, int] = dict.fromkeys(("starting", "restarting", "ended"), 0)
        supervisors, actors, queued = len(self._run.supervisors), 0, 0
        longest: list[tuple[int, int, Seen]] = []
        async with aclosing(walk(self._run, pace)) as everyone:
            async for seen in everyone:
                child = seen.child
                cell = child.cell
                if child.spec.kind.is_supervisor:
                    supervisors += 1
                else:
                    actors += 1
                if cell is None or (state := cell.state) == ENDED:
                    counts[child.state] += 1
                    continue
                if state == STARTING:
                    counts["starting"] += 1
                if self._is_watched:
                    messages.seen(cell)
                waiting = cell.queued
                if waiting:
                    queued += waiting
                    order = supervisors + actors  # all different, so the heap compares no children
                    if len(longest) < LONGEST_QUEUES:
                        heapq.heappush(longest, (waiting, -order, seen))
                    elif waiting > longest[0][0]:
                        heapq.heapreplace(longest, (waiting, -order, seen))
        texts, now = Texts(), self._run.now()
        rows = [row_of(seen, texts, now) for _, _, seen in sorted(longest, key=_longest_first)]
        return Census(
            at=at,
            supervisors=supervisors,
            actors=actors,
            starting=counts["starting"],
            restarting=counts["restarting"],
            ended=counts["ended"],
            queued=queued,
            longest=rows,
            loop_lag=lag,
            seconds=pace.done(),
        )

    def _sample(self, census: Census) -> None:
        happenings = self._happenings
        now = self._run.now()
        second = int(now - self._began)
        before = self._before
        self._before = now, happenings.messages.total, happenings.crashes
        since = second
        if before is not None:
            since = int(before[0] - self._began) + 1
            seconds = max(now - before[0], 1e-9)
            self._messages.add(second, (happenings.messages.total - before[1]) / seconds, since)
            self._crashes.add(second, (happenings.crashes - before[2]) / seconds, since)
        else:
            self._messages.add(second, None, since)
            self._crashes.add(second, None, since)
        self._queue.add(second, census.longest[0]["queued"] if census.longest else 0, since)
        self._lag.add(second, census.loop_lag, since)
        self._memory.add(second, memory(), since)


def _longest_first(item: tuple[int, int, Seen]) -> tuple[int, int]:
    return -item[0], -item[1]


async def _lag() -> float:
    due = trio.current_time() + _SHORT_SLEEP
    await trio.sleep_until(due)
    return max(0.0, trio.current_time() - due)


def memory() -> int | None:
    """How much memory the process has now, in bytes. None where that is not easily known."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None
