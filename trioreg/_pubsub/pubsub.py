"""`PubSub`: topics. A subscription belongs to a task or actor, and ends with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import partial
from threading import get_ident
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar, cast

from trio.lowlevel import checkpoint, enable_ki_protection, in_trio_run

from .._actors import ActorRef, Intake
from .._registry import Entry, Event, Registry, Table, Unregistered
from .._runtime import (
    COLLECTING,
    Feed,
    Identity,
    OnOverflow,
    Owner,
    current_run,
    do_later,
    is_finalizing,
    require_count,
    require_room,
    require_sync,
)
from .presence import PresenceFeed
from .publishing import Audience, Where, choose, chosen, tell, tell_now
from .retained import Retained
from .subscribing import Subscribing
from .subscription import Subscription
from .trie import Trie
from .wildcard import Wildcard

K = TypeVar("K", bound=Hashable)
M = TypeVar("M")

OnFull: TypeAlias = Literal["error", "drop_oldest", "drop_newest", "wait"]
_RULES = ("error", "drop_oldest", "drop_newest", "wait")


class PubSub(Identity, Generic[K, M]):
    """Topics: what is published to a topic goes to each of its subscribers.

    Synopsis::

        ticks: PubSub[str, Tick] = PubSub("ticks")

        async with ticks.subscribe("nyse.ibm", buffer=100, overflow="drop_oldest") as feed:     # a task
            async for tick in feed: ...

        ticks.join("nyse.ibm", Screen.show)             # an actor, in its own code: each message is a cast

        ticks.publish_nowait("nyse.ibm", Tick(...))     # returns how many subscribers it reached
        await ticks.publish("nyse.ibm", Tick(...))      # waits for room with those that ask for that

    A topic is any hashable; it need not be made or closed. A subscription belongs to the task or actor that made it,
    and is gone in the step in which that ends. What one publisher publishes to one topic arrives in order with each
    subscriber. You can make a `PubSub` at import time, and use it in many Trio runs, one after the other.

    The ideas are those of Elixir's `Registry` and Phoenix.PubSub, and of AMQP for `Wildcard`.

    Args:
        name: The name, for errors and tables.
        partitions: The number of partitions of the tables, at least 1. On one thread, more than one buys nothing.

    Raises:
        TypeError: ``name`` is not a str, or ``partitions`` is not an int.
        ValueError: ``partitions`` is less than 1.
    """

    _instead_of_pickling: ClassVar[str] = "make one at import time in each process"

    def __init__(self, name: str, *, partitions: int = 1) -> None:
        # Each entry's value is a `Subscription`. The listener ends a subscription in the step in which its entry goes.
        self._registry: Registry[K | Wildcard, Subscription] = Registry(
            name, keys="duplicate", partitions=partitions, listeners=[self._notice]
        )
        self._names = self._registry._names
        self._wildcards = Trie()
        self._retained: Retained[K, M] = Retained()

    def __repr__(self) -> str:
        return f"<PubSub {self.name!r}, {len(self._registry)} subscriptions>"

    @property
    def name(self) -> str:
        """The name of this PubSub."""
        return self._registry.name

    def _notice(self, event: Event[K | Wildcard, Subscription]) -> None:
        if isinstance(event, Unregistered):
            event.value.end()
            if isinstance(event.key, Wildcard) and event.key not in self._registry:
                self._wildcards.remove(event.key)

    # Subscribe

    def subscribe(
        self,
        topic: K | Wildcard,
        *,
        buffer: float = math.inf,
        overflow: OnFull = "error",
        value: object = None,
        owner: Owner | None = None,
    ) -> AbstractAsyncContextManager[Feed[M]]:
        """Subscribe for the time of a block.

        ::

            async with ticks.subscribe("nyse.ibm") as feed:
                async for tick in feed: ...

        The feed gives each message that is published while the block runs. First come the retained messages, if there
        are any. Entering and leaving the block are checkpoints; constant time.

        Args:
            topic: The topic; or a `Wildcard`, for all topics that match it.
            buffer: How many messages wait for you, at least 0. With 0 you get what is published while you wait for it.
            overflow: What happens if the buffer is full. ``"error"``: the message is lost, and `~Feed.receive` raises
                `Overflow` at its place. ``"drop_oldest"``: the oldest message in the buffer is lost. ``"drop_newest"``:
                the new message is lost. ``"wait"``: `publish` waits until there is room, and `publish_nowait` raises
                `trio.WouldBlock`. `Feed.dropped` counts the messages that were lost.
            value: What `members` shows for you, and what ``where=`` of a publisher is asked with.
            owner: The owner of the subscription. By default the actor whose code is running, or else the current task.
                If it ends before the block does, the feed ends too.

        Raises:
            TypeError: ``topic`` is not hashable, ``buffer`` is not a number, or ``owner`` is not an owner.
            ValueError: ``buffer`` is less than 0, or ``overflow`` is none of the four.
            ActorExited: On entering: ``owner`` has ended.
            RuntimeError: On entering: the PubSub is in use by another Trio run.
        """
        _require_hashable(topic)
        require_count("buffer", buffer, 0, infinite=True)
        _check_overflow(overflow)
        return Subscribing(topic, partial(self._subscribe, topic, buffer, overflow, value, owner))

    def _subscribe(
        self, topic: K | Wildcard, buffer: float, overflow: str, value: object, owner: Owner | None
    ) -> tuple[Feed[M], Callable[[], object]]:
        owner = self._names.writable_owner(owner)
        feed: Feed[M] = Feed(buffer, overflow)
        retained = self._retained.of(topic)
        if retained:
            feed._begin_with(retained)
        subscription = Subscription(feed, value, overflow == "wait")
        number = self._insert(owner, topic, subscription)
        try:
            return feed, partial(self._names.delete, owner, topic, number)
        except BaseException:
            self._remove(owner, topic, subscription)
            raise

    @enable_ki_protection
    def join(
        self,
        topic: K | Wildcard,
        method: Callable[[Any, M], object] | None = None,
        *,
        buffer: float = math.inf,
        overflow: OnFull = "error",
        value: object = None,
        once: bool = False,
        owner: ActorRef[Any] | None = None,
    ) -> bool:
        """Subscribe an actor: ``ticks.join("nyse.ibm", Screen.show)`` in its ``on_start``.

        Each message runs the method, as a cast does. The retained messages come first, and do not count as waiting. The
        subscription ends with the actor, or by `leave`; so a restarted actor joins again in its ``on_start``. Not a
        checkpoint; constant time.

        Args:
            topic: The topic; or a `Wildcard`, for all topics that match it.
            method: A method of the actor's class that takes the message. Without it the message goes to ``on_message``,
                or to ``receive()`` of a function actor.
            buffer: How many messages of this subscription may wait for the actor, at least 1.
            overflow: What happens if the buffer is full, as for `subscribe`. ``"error"``: the actor crashes with
                `Overflow` when it comes to the place where messages are missing.
            value: As for `subscribe`.
            once: Whether to do nothing if the actor has a subscription to this topic.
            owner: The actor. By default the one whose code is running.

        Returns:
            Whether there is a new subscription: always, without ``once``.

        Raises:
            ActorExited: The actor has ended.
            TypeError: ``topic`` is not hashable. Or ``owner`` is not an actor, and no actor's code is running. Or the
                actor has no such method, or the method does not take one argument. Or a buffer is given for a function
                actor.
            ValueError: ``buffer`` is less than 1, or ``overflow`` is none of the four.
            RuntimeError: You are outside of the actor's Trio run, or the PubSub is in use by another run.
        """
        _require_hashable(topic)
        require_count("buffer", buffer, 1, infinite=True)
        _check_overflow(overflow)
        found = self._names.writable_owner(owner)
        if not isinstance(found, ActorRef):
            raise TypeError(
                f"join() is for actors, and {found!r} is none: write 'async with {self.name}.subscribe(...)' in a task"
            )
        ref: ActorRef[Any] = found  # pyright: ignore[reportUnknownVariableType]  # it narrows to no class at all
        if once and self._names.entries_of(ref, topic, 1):
            return False
        intake = Intake(ref, method, buffer, overflow)
        subscription = Subscription(intake, value, overflow == "wait")
        retained = self._retained.of(topic)
        self._insert(ref, topic, subscription)
        try:
            intake.begin_with(retained)
        except BaseException:
            self._remove(ref, topic, subscription)
            raise
        return True

    def _insert(self, owner: Owner, topic: K | Wildcard, subscription: Subscription) -> int:
        """Put a subscription into the tables, or raise and change nothing. Returns the number of its entry."""
        require_room()  # to undo it, too
        try:
            if isinstance(topic, Wildcard):
                self._wildcards.add(topic)  # before the entry: a pattern without one is harmless
            return self._names.insert(owner, topic, subscription)
        except BaseException:
            self._remove(owner, topic, subscription)  # a watcher may have raised when it was told
            raise

    def _remove(self, owner: Owner, topic: K | Wildcard, subscription: Subscription) -> None:
        """Undo `_insert`, as far as it has come."""
        for number, entry in self._names.entries_of(owner, topic):
            if entry.value is subscription:
                self._names.delete(owner, topic, number)
        if isinstance(topic, Wildcard) and topic not in self._registry:
            self._wildcards.remove(topic)

    @enable_ki_protection
    def leave(self, topic: K | Wildcard, *, owner: Owner | None = None) -> int:
        """End all subscriptions of an owner to a topic. A feed of it gives what came before, and then ends.

        An actor still handles the messages that have reached it. Not a checkpoint; the cost grows with the owner's
        subscriptions to the topic.

        Args:
            topic: The topic, or the `Wildcard` that was subscribed to.
            owner: The subscriber. By default the actor whose code is running, or else the current task.

        Returns:
            How many subscriptions have ended: 0 if there was none.

        Raises:
            ActorExited: ``owner`` was given and has ended.
            TypeError: ``topic`` is not hashable, or ``owner`` is not an owner.
            RuntimeError: As for `join`.
        """
        _require_hashable(topic)
        return self._registry.unregister(topic, owner=owner)

    # Publish

    @enable_ki_protection
    def publish_nowait(
        self,
        topic: K,
        message: M,
        *,
        exclude: Owner | None = None,
        where: Callable[[Any], object] | None = None,
        retain: bool = False,
    ) -> int:
        """Send a message to each subscriber of a topic, without waiting.

        If this raises, no subscriber gets the message. Not a checkpoint. The cost grows with the subscribers that the
        topic has, and with those of the patterns that it matches. With many thousands of subscribers, use `publish`: it
        lets other tasks run on the way.

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
        audience, excluded = self._prepare(topic, exclude, where)
        run = self._names._run
        if COLLECTING and is_finalizing() and run is not None:
            do_later(run.token, self.publish_nowait, topic, message, exclude=exclude, where=where, retain=retain)
            return len(audience)
        reached = tell_now(chosen(audience, excluded, where), message)
        if retain:
            self._retained.keep(current_run(), topic, message)
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

        The audience is who is subscribed at the first step. A large one is told in slices: a subscriber that leaves
        meanwhile may miss the message, and a subscriber that joins does not get it. No subscriber gets it twice.

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
        audience, excluded = self._prepare(topic, exclude, where)
        undo = self._retained.keep(current_run(), topic, message) if retain else None
        try:
            if where is not None:
                # First choose, then tell: if `where` raises, no subscriber is told.
                audience = await choose(audience, excluded, where)
        except BaseException:
            if undo is not None:
                undo()
            raise
        return await tell(audience, message, excluded)

    def _check(self, topic: object, exclude: object, where: Where | None) -> None:
        if isinstance(topic, Wildcard):
            raise TypeError(f"topic must be a topic, not {topic!r}: publish to each topic by its own name")
        _require_hashable(topic)
        if exclude is not None and not isinstance(exclude, Owner):
            raise TypeError(f"exclude must be an ActorRef or a TaskOwner, not {exclude!r}")
        if where is not None:
            require_sync("where", where)

    def _prepare(self, topic: K, exclude: Owner | None, where: Where | None) -> tuple[Audience, Owner | None]:
        """The audience of a topic, and who of them is left out. Raises unless this may be published here and now."""
        self._check(topic, exclude, where)
        self._require_run()
        audience = self._registry.lookup(topic)
        if len(self._wildcards) and isinstance(topic, str):
            for wildcard in self._wildcards.find(topic):
                audience += self._registry.lookup(wildcard)
        return audience, None if exclude is None else exclude._canonical()

    def _require_run(self) -> None:
        """Bind the PubSub to the current Trio run. `RuntimeError` outside of Trio, and while another run uses it."""
        bound = self._names._run
        if bound is not None and bound.thread == get_ident() and not bound.is_over:
            return
        if in_trio_run():
            self._names.bind_to_run(current_run())
        else:
            raise RuntimeError(
                f"PubSub {self.name!r} can only be used inside of its Trio run: use trio.from_thread to get there"
            )

    # Retained messages

    def retained(self, topic: K) -> list[M]:
        """The retained message of a topic, in a list; an empty list if there is none.

        Not a checkpoint; safe from any thread; constant time.

        Raises:
            TypeError: ``topic`` is not hashable.
        """
        _require_hashable(topic)
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
        _require_hashable(topic)
        self._require_run()
        return self._retained.forget(topic)

    # Presence

    def members(self, topic: K | Wildcard) -> list[Entry[object]]:
        """Who is subscribed to exactly this topic: an `Entry` with owner and value for each subscription.

        ::

            for owner, value in rooms.members("lobby"): ...

        For a topic, those that reach it by a pattern are not among them; ask ``members(Wildcard(...))`` for these. Not
        a checkpoint; safe from any thread. The cost grows with the subscriptions to the topic.

        Raises:
            TypeError: ``topic`` is not hashable.
        """
        _require_hashable(topic)
        return [Entry(owner, subscription.value) for owner, subscription in self._registry.lookup(topic)]

    def watch(
        self, topic: K | Wildcard, *, initial: bool = False, buffer: float = math.inf, overflow: OnOverflow = "error"
    ) -> AbstractContextManager[Feed[Event[K | Wildcard, object]]]:
        """Watch who comes and goes: ``with rooms.watch("lobby", initial=True) as events: async for event in events``.

        The feed gives a `Registered` for each new subscription to exactly this topic, and an `Unregistered` for each
        that has ended, in order. The topic is the event's ``key``. All else is as for `Registry.watch`: arguments,
        errors and cost. To watch all topics, pass `ANY`.
        """
        _require_hashable(topic)
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
        _require_hashable(topic)
        return topic in self._registry

    def tables(self) -> list[Table]:
        """The tables of the subscriptions, as `Registry.tables`. Not a checkpoint; safe from any thread."""
        return self._registry.tables()

    def dump(self) -> str:
        """`tables` as text, as `Registry.dump`. Not a checkpoint; safe from any thread."""
        return self._registry.dump()


def _require_hashable(topic: object) -> None:
    try:
        hash(topic)
    except TypeError as error:
        raise TypeError(f"topic must be hashable: {topic!r} ({error})") from None


def _check_overflow(overflow: object) -> None:
    if overflow not in _RULES:
        raise ValueError(f"overflow must be one of {', '.join(map(repr, _RULES))}, not {overflow!r}")
