"""Every change to the names of one registry. A change happens whole, or not at all.

A change keeps three things together, without a step of the scheduler in between: the key table (`tables.py`), the lease
with the owner (`owner.py`) and the totals (`totals.py`). Then it gives a freed unique name to the first task in its
queue (`acquire_queue.py`), and the notifier delivers the events (`notifier.py`). Nothing in here waits.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, count
from typing import Any, TypeVar

from .._runtime import (
    COLLECTING,
    AlreadyRegistered,
    Exit,
    Owner,
    SafeLogger,
    Token,
    do_later,
    is_finalizing,
    require_room,
    shown_safely,
)
from .acquire_queue import AcquireQueue
from .bound_tables import BoundTables
from .entry import Entry, new_entry
from .events import Event, Registered, Unregistered
from .notifier import Notifier
from .tables import numbers_in
from .totals import require_summand
from .walk import walk

logger = SafeLogger("trioreg.registry")

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

entry_numbers = count()
"""The numbers of the entries, one after the other."""


class Names(BoundTables[K, V]):
    """The tables of a registry, and every change to them."""

    __slots__ = ()

    def entries_of(self, owner: Owner, key: K, at_most: int | None = None) -> list[tuple[int, Entry[V]]]:
        """The entries of an owner for a key, each with its number, oldest first. Safe from any thread."""
        token = owner._token(self, key)
        if token is None:
            return []
        if self.unique:
            entry = self.entry(key)
            assert isinstance(token, int)
            return [(token, entry)] if entry is not None and entry.owner is owner else []
        group = self.duplicate[self.partition_of(owner, key)].table.get(key, {})
        # Each number is looked up once: another thread's run may remove its entry at any time.
        found = [(number, group.get(number)) for number in numbers_in(token, at_most)]
        return [(number, entry) for number, entry in found if entry is not None]

    def walk(self, key: K, at_most: int) -> Iterable[list[Entry[V]]]:
        """The entries that a duplicate key has now, in lists of ``at_most`` or fewer.

        If they are more than one list, an entry that goes before its list is made may be left out.
        """
        if self.n == 1 and len(self.duplicate[0].table.get(key, ())) <= at_most:
            return (self.duplicate[0].entries(key),)
        before = next(entry_numbers)
        walks: list[Iterator[list[Entry[V]]]] = []
        for number in self.partitions_with(key):
            partition = self.duplicate[number]
            group = partition.table.get(key)
            if group is not None:
                walks.append(walk(partition, group, before, at_most))
        return chain.from_iterable(walks)

    # Changes: in the thread of the run, in one step

    def insert(self, owner: Owner, key: K, value: V) -> int:
        """Add an entry, or raise and change nothing. Returns the number of the entry: each has its own."""
        if self.totals is not None or self.notifier is not None:
            require_room()  # for what comes behind the change
        entry: Entry[V] = new_entry(Entry, (owner, value))
        number = next(entry_numbers)
        if self.unique:
            # One dict operation both looks and takes: if the key's own `__eq__` raises, nothing has happened.
            table = self.table_of(key) if self.sole is None else self.sole
            taken = table.setdefault(key, entry)
            if taken is not entry:
                raise AlreadyRegistered(self.name, key, taken.owner, taken.value)
            try:
                owner._take(self, key, number)
            except BaseException:
                # The key's `__eq__` raised. This removes the last item of the table without comparing any key.
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
        if self.totals is not None or self.notifier is not None:
            events: list[Event[K, V]] = []
            try:
                if self.notifier is not None:
                    events = [Registered(self.name, key, owner, value)]
                if self.totals is not None:
                    self.totals.add(self, key, value)
            except BaseException:
                self._remove_quietly(owner, key, number)
                raise
            if self.notifier is not None:
                self.notifier.posted += events
                self._deliver_events(self.notifier)
        return number

    def claim(self, owner: Owner, key: K, value: V) -> None:
        """`Registration.register`, for an actor that is about to start: it is alive, and this is its own thread."""
        if owner._run is not self._run:
            self.bind_to_run(owner._run)
        if self.plain is None or owner._held is not None:
            if self.totals is not None:
                require_summand("value", value)
            self.insert(owner, key, value)
            return
        # `insert`, written out for names in one table that nothing follows, and an owner without another name.
        entry: Entry[V] = new_entry(Entry, (owner, value))
        held = self, key, next(entry_numbers)
        table = self.plain
        if table is None:  # to make those has run the garbage collector, and a `__del__` that follows the registry
            self.insert(owner, key, value)
            return
        taken = table.setdefault(key, entry)
        if taken is not entry:
            raise AlreadyRegistered(self.name, key, taken.owner, taken.value)
        owner._held = held

    def _remove_quietly(self, owner: Owner, key: K, number: int) -> None:
        """Undo an `insert` that nothing has been told of."""
        token = owner._token(self, key)
        if isinstance(token, dict) and len(token) > 1:
            del token[number]
        else:
            owner._drop(self, key)
        if self.unique:
            del self.table_of(key)[key]
        else:
            self.duplicate[self.partition_of(owner, key)].remove(key, [number])
        if self.totals is not None:
            self.totals.recount(self)

    def delete(self, owner: Owner, key: K, number: int) -> bool:
        """Remove one entry of an owner, if it is still there."""
        token = owner._token(self, key)
        if isinstance(token, dict) and len(token) > 1:
            if number not in token:
                self.deliver_posted()  # it may have been removed, by a call that failed before this
                return False
            self._remove_from_tables(owner, key, number, None)
            del token[number]
        elif token is None or number not in numbers_in(token):
            self.deliver_posted()
            return False
        else:
            self._remove_all(owner, key, token)
        if self.notifier is not None:
            self._deliver_events(self.notifier)
        return True

    def delete_all(self, owner: Owner, key: K) -> int:
        """Remove all entries of an owner for a key. Returns their number."""
        token = owner._token(self, key)
        if token is None:
            hash(key)  # raises if the key is not hashable: nothing has looked at it yet
            self.deliver_posted()
            return 0
        removed = self._remove_all(owner, key, token)
        if self.notifier is not None:
            self._deliver_events(self.notifier)
        return removed

    def replace(
        self, owner: Owner, key: K, number: int, value: V, instead_of: Entry[V] | None = None
    ) -> Entry[V] | None:
        """Change the value of one entry of an owner. Returns the entry that was there.

        None, and nothing has changed, if it is gone, or if it is not ``instead_of``: a `__del__` was quicker.
        """
        if self.totals is not None or self.selections:
            require_room()  # for what comes behind the change
        new: Entry[V] = new_entry(Entry, (owner, value))
        table, place = self._place_of(owner, key, number)
        # From here on no call: the garbage collector may run there, and a `__del__` that removes the entry.
        if place not in table:
            return None
        old = table[place]
        if old[0] is not owner or (instead_of is not None and old is not instead_of):
            return None
        if self.selections:
            self._record_change(key, old, new)
        try:
            if self.selections:
                table, place = self._place_of(owner, key, number)
                if place not in table or table[place] is not old:
                    self._record_change(key, new, table.get(place))
                    return None
            table[place] = new
        except BaseException:
            self._undo_record(key, old, new)  # the key's `__eq__` raised, or there is no memory
            raise
        if self.totals is not None:
            try:
                self.totals.add(self, key, value, instead_of=old)
            except BaseException:
                self.totals.recount(self)  # the change itself is done
        return old

    def _place_of(self, owner: Owner, key: K, number: int) -> tuple[dict[Any, Entry[V]], K | int]:
        """The dict that has an entry in it, as long as it is there, and the entry's place in it."""
        if self.unique:
            return self.table_of(key), key
        groups = self.duplicate[self.partition_of(owner, key)].table
        if key not in groups:
            return {}, number
        return groups[key], number  # no call in between

    def hand_over(self, key: K, owner: Owner, to: Owner, value: V, exit: Exit | None = None) -> bool:
        """Give a unique key of ``owner`` to another owner. At every moment it has exactly one.

        Returns False and does nothing if ``owner`` does not hold the key.
        """
        table = self.table_of(key)
        entry = table.get(key)
        if entry is None or entry.owner is not owner:
            return False
        token = owner._token(self, key)
        assert token is not None
        queue = self.queues.by_key.get(key)
        new = Entry(to, value)
        events: tuple[Event[K, V], ...] = ()
        if self.notifier is not None:
            events = Unregistered(self.name, key, owner, entry.value, exit), Registered(self.name, key, to, value)
        require_room()  # for what comes behind the change, when it can't be undone any more
        if self.selections:
            self._record_change(key, entry, new)
        held = owner._held
        try:
            owner._drop(self, key)
            try:
                to._take(self, key, next(entry_numbers))
                try:
                    table[key] = new
                except BaseException:
                    to._drop(self, key)
                    raise
            except BaseException:
                # The key's `__eq__` raised, or the stack is full.
                owner._undrop(held, self, key, token)
                raise
        except BaseException:
            if self.selections:
                self._undo_record(key, entry, new)
            raise
        if self.totals is not None:
            try:
                self.totals.add(self, key, value, instead_of=entry)
            except BaseException:
                self.totals.recount(self)  # the change itself is done
        if queue is not None:
            try:
                self.queues.wake(queue, to)
            except (MemoryError, RecursionError):
                to._run.token.run_sync_soon(self.queues.wake, queue, to)  # it has the name already
        if self.notifier is not None:
            self.notifier.posted += events
            self._deliver_events(self.notifier)
        return True

    def _reclaim(self, owner: Owner, keys: Collection[tuple[Any, Token]], exit: Exit | None) -> None:
        """Remove the entries of an owner that has ended (`Lessor`). Must not raise, and must not leave an entry."""
        table = self.sole
        if self.queues.by_key or self.selections or self.notifier is not None or self.totals is not None:
            table = None
        for key, token in keys:
            try:
                if table is not None:
                    # `_remove_from_tables`, written out for names in one table that nothing follows.
                    entry = table.pop(key)
                    if entry[0] is owner:
                        continue
                    table[key] = entry
                    raise KeyError(key)
                queue = self.queues.by_key.get(key) if self.queues.by_key else None
                self._remove_from_tables(owner, key, token, exit)
                if queue is not None:
                    try:
                        self._give_to_next(key, queue)
                    except (MemoryError, RecursionError):
                        owner._run.token.run_sync_soon(self._give_if_free, key, queue)
            except BaseException as error:
                # A key's `__hash__` or `__eq__` does not do now what it did when the key was registered. The entries
                # still must go: find them by their owner instead.
                self._purge(owner, exit)
                if not isinstance(error, Exception):
                    text = "registry %r: a key raised when its owner %r ended"
                    logger.report(error, "key_failed", text, self.name, owner, registry=self.name, actor=owner)
                break
        if self.notifier is not None:
            self._deliver_events(self.notifier)

    def _purge(self, owner: Owner, exit: Exit | None) -> None:
        free: list[K] = []
        for partition in self.partitions:
            purged, lost = partition.purge(owner)
            for key, entry in purged:
                self._note_purged(owner, key, entry, exit)
                free.append(key)
            for key, entry in lost:
                self._note_purged(entry.owner, key, entry, None)
                error = KeyError("its key can no longer be hashed or compared")
                text = "registry %r: the entry of %r for %s is lost"
                args = (self.name, entry.owner, shown_safely(key))
                logger.report(error, "entry_lost", text, *args, registry=self.name, key=key, actor=entry.owner)
        for key in free if self.queues.by_key else ():
            with suppress(Exception):
                for queue in self.queues.find(key):
                    self._give_to_next(key, queue)
        if self.totals is not None:
            self.totals.recount(self)

    def _remove_all(self, owner: Owner, key: K, token: Token) -> int:
        """Remove all entries of an owner for a key: from its lease and from the table, or from neither."""
        queue = self.queues.by_key.get(key) if self.queues.by_key else None
        if queue is not None or self.notifier is not None:
            require_room()  # for what comes behind the change, when it can't be undone any more
        held = owner._held
        owner._drop(self, key)
        try:
            removed = self._remove_from_tables(owner, key, token, None)
        except BaseException:
            # The key's `__eq__` raised, or its hash has changed, or the stack is full.
            owner._undrop(held, self, key, token)
            raise
        if queue is not None:
            try:
                self._give_to_next(key, queue)
            except (MemoryError, RecursionError):
                owner._run.token.run_sync_soon(self._give_if_free, key, queue)
        return removed

    def _remove_from_tables(self, owner: Owner, key: K, token: Token, exit: Exit | None) -> int:
        """Remove entries from the table. The caller takes care of the lease with the owner."""
        if self.unique:
            table = self.table_of(key) if self.sole is None else self.sole
            entry = table.pop(key)
            if entry[0] is not owner:
                table[key] = entry
                raise KeyError(key)  # a key that compares wrongly must not remove the name of another owner
            if self.selections or self.notifier is not None or self.totals is not None:
                try:
                    self._note_removal(owner, key, [entry], exit)
                except BaseException:
                    table[key] = entry
                    raise
            return 1
        partition = self.duplicate[self.partition_of(owner, key)]
        numbers = numbers_in(token)
        size = len(numbers)
        entries = partition.remove(key, numbers)
        if self.selections or self.notifier is not None or self.totals is not None:
            try:
                self._note_removal(owner, key, entries, exit)
            except BaseException:
                for number, entry in zip(numbers, entries, strict=True):
                    partition.add(key, number, entry)
                partition.sort(key)
                raise
        return size

    def _note_removal(self, owner: Owner, key: K, entries: list[Entry[V]], exit: Exit | None) -> None:
        """Tell all that follow the registry. It does all of it, or raises and nothing is done."""
        events: list[Event[K, V]] = []
        if self.notifier is not None:
            events = [Unregistered(self.name, key, owner, entry.value, exit) for entry in entries]
        if self.totals is not None:
            self.totals.subtract(self, key, entries)
        if self.selections:
            for entry in entries:
                self._record_change(key, entry, None)
        if self.notifier is not None:
            self.notifier.posted += events

    def _note_purged(self, owner: Owner, key: K, entry: Entry[V], exit: Exit | None) -> None:
        if self.selections:
            self._record_change(key, entry, None)
        if self.notifier is not None:
            self.notifier.posted.append(Unregistered(self.name, key, owner, entry.value, exit))

    def _record_change(self, key: K, old: Entry[V], new: Entry[V] | None) -> None:
        # A copy: a selection in another thread may end meanwhile.
        selections = self.selections[:]
        try:
            for changes in selections:
                changes.record(key, old, new)
        except BaseException:
            for changes in selections:
                changes.undo(key, old, new)
            raise

    def _undo_record(self, key: K, old: Entry[V], new: Entry[V] | None) -> None:
        for changes in self.selections[:]:
            changes.undo(key, old, new)

    def _give_to_next(self, key: K, queue: AcquireQueue[V] | None) -> None:
        """Give a free name to the first owner that waits for it, before any code can see it free."""
        while True:
            waiter = self.queues.wake_next(queue)
            if waiter is None:
                return
            try:
                self.insert(waiter.owner, key, waiter.value)
            except BaseException as error:
                if any(held is key for held, _ in waiter.owner._keys(self)):
                    waiter.error = None
                    raise  # it has the name: a listener raised `SystemExit` when it was told
                waiter.error = error  # the key's `__eq__` raised: try the next waiter
            else:
                waiter.error = None
                return

    def _give_if_free(self, key: K, queue: AcquireQueue[V]) -> None:
        with suppress(Exception):
            if self.entry(key) is None:
                self._give_to_next(key, queue)

    def deliver_posted(self) -> None:
        """Deliver what is posted and not told yet. Nothing happens if there is none."""
        if self.notifier is not None and self.notifier.posted:
            self._deliver_events(self.notifier)

    def _deliver_events(self, notifier: Notifier[K, V]) -> None:
        # While an owner ends, its names go one by one. Events are delivered when the last one is gone.
        assert self._run is not None
        if COLLECTING and is_finalizing():
            do_later(self._run.token, notifier.deliver)  # a channel wakes tasks
        elif self._run.undelivered is None:
            try:
                notifier.deliver()
            except (MemoryError, RecursionError):
                do_later(self._run.token, notifier.deliver)  # the change is done, and is told a little later
        else:
            self._run.undelivered[notifier] = None
