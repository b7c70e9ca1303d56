"""The overview: what the program is and does as a whole, in numbers and small charts."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, TypedDict

import trio

from .._pool import pools_of
from .._registry import Names
from .pace import Pace
from .page import Page
from .samples import memory

if TYPE_CHECKING:
    from .happenings import Happening
    from .observation import Observation
    from .params import Params
    from .rows import ActorRow
    from .series import Chart

HAPPENED = 10
"""How many of the last happenings are shown."""


class Overview(TypedDict):
    """The whole program.

    Attributes:
        clock: When this was, as Unix time.
        watched_seconds: Since when somebody looks: the charts and the counts of what happened begin there.
        supervisors: How many supervisors there are.
        actors: How many actors there are beside, those included that wait for a restart or have ended.
        starting, restarting, ended: How many of both are in this state.
        queued: How many messages wait, all mailboxes together.
        registries, names: How many registries there are, and how many names are in all of them.
        topics: How many topics with a subscription there are, patterns included. (One that is in several partitions of
            a `PubSub` counts in each.)
        pools: How many pools there are.
        tasks: How many tasks Trio has.
        messages_per_second: How many messages were handled lately; None: not known yet.
        loop_lag: How late a short sleep was, in seconds.
        memory: What the process has, in bytes. None where that is not known.
        crashes, restarts, given_up: How many there were of these in ``watched_seconds``.
        look_seconds: How much of the loop's time this look took.
        longest_queues: The actors with the longest queues.
        charts: The charts.
        happened: What happened last, the newest first.
        versions: Of Python, Trio and trioreg; and the number of the process.
    """

    clock: float
    watched_seconds: float
    supervisors: int
    actors: int
    starting: int
    restarting: int
    ended: int
    queued: int
    registries: int
    names: int
    topics: int
    pools: int
    tasks: int
    messages_per_second: float | None
    loop_lag: float | None
    memory: int | None
    crashes: int
    restarts: int
    given_up: int
    look_seconds: float
    longest_queues: list[ActorRow]
    charts: list[Chart]
    happened: list[Happening]
    versions: dict[str, str]


async def view(observation: Observation, params: Params) -> Overview:
    """The data of the page. A checkpoint; in slices. The cost grows with the number of actors."""
    del params
    samples, happenings = observation.samples, observation.happenings
    census = await samples.census()
    pace = Pace()
    names = topics = 0
    tables: list[Names[Any, Any]] = [each for each in list(observation.run.registries) if isinstance(each, Names)]
    for table in tables:
        names += table.count()
        if table.purpose == "topics":
            topics += sum(len(partition.table) for partition in table.duplicate)
        if pace.is_over():
            await pace.rest()
    return Overview(
        clock=time.time(),
        watched_seconds=observation.live.seconds,
        supervisors=census.supervisors,
        actors=census.actors,
        starting=census.starting,
        restarting=census.restarting,
        ended=census.ended,
        queued=census.queued,
        registries=len(tables),
        names=names,
        topics=topics,
        pools=len(pools_of(observation.run)),
        tasks=trio.lowlevel.current_statistics().tasks_living,
        messages_per_second=samples.messages_per_second,
        loop_lag=census.loop_lag,
        memory=memory(),
        crashes=happenings.crashes,
        restarts=happenings.restarts,
        given_up=happenings.given_up,
        look_seconds=census.seconds + pace.done(),
        longest_queues=census.longest,
        charts=samples.charts(),
        happened=happenings.last(HAPPENED),
        versions={**_VERSIONS, "pid": str(os.getpid())},
    )


def _trioreg_version() -> str:
    try:
        return version("trioreg")
    except PackageNotFoundError:
        return "unknown"


_VERSIONS = {
    "python": platform.python_version(),
    "trio": trio.__version__,
    "trioreg": _trioreg_version(),
}

PAGE = Page("overview", "Overview", view)
