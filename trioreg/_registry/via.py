"""A name used as an address: Elixir's ``{:via, Registry, {registry, key, value}}``."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Generic, Never, TypeVar, cast

from trio.lowlevel import current_task, enable_ki_protection

from .._actors import STOPPING, ActorRef, Address, waiting_for
from .._runtime import ActorExited, NotRegistered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from .._actors import Cell
    from .._runtime import Owner
    from .registry import Registry

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")
T = TypeVar("T")


class Via(Address["Never"], Generic[K, V]):
    """An address by name, from `Registry.via`. It finds its actor anew each time it is used.

    Equal to another one with the same registry and key; hashable.

    Attributes:
        registry: The registry that the name is in.
        key: The name.
        value: What the actor is registered with, where it is used as ``name=``.
    """

    __slots__ = ("_key", "_table", "key", "registry", "value")

    def __init__(self, registry: Registry[K, V], key: K, value: V) -> None:
        self.registry = registry
        self._table = registry._sole
        self.key = self._key = key
        self.value = value

    def __repr__(self) -> str:
        return f"<via {self.registry.name} {self.key!r}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Via):
            return NotImplemented
        via = cast("Via[K, V]", other)
        return self.registry is via.registry and self.key == via.key

    def __hash__(self) -> int:
        return hash((id(self.registry), self.key))

    def whereis(self) -> Owner | None:
        """Who has the name now, or None. Not a checkpoint; constant time."""
        return self.registry.whereis(self.key)

    def _resolve(self) -> ActorRef[Never]:
        table = self._table
        entry = self.registry._entry(self.key) if table is None else table.get(self.key)
        if entry is None:
            raise NotRegistered(self.registry.name, self.key)
        owner = entry.owner
        if isinstance(owner, ActorRef):
            return owner  # pyright: ignore[reportUnknownVariableType]
        raise TypeError(f"{self.key!r} in {self.registry.name!r} is held by {owner!r}, which is not an actor")

    def _find(self) -> Cell | None:
        # The hottest path there is: everything else, errors too, is left to `_resolve`.
        try:
            return self._table[self._key][0]._cell  # type: ignore[index, no-any-return]  # pyright: ignore
        except (LookupError, TypeError, AttributeError):
            return self._resolve()._cell

    def _claim(self, owner: Owner, predecessor: Owner | None) -> None:
        """Register the name for an actor that is about to start; from its predecessor, if that still has it."""
        if predecessor is None or not self.registry._succeed(self.key, self.value, owner, predecessor):
            self.registry.register(self.key, self.value, owner=owner)


class WaitingVia(Via[K, V]):
    """An address by name whose async forms wait for somebody to have the name: ``registry.via(key, wait=True)``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<via {self.registry.name} {self.key!r}, waiting>"

    if not TYPE_CHECKING:  # the types are those of `Address`

        async def call(self, method, /, *args, **kwargs):
            return await self._insist(lambda ref: ref.call(method, *args, **kwargs))

        async def cast(self, method, /, *args, **kwargs):
            await self._insist(lambda ref: ref.cast(method, *args, **kwargs))

        async def send(self, message):
            await self._insist(lambda ref: ref.send(message))

    async def _insist(self, send: Callable[[ActorRef[Never]], Awaitable[T]]) -> T:
        while True:
            ref = await self._resolve_or_wait()
            try:
                return await send(ref)
            except ActorExited as error:
                if error.ref is not ref or error.was_sent:
                    raise

    async def _resolve_or_wait(self) -> ActorRef[Never]:
        while True:
            await self.registry.wait_for(self.key)
            ref = self._resolve()
            cell = ref._cell
            if cell is not None and cell.state < STOPPING:
                return ref
            # It is ending: the name will be another's, at its end or before, or nobody's for a while.
            await self._wait_for_another(ref)

    @enable_ki_protection
    async def _wait_for_another(self, ref: ActorRef[Never]) -> None:
        # Whoever waits for a name waits for its holder: a cycle of such waits is refused as any other.
        cell = ref._cell
        with nullcontext() if cell is None else waiting_for(cell, current_task()):
            await self.registry._hub().wait_registered(self.key)
