"""The names of one registry: who holds what, changed whole or not at all.

`Names` owns the partitions and every change to them. A change keeps three things together, with no step of the
scheduler in between: the key table, the lease with the owner (`_owner.py`), and the totals; then it hands a freed
unique name to the first in its queue (`_queue.py`), and tells the `Notifier`. Nothing in here waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar, cast

from trio.lowlevel import in_trio_run

from .._runtime import NORMAL, ActorExited, AlreadyRegistered, Exit, Owner, Run, Token, current_owner, current_run
from .acquire_queue import AcquireQueue, AcquireQueues
from .arguments import as_owner
from .changes import Changes
from .entry import Entry
from .events import Registered, Unregistered
from .notifier import Notifier
from .tables import Tables, numbers_in
from .totals import Totals

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_numbers = count()
_binding = threading.RLock()  # not a Lock: a finalizer may run inside of it, and that may be anybody's code

# What `Entry(...)` comes down to, without the Python function that a named tuple has around it.
_new_entry = cast(
    "Callable[[type[Entry[Any]], tuple[Owner, Any]], Entry[Any]]",
    tuple.__new__,  # pyright: ignore[reportUnknownMemberType]
)


class Names(Tables[K, V]):
    """What a registry keeps: its tables, and all that changes with them.

    Attributes:
        notifier: Those who listen; None while nobody does.
        queues: Those who wait for a unique name.
        selections: For each selection that has let other tasks run: what has changed since it began.
        totals: The sum of the values of each key, or None where nobody asked for it.
    """

    __slots__ = ("_run", "name", "notifier", "queues", "selections", "totals")

    def __init__(self, name: str, kind: str, partitions: int, *, by_owner: bool, totals: bool) -> None:
        super().__init__(kind, partitions, by_owner=by_owner)
        self.name = name
        self.notifier: Notifier[K, V] | None = None
        self.totals: Totals[K] | None = Totals() if totals else None
        self.queues: AcquireQueues[K, V] = AcquireQueues()
        self.selections: list[Changes[K, V]] = []
        self._run: Run | None = None

    def entries_of(self, owner: Owner, key: K, at_most: int | None = None) -> list[tuple[int, Entry[V]]]:
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

    def writable_owner(self, owner: Owner | None) -> Owner:
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
            self.bind_to_run(owner._run)
        return owner

    def bind_to_run(self, run: Run) -> None:
        """From here on, and until it ends, the names are those of this run; refused if they are another one's.

        Not until its last name is gone: in another thread that run may be about to take the next one, and to ask would
        need a lock around every change. A run that has ended changes nothing, so that two can only meet here.
        """
        with _binding:
            if self._run is not run and self._run is not None:
                if not self._run.is_over:
                    raise RuntimeError(f"registry {self.name!r} is in use by another Trio run ({self._run!r})")
                # Where that run broke down, its tasks still seem to wait.
                self.queues.by_key.clear()
                if self.notifier is not None:
                    self.notifier.forget_tasks()
            self._run = run

    def open_notifier(self) -> Notifier[K, V]:
        """The notifier, made when it is first needed, for a task of the running run to follow the registry."""
        self.bind_to_run(current_run())
        if self.notifier is None:
            self.notifier = Notifier(())
        return self.notifier

    # Writing: the thread of the run, one step

    def insert(self, owner: Owner, key: K, value: V) -> int:
        """Add an entry, or raise and change nothing. Returns the number that tells it from every other one."""
        entry: Entry[V] = _new_entry(Entry, (owner, value))
        number = next(_numbers)
        if self.unique:
            # One dict operation both asks and takes: should the key's own `__eq__` raise, nothing has happened.
            table = self.table_of(key) if self.sole is None else self.sole
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
            self.totals.add(self, key, value)
        if self.notifier is not None:
            self.notifier.post(Registered(self.name, key, owner, value))
            self._deliver_events(self.notifier)
        return number

    def delete(self, owner: Owner, key: K, number: int) -> bool:
        """Remove one entry of an owner, if it is still there."""
        token = owner._token(self, key)
        if isinstance(token, dict) and len(token) > 1:
            if number not in token:
                return False
            self._remove_from_tables(owner, key, number, None)
            del token[number]
        elif token is None or number not in numbers_in(token):
            return False
        else:
            self._remove_all(owner, key, token)
        if self.notifier is not None:
            self._deliver_events(self.notifier)
        return True

    def delete_all(self, owner: Owner, key: K) -> int:
        """Remove every entry that an owner has for a key. Returns how many."""
        token = owner._token(self, key)
        if token is None:
            hash(key)  # an owner without names has compared it with nothing
            return 0
        removed = self._remove_all(owner, key, token)
        if self.notifier is not None:
            self._deliver_events(self.notifier)
        return removed

    def replace(self, owner: Owner, key: K, number: int, value: V) -> None:
        """Give one entry of an owner another value; the entry must be there."""
        new: Entry[V] = _new_entry(Entry, (owner, value))
        if self.unique:
            table = self.table_of(key)
            old, table[key] = table[key], new
        else:
            group = self.duplicate[self.partition_of(owner, key)].table[key]
            old, group[number] = group[number], new
        if self.selections:
            self._record_change(key, old, new)
        if self.totals is not None:
            self.totals.add(self, key, value, instead_of=old)

    def hand_over(self, key: K, owner: Owner, to: Owner, value: V, exit: Exit | None = None) -> bool:
        """Put ``to`` in the place of ``owner``: no moment without a holder, none with two.

        Returns False, having done nothing, if ``owner`` does not hold the unique key.
        """
        table = self.table_of(key)
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
            self._record_change(key, entry, new)
        if self.totals is not None:
            self.totals.add(self, key, value, instead_of=entry)
        if queue is not None:
            self.queues.wake(queue, to)
        if self.notifier is not None:
            self.notifier.post(Unregistered(self.name, key, owner, entry.value, exit))
            self.notifier.post(Registered(self.name, key, to, value))
            self._deliver_events(self.notifier)
        return True

    def _reclaim(self, owner: Owner, keys: Mapping[Any, Token], exit: Exit | None) -> None:
        """The owner has ended (`Lessor`): forget its entries. Must not raise, and must not leave one behind."""
        for key, token in keys.items():
            try:
                queue = self.queues.by_key.get(key) if self.queues.by_key else None
                self._remove_from_tables(owner, key, token, exit)
                if queue is not None:
                    self._give_to_next(key, queue)
            except Exception:
                # Only a key whose `__hash__` or `__eq__` does not do today what it did when it was registered gets
                # here. Its entries still must go: look for them by their owner instead.
                self._purge(owner, exit)
                break
        if self.notifier is not None:
            self._deliver_events(self.notifier)

    def _purge(self, owner: Owner, exit: Exit | None) -> None:
        for partition in self.partitions:
            for key, entry in partition.purge(owner):
                self._record_removal(owner, key, entry, exit)
                with suppress(Exception):
                    self._give_to_next(key, self.queues.by_key.get(key))
        if self.totals is not None:
            self.totals.recount(self)

    def _remove_all(self, owner: Owner, key: K, token: Token) -> int:
        """Take all entries that an owner has for a key out of its lease and out of the table, or out of neither."""
        queue = self.queues.by_key.get(key) if self.queues.by_key else None
        owner._drop(self, key)
        try:
            removed = self._remove_from_tables(owner, key, token, None)
        except BaseException:
            # A key whose `__eq__` raises, or whose hash has changed.
            owner._take(self, key, token)
            raise
        if queue is not None:
            self._give_to_next(key, queue)
        return removed

    def _remove_from_tables(self, owner: Owner, key: K, token: Token, exit: Exit | None) -> int:
        """Take entries out of the table; the lease with the owner is the caller's."""
        if self.unique:
            table = self.table_of(key) if self.sole is None else self.sole
            entry = table.pop(key)
            if entry[0] is not owner:
                table[key] = entry
                raise KeyError(key)  # only where a key has misbehaved; and nobody takes another's name
            if self.selections or self.notifier is not None:
                self._record_removal(owner, key, entry, exit)
            if self.totals is not None:
                self.totals.subtract(self, key, [entry])
            return 1
        entries = self.duplicate[self.partition_of(owner, key)].remove(key, numbers_in(token))
        if self.selections or self.notifier is not None:
            for entry in entries:
                self._record_removal(owner, key, entry, exit)
        if self.totals is not None:
            self.totals.subtract(self, key, entries)
        return len(entries)

    def _record_removal(self, owner: Owner, key: K, entry: Entry[V], exit: Exit | None) -> None:
        if self.selections:
            self._record_change(key, entry, None)
        if self.notifier is not None:
            self.notifier.post(Unregistered(self.name, key, owner, entry.value, exit))

    def _record_change(self, key: K, old: Entry[V], new: Entry[V] | None) -> None:
        # A copy: a selection in another thread may come to its end.
        for changes in self.selections[:]:
            changes.record(key, old, new)

    def _give_to_next(self, key: K, queue: AcquireQueue[V] | None) -> None:
        """If somebody waits for a name that is free, it is theirs before anybody else can see it."""
        while True:
            waiter = self.queues.wake_next(queue)
            if waiter is None:
                return
            try:
                self.insert(waiter.owner, key, waiter.value)
            except Exception as error:
                waiter.error = error  # a key whose `__eq__` raises: the next one, then
            else:
                return

    def _deliver_events(self, notifier: Notifier[K, V]) -> None:
        # While an owner ends, its names go one by one: nobody is told before the last one is gone.
        assert self._run is not None
        if self._run.undelivered is None:
            notifier.deliver()
        else:
            self._run.undelivered[notifier] = None
