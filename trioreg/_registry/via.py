"""A name used as an address: Elixir's ``{:via, Registry, {registry, key, value}}``."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, ClassVar, Generic, Never, TypeVar, cast

from trio.lowlevel import current_task, enable_ki_protection

from .._actors import STOPPING, ActorRef, Address, waiting_for
from .._runtime import ActorExited, NotRegistered
from .watching import wait_for_holder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from .._actors import Cell
    from .._runtime import Owner
    from .names import Names

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")
T = TypeVar("T")


class NameAddress(Address["Never"], Generic[K, V]):
    """The part of `Via` that finds its actor. It needs only the names of a registry."""

    __slots__ = ("_key", "_names", "_table", "key", "value")

    _instead_of_pickling: ClassVar[str] = "it leads to a registry of this process; pickle its key"

    _names: Names[K, V]
    key: K
    value: V

    def __repr__(self) -> str:
        return f"<via {self._names.name} {self.key!r}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NameAddress):
            return NotImplemented
        via = cast("NameAddress[K, V]", other)
        return self._names is via._names and self.key == via.key

    def __hash__(self) -> int:
        return hash((id(self._names), self.key))

    def whereis(self) -> Owner | None:
        """The owner of the name now, or None. Not a checkpoint; safe from any thread; constant time."""
        entry = self._names.entry(self.key)
        return None if entry is None else entry.owner

    def _resolve(self) -> ActorRef[Never]:
        table = self._table
        entry = self._names.entry(self.key) if table is None else table.get(self.key)
        if entry is None:
            raise NotRegistered(self._names.name, self.key)
        owner = entry.owner
        if isinstance(owner, ActorRef):
            return owner  # pyright: ignore[reportUnknownVariableType]
        raise TypeError(f"{self.key!r} in {self._names.name!r} is held by {owner!r}, which is not an actor")

    def _find(self) -> Cell | None:
        # The hottest path of the library. `_resolve` does the rest: several partitions, and errors.
        try:
            return self._table[self._key][0]._cell  # type: ignore[index, no-any-return]  # pyright: ignore
        except (LookupError, TypeError, AttributeError):
            return self._resolve()._cell


class WaitingNameAddress(NameAddress[K, V]):
    """The part of `Via` for ``wait=True``: the async forms wait until the name has an owner that is not ending."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<via {self._names.name} {self.key!r}, waiting>"

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
            await wait_for_holder(self._names, self.key)
            ref = self._resolve()
            cell = ref._cell
            if cell is not None and cell.state < STOPPING:
                return ref
            # It is ending. At its end, or before, the name gets another owner, or none for a while.
            await self._wait_for_another(ref)

    @enable_ki_protection
    async def _wait_for_another(self, ref: ActorRef[Never]) -> None:
        # To wait for a name is to wait for its owner to end. A cycle of such waits raises `CallCycle`, like any other.
        cell = ref._cell
        with nullcontext() if cell is None else waiting_for(cell, current_task()):
            await self._names.open_notifier().wait_registered(self.key)
