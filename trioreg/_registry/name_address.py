"""A name used as an address: Elixir's ``{:via, Registry, {registry, key, value}}``.

These are the parts of `Via` that need no `Registry`. `Via` itself is in `registry.py`.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from trio.lowlevel import current_task, enable_ki_protection

from .._actors import STOPPING, Address, SleepingWait, waiting_for
from .._runtime import ActorExited, NotRegistered, shown_whole
from .class_of_holder import as_actor
from .watching import wait_for_holder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from .._actors import ActorRef, Cell
    from .._runtime import Owner
    from .entry import Entry
    from .names import Names

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")
A = TypeVar("A", covariant=True)
T = TypeVar("T")


class NameAddress(Address[A], Generic[K, V, A]):
    """The part of `Via` that finds its actor. It needs only the names of a registry.

    One is made for each message to a name that is written inline, so it keeps only what it needs for that.
    """

    __slots__ = ("_key", "_table", "value")

    _instead_of_pickling: ClassVar[str] = "it leads to a registry of this process; pickle its key"

    # The class that the actor has to be of; None: any.
    _of: type | None = None

    _key: K
    _table: dict[K, Entry[V]] | None
    value: V

    @property
    def _names(self) -> Names[K, V]:
        raise NotImplementedError  # pragma: no cover  # abstract

    @property
    def key(self) -> K:
        """The name. Not a checkpoint; constant time."""
        return self._key

    def __repr__(self) -> str:
        return f"<via {self._names.name} {shown_whole(self.key)}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NameAddress):
            return NotImplemented
        via: NameAddress[Any, Any, Any] = other  # pyright: ignore[reportUnknownVariableType]  # narrowed to no types
        return self._names is via._names and bool(self._key == via._key)

    def __hash__(self) -> int:
        return hash((id(self._names), self._key))

    def whereis(self) -> Owner | None:
        """The owner of the name now, or None. Not a checkpoint; safe from any thread; constant time."""
        entry = self._names.entry(self._key)
        return None if entry is None else entry.owner

    def _resolve(self) -> ActorRef[A]:
        names, key = self._names, self._key
        entry = names.entry(key)
        if entry is None:
            raise NotRegistered(names.name, key)
        return as_actor(entry.owner, self._of, key, names.name)

    def _find(self) -> Cell | None:
        # The hottest path of the library. `_resolve` does the rest: a class that is asked for, and errors.
        try:
            return self._table[self._key][0]._cell  # type: ignore[index, union-attr, no-any-return]  # pyright: ignore
        except (LookupError, TypeError, AttributeError):
            return self._resolve()._cell


class WaitingNameAddress(NameAddress[K, V, A]):
    """The part of `Via` for ``wait=True``: the async forms wait until the name has an owner that is not ending."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<via {self._names.name} {shown_whole(self.key)}, waiting>"

    if not TYPE_CHECKING:  # the types are those of `Address`

        async def call(self, method, /, *args, **kwargs):
            return await self._insist(lambda ref: ref.call(method, *args, **kwargs))

        async def cast(self, method, /, *args, **kwargs):
            await self._insist(lambda ref: ref.cast(method, *args, **kwargs))

        async def send(self, message):
            await self._insist(lambda ref: ref.send(message))

    async def _insist(self, send: Callable[[ActorRef[Any]], Awaitable[T]]) -> T:
        while True:
            ref = await self._resolve_or_wait()
            try:
                return await send(ref)
            except ActorExited as error:
                if error.ref is not ref or error.was_sent:
                    raise

    async def _resolve_or_wait(self) -> ActorRef[Any]:
        while True:
            await wait_for_holder(self._names, self.key)
            ref = self._resolve()
            cell = ref._cell
            if cell is not None and cell.state < STOPPING:
                return ref
            # It is ending. At its end, or before, the name gets another owner, or none for a while.
            await self._wait_for_another(ref)

    @enable_ki_protection
    async def _wait_for_another(self, ref: ActorRef[Any]) -> None:
        # To wait for a name is to wait for its owner to end. A cycle of such waits raises `CallCycle`, like any other.
        cell = ref._cell
        with nullcontext() if cell is None else waiting_for(cell, current_task(), SleepingWait):
            await self._names.open_notifier().wait_registered(self.key)
