"""Presence: who is subscribed to a topic, who comes and who goes. These are the look-ups and events of a
registry, with the value that the subscriber has given.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from contextlib import AbstractContextManager
from typing import Any, TypeVar, cast

import attrs

from .._registry import Entry, Event, Table
from .._runtime import Feed, OnOverflow, Owner
from .core import PubSubCore, require_topic
from .subscription import Subscription
from .wildcard import Wildcard

E = TypeVar("E")
K = TypeVar("K", bound=Hashable)
M = TypeVar("M")


class Presence(PubSubCore[K, M]):
    """The methods that show the subscriptions."""

    def members(self, topic: K | Wildcard) -> list[Entry[object]]:
        """Who is subscribed to exactly this topic: an `Entry` with owner and value for each subscription.

        ::

            for owner, value in rooms.members("lobby"): ...

        For a topic, those that reach it by a pattern are not among them; ask ``members(Wildcard(...))`` for these. Not
        a checkpoint; safe from any thread. The cost grows with the subscriptions to the topic.

        Raises:
            TypeError: ``topic`` is not hashable.
        """
        require_topic(topic)
        return [Entry(owner, subscription.value) for owner, subscription in self._registry.lookup(topic)]

    def count(self, topic: K | Wildcard) -> int:
        """How many subscriptions to exactly this topic there are: ``len(rooms.members("lobby"))`` in constant time.

        For a topic, those that reach it by a pattern do not count. Not a checkpoint; safe from any thread; one step for
        each partition.

        Raises:
            TypeError: ``topic`` is not hashable.
        """
        require_topic(topic)
        names = self._names
        return sum([len(names.duplicate[number].table.get(topic, ())) for number in names.partitions_with(topic)])

    def topics_of(self, owner: Owner) -> list[K | Wildcard]:
        """The topics, and the patterns, that an owner is subscribed to, each once: Elixir's ``Registry.keys``.

        ::

            ticks.topics_of(trioreg.current_owner())  # your own

        An owner that has ended has none. Not a checkpoint; safe from any thread. The cost grows with the owner's
        subscriptions.

        Raises:
            TypeError: ``owner`` is not an owner.
        """
        return list(dict.fromkeys(self._registry.keys(owner)))

    def dropped(self, topic: K | Wildcard, owner: Owner) -> int:
        """How many messages an owner has lost because its buffer was full, in its subscriptions to exactly this topic.

        ::

            missing = ticks.dropped("nyse.ibm", ref)

        For a task, this is `Feed.dropped`. A subscription that has ended does not count. Not a checkpoint; safe from
        any thread. The cost grows with the owner's subscriptions to the topic.

        Raises:
            TypeError: ``topic`` is not hashable, or ``owner`` is not an owner.
        """
        require_topic(topic)
        feeds = [subscription.feed for subscription in self._registry.values(topic, owner)]
        return sum([feed.dropped for feed in feeds if feed is not None])

    def watch(
        self, topic: K | Wildcard, *, initial: bool = False, buffer: float = math.inf, overflow: OnOverflow = "error"
    ) -> AbstractContextManager[Feed[Event[K | Wildcard, object]]]:
        """Watch who comes and goes: ``with rooms.watch("lobby", initial=True) as events: async for event in events``.

        The feed gives a `Registered` for each new subscription to exactly this topic, and an `Unregistered` for each
        that has ended, in order. `update_value` gives both. The topic is the event's ``key``. All else is as for
        `Registry.watch`: arguments, errors and cost. To watch all topics, pass `ANY`. Not a checkpoint.
        """
        require_topic(topic)
        feed_class = cast("type[Feed[Event[K | Wildcard, Subscription]]]", PresenceFeed)
        watch = self._registry._watch(topic, initial, buffer, overflow, feed_class)
        return cast("AbstractContextManager[Feed[Event[K | Wildcard, object]]]", watch)

    def topics(self) -> list[K | Wildcard]:
        """The topics, and the patterns, that have subscribers. Not a checkpoint; safe from any thread. The cost grows
        with all subscriptions."""
        return list(dict.fromkeys([topic for topic, _ in self._registry.items()]))

    def __len__(self) -> int:
        """The number of subscriptions. Safe from any thread."""
        return len(self._registry)

    def __contains__(self, topic: object) -> bool:
        """Whether exactly this topic has a subscription. Safe from any thread; constant time."""
        require_topic(topic)
        return topic in self._registry

    def tables(self) -> list[Table]:
        """The tables of the subscriptions, as `Registry.tables`.

        Not a checkpoint; safe from any thread; the cost grows with the subscriptions.
        """
        return self._registry.tables()

    def dump(self, *, limit: float = math.inf) -> str:
        """`tables` as text. Arguments and errors are as for `Registry.dump`.

        Not a checkpoint; safe from any thread; the cost grows with the subscriptions.
        """
        return self._registry.dump(limit=limit)


class PresenceFeed(Feed[E]):
    """A feed of registry events whose values are subscriptions: it gives the value of the subscription instead."""

    __slots__ = ()

    def _put(self, item: object) -> bool:
        return super()._put(_shown(item))

    def _begin_with(self, items: Iterable[object]) -> None:
        super()._begin_with(map(_shown, items))


def _shown(event: object) -> Event[Any, object]:
    known = cast("Event[Any, Any]", event)
    subscription: Subscription = known.value
    return attrs.evolve(known, value=subscription.value)
