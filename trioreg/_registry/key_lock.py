"""Locks by key: `Registry.lock`."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, TypeVar

import trio

from .._runtime import Run, current_run
from .arguments import require_hashable
from .core import RegistryCore

if TYPE_CHECKING:
    from types import TracebackType

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Locking(RegistryCore[K, V]):
    """The method that locks a key."""

    _locks: KeyLocks

    def lock(self, key: Hashable) -> AbstractAsyncContextManager[None]:
        """Only one task at a time in the block: ``async with registry.lock(key): ...``.

        First come first served. The keys of locks are a namespace of their own. However the block is left, crash and
        cancellation included, the lock is free. Entering is a checkpoint; constant time.

        Raises:
            TypeError: ``key`` is not hashable.
            RuntimeError: When it is entered: this task has the lock, or the registry belongs to another Trio run.
        """
        require_hashable("key", key)
        return KeyLock(self._locks, key)


class KeyLocks:
    """A `trio.Lock` for each key that is in use, and nothing for any other.

    They are for the run that the registry belongs to: a `trio.Lock` can't be shared by two.
    """

    __slots__ = ("_enter", "_locks", "_run")

    def __init__(self, enter: Callable[[Run], None]) -> None:
        self._enter = enter
        self._run: Run | None = None
        # Each lock, with how many tasks have it or wait for it.
        self._locks: dict[Hashable, tuple[trio.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._locks)

    def lend(self, key: Hashable) -> trio.Lock:
        run = current_run()
        if self._run is not run:
            self._enter(run)
            self._locks = {}  # a run that broke down may have left some
            self._run = run
        lock, users = self._locks.get(key) or (trio.Lock(), 0)
        self._locks[key] = (lock, users + 1)
        return lock

    def take_back(self, key: Hashable, lent: trio.Lock) -> None:
        # An error of the key's own would hide what leaves the block: then the lock stays, to be used again.
        with suppress(Exception):
            lock, users = self._locks.get(key, (None, 0))
            if lock is not lent:
                return  # the task was of a run that broke down, and is only now thrown away
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lent, users - 1)


class KeyLock(AbstractAsyncContextManager[None]):
    """What ``async with registry.lock(key)`` enters and leaves."""

    __slots__ = ("_key", "_lock", "_locks")

    def __init__(self, locks: KeyLocks, key: Hashable) -> None:
        self._locks = locks
        self._key = key
        self._lock: trio.Lock | None = None

    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> None:
        if self._lock is not None:
            raise RuntimeError(f"this lock({self._key!r}) is already entered: make another one")
        lock = self._locks.lend(self._key)
        try:
            await lock.acquire()
        except BaseException:
            self._locks.take_back(self._key, lock)
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
