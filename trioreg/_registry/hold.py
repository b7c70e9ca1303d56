"""A name for the time of a block: `Registry.hold`."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from trio.lowlevel import enable_ki_protection

from .._runtime import Owner, SyncBlock, unhashable
from .arguments import AcceptsNone
from .core import RegistryCore
from .names import Names
from .totals import require_summand

if TYPE_CHECKING:
    from types import TracebackType


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Holding(RegistryCore[K, V]):
    """The method that registers a name for a block."""

    @overload
    def hold(self: AcceptsNone, key: K, *, owner: Owner | None = ...) -> AbstractContextManager[None]: ...
    @overload
    def hold(self, key: K, value: V, *, owner: Owner | None = ...) -> AbstractContextManager[None]: ...
    def hold(  # pyright: ignore[reportInconsistentOverload]  # it does not see that the default is a V there
        self,
        key: K,
        value: V = None,  # type: ignore[assignment]
        *,
        owner: Owner | None = None,
    ) -> AbstractContextManager[None]:
        """Register a name for the time of a block: ``with registry.hold("leader"): ...``.

        The entry goes when the block is left, or when its owner ends if that comes first. Other entries of the owner
        stay. Arguments, cost and errors are as for `register`. The errors come when the block is entered. Entering and
        leaving are not checkpoints.
        """
        return Hold(self._names, key, value, owner)


class Hold(SyncBlock, AbstractContextManager[None], Generic[K, V]):
    """The context manager of `Registry.hold`."""

    __slots__ = ("_arguments", "_entered", "_names")

    _written = "registry.hold(...)"

    def __init__(self, names: Names[K, V], key: K, value: V, owner: Owner | None) -> None:
        self._names = names
        self._arguments = (key, value, owner)
        self._entered: tuple[Owner, int] | None = None

    @enable_ki_protection
    def __enter__(self) -> None:
        key, value, owner = self._arguments
        if self._entered is not None:
            raise RuntimeError(f"this hold({key!r}) is already entered: make another one")
        names = self._names
        owner = names.writable_owner(owner)
        if names.totals is not None:
            require_summand("value", value)
        try:
            self._entered = owner, names.insert(owner, key, value)
        except TypeError as error:
            raise unhashable("key", key, error) from None

    @enable_ki_protection
    def __exit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        assert self._entered is not None
        owner, number = self._entered
        if owner.is_alive:
            owner._require_thread()
        self._entered = None
        self._names.delete(owner, self._arguments[0], number)
