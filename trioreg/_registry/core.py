"""What all uses of a registry share. Each use has a file of its own, and `Registry` is all of them together."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Generic, TypeVar

from .entry import Entry
from .names import Names

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class RegistryCore(Generic[K, V]):
    """The base of each use: the names of one registry."""

    _kind: str
    _names: Names[K, V]
    # The table itself, where there is only one: the look-up of a name is the hottest path there is.
    _sole: dict[K, Entry[V]] | None

    if TYPE_CHECKING:

        def _accept(self, value: V, /) -> None: ...

    @property
    def name(self) -> str:
        """The name it was made with."""
        return self._names.name

    @property
    def partitions(self) -> int:
        """How many partitions it has."""
        return self._names.n

    def _require_unique(self, operation: str) -> None:
        if not self._names.unique:
            raise ValueError(f"{operation}() needs unique keys, and those of registry {self.name!r} are duplicate")
