"""Locks by key: `Registry.lock`."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, TypeVar

import trio

from .._runtime import AsyncBlock, Run, current_run, require_hashable, require_room
from .core import RegistryCore

if TYPE_CHECKING:
    from types import TracebackType

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Locking(RegistryCore[K, V]):
    """The method that locks keys."""

    _locks: KeyLocks

    def lock(self, key: Hashable) -> AbstractAsyncContextManager[None]:
        """A lock for a key, held by one task at a time: ``async with registry.lock(key): ...``.

        First come, first served. The lock is free again when the block is left, by a crash or cancellation too. Locks
        have nothing to do with names: a key may be locked and registered at the same time. Entering is a checkpoint;
        constant time.

        Raises:
            TypeError: ``key`` is not hashable.
            RuntimeError: On entering: this task already has the lock, or the registry belongs to another Trio run.
        """
        require_hashable("key", key)
        return KeyLock(self._locks, key)


class KeyLocks:
    """A `trio.Lock` for each key that is in use, and nothing for other keys.

    The locks are for the run that the registry belongs to: two runs can't share a `trio.Lock`.
    """

    __slots__ = ("_enter", "_locks", "_run")

    def __init__(self, enter: Callable[[Run], None]) -> None:
        self._enter = enter
        self._run: Run | None = None
        # Each lock, with the number of tasks that have it or wait for it.
        self._locks: dict[Hashable, tuple[trio.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._locks)

    def lend(self, key: Hashable) -> trio.Lock:
        run = current_run()
        if self._run is not run:
            self._enter(run)
            self._locks = {}  # a run that broke down may have left locks
            self._run = run
        lock, users = self._locks.get(key) or (trio.Lock(), 0)
        self._locks[key] = (lock, users + 1)
        return lock

    def take_back(self, key: Hashable, lent: trio.Lock) -> None:
        # An error of the key's own `__eq__` must not hide the error that leaves the block. The lock stays then.
        with suppress(BaseException):
            lock, users = self._locks.get(key, (None, 0))
            if lock is not lent:
                return  # a task of a run that broke down, thrown away only now
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lent, users - 1)


class KeyLock(AsyncBlock, AbstractAsyncContextManager[None]):
    """The context manager of `Registry.lock`."""

    __slots__ = ("_key", "_lock", "_locks")

    _written = "registry.lock(...)"

    def __init__(self, locks: KeyLocks, key: Hashable) -> None:
        self._locks = locks
        self._key = key
        self._lock: trio.Lock | None = None

    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> None:
        if self._lock is not None:
            raise RuntimeError(f"this lock({self._key!r}) is already entered: make another one")
        require_room(12)  # Trio can't undo a wait for a lock that has begun half-way
        lock = self._locks.lend(self._key)
        try:
            await lock.acquire()
        except BaseException as error:
            self._locks.take_back(self._key, lock)
            if type(error) is RuntimeError:  # Trio's, and not a `RecursionError`
                raise RuntimeError(f"this task has lock({self._key!r}) already: it would wait for itself") from None
            raise
        self._lock = lock

    @trio.lowlevel.enable_ki_protection
    async def __aexit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        assert self._lock is not None
        lock, self._lock = self._lock, None
        try:
            lock.release()
        finally:
            self._locks.take_back(self._key, lock)
