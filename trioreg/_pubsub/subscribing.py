"""Subscribe and leave: `PubSub.subscribe` for a task, `PubSub.join` for an actor."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, cast, overload

from trio.lowlevel import checkpoint, current_trio_token, enable_ki_protection

from .._actors import ActorRef, Intake
from .._runtime import AsyncBlock, Feed, Owner, do_later, require_count, require_sync, run_user, sync_result
from .core import PubSubCore, require_topic
from .retained import Retained, those_that_match
from .subscription import Subscription
from .wildcard import Wildcard

if TYPE_CHECKING:
    from types import TracebackType

K = TypeVar("K", bound=Hashable)
M = TypeVar("M")

OnFull: TypeAlias = Literal["error", "drop_oldest", "drop_newest", "wait"]
_RULES = ("error", "drop_oldest", "drop_newest", "wait")


class Subscribing(PubSubCore[K, M]):
    """The methods that begin and end a subscription."""

    @overload
    def subscribe(
        self,
        topic: K | Wildcard,
        *,
        buffer: float = ...,
        overflow: OnFull = ...,
        value: object = ...,
        once: Literal[False] = ...,
        owner: Owner | None = ...,
    ) -> AbstractAsyncContextManager[Feed[M]]: ...
    @overload
    def subscribe(
        self,
        topic: K | Wildcard,
        *,
        buffer: float = ...,
        overflow: OnFull = ...,
        value: object = ...,
        once: bool,
        owner: Owner | None = ...,
    ) -> AbstractAsyncContextManager[Feed[M] | None]: ...
    def subscribe(
        self,
        topic: K | Wildcard,
        *,
        buffer: float = math.inf,
        overflow: OnFull = "error",
        value: object = None,
        once: bool = False,
        owner: Owner | None = None,
    ) -> AbstractAsyncContextManager[Feed[M] | None]:
        """Subscribe for the time of a block.

        ::

            async with ticks.subscribe("nyse.ibm") as feed:
                async for tick in feed: ...

        The feed gives each message that is published while the block runs. First come the retained messages, if there
        are any. `Feed.close` ends the subscription earlier. Entering and leaving the block are checkpoints; constant
        time. To enter with a `Wildcard` costs as much as there are retained messages, and lets other tasks run on the
        way.

        Args:
            topic: The topic; or a `Wildcard`, for all topics that match it.
            buffer: How many messages wait for you, at least 0. With 0 you get what is published while you wait for it.
            overflow: What happens if the buffer is full. ``"error"``: the message is lost, and `~Feed.receive` raises
                `Overflow` at its place. ``"drop_oldest"``: the oldest message in the buffer is lost. ``"drop_newest"``:
                the new message is lost. ``"wait"``: `publish` waits until there is room, and `publish_nowait` raises
                `trio.WouldBlock`. `Feed.dropped` counts the messages that were lost.
            value: What `members` shows for you, and what ``where=`` of a publisher is asked with. `update_value`
                changes it.
            once: Whether to do nothing if the owner has a subscription to this topic when you enter the block. You get
                None then instead of a feed, and leaving the block ends nothing.
            owner: The owner of the subscription. By default the actor whose code is running, or else the current task.
                If it ends before the block does, the feed ends too.

        Raises:
            TypeError: ``topic`` is not hashable, ``buffer`` is not a number, or ``owner`` is not an owner.
            ValueError: ``buffer`` is less than 0, or ``overflow`` is none of the four.
            ActorExited: On entering: ``owner`` has ended.
            RuntimeError: On entering: the PubSub is in use by another Trio run.
        """
        require_topic(topic)
        require_count("buffer", buffer, 0, infinite=True)
        _check_overflow(overflow)
        begin = partial(self._subscribe, topic, buffer, overflow, value, once, owner)
        return SubscribedBlock(topic, self._retained, begin)

    def _subscribe(
        self, topic: K | Wildcard, buffer: float, overflow: str, value: object, once: bool, owner: Owner | None
    ) -> Feed[M] | None:
        owner = self._names.writable_owner(owner)
        if once and self._names.entries_of(owner, topic, 1):
            return None
        feed: Feed[M] = Feed(buffer, overflow)
        if not isinstance(topic, Wildcard):  # else the block finds them, and lets other tasks run on the way
            retained = self._retained.of(topic)
            if retained:
                feed._begin_with(retained)
        subscription = Subscription(feed, value, overflow == "wait")
        number = self._insert(owner, topic, subscription)
        try:
            feed._leave = partial(self._names.delete, owner, topic, number)
        except BaseException:
            self._remove(owner, topic, subscription)
            raise
        return feed

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
        checkpoint; constant time. With a `Wildcard`, the cost grows with the retained messages of all topics.

        Args:
            topic: The topic; or a `Wildcard`, for all topics that match it.
            method: A method of the actor's class that takes the message. Without it the message goes to ``on_message``,
                or to ``receive()`` of a function actor.
            buffer: How many messages of this subscription may wait for the actor, at least 1.
            overflow: What happens if the buffer is full, as for `subscribe`. ``"error"``: the actor crashes with
                `Overflow` when it comes to the place where messages are missing. `dropped` counts the messages that
                were lost.
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
        require_topic(topic)
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
        require_topic(topic)
        return self._registry.unregister(topic, owner=owner)

    @enable_ki_protection
    def update_value(self, topic: K | Wildcard, fn: Callable[[Any], object], *, owner: Owner | None = None) -> int:
        """Change the ``value`` of all subscriptions of an owner to a topic: Phoenix's ``Presence.update``.

        ::

            rooms.update_value("lobby", lambda old: "Ann (away)")

        No message is lost, and none comes twice: only the value changes. Watchers and instruments get an `Unregistered`
        with the old value and, right behind it, a `Registered` with the new one. If ``fn`` raises, nothing has changed.
        Not a checkpoint; the cost grows with the owner's subscriptions to the topic.

        Args:
            topic: The topic, or the `Wildcard` that was subscribed to.
            fn: A function that takes the old value and returns the new one.
            owner: The subscriber. By default the actor whose code is running, or else the current task.

        Returns:
            How many subscriptions have a new value: 0 if there was none.

        Raises:
            ActorExited: ``owner`` was given and has ended.
            TypeError: ``topic`` is not hashable, ``fn`` is not callable, is async or returns a coroutine, or ``owner``
                is not an owner.
            RuntimeError: As for `join`.
        """
        require_topic(topic)
        require_sync("fn", fn)
        names = self._names
        owner = names.writable_owner(owner)
        values = {
            number: sync_result("fn", fn, run_user(fn, entry.value.value))
            for number, entry in names.entries_of(owner, topic)
        }
        changes = [
            (number, entry, values[number])
            for number, entry in names.entries_of(owner, topic)
            if number in values  # `fn` is the user's code: it may have ended some, or begun others
        ]
        return self._replace(owner, topic, changes)


class SubscribedBlock(AsyncBlock, AbstractAsyncContextManager[Feed[M] | None], Generic[M]):
    """The context manager of `PubSub.subscribe`.

    ``begin`` puts a feed into the tables, and ``feed.close`` takes it out. It returns None if ``once`` finds one there.
    """

    __slots__ = ("_begin", "_feed", "_is_entered", "_retained", "_topic")

    _written = "pubsub.subscribe(...)"

    def __init__(self, topic: object, retained: Retained[Any, M], begin: Callable[[], Feed[M] | None]) -> None:
        self._topic = topic
        self._retained = retained
        self._begin = begin
        self._is_entered = False
        self._feed: Feed[M] | None = None

    @enable_ki_protection
    async def __aenter__(self) -> Feed[M] | None:
        if self._is_entered:
            raise RuntimeError(f"this subscribe({self._topic!r}) is already entered: make another one")
        self._is_entered = True
        try:
            await checkpoint()
            topic = self._topic
            kept = self._retained.all() if isinstance(topic, Wildcard) else None
            feed = self._begin()  # in the same step: what is published after it waits in the buffer
            if kept and feed is not None:
                try:
                    first = await those_that_match(cast("Wildcard", topic), kept)
                    if first:
                        feed._begin_with(first)
                except BaseException:
                    try:
                        feed.close()
                    except (MemoryError, RecursionError):
                        do_later(current_trio_token(), feed.close)
                    raise
        except BaseException:
            self._is_entered = False
            raise
        self._feed = feed
        return feed

    @enable_ki_protection
    async def __aexit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        assert self._is_entered
        feed, self._feed = self._feed, None
        self._is_entered = False
        if feed is not None:
            try:
                feed.close()
            except (MemoryError, RecursionError):
                do_later(current_trio_token(), feed.close)  # the block is over in any case
                raise
        if error is None:
            await checkpoint()


def _check_overflow(overflow: object) -> None:
    if overflow not in _RULES:
        raise ValueError(f"overflow must be one of {', '.join(map(repr, _RULES))}, not {overflow!r}")
