"""The base that all parts of `Registry` share. Each use of a registry is a part with its own file."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Generic, TypeVar

from .entry import Entry
from .names import Names

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class RegistryCore(Generic[K, V]):
    """The names of one registry, and their kind."""

    _kind: str
    _names: Names[K, V]
    # The table of the only partition, if keys are unique: look-ups go straight to it, as they are the hottest path.
    _sole: dict[K, Entry[V]] | None

    if TYPE_CHECKING:

        def _accept(self, value: V, /) -> None: ...

    @property
    def name(self) -> str:
        """The name of the registry."""
        return self._names.name

    @property
    def partitions(self) -> int:
        """The number of partitions."""
        return self._names.n

    def _require_unique(self, operation: str) -> None:
        if not self._names.unique:
            raise ValueError(f"{operation}() needs unique keys, and the keys of registry {self.name!r} are duplicate")
