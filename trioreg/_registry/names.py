"""The names of one registry: who holds what, changed whole or not at all.

`Names` owns the partitions and every change to them. A change keeps three things together, with no step of the
scheduler in between: the key table, the lease with the owner (`_owner.py`), and the totals; then it hands a freed
unique name to the first in its queue (`_queue.py`), and tells the `Hub`. Nothing in here waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import count, islice
from typing import Any, Generic, Literal, TypeAlias, TypeVar, cast

from trio.lowlevel import in_trio_run

from .._runtime import NORMAL, ActorExited, AlreadyRegistered, Exit, Owner, Run, Token, current_owner
from .acquire_queue import Queue, Queues
from .entry import Entry
from .events import Hub, Registered, Unregistered
from .partition import DuplicatePartition, UniquePartition

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Total: TypeAlias = tuple[int | Fraction, int]
"""The exact sum of the values of a key, and how many of them are floats."""

_numbers = count()
_NOTHING: Total = (0, 0)
_entering = threading.RLock()  # not a Lock: a finalizer may run inside of it, and that may be anybody's code

# What `Entry(...)` comes down to, without the Python function that a named tuple has around it.
_new_entry = cast(
    "Callable[[type[Entry[Any]], tuple[Owner, Any]], Entry[Any]]",
    tuple.__new__,  # pyright: ignore[reportUnknownMemberType]
)


class Changes(Generic[K, V]):
    """What has become of entries since a selection began.

    Attributes:
        became: By the id of an entry, what is in its place now: None if nothing is. With the entry itself, as an id
            is used again when its object is gone.
        untold: What the selection has not heard of yet: key, old entry, new entry.
    """

    __slots__ = ("became", "untold")

    def __init__(self) -> None:
        self.became: dict[int, tuple[Entry[V], Entry[V] | None]] = {}
        self.untold: deque[tuple[K, Entry[V], Entry[V] | None]] = deque()

    def note(self, key: K, old: Entry[V], new: Entry[V] | None) -> None:
        self.became[id(old)] = (old, new)
        self.untold.append((key, old, new))

    def current(self, entry: Entry[V]) -> Entry[V] | None:
        """What is in the place of an entry now."""
        current: Entry[V] | None = entry
        # No more steps than there are changes now: a writer in another thread may go on adding. Those are untold yet.
        for _ in range(len(self.became)):
            if current is None or id(current) not in self.became:
                break
            current = self.became[id(current)][1]
        return current


class Names(Generic[K, V]):
    """What a registry keeps.

    Attributes:
        unique, duplicate: The partitions: one of the two lists is empty.
        sole: The key table itself, where keys are unique and there is one partition: the hottest path there is.
        hub: Those who listen; None while nobody does.
        queues: Those who wait for a unique name.
        selections: For each selection that has let other tasks run: what has changed since it began.
        totals: The sum of the values of each key, or None where nobody asked for it.
    """

    __slots__ = (
        "_run",
        "by_owner",
        "duplicate",
        "hub",
        "n",
        "name",
        "queues",
        "selections",
        "sole",
        "totals",
        "unique",
    )

    def __init__(self, name: str, kind: str, partitions: int, *, by_owner: bool, totals: bool) -> None:
        self.name = name
        self.n = partitions
        self.by_owner = by_owner
        is_unique = kind == "unique"
        self.unique: list[UniquePartition[K, V]] = [UniquePartition() for _ in range(partitions)] if is_unique else []
        self.duplicate: list[DuplicatePartition[K, V]] = (
            [] if is_unique else [DuplicatePartition() for _ in range(partitions)]
        )
        self.sole: dict[K, Entry[V]] | None = self.unique[0].table if is_unique and partitions == 1 else None
        self.hub: Hub[K, V] | None = None
        self.totals: dict[K, Total] | None = {} if totals else None
        self.queues: Queues[K, V] = Queues()
        self.selections: list[Changes[K, V]] = []
        self._run: Run | None = None

    # Reading: any thread

    @property
    def partitions(self) -> Sequence[UniquePartition[K, V] | DuplicatePartition[K, V]]:
        return self.unique or self.duplicate

    def count(self) -> int:
        return sum(map(len, self.partitions))

    def entry(self, key: K) -> Entry[V] | None:
        """The entry of a unique key."""
        if self.sole is not None:
            return self.sole.get(key)
        return self._table(key).get(key)

    def _table(self, key: K) -> dict[K, Entry[V]]:
        """The table that a unique key is in."""
        return self.unique[hash(key) % self.n].table

    def groups(self, key: K) -> Iterator[list[Entry[V]]]:
        """The entries of a key, one list for each partition that has any."""
        for partition in self.partitions_with(key):
            entries = self.group(key, partition)
            if entries:
                yield entries

    def partitions_with(self, key: K) -> list[int]:
        """The numbers of the partitions that may have entries of a key."""
        return list(range(self.n)) if self.duplicate and self.by_owner else [hash(key) % self.n]

    def first(self, key: K) -> Entry[V] | None:
        """The first entry of a key, however many there are."""
        return next((entry for n in self.partitions_with(key) for entry in self.group(key, n, at_most=1)), None)

    def group(self, key: K, partition: int, at_most: int | None = None) -> list[Entry[V]]:
        """The entries of a key in one partition."""
        if self.duplicate:
            return self.duplicate[partition].entries(key, at_most)
        entry = self.unique[partition].table.get(key)
        return [] if entry is None else [entry]

    def partition_of(self, owner: Owner, key: K) -> int:
        """The number of the partition that an entry is in."""
        return (owner._number if self.duplicate and self.by_owner else hash(key)) % self.n

    def held(self, owner: Owner, key: K, at_most: int | None = None) -> list[tuple[int, Entry[V]]]:
        """What an owner has under a key: the number and the entry of each, oldest first."""
        token = owner._token(self, key)
        if token is None:
            return []
        if self.unique:
            entry = self.entry(key)
            assert isinstance(token, int)
            return [(token, entry)] if entry is not None and entry.owner is owner else []
        group = self.duplicate[self.partition_of(owner, key)].table.get(key, {})
        # Each number is asked for once: in another thread's run it may go at any time.
        found = [(number, group.get(number)) for number in numbers_in(token, at_most)]
        return [(number, entry) for number, entry in found if entry is not None]

    # Who may write

    def is_written_here(self) -> bool:
        """Whether the run that writes is in this thread: nothing is written while this thread is busy."""
        return self._run is not None and self._run.thread == threading.get_ident()

    def writer(self, owner: Owner | None) -> Owner:
        """The owner to write for, once it is certain that it may be written for, from here, now."""
        if owner is None:
            try:
                owner = current_owner()
            except RuntimeError:
                raise RuntimeError(
                    f"registry {self.name!r} can only be written from inside the Trio run that hosts the owner"
                ) from None
        else:
            owner = as_owner("owner", owner)
            if not owner.is_alive:
                raise ActorExited(owner, getattr(owner, "exit", None) or NORMAL)
            if owner._run.thread != threading.get_ident():
                elsewhere = (
                    f"{owner!r} lives in another one"
                    if in_trio_run()
                    else "this thread is in none: use trio.from_thread to get there"
                )
                raise RuntimeError(
                    f"registry {self.name!r} can only be written from inside the Trio run that hosts the owner, "
                    f"and {elsewhere}"
                )
        if owner._run is not self._run:
            self.enter(owner._run)
        return owner

    def enter(self, run: Run) -> None:
        """From here on, and until it ends, the names are those of this run; refused if they are another one's.

        Not until its last name is gone: in another thread that run may be about to take the next one, and to ask would
        need a lock around every change. A run that has ended changes nothing, so that two can only meet here.
        """
        with _entering:
            if self._run is not run and self._run is not None:
                if not self._run.is_over:
                    raise RuntimeError(f"registry {self.name!r} is in use by another Trio run ({self._run!r})")
                # Where that run broke down, its tasks still seem to wait.
                self.queues.by_key.clear()
                if self.hub is not None:
                    self.hub.forget_tasks()
            self._run = run

    # Writing: the thread of the run, one step

    def insert(self, owner: Owner, key: K, value: V) -> int:
        """Add an entry, or raise and change nothing. Returns the number that tells it from every other one."""
        entry: Entry[V] = _new_entry(Entry, (owner, value))
        number = next(_numbers)
        if self.unique:
            # One dict operation both asks and takes: should the key's own `__eq__` raise, nothing has happened.
            table = self._table(key) if self.sole is None else self.sole
            taken = table.setdefault(key, entry)
            if taken is not entry:
                raise AlreadyRegistered(self.name, key, taken.owner, taken.value)
            try:
                owner._take(self, key, number)
            except BaseException:
                # A key whose `__eq__` raises. What came last goes first, without comparing any key.
                table.popitem()
                raise
        else:
            token = owner._token(self, key)
            partition = self.duplicate[self.partition_of(owner, key)]
            group = partition.add(key, number, entry)
            try:
                if token is None:
                    owner._take(self, key, number)
                elif isinstance(token, dict):
                    token[number] = None
                else:
                    owner._retake(self, key, {token: None, number: None})
            except BaseException:
                partition.undo_add(group)
                raise
        if self.totals is not None:
            self._count(key, value)
        if self.hub is not None:
            self.hub.note(Registered(self.name, key, owner, value))
            self._tell(self.hub)
        return number

    def delete(self, owner: Owner, key: K, number: int) -> bool:
        """Remove one entry of an owner, if it is still there."""
        token = owner._token(self, key)
        if isinstance(token, dict) and len(token) > 1:
            if number not in token:
                return False
            self._remove(owner, key, number, None)
            del token[number]
        elif token is None or number not in numbers_in(token):
            return False
        else:
            self._give_back(owner, key, token)
        if self.hub is not None:
            self._tell(self.hub)
        return True

    def delete_all(self, owner: Owner, key: K) -> int:
        """Remove every entry that an owner has for a key. Returns how many."""
        token = owner._token(self, key)
        if token is None:
            hash(key)  # an owner without names has compared it with nothing
            return 0
        removed = self._give_back(owner, key, token)
        if self.hub is not None:
            self._tell(self.hub)
        return removed

    def replace(self, owner: Owner, key: K, number: int, value: V) -> None:
        """Give one entry of an owner another value; the entry must be there."""
        new: Entry[V] = _new_entry(Entry, (owner, value))
        if self.unique:
            table = self._table(key)
            old, table[key] = table[key], new
        else:
            group = self.duplicate[self.partition_of(owner, key)].table[key]
            old, group[number] = group[number], new
        if self.selections:
            self._changed(key, old, new)
        if self.totals is not None:
            self._count(key, value, instead_of=old)

    def hand_over(self, key: K, owner: Owner, to: Owner, value: V, exit: Exit | None = None) -> bool:
        """Put ``to`` in the place of ``owner``: no moment without a holder, none with two.

        Returns False, having done nothing, if ``owner`` does not hold the unique key.
        """
        table = self._table(key)
        entry = table.get(key)
        if entry is None or entry.owner is not owner:
            return False
        token = owner._token(self, key)
        assert token is not None
        queue = self.queues.by_key.get(key)
        new = Entry(to, value)
        owner._drop(self, key)
        try:
            to._take(self, key, next(_numbers))
            try:
                table[key] = new
            except BaseException:
                to._drop(self, key)
                raise
        except BaseException:
            # A key whose `__eq__` raises.
            owner._take(self, key, token)
            raise
        if self.selections:
            self._changed(key, entry, new)
        if self.totals is not None:
            self._count(key, value, instead_of=entry)
        if queue is not None:
            self.queues.wake(queue, to)
        if self.hub is not None:
            self.hub.note(Unregistered(self.name, key, owner, entry.value, exit))
            self.hub.note(Registered(self.name, key, to, value))
            self._tell(self.hub)
        return True

    def _reclaim(self, owner: Owner, keys: Mapping[Any, Token], exit: Exit | None) -> None:
        """The owner has ended (`Lessor`): forget its entries. Must not raise, and must not leave one behind."""
        for key, token in keys.items():
            try:
                queue = self.queues.by_key.get(key) if self.queues.by_key else None
                self._remove(owner, key, token, exit)
                if queue is not None:
                    self._pass_on(key, queue)
            except Exception:
                # Only a key whose `__hash__` or `__eq__` does not do today what it did when it was registered gets
                # here. Its entries still must go: look for them by their owner instead.
                self._purge(owner, exit)
                break
        if self.hub is not None:
            self._tell(self.hub)

    def _purge(self, owner: Owner, exit: Exit | None) -> None:
        for partition in self.partitions:
            for key, entry in partition.purge(owner):
                self._gone(owner, key, entry, exit)
                with suppress(Exception):
                    self._pass_on(key, self.queues.by_key.get(key))
        if self.totals is not None:
            self._recount()

    def _give_back(self, owner: Owner, key: K, token: Token) -> int:
        """Take all entries that an owner has for a key out of its lease and out of the table, or out of neither."""
        queue = self.queues.by_key.get(key) if self.queues.by_key else None
        owner._drop(self, key)
        try:
            removed = self._remove(owner, key, token, None)
        except BaseException:
            # A key whose `__eq__` raises, or whose hash has changed.
            owner._take(self, key, token)
            raise
        if queue is not None:
            self._pass_on(key, queue)
        return removed

    def _remove(self, owner: Owner, key: K, token: Token, exit: Exit | None) -> int:
        """Take entries out of the table; the lease with the owner is the caller's."""
        if self.unique:
            table = self._table(key) if self.sole is None else self.sole
            entry = table.pop(key)
            if entry[0] is not owner:
                table[key] = entry
                raise KeyError(key)  # only where a key has misbehaved; and nobody takes another's name
            if self.selections or self.hub is not None:
                self._gone(owner, key, entry, exit)
            if self.totals is not None:
                self._discount(key, [entry])
            return 1
        entries = self.duplicate[self.partition_of(owner, key)].remove(key, numbers_in(token))
        if self.selections or self.hub is not None:
            for entry in entries:
                self._gone(owner, key, entry, exit)
        if self.totals is not None:
            self._discount(key, entries)
        return len(entries)

    def _gone(self, owner: Owner, key: K, entry: Entry[V], exit: Exit | None) -> None:
        if self.selections:
            self._changed(key, entry, None)
        if self.hub is not None:
            self.hub.note(Unregistered(self.name, key, owner, entry.value, exit))

    def _changed(self, key: K, old: Entry[V], new: Entry[V] | None) -> None:
        # A copy: a selection in another thread may come to its end.
        for changes in self.selections[:]:
            changes.note(key, old, new)

    def _pass_on(self, key: K, queue: Queue[V] | None) -> None:
        """If somebody waits for a name that is free, it is theirs before anybody else can see it."""
        while True:
            turn = self.queues.wake_next(queue)
            if turn is None:
                return
            try:
                self.insert(turn.owner, key, turn.value)
            except Exception as error:
                turn.error = error  # a key whose `__eq__` raises: the next one, then
            else:
                return

    def _tell(self, hub: Hub[K, V]) -> None:
        # While an owner ends, its names go one by one: nobody is told before the last one is gone.
        assert self._run is not None
        if self._run.untold is None:
            hub.tell()
        else:
            self._run.untold[hub] = None

    # Totals: exact, as a sum of floats that come and go would not be

    def _count(self, key: K, value: Any, instead_of: Entry[Any] | None = None) -> None:
        assert self.totals is not None
        try:
            total = _plus(self.totals.get(key, _NOTHING), value)
            self.totals[key] = total if instead_of is None else _plus(total, instead_of.value, -1)
        except Exception:
            self._recount()

    def _discount(self, key: K, gone: Iterable[Entry[Any]]) -> None:
        assert self.totals is not None
        try:
            if any(key in self.partitions[number].table for number in self.partitions_with(key)):
                total = self.totals[key]
                for entry in gone:
                    total = _plus(total, entry.value, -1)
                self.totals[key] = total
            else:
                del self.totals[key]
        except Exception:
            self._recount()

    def _recount(self) -> None:
        """Add up all values anew, where a key that can't be compared has got in the way: the change itself is done."""
        assert self.totals is not None
        totals: dict[K, Total] = {}
        for partition in self.partitions:
            for key, entry in partition.rows():
                with suppress(Exception):
                    totals[key] = _plus(totals.get(key, _NOTHING), cast("Any", entry.value))
        self.totals = totals


def as_owner(argument: str, owner: object) -> Owner:
    if not isinstance(owner, Owner):
        raise TypeError(f"{argument} must be an ActorRef or a TaskOwner, not {owner!r}")
    return owner._canonical()


def numbers_in(token: Token, at_most: int | None = None) -> list[int]:
    if not isinstance(token, dict):
        return [token]
    # One call in C copies it whole, whatever another thread's run does; of a part, there is an iterator for a moment.
    return list(token) if at_most is None else list(islice(token, at_most))


def _plus(total: Total, value: float, sign: Literal[1, -1] = 1) -> Total:
    if isinstance(value, float):
        return total[0] + sign * Fraction(value), total[1] + sign
    return total[0] + sign * value, total[1]
