"""Looking a name up: what a registry knows of a key, and of an owner."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar, overload

from .._runtime import Owner
from .arguments import MISSING, owner_or_caller, require_hashable, unhashable
from .core import RegistryCore
from .entry import Entry

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lookup(RegistryCore[K, V]):
    """Methods that look names up."""

    def lookup(self, key: K) -> list[Entry[V]]:
        """Everybody registered as ``key``: at most one where keys are unique, else those of one partition after the
        other, each in the order in which they came.

        Not a checkpoint; safe from any thread. Costs as much as there are entries for the key, however many other
        keys there are (and one step for each partition, where keys are partitioned by owner).

        Raises:
            TypeError: ``key`` is not hashable.
        """
        try:
            if self._sole is not None:
                entry = self._sole.get(key)
                return [] if entry is None else [entry]
            groups = [*self._names.groups(key)]
        except TypeError as error:
            raise unhashable("key", key, error) from None
        return groups[0] if len(groups) == 1 else [entry for group in groups for entry in group]

    def whereis(self, key: K) -> Owner | None:
        """Who holds the unique ``key``, or None.

        Not a checkpoint; safe from any thread; constant time.

        Raises:
            TypeError: ``key`` is not hashable.
            ValueError: The keys of this registry are not unique.
        """
        try:
            if self._sole is not None:
                entry = self._sole.get(key)
            else:
                self._require_unique("whereis")
                entry = self._names.entry(key)
        except TypeError as error:
            raise unhashable("key", key, error) from None
        return None if entry is None else entry.owner

    @overload
    def keys(self) -> list[K]: ...
    @overload
    def keys(self, owner: Owner) -> list[K]: ...
    def keys(self, owner: object = MISSING) -> list[K]:
        """The keys that ``owner`` (if none is given: the caller) holds here, each as often as it registered it.

        Not a checkpoint; safe from any thread if ``owner`` is given. Costs as much as it holds in this registry. An
        owner that has ended holds nothing.

        Raises:
            TypeError: ``owner`` is not an owner; None is not either, so what `whereis` did not find is an error.
            RuntimeError: No ``owner``, and no Trio task calls.
        """
        asked = owner_or_caller(owner)
        keys: list[K] = []
        # First copied in one go: its run may be changing it.
        for key, token in dict(asked._keys(self._names)).items():
            keys.extend([key] * (len(token) if isinstance(token, dict) else 1))
        return keys

    @overload
    def values(self, key: K) -> list[V]: ...
    @overload
    def values(self, key: K, owner: Owner) -> list[V]: ...
    def values(self, key: K, owner: object = MISSING) -> list[V]:
        """The values under which ``owner`` (if none is given: the caller) is registered as ``key``.

        Not a checkpoint; safe from any thread if ``owner`` is given. Costs as much as the owner has entries for the
        key.

        Raises:
            TypeError: ``key`` is not hashable, or ``owner`` is not an owner.
            RuntimeError: No ``owner``, and no Trio task calls.
        """
        asked = owner_or_caller(owner)
        require_hashable("key", key)
        return [entry.value for _, entry in self._names.entries_of(asked, key)]

    def count(self) -> int:
        """How many entries there are. Not a checkpoint; safe from any thread; one step for each partition."""
        return self._names.count()
