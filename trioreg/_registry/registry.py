"""`Registry` and `Via`: names for actors and tasks, and addresses by name. Each needs the other, so they share a file.

`Registry` is put together from parts, one file for each use: `lookup.py`, `registration.py`, `hold.py`, `matching.py`,
`watching.py`, `dispatch.py`, `group_cast.py`, `key_cast.py`, `key_lock.py`, `counters.py`, `meta.py`,
`table_viewer.py`. Each part checks its arguments and asks `Names` (`names.py`), which makes every change.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any, Generic, Literal, Never, TypeAlias, TypeVar, cast, overload

from .._actors import Address
from .._runtime import require_count, require_hashable, require_sync, show_methods_as
from .arguments import AcceptsNone
from .class_of_holder import as_class, is_actor_of
from .core import RegistryCore
from .counters import Counters
from .dispatch import Dispatch
from .events import Listener
from .group_cast import GroupCast
from .hold import Holding
from .key_cast import KeyCast
from .key_lock import KeyLocks, Locking
from .lookup import Lookup
from .matching import Matching
from .meta import Meta
from .name_address import NameAddress, WaitingNameAddress
from .names import Names
from .notifier import Notifier
from .registration import Registration
from .table_viewer import TableViewer
from .watching import Watching

if TYPE_CHECKING:
    # Type checkers know this module even if it is not installed. At run time `Via` fills the default in.
    from typing_extensions import TypeVar as TypeVarWithDefault

    from .._actors import Cell, Handlers
    from .._runtime import Owner

    A = TypeVarWithDefault("A", covariant=True, default=Never)
else:
    A = TypeVar("A", covariant=True)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

KeysKind: TypeAlias = Literal["unique", "duplicate"] | tuple[Literal["duplicate"], Literal["owner", "key"]]


class Registry(
    Matching[K, V],
    GroupCast[K, V],
    KeyCast[K, V],
    Lookup[K, V],
    Registration[K, V],
    Holding[K, V],
    Watching[K, V],
    Dispatch[K, V],
    Locking[K, V],
    Counters[K, V],
    Meta[K, V],
    TableViewer[K, V],
):
    """Names for actors and tasks. A name is gone the moment its owner ends.

    Synopsis::

        agents: Registry[str, None] = Registry("agents", keys="unique")

        name = agents.via("James Bond")
        bond = await supervisor.start_child(SecretAgent, "James Bond", name=name)
        agents.whereis("James Bond")  # bond, or None
        await agents.via("James Bond").call(SecretAgent.echo, "...")

        topics: Registry[str, int] = Registry("topics", keys="duplicate")
        topics.register("weather", 1)                     # by any Trio task, actor or not
        for owner, value in topics.lookup("weather"):
            ...
        topics.cast_all("screens", Screen.show, "rain")   # to every actor under the key
        len(topics), "weather" in topics, topics.items()  # everything

    Keys are hashable, and compare as the keys of a dict do: ``1``, ``1.0`` and ``True`` are one key (Elixir compares
    with ``===``). You can make a registry at import time and use it in many Trio runs, one after the other. It belongs
    to the first run that writes, waits or locks in it, until that run ends. Reading is safe from any thread. The idea
    is Elixir's `Registry`.

    Args:
        name: The name of the registry, for errors and tables.
        keys: ``"unique"``: one owner for each key. ``"duplicate"`` (or ``("duplicate", "owner")``): any number of
            entries for each key, partitioned by owner. ``("duplicate", "key")``: any number, partitioned by key, so
            that a look-up reads one partition.
        partitions: The number of partitions, at least 1.
        listeners: Callables, or addresses of actors (`ActorRef`, `Via`). Each gets every `Registered` and
            `Unregistered` in the step in which it happens, an actor as a message. If a listener raises (or returns a
            coroutine), that is logged. `SystemExit` and `KeyboardInterrupt` leave the call that made the change, after
            all listeners got the event; if an owner's end made it, they are logged too.
        totals: Keep the sum of the values of each key, for `total` and `add`. The values must be ints or finite floats.

    Raises:
        TypeError: ``name`` is not a str, ``partitions`` is not an int, ``totals`` is not a bool, or a listener is
            neither a callable nor an address, or is async.
        ValueError: ``keys`` is none of the above, or ``partitions`` is less than 1.
    """

    def __init__(
        self,
        name: str,
        *,
        keys: KeysKind = "unique",
        partitions: int = 1,
        listeners: Iterable[Listener[K, V]] = (),
        totals: bool = False,
    ) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {name!r}")
        require_count("partitions", partitions, 1)
        kind = "duplicate" if isinstance(keys, tuple) else keys
        if keys not in ("unique", "duplicate", ("duplicate", "owner"), ("duplicate", "key")):
            raise ValueError(f"keys must be 'unique', 'duplicate' or ('duplicate', 'key'), not {keys!r}")
        if not isinstance(totals, bool):
            raise TypeError(f"totals must be a bool, not {totals!r}")
        if not isinstance(listeners, Iterable):
            raise TypeError(f"listeners must be an iterable of callables or addresses of actors, not {listeners!r}")
        listeners = tuple(listeners)
        for listener in listeners:
            if not (callable(listener) or isinstance(listener, Address)):
                raise TypeError(f"listeners must be callables or addresses of actors, not {listener!r}")
            if not isinstance(listener, Address):
                require_sync("listeners", listener)
        self._names: Names[K, V] = Names(name, kind, partitions, by_owner=keys != ("duplicate", "key"), totals=totals)
        self._names.registry = weakref.ref(self)
        self._locks = KeyLocks(self._names.bind_to_run)
        self._meta: dict[Hashable, object] = {}
        self._sole = self._names.sole
        self._gets = [partition.table.get for partition in self._names.unique]
        self._n = partitions
        self._kept_vias: dict[K, Via[K, V]] = {}
        self._kept_typed_vias: dict[tuple[K, type[Any] | None], Via[K, V, Any]] = {}
        if listeners:
            self._names.follow(Notifier(listeners))

    def __repr__(self) -> str:
        return f"<Registry {self.name!r}, {self._names.kind} keys, {self.count()} registered>"

    @overload
    def via(self: AcceptsNone, key: K, *, wait: bool = ...) -> Via[K, V]: ...
    @overload
    def via(self: AcceptsNone, key: K, *, wait: bool = ..., of: type[T]) -> Via[K, V, T]: ...
    @overload
    def via(self, key: K, value: V, *, wait: bool = ...) -> Via[K, V]: ...
    @overload
    def via(self, key: K, value: V, *, wait: bool = ..., of: type[T]) -> Via[K, V, T]: ...
    @overload
    def via(self, key: K, *, wait: bool = ...) -> Address[Never]: ...
    @overload
    def via(self, key: K, *, wait: bool = ..., of: type[T]) -> Address[T]: ...
    def via(  # pyright: ignore[reportInconsistentOverload]  # it does not see that the default is a V there
        self,
        key: K,
        value: V = None,  # type: ignore[assignment]
        # By keyword only, as the overloads say. Without a star here a call is a tenth of a cast quicker in Python 3.11.
        wait: bool = False,
        of: type[Any] | None = None,
    ) -> Via[K, V, Any]:
        """An address that finds its actor by name each time you use it: Elixir's ``{:via, Registry, ...}``.

        ::

            await agents.via("James Bond", of=SecretAgent).call(SecretAgent.echo, "...")

        Use it wherever you use an `ActorRef`, and as ``name=`` of ``start_child``. To make one in each line that sends
        costs little more than to keep one. `Registry.cast_nowait` makes none. Not a checkpoint; constant time.

        Args:
            key: The name.
            value: The value that an actor is registered with, if the address is its ``name=``. Without a value, in a
                registry whose values can't be None, a type checker refuses the address as ``name=``.
            wait: Whether the async forms (`~Address.call`, `~Address.cast`, `~Address.send`) wait until the name has
                an owner that is not ending: through a restart. A message that was sent once is not sent again.
            of: The class of the actor. A type checker then knows it, and refuses the methods of another class. At run
                time, a message to an actor of another class is a `TypeError`, and so is a start of one under this name.
                Without it, any method of any class passes.

        Raises:
            TypeError: ``key`` is not hashable, or ``of`` is not a class.
            ValueError: The keys of this registry are not unique.
        """
        if of is None and value is None and not wait and type(key) is str:
            # A `KeyError` costs more than to look twice. There is one if another thread empties the dict in between.
            kept = self._kept_vias
            try:
                if key in kept:
                    return kept[key]
            except (KeyError, TypeError):
                pass
            table = self._sole
            if table is not None and key not in table:
                # `_make_via`, written out for the name of an actor that is about to start: that has its cost each time.
                via: Via[K, V, Any] = _new(Via)
                via.registry = self
                via._table = table
                via._key = key
                via.value = value
                return via
        elif value is None and not wait and type(key) is str:
            try:
                return self._kept_typed_vias[key, of]
            except (KeyError, TypeError):
                pass
        return self._make_via(key, value, wait, of)

    def _make_via(self, key: K, value: V, wait: bool, of: type[Any] | None) -> Via[K, V, Any]:
        self._require_unique("via")
        require_hashable("key", key)
        via: Via[K, V, Any]
        if of is None:
            via = (WaitingVia if wait else Via)(self, key, value)
        else:
            via = (WaitingTypedVia if wait else TypedVia)(self, key, value, as_class(of))
        if type(key) is str and value is None and not wait and self._names.entry(key) is not None:
            # Only text: a key that is equal and of another class must not get this address (`via` asks for text, too).
            # And only a name that is in use: an address to a name that has no owner is not worth its place.
            if len(self._kept_vias) + len(self._kept_typed_vias) >= VIAS_KEPT:
                self._kept_vias.clear()
                self._kept_typed_vias.clear()
            if of is None:
                self._kept_vias[key] = via
            elif type(of) is type:
                self._kept_typed_vias[key, of] = via
        return via


VIAS_KEPT = 4096
"""How many addresses a registry keeps, so that `Registry.via` need not make the same one for each message."""


class Via(NameAddress[K, V, A], Generic[K, V, A]):
    """An address by name, from `Registry.via`. It finds its actor each time you use it.

    Two are equal if their registry and key are the same. Hashable. Its type parameters are the two of the registry, and
    the class that was given as ``of=``: ``Via[str, None, SecretAgent]``. Without the last one any method passes.

    Attributes:
        registry: The registry that the name is in.
        value: The value that an actor is registered with, if this is its ``name=``.
    """

    __slots__ = ("registry",)

    def __init__(self, registry: Registry[K, V], key: K, value: V) -> None:
        self.registry: Registry[K, V] = registry
        self._table = registry._names.table_of(key)
        self._key = key
        self.value: V = value

    if not TYPE_CHECKING:

        def __class_getitem__(cls, parameters):
            if isinstance(parameters, tuple) and len(parameters) == 2:
                parameters = (*parameters, Never)
            return super().__class_getitem__(parameters)

    @property
    def _names(self) -> Names[K, V]:
        return self.registry._names

    def _claim(self, owner: Owner, predecessor: Owner | None) -> None:
        """Register the name for an actor that is about to start, or take it over from the actor's last life."""
        of = self._of
        if of is not None and not is_actor_of(owner, of):
            raise TypeError(f"the name {self._key!r} is for an actor of class {of.__qualname__}, not for {owner!r}")
        names = self.registry._names
        if predecessor is None or not names.hand_over(
            self._key, predecessor, owner, self.value, getattr(predecessor, "exit", None)
        ):
            names.claim(owner, self._key, self.value)


