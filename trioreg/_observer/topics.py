"""The page of topics and pools: who is subscribed to what and is too slow for it, and which workers are free."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypedDict

import trio

from .._pool import PoolEngine, pools_of
from .._pubsub import Subscription, pubsub_of
from .._runtime import text_of
from .chunks import chunks, entries_of
from .pace import Pace
from .page import PAGE_ROWS, Page, cut
from .ranking import Ranking
from .texts import Texts
from .words import matches, words_of

if TYPE_CHECKING:
    from .._pool import Pool
    from .._registry import Entry, Names
    from .._runtime import Run
    from .observation import Observation
    from .params import Params

    Group = dict[int, Entry[Subscription]]


class TopicRow(TypedDict):
    """One topic, or one pattern of topics.

    Attributes:
        pubsub: The name of the `PubSub`.
        topic: The topic.
        subscriptions: How many subscriptions to exactly this topic there are.
        retained: How many messages are kept for later subscribers: 0 or 1.
        waiting: How many messages wait in the buffers of its subscribers. (An actor that has joined without a
            ``buffer`` has its messages in its mailbox. They do not count.)
        dropped: How many messages these subscribers have lost, because their buffers were full.
    """

    pubsub: str
    topic: str
    subscriptions: int
    retained: int
    waiting: int
    dropped: int


class PoolRow(TypedDict):
    """One pool.

    Attributes:
        label: The name of the pool.
        path: The path of its supervisor.
        number: The number of its supervisor; None if that is no actor.
        size: How many workers it has.
        idle: How many of them are free.
        busy: How many are at work.
        waiting: How many callers wait for a worker.
        longest_wait: For how long the first of them has waited, in seconds.
        waits: How many callers have waited since the pool was started.
        mean_wait: How long they have waited on the average, in seconds.
        crashes: How many workers have crashed since then.
    """

    label: str
    path: str
    number: int | None
    size: int
    idle: int
    busy: int
    waiting: int
    longest_wait: float
    waits: int
    mean_wait: float
    crashes: int


class TopicsPage(TypedDict):
    """The data of the page.

    Attributes:
        topics: The topics on this page: those with the most subscriptions come first.
        total: How many topics there are.
        matched: How many of them the filter lets through.
        q: The filter, for topics and for pools.
        page: Which page of topics this is, from 1.
        pages: How many pages of topics there are.
        pools: The pools that the filter lets through, by name; of very many, the first ones.
        pools_total: How many pools there are.
    """

    topics: list[TopicRow]
    total: int
    matched: int
    q: str
    page: int
    pages: int
    pools: list[PoolRow]
    pools_total: int


async def view(observation: Observation, params: Params) -> TopicsPage:
    """The topics and the pools. A checkpoint. The cost grows with the topics, and with the subscriptions of those that
    are shown, in slices.

    Params:
        q: Words: each must be in the topic or in the name of the `PubSub`; in the name or in the path of a pool.
        page: Which page of topics, from 1.
    """
    pace, texts, q, asked = Pace(), Texts(), params.text("q"), params.whole("page", 1, least=1)
    found = _Topics(asked * PAGE_ROWS, words_of(q), texts, pace)
    for names in await observation.registries.all(observation.run, pace):
        if names.purpose == "topics":
            await found.add_all(names, observation.run)
    part = cut(found.ranking.count, asked)
    first = await found.ranking.part(part.begin, part.end, pace)
    topics = [await found.row(*each) for each in first]
    pools = pools_of(observation.run)
    rows = await _pools(pools, words_of(q), pace)
    await trio.lowlevel.checkpoint()
    return TopicsPage(
        topics=topics,
        total=found.total,
        matched=found.ranking.count,
        q=q,
        page=part.page,
        pages=part.pages,
        pools=rows,
        pools_total=len(pools),
    )


class _Topics:
    """The topics that match a filter."""

    def __init__(self, end: int, words: list[str], texts: Texts, pace: Pace) -> None:
        self.total = 0
        self.ranking = Ranking(end, down=True, columns=3)
        self._sources: list[tuple[Names[Any, Any], dict[Any, Any]]] = []
        self._words = words
        self._texts = texts
        self._pace = pace

    async def add_all(self, names: Names[Any, Any], run: Run) -> None:
        """The topics of one `PubSub`: those with subscriptions, and those with a retained message only."""
        pubsub = pubsub_of(names)
        retained: dict[Any, Any] = {} if pubsub is None else pubsub._retained.of_run(run)
        self._sources.append((names, retained))  # a topic has its number: fewer objects for the garbage collector
        # With several partitions a topic may be in each of them.
        several: dict[Any, Group | list[Group]] = {}
        for number in range(names.n):
            async with entries_of(names, number, self._pace) as parts:
                async for topics, groups in parts:
                    for topic, group in zip(topics, groups, strict=True):
                        if self._pace.is_over():
                            await self._pace.rest()
                        if names.n == 1 or not _put(several, topic, group):
                            await self._add(topic, group, len(group))
        for topic, some in several.items():
            if self._pace.is_over():
                await self._pace.rest()
            await self._add(topic, some, sum(map(len, some)) if isinstance(some, list) else len(some))
        async with aclosing(chunks(retained, self._pace)) as kept:
            async for topics, _ in kept:
                for topic in topics:
                    if self._pace.is_over():
                        await self._pace.rest()
                    if not _has(names, topic):
                        await self._add(topic, [], 0)

    async def _add(self, topic: Any, groups: Group | list[Group], subscriptions: int) -> None:
        self.total += 1
        source = len(self._sources) - 1
        if self._words:
            is_shown = matches(self._words, self._texts.name(topic), self._sources[source][0].name)
            if self._texts.has_waited and self._pace.is_late():
                self._texts.has_waited = False
                await self._pace.rest()
            if not is_shown:
                return
        self.ranking.add(subscriptions, source, topic, groups)

    async def row(self, source: int, topic: Any, groups: Group | list[Group]) -> TopicRow:
        """The row of one topic. The cost grows with its subscriptions, in slices."""
        pace, (names, retained) = self._pace, self._sources[source]
        subscriptions = waiting = dropped = 0
        for group in groups if isinstance(groups, list) else [groups]:
            async with aclosing(chunks(group, pace)) as parts:
                async for _, entries in parts:
                    for entry in entries:
                        if pace.is_over():
                            await pace.rest()
                        subscriptions += 1
                        feed = entry[1].feed
                        if feed is not None:
                            now = feed.statistics()
                            waiting += now.buffered
                            dropped += now.dropped
        row = TopicRow(
            pubsub=text_of(names.name) or "",
            topic=self._texts.name(topic),
            subscriptions=subscriptions,
            retained=int(_is_in(topic, retained)),
            waiting=waiting,
            dropped=dropped,
        )
        if pace.is_late():
            await pace.rest()
        return row


# A topic is the user's: its `__hash__` and `__eq__` may raise.


def _put(several: dict[Any, Group | list[Group]], topic: Any, group: Group) -> bool:
    """Add the group of one partition. As nearly all topics have one only, there is no list for that."""
    try:
        known = several.setdefault(topic, group)
        if isinstance(known, list):
            known.append(group)
        elif known is not group:
            several[topic] = [known, group]
    except Exception:
        return False
    return True


def _is_in(topic: Any, table: dict[Any, Any]) -> bool:
    try:
        return topic in table
    except Exception:
        return False


def _has(names: Names[Any, Any], topic: Any) -> bool:
    return any(_is_in(topic, partition.table) for partition in names.duplicate)


async def _pools(pools: list[Pool[Any]], words: list[str], pace: Pace) -> list[PoolRow]:
    rows: list[PoolRow] = []
    for pool in pools:
        if pace.is_over():
            await pace.rest()
        engine = pool._engine
        if not isinstance(engine, PoolEngine) or not matches(words, pool.name, engine.label):
            continue
        if len(rows) == PAGE_ROWS:
            break
        own, now = engine.own_child, engine.desk.statistics()
        rows.append(
            PoolRow(
                label=text_of(pool.name) or "",
                path=text_of(engine.label) or "",
                number=None if own is None or own.life is None else own.life.ref._number,
                size=now.size,
                idle=now.idle,
                busy=now.busy,
                waiting=now.waiting,
                longest_wait=now.longest_wait,
                waits=now.waits,
                mean_wait=now.total_wait / now.waits if now.waits else 0.0,
                crashes=now.crashes,
            )
        )
        if pace.is_late():
            await pace.rest()
    return rows


PAGE = Page("topics", "Topics and pools", view, seconds=2.0)
