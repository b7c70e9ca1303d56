"""The base that all parts of `PubSub` share: the subscriptions, how one gets into the tables, and how it gets out."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from trio.lowlevel import in_trio_run

from .._registry import Entry, Event, Follower, Names, Registered, Registry, Unregistered
from .._runtime import Identity, Owner, current_run, require_hashable, require_room
from .retained import Retained
from .subscription import Subscription
from .trie import Trie
from .wildcard import Wildcard

if TYPE_CHECKING:
    from .._actors import Cell

K = TypeVar("K", bound=Hashable)
M = TypeVar("M")

TOPICS_KEPT = 4096
"""For how many topics a `PubSub` keeps the audience."""

MOST_KEPT = 256
"""How many subscriptions such an audience has at most."""


class PubSubCore(Identity, Generic[K, M]):
    """The subscriptions of one `PubSub`, its patterns and its retained messages."""

    _instead_of_pickling: ClassVar[str] = "make one at import time in each process"

    def __init__(self, name: str, *, partitions: int = 1) -> None:
        # The value of each entry is its `Subscription`.
        self._registry: Registry[K | Wildcard, Subscription] = Registry(
            name, keys="duplicate", partitions=partitions, listeners=[_EndOfSubscriptions(self)]
        )
        self._names = self._registry._names
        self._names.purpose = "topics"
        self._names.when_forgotten = self._forget
        # The hot path of a publication: audiences without a subscription that lets publishers wait. With each topic:
        # `changes` of the only partition at that time; the cell and the kind of the message if the audience is one
        # actor, else None twice; and the subscriptions.
        self._partition = self._names.duplicate[0]
        self._kept: dict[K | Wildcard, tuple[int, Cell | None, object, list[Subscription]]] = {}
        self._wildcards = Trie()
        self._retained: Retained[K, M] = Retained()

    def __repr__(self) -> str:
        return f"<PubSub {self.name!r}, {len(self._registry)} subscriptions>"

    @property
    def name(self) -> str:
        """The name of this PubSub."""
        return self._registry.name

    def _forget(self) -> None:
        self._wildcards = Trie()
        self._kept.clear()

    def _keep(self, topic: K, changes: int, audience: list[Subscription]) -> None:
        """A topic has this audience: if it is small, the next publication finds it at once."""
        if not 0 < len(audience) <= MOST_KEPT or self._names.n != 1 or self._wildcards.size:
            return
        cell = kind = None
        if len(audience) == 1 and audience[0].cell is not None:
            cell, kind = audience[0].cell, audience[0].kind
        elif any(each.waits for each in audience):
            return
        if len(self._kept) >= TOPICS_KEPT:
            self._kept.clear()
        self._kept[topic] = changes, cell, kind, audience

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
            if entry.value is subscription.latest():
                self._names.delete(owner, topic, number)
        if isinstance(topic, Wildcard) and topic not in self._registry:
            self._wildcards.remove(topic)

    def _replace(
        self, owner: Owner, topic: K | Wildcard, changes: Sequence[tuple[int, Entry[Subscription], object]]
    ) -> int:
        """Give some subscriptions other values: for each its number, its entry and the new value. Returns how many have
        it: a `__del__` may end one meanwhile. Watchers see an end and a beginning."""
        names = self._names
        assert names.notifier is not None  # it has the listener that ends subscriptions
        require_room()  # to tell of it
        changed = 0
        try:
            for number, entry, value in changes:
                old: Subscription | None = entry.value
                while old is not None:
                    new = old.with_value(value)
                    events = Unregistered(self.name, topic, owner, old), Registered(self.name, topic, owner, new)
                    # No call behind it until the events are posted, or a `__del__` could post the end of the new one.
                    if names.replace(owner, topic, number, new, entry) is not None:
                        old.successor = new  # before the event of its end: the feed goes on
                        names.notifier.posted += events
                        changed += 1
                        break
                    entries = [each for other, each in names.entries_of(owner, topic) if other == number]
                    entry, old = (entries[0], entries[0].value) if entries else (entry, None)
        finally:
            names.deliver_posted()  # only now: an instrument is the user's code, and may end some
        return changed

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


def pubsub_of(names: Names[Any, Any]) -> PubSubCore[Any, Any] | None:
    """The `PubSub` whose subscriptions these are; None if they are none."""
    owner = getattr(names.when_forgotten, "__self__", None)
    return owner if isinstance(owner, PubSubCore) else None  # pyright: ignore[reportUnknownVariableType]


class _EndOfSubscriptions(Follower[K | Wildcard, Subscription]):
    """Ends a subscription in the step in which its entry goes."""

    __slots__ = ("_core",)

    def __init__(self, core: PubSubCore[K, Any]) -> None:
        self._core = core

    def __call__(self, event: Event[K | Wildcard, Subscription]) -> None:
        if isinstance(event, Unregistered):
            event.value.end()
            self._core._kept.clear()  # it is out of date, and is to keep no owner that has ended
            if event.value.successor is not None:
                return
            if isinstance(event.key, Wildcard) and event.key not in self._core._registry:
                self._core._wildcards.remove(event.key)


def require_topic(topic: object) -> None:
    """Raises `TypeError` if a topic can't be one."""
    require_hashable("topic", topic)
