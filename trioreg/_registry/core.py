"""The base that all parts of `Registry` share. Each use of a registry is a part with its own file."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from .._runtime import Identity
from .entry import Entry
from .names import Names

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class RegistryCore(Identity, Generic[K, V]):
    """The names of one registry."""

    _instead_of_pickling: ClassVar[str] = "make one at import time in each process"

    _names: Names[K, V]
    # If keys are unique, for look-ups, which are the hottest path: the `get` of each table, and how many there are.
    # `_sole` is the only table, or None.
    _gets: list[Callable[[K], Entry[V] | None]]
    _n: int
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