class WaitingVia(WaitingNameAddress[K, V, A], Via[K, V, A]):
    """What ``registry.via(key, wait=True)`` gives: a `Via` whose async forms wait."""

    __slots__ = ()


class TypedVia(Via[K, V, A]):
    """What ``registry.via(key, of=SecretAgent)`` gives: a `Via` that leads to actors of that class only."""

    __slots__ = ("_checked", "_of", "_typed_table")

    def __init__(self, registry: Registry[K, V], key: K, value: V, of: type) -> None:
        super().__init__(registry, key, value)
        self._of = of
        self._typed_table, self._table = registry._names.table_of(key), None
        # The handlers of the class that was found last: another actor of that class need not be checked.
        self._checked: Handlers | None = None

    def _find(self) -> Cell | None:
        try:
            cell: Cell = cast("Any", self._typed_table[self._key].owner)._cell
            if cell.handlers is self._checked:
                return cell
        except (LookupError, TypeError, AttributeError):
            pass  # `_resolve` raises the error
        found = self._resolve()._cell
        self._checked = None if found is None else found.handlers
        return found


class WaitingTypedVia(WaitingNameAddress[K, V, A], TypedVia[K, V, A]):
    """What ``registry.via(key, wait=True, of=SecretAgent)`` gives."""

    __slots__ = ()


_new = object.__new__
_parts: list[type] = [base for base in Registry.__mro__ if issubclass(base, RegistryCore)]
show_methods_as("Registry", *_parts)
_parts = [base for base in WaitingTypedVia.__mro__ if issubclass(base, NameAddress)]
show_methods_as("Via", *_parts)
