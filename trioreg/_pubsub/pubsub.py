"""`PubSub`: topics. A subscription belongs to a task or actor, and ends with it.

`PubSub` is put together from parts: `subscribing.py` (subscribe, join, leave) and `presence.py` (who is there). This
file publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from itertools import chain
from threading import get_ident
from typing import Any, TypeVar, overload

from trio.lowlevel import checkpoint, enable_ki_protection, reschedule

from .._actors import INFO
from .._runtime import (
    COLLECTING,
    UNUSUAL,
    WOKEN,
    Owner,
    current_run,
    do_later,
    finish_waking,
    is_finalizing,
    require_sync,
    show_methods_as,
)
from .core import PubSubCore, require_topic
from .presence import Presence
from .publishing import PART, Audience, Where, choose, chosen, tell, tell_all, tell_now
from .subscribing import Subscribing
from .wildcard import Wildcard

K = TypeVar("K", bound=Hashable)
M = TypeVar("M")


class PubSub(Subscribing[K, M], Presence[K, M]):
    """Topics: what is published to a topic goes to each of its subscribers.

    Synopsis::

        ticks: PubSub[str, Tick] = PubSub("ticks")

        # A task:
        async with ticks.subscribe("nyse.ibm", buffer=9, overflow="drop_oldest") as feed:
            async for tick in feed: ...

        ticks.join("nyse.ibm", Screen.show)  # an actor, in its own code

        ticks.publish_nowait("nyse.ibm", Tick(...))  # how many subscribers it reached
        await ticks.publish("nyse.ibm", Tick(...))  # waits for room

    A topic is any hashable; it need not be made or closed. A subscription belongs to the task or actor that made it,
    and is gone in the step in which that ends. What one publisher publishes to one topic arrives in order with each
    subscriber. You can make a `PubSub` at import time, and use it in many Trio runs, one after the other.

    The ideas are from Elixir's `Registry` and Phoenix.PubSub. `Wildcard` is from AMQP.

    Args:
        name: The name, for errors and tables.
        partitions: The number of partitions of the tables, at least 1. On one thread, more than one buys nothing.

    Raises:
        TypeError: ``name`` is not a str, or ``partitions`` is not an int.
        ValueError: ``partitions`` is less than 1.
    """

    # Publish

    @overload
    def publish_nowait(self, topic: K, message: M) -> int: ...
    @overload
    def publish_nowait(
        self,
        topic: K,
        message: M,
        *,
        exclude: Owner | None = ...,
        where: Callable[[Any], object] | None = ...,
        retain: bool = ...,
    ) -> int: ...
    @enable_ki_protection
    def publish_nowait(
        self,
        topic: K,
        message: M,
        # By keyword only, as the overloads say: a star here costs each call a twentieth.
        exclude: Owner | None = None,
        where: Callable[[Any], object] | None = None,
        retain: bool = False,
    ) -> int:
        """Send a message to each subscriber of a topic, without waiting.

        If this raises, no subscriber gets the message. Not a checkpoint. The cost grows with the subscribers of the
        topic and of the patterns that it matches. With many thousands of subscribers, use `publish`: it lets other
        tasks run on the way.

        Args:
            topic: The topic.
            message: Any object. Each subscriber gets this very object: it must not be changed later.
            exclude: An owner that does not get it: `current_owner` for yourself.
            where: Called with the ``value`` of each subscription: those for which it is false do not get the message.
            retain: Whether to keep the message as the last one of its topic: later subscribers get it first. A later
                retained message takes its place; `forget` drops it.

        Returns:
            The number of subscribers that it reached: those that have it now, or will have it before any later one.

        Raises:
            trio.WouldBlock: A subscriber with ``overflow="wait"`` has no room.
            TypeError: ``topic`` is not hashable or is a `Wildcard`, ``exclude`` is not an owner, or ``where`` is not a
                sync function.
            RuntimeError: You are outside of the Trio run of the subscribers.
        """
        # A plain message to an audience that is kept. For one actor, `Intake.put` and `Mailbox.put` are written out.
        kept = None
        is_plain = exclude is None and where is None and not retain and not UNUSUAL
        if is_plain:
            payload = (message,)  # first what may run the garbage collector, and a `__del__` that changes something
            try:
                if topic in self._kept:
                    kept = self._kept[topic]
            except Exception:
                kept = None  # `_prepare` says what is wrong
            if kept is not None and kept[0] == self._partition.changes:
                _, cell, kind, subscriptions = kept
                if cell is None:
                    self._require_run()
                    return tell_all(subscriptions, message)
                if get_ident() == cell.thread:
                    task = cell.taker
                    if task is None or task.custom_sleep_data is not cell or not cell.is_open:
                        return 1 if subscriptions[0].put(message) else 0
                    cell.kind = kind
                    cell.payload = message if kind is INFO else payload
                    # `wake`, written out.
                    task.custom_sleep_data = WOKEN
                    try:
                        reschedule(task, WOKEN)
                    except BaseException:
                        if task.custom_sleep_data is WOKEN:
                            task.custom_sleep_data = cell
                            cell.kind = cell.payload = None
                            raise
                        finish_waking(task)
                    return 1
        changes = self._partition.changes
        excluded = self._prepare(topic, exclude, where)
        audience = self._audience(topic)
        run = self._names._run
        if COLLECTING and is_finalizing() and run is not None:
            do_later(run.token, self.publish_nowait, topic, message, exclude=exclude, where=where, retain=retain)
            return len(audience)
        # Before the first subscriber is told: one that joins meanwhile, in `where` or a `__del__`, is greeted with it.
        undo = self._retained.keep(current_run(), topic, message, is_tried=where is not None) if retain else None
        try:
            subscriptions = chosen(audience, excluded, where)
            if is_plain:
                self._keep(topic, changes, subscriptions)
            reached = tell_now(subscriptions, message)
        except BaseException:
            if undo is not None:
                undo()
            raise
        if run is not None and run.instruments is not None:
            run.instruments.tell("published", self.name, topic, message, reached)
        return reached

    @enable_ki_protection
    async def publish(
        self,
        topic: K,
        message: M,
        *,
        exclude: Owner | None = None,
        where: Callable[[Any], object] | None = None,
        retain: bool = False,
    ) -> int:
        """Send a message to each subscriber of a topic, and wait for room with those that have ``overflow="wait"``.

        The audience is all subscribers at the first step. A large one is told in slices: a subscriber that leaves
        meanwhile may miss the message, and a subscriber that joins does not get it. No subscription gets it twice.

        It waits for room with all full subscribers at once, and each of them lets publishers in first come, first
        served. If you cancel it meanwhile, the subscribers that have had room have the message. A checkpoint; it costs
        what `publish_nowait` costs.

        Args:
            topic, message, exclude, where, retain: As for `publish_nowait`.

        Returns:
            The number of subscribers that it reached.

        Raises:
            CallCycle: An actor with ``overflow="wait"`` has no room, and waits for the caller.
            TypeError, RuntimeError: As for `publish_nowait`.
        """
        self._check(topic, exclude, where)
        await checkpoint()
        excluded = self._prepare(topic, exclude, where)
        # Before the message is retained: one that joins meanwhile, in a `__del__`, is greeted with it.
        parts = self._parts(topic) if where is None else ()
        audience = self._audience(topic) if where is not None else []
        undo = self._retained.keep(current_run(), topic, message, is_tried=where is not None) if retain else None
        try:
            if where is not None:
                # First choose, then tell: if `where` raises, no subscriber is told.
                audience = await choose(audience, excluded, where)
                parts = (audience,)
        except BaseException:
            if undo is not None:
                undo()
            raise
        reached = await tell(parts, message, excluded)
        run = self._names._run
        if run is not None and run.instruments is not None:
            run.instruments.tell("published", self.name, topic, message, reached)
        return reached

    def _check(self, topic: object, exclude: object, where: Where | None) -> None:
        if isinstance(topic, Wildcard):
            raise TypeError(f"topic must be a topic, not {topic!r}: publish to each topic by its own name")
        require_topic(topic)
        if exclude is not None and not isinstance(exclude, Owner):
            raise TypeError(f"exclude must be an ActorRef or a TaskOwner, not {exclude!r}")
        if where is not None:
            require_sync("where", where)

    def _prepare(self, topic: K, exclude: Owner | None, where: Where | None) -> Owner | None:
        """Raise unless these arguments are right, and this may be published here and now.

        Returns the owner that ``exclude`` leaves out.
        """
        self._check(topic, exclude, where)
        self._require_run()
        return None if exclude is None else exclude._canonical()

    def _patterns_for(self, topic: K) -> Iterable[Wildcard]:
        """The patterns that match a topic."""
        return self._wildcards.find(topic) if len(self._wildcards) and isinstance(topic, str) else ()

    def _audience(self, topic: K) -> Audience:
        """All subscriptions of a topic, as entries."""
        audience = self._registry.lookup(topic)
        for wildcard in self._patterns_for(topic):
            audience += self._registry.lookup(wildcard)
        return audience

    def _parts(self, topic: K) -> Iterable[Audience]:
        """The same in lists, for `tell`. A large audience is read while it is told."""
        parts = self._names.walk(topic, PART)
        patterns = self._patterns_for(topic)
        return chain(parts, *[self._names.walk(pattern, PART) for pattern in patterns]) if patterns else parts

    # Retained messages

    def retained(self, topic: K) -> list[M]:
        """The retained message of a topic, in a list; an empty list if there is none.

        Not a checkpoint; safe from any thread; constant time.

        Raises:
            TypeError: ``topic`` is not hashable.
        """
        require_topic(topic)
        return self._retained.of(topic)

    @enable_ki_protection
    def forget(self, topic: K) -> bool:
        """Drop the retained message of a topic. Not a checkpoint; constant time.

        Returns:
            Whether there was one.

        Raises:
            TypeError: ``topic`` is not hashable.
            RuntimeError: You are outside of the Trio run of the subscribers.
        """
        require_topic(topic)
        self._require_run()
        return self._retained.forget(topic)


show_methods_as("PubSub", PubSubCore, Subscribing, Presence)
