"""Counters: the sum of the values of a key, and values that count."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeVar, cast

from trio.lowlevel import enable_ki_protection

from .._runtime import NotRegistered, Owner, require_hashable
from .core import RegistryCore
from .totals import Totals, require_summand

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Counters(RegistryCore[K, V]):
    """The methods for counters."""

    def total(self, key: K) -> Any:
        """The sum of the values of all entries for ``key``, kept up to date: an aggregated counter.

        Without entries it is 0. With a float among the values it is a float: exact, rounded once at the end, and
        infinite if it is too large for a float.

        Not a checkpoint; safe from any thread; constant time.

        Raises:
            TypeError: ``key`` is not hashable.
            ValueError: The registry was made without ``totals=True``.
        """
        require_hashable("key", key)
        return self._totals("total").total(self._names, key)

    @enable_ki_protection
    def add(self, key: K, amount: V, *, owner: Owner | None = None) -> V:
        """Add to the value of a ``key`` that the caller (or ``owner``) holds: a counter.

        If the owner has several entries for the key, this changes the oldest.

        Not a checkpoint; constant time.

        Returns:
            The new value.

        Raises:
            NotRegistered: The owner does not hold the key.
            ValueError: The registry was made without ``totals=True``, or ``amount`` or the new value is not finite.
            TypeError: ``amount`` is not a number, ``key`` is not hashable, or ``owner`` is not an owner.
            RuntimeError, ActorExited: As for `register`.
        """
        self._totals("add")
        require_hashable("key", key)
        require_summand("amount", amount)
        owner = self._names.writable_owner(owner)
        while held := self._names.entries_of(owner, key, at_most=1):
            ((number, entry),) = held
            try:
                new = cast("V", cast("Any", entry.value) + amount)
            except OverflowError:
                raise ValueError(f"the new value must be finite: {entry.value!r} + {amount!r} is too large") from None
            require_summand("value", new)
            if self._names.replace(owner, key, number, new, entry) is not None:
                return new
            # A `__del__` has just changed the value, or removed it: look again.
        raise NotRegistered(self.name, key, owner)

    def _totals(self, operation: str) -> Totals[K]:
        if self._names.totals is None:
            raise ValueError(f"{operation}() needs totals, and registry {self.name!r} was made without totals=True")
        return self._names.totals
