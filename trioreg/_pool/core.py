"""The base that all parts of `Pool` share: its settings, and the way to its desk while it runs."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

from .._actors import Actor
from .._runtime import Identity, NotRunning, require_hashable
from .call_options import NO_KEY
from .settings import Settings

if TYPE_CHECKING:
    from .._registry import Registry
    from .desk import Desk

A = TypeVar("A", bound=Actor)


class Running(Protocol):
    """The supervisor of the workers, as the pool sees it while it runs."""

    desk: Desk

    def require_thread(self) -> None: ...

    async def resize(self, size: int) -> None: ...


class PoolCore(Identity, Generic[A]):
    """One pool, running or not."""

    _instead_of_pickling: ClassVar[str] = "make it at import time in each process"

    _settings: Settings
    _engine: Running | None

    @property
    def name(self) -> str:
        """The name of the pool."""
        return self._settings.name

    @property
    def registry(self) -> Registry[int, None]:
        """The registry that the workers' names are in: numbers from 0."""
        return self._settings.registry

    # The way to the desk

    def _check_key(self, key: Hashable) -> None:
        if self._settings.strategy == "by_key":
            if key is NO_KEY:
                raise TypeError(f"key is missing: the strategy of the pool {self.name!r} is 'by_key'")
            require_hashable("key", key)
        elif key is not NO_KEY:
            strategy = self._settings.strategy
            raise TypeError(
                f"key must not be given: the strategy of the pool {self.name!r} is {strategy!r}, not 'by_key'"
            )

    def _desk(self, key: Hashable) -> Desk:
        if key is not NO_KEY or self._settings.strategy == "by_key":
            self._check_key(key)
        return self._running_desk()

    def _running_desk(self) -> Desk:
        engine = self._running_engine()
        engine.require_thread()
        return engine.desk

    def _running_engine(self) -> Running:
        engine = self._engine
        if engine is None:
            raise NotRunning(self.name, "it has no workers to hand out")
        return engine
