"""The holder of names, and its lease: the names that it holds, in any number of registries.

When an `Owner` ends, it gives all its names back in one step. A registry knows owners, never actors: an `ActorRef` is
an owner, and a `TaskOwner` (`task_owner.py`) stands for a plain Trio task.
"""

from __future__ import annotations

import threading
from itertools import count, islice
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from .finalizers import do_later
from .identity import Identity
from .log import SafeLogger
from .snapshot import items_of

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable

    from trio.lowlevel import Task

    from .exit import Exit
    from .trio_run import Run

    Keys: TypeAlias = dict[Any, "Token"]
    Lease: TypeAlias = tuple["Lessor", Hashable, "Token"]
    Held: TypeAlias = Lease | dict["Lessor", Keys] | None

Token: TypeAlias = int | dict[int, None]
"""What a registry keeps with an owner for each key: the number of the owner's entry, or the numbers of several."""

logger = SafeLogger("trioreg.runtime")

owner_numbers = count(1)
"""The numbers of the owners, one after the other."""


class Lessor(Protocol):
    """A registry, as an owner sees it: it takes the owner's names back."""

    def _reclaim(self, owner: Owner, keys: Collection[tuple[Any, Token]], exit: Exit | None) -> None: ...


class Owner(Identity):
    """The holder of a name: an `ActorRef`, or a `TaskOwner` for a plain Trio task. Hashable.

    A reference is equal to itself only. Two task owners are equal if they stand for the same task.

    A registry gives you owners (`Entry.owner`, `Registry.whereis`, `AlreadyRegistered.holder`), and you pass them as
    ``owner=``.
    """

    # `_held` is None, or (registry, key, token) for one name, or {registry: {key: token}} for several. Most actors have
    # one name: 100,000 of them should not pay for two dicts each.
    __slots__ = ("__weakref__", "_held", "_number", "_run")

    _instead_of_pickling: ClassVar[str] = "it leads to a task of this process; pickle the name that it has"

    def __init__(self, run: Run) -> None:
        self._run = run
        # Spreads owners over partitions evenly. The `hash` of an object does not: it depends on its place in memory.
        self._number = next(owner_numbers)
        self._held: Held = None

    @property
    def is_alive(self) -> bool:
        """Whether its task is still there. Not a checkpoint; constant time."""
        raise NotImplementedError  # pragma: no cover  # abstract

    def _owns(self, task: Task) -> bool:
        """Whether ``task``, the current one, runs this owner's code."""
        raise NotImplementedError  # pragma: no cover  # abstract

    def _require_thread(self) -> None:
        """Raise `RuntimeError` unless this is the thread of the Trio run that hosts this owner."""
        if threading.get_ident() != self._run.thread:
            raise RuntimeError(f"{self!r} lives in the Trio run of another thread: use trio.from_thread to get there")

    def _is_elsewhere(self) -> bool:
        """Whether this thread is not the thread of the owner's Trio run."""
        return threading.get_ident() != self._run.thread

    def _is_leaving(self) -> bool:
        """Whether this owner is in its last step, as another thread sees it: its names may not be gone yet."""
        return self._run.ending is self and self._is_elsewhere()

    def _canonical(self) -> Owner:
        """The object that holds the names, where several objects stand for one owner."""
        return self

    # The lease. Only registries call these.

    def _keys(self, registry: Lessor) -> Collection[tuple[Any, Token]]:
        """This owner's keys in ``registry``, with the registry's token for each. Safe from any thread."""
        # Pairs, and no dict: a key's own `__hash__` and `__eq__` are not asked.
        held = self._held
        if isinstance(held, tuple):
            return ((held[1], held[2]),) if held[0] is registry else ()
        keys = None if held is None else held.get(registry)
        return () if keys is None else items_of(keys)

    def _leases(self) -> list[tuple[Lessor, Any]]:
        """All keys that this owner has, each with whom it has it from. Safe from any thread."""
        held = self._held
        if held is None:
            return []
        if isinstance(held, tuple):
            return [(held[0], held[1])]
        return [(registry, key) for registry, keys in items_of(held) for key, _ in items_of(keys)]

    def _first_leases(self, at_most: int) -> tuple[list[tuple[Lessor, Any]], int]:
        """The first leases, and how many there are in all. In the owner's own thread. The cost grows with the number of
        registries, and not of keys."""
        held = self._held
        if not isinstance(held, dict):
            leases = self._leases()
            return leases[:at_most], len(leases)
        found = islice(((registry, key) for registry, keys in held.items() for key in keys), at_most)
        return list(found), sum(map(len, held.values()))

    def _token(self, registry: Lessor, key: Hashable) -> Token | None:
        """The registry's token for one of this owner's keys, or None. Safe from any thread."""
        held = self._held
        if held is None:
            return None
        if isinstance(held, tuple):
            return held[2] if held[0] is registry and _is_same_key(held[1], key) else None
        keys = held.get(registry)
        return None if keys is None else keys.get(key)

    def _take(self, registry: Lessor, key: Hashable, token: Token) -> None:
        """Note one more key, with the registry's token for it. If this raises, nothing has changed."""
        held = self._held
        if held is None:
            self._held = (registry, key, token)
            return
        if isinstance(held, tuple):
            held = {held[0]: {held[1]: held[2]}}
            self._take_into(held, registry, key, token)
            self._held = held
        else:
            self._take_into(held, registry, key, token)

    def _retake(self, registry: Lessor, key: Hashable, token: Token) -> None:
        """Keep another token for a key that this owner has."""
        held = self._held
        if isinstance(held, tuple):
            self._held = (registry, held[1], token)
        else:
            assert held is not None  # it has this key
            held[registry][key] = token

    @staticmethod
    def _take_into(held: dict[Lessor, Keys], registry: Lessor, key: Hashable, token: Token) -> None:
        keys = held.get(registry)
        if keys is None:
            held[registry] = {key: token}
        else:
            keys[key] = token

    def _drop(self, registry: Lessor, key: Hashable) -> None:
        """Forget a key: the registry has taken it back, or is about to."""
        held = self._held
        if isinstance(held, dict):
            keys = held[registry]
            del keys[key]
            if not keys:
                del held[registry]
            if held:
                return
        self._held = None
        try:
            self._holds_nothing()
        except (RecursionError, MemoryError):
            return  # the name is given back; the run forgets this owner at the end of its task

    def _undrop(self, held: Held, registry: Lessor, key: Hashable, token: Token) -> None:
        """Undo a `_drop` before which the names were ``held``. No call, so no lack of room on the stack stops it."""
        if type(held) is dict:
            if registry in held:
                held[registry][key] = token
            else:
                held[registry] = {key: token}
        self._held = held

    def _holds_nothing(self) -> None:
        """Called when this owner has given back its last name, and lives on."""

    def _release(self, exit: Exit | None) -> None:
        """Give every name back: the last thing an owner does. The cost grows with the number of its names."""
        held = self._held
        if held is None:
            return
        if type(held) is tuple and self._run.undelivered is not None:
            # What follows, written out for most actors: they have one name. If this fails, it is done again below.
            self._held = None
            try:
                held[0]._reclaim(self, ((held[1], held[2]),), exit)
                return
            except BaseException:
                self._held = held
        leases = (
            ((held[0], ((held[1], held[2]),)),)
            if isinstance(held, tuple)
            else [(registry, keys.items()) for registry, keys in held.items()]
        )
        run = self._run
        is_outermost = run.undelivered is None and run.begin_step()
        self._held = None  # only now: if something above fails, this can be called again
        for registry, keys in leases:
            try:
                registry._reclaim(self, keys, exit)
            except (MemoryError, RecursionError):
                do_later(run.token, registry._reclaim, self, keys, exit)
            except BaseException as error:
                # The other registries still get theirs.
                text = "the names of %r in one registry could not be given back"
                logger.report(error, "release_failed", text, self, actor=self)
        if is_outermost:
            try:
                run.end_step()
            except (MemoryError, RecursionError):
                do_later(run.token, run.end_step)


def _is_same_key(key: Hashable, other: Hashable) -> bool:
    # As a dict does: by identity first (think of nan), then by `==`, and only if the hashes are the same.
    return key is other or (hash(key) == hash(other) and key == other)
