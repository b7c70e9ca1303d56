"""Facts about a registry itself: `Registry.meta`."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeVar, overload

from .arguments import MISSING, require_hashable
from .core import RegistryCore

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")


class Meta(RegistryCore[K, V]):
    """Methods that keep facts about the registry."""

    _meta: dict[Hashable, object]

    @overload
    def meta(self, key: Hashable) -> Any: ...
    @overload
    def meta(self, key: Hashable, default: T) -> Any | T: ...
    def meta(self, key: Hashable, default: object = MISSING) -> Any:
        """What was put with `put_meta`; without a ``default``, `KeyError` if nothing was.

        Not a checkpoint; safe from any thread, as are `put_meta` and `delete_meta`; constant time. Facts about the
        registry belong to nobody and stay until they are deleted.
        """
        require_hashable("key", key)
        found = self._meta.get(key, default)
        if found is MISSING:
            raise KeyError(key)
        return found

    def put_meta(self, key: Hashable, value: object) -> None:
        """Keep a fact about the registry itself. `TypeError` if ``key`` is not hashable."""
        require_hashable("key", key)
        self._meta[key] = value

    def delete_meta(self, key: Hashable) -> None:
        """Forget a fact, if it is there. `TypeError` if ``key`` is not hashable."""
        require_hashable("key", key)
        self._meta.pop(key, None)
