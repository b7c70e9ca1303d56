"""Metadata: facts about the registry itself, without an owner."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeVar, overload

from .._runtime import require_hashable
from .arguments import MISSING
from .core import RegistryCore

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")


class Meta(RegistryCore[K, V]):
    """The methods for metadata."""

    _meta: dict[Hashable, object]

    @overload
    def meta(self, key: Hashable) -> Any: ...
    @overload
    def meta(self, key: Hashable, default: T) -> Any | T: ...
    def meta(self, key: Hashable, default: object = MISSING) -> Any:
        """The fact that `put_meta` has stored under ``key``, or else ``default``.

        Facts about the registry have no owner, and stay until you delete them. Not a checkpoint; constant time; safe
        from any thread, as are `put_meta` and `delete_meta`.

        Raises:
            KeyError: There is no such fact, and no ``default``.
            TypeError: ``key`` is not hashable.
        """
        require_hashable("key", key)
        found = self._meta.get(key, default)
        if found is MISSING:
            raise KeyError(key)
        return found

    def put_meta(self, key: Hashable, value: object) -> None:
        """Store a fact about the registry itself. Not a checkpoint; safe from any thread; constant time.

        Raises:
            TypeError: ``key`` is not hashable.
        """
        require_hashable("key", key)
        self._meta[key] = value

    def delete_meta(self, key: Hashable) -> None:
        """Delete a fact, if it is there. Not a checkpoint; safe from any thread; constant time.

        Raises:
            TypeError: ``key`` is not hashable.
        """
        require_hashable("key", key)
        self._meta.pop(key, None)
