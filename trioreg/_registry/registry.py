"""Names for actors and tasks, each tied to the life of the one that holds it: the public end of it.

`Registry` checks what it is given and asks `Names`, which owns the tables and every change to them; the lease that
gives the names back when their holder ends is the holder's own (`_owner.py`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from types import FunctionType
from typing import TYPE_CHECKING, Literal, Never, TypeAlias, TypeVar, overload

from .._actors import Address
from .._runtime import require_sync
from .arguments import AcceptsNone, require_hashable
from .core import RegistryCore
from .counters import Counters
from .dispatch import Dispatch
from .events import Listener
from .hold import Holding
from .key_lock import KeyLocks, Locking
from .matching import Matching
from .meta import Meta
from .names import Names
from .notifier import Notifier
from .registration import Registration
from .table_viewer import TableViewer
from .via import NameAddress, WaitingNameAddress
from .watching import Watching

if TYPE_CHECKING:
    from .._runtime import Owner

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

KeysKind: TypeAlias = Literal["unique", "duplicate"] | tuple[Literal["duplicate"], Literal["owner", "key"]]


class Registry(
    Registration[K, V],
    Holding[K, V],
    Matching[K, V],
    Watching[K, V],
    Dispatch[K, V],
    Locking[K, V],
    Counters[K, V],
    Meta[K, V],
    TableViewer[K, V],
):
    """Names for actors and tasks; a name is gone the moment its holder ends.

    Synopsis::

        agents: Registry[str, None] = Registry("agents", keys="unique")

        bond = await supervisor.start_child(SecretAgent, "James Bond", name=agents.via("James Bond"))
        agents.whereis("James Bond")                      # bond, or None
        await agents.via("James Bond").call(SecretAgent.echo, "...")

        topics: Registry[str, int] = Registry("topics", keys="duplicate")
        topics.register("weather", 1)                     # by any Trio task, actor or not
        for owner, value in topics.lookup("weather"):
            ...

    Keys are hashable and compare as the keys of a dict do, so ``1 == 1.0 == True`` is one key (Elixir compares with
    ``===``). A registry may be made at import time and outlive many Trio runs, but is written by one run at a time:
    it belongs to the first that writes, waits or locks in it, until that run ends. Reading is safe from any thread.
    The idea is Elixir's `Registry`.

    Args:
        name: What the registry is called in errors and tables.
        keys: ``"unique"``: one holder for each key. ``"duplicate"`` (or ``("duplicate", "owner")``): any number,
            partitioned by owner.
            ``("duplicate", "key")``: any number, partitioned by key, so that a look-up reads one partition.
        partitions: How many partitions, at least 1.
        listeners: Who is told of every `Registered` and `Unregistered`, in the step in which it happens: callables,
            or addresses of actors (`ActorRef`, `Via`), which get the event as a message. A listener that raises (or
            returns a coroutine) is logged. `SystemExit` and `KeyboardInterrupt` leave the call that made the change,
            when it is made and everybody is told; where that is the end of an owner, they are logged too.
        totals: Keep the sum of the values of each key, for `total` and `add`; the values must be ints or finite
            floats.

    Raises:
        TypeError: ``name`` is not a str, ``partitions`` is not an int, or a listener is neither, or async.
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
        if not isinstance(partitions, int) or isinstance(partitions, bool):
            raise TypeError(f"partitions must be an int, not {partitions!r}")
        if partitions < 1:
            raise ValueError(f"partitions must be at least 1, not {partitions!r}")
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
        self._kind = kind
        self._names: Names[K, V] = Names(name, kind, partitions, by_owner=keys != ("duplicate", "key"), totals=totals)
        self._locks = KeyLocks(self._names.bind_to_run)
        self._meta: dict[Hashable, object] = {}
        self._sole = self._names.sole
        if listeners:
            self._names.notifier = Notifier(listeners)

    def __repr__(self) -> str:
        return f"<Registry {self.name!r}, {self._kind} keys, {self.count()} registered>"

    @overload
    def via(self: AcceptsNone, key: K, *, wait: bool = ...) -> Via[K, V]: ...
    @overload
    def via(self, key: K, value: V, *, wait: bool = ...) -> Via[K, V]: ...
    @overload
    def via(self, key: K, *, wait: bool = ...) -> Address[Never]: ...
    def via(  # pyright: ignore[reportInconsistentOverload]  # it does not see that the default is a V there
        self,
        key: K,
        value: V = None,  # type: ignore[assignment]
        *,
        wait: bool = False,
    ) -> Via[K, V]:
        """An address that finds its actor by name, each time it is used: Elixir's ``{:via, Registry, ...}``.

        It goes wherever an `ActorRef` goes, and as ``name=`` into ``start_child``. Not a checkpoint; constant time.

        Args:
            key: The name.
            value: Where the address is used as ``name=``: what the actor is registered with. Without one, in a registry
                whose values can't be None, a type checker takes it for an address only, and for no ``name=``.
            wait: Whether the async forms (`~Address.call`, `~Address.cast`, `~Address.send`) wait for somebody to
                have the name who is not ending: through a restart. What has been sent once is not sent again.

        Raises:
            TypeError: ``key`` is not hashable.
            ValueError: The keys of this registry are not unique.
        """
        self._require_unique("via")
        require_hashable("key", key)
        return (WaitingVia if wait else Via)(self, key, value)


class Via(NameAddress[K, V]):
    """An address by name, from `Registry.via`. It finds its actor anew each time it is used.

    Equal to another one with the same registry and key; hashable.

    Attributes:
        registry: The registry that the name is in.
        key: The name.
        value: What the actor is registered with, where it is used as ``name=``.
    """

    __slots__ = ("registry",)

    def __init__(self, registry: Registry[K, V], key: K, value: V) -> None:
        self.registry = registry
        self._names = registry._names
        self._table = registry._sole
        self.key = self._key = key
        self.value = value

    def _claim(self, owner: Owner, predecessor: Owner | None) -> None:
        """Register the name for an actor that is about to start; from its predecessor, if that still has it."""
        if predecessor is None or not self._names.hand_over(
            self.key, predecessor, owner, self.value, getattr(predecessor, "exit", None)
        ):
            self.registry.register(self.key, self.value, owner=owner)


class WaitingVia(WaitingNameAddress[K, V], Via[K, V]):
    """An address by name whose async forms wait until the name has a holder: ``registry.via(key, wait=True)``."""

    __slots__ = ()


def _show_as_public() -> None:
    # In an error a method stands where its user finds it: ``Registry.register() missing 1 required ...``.
    classes: dict[type, str] = {base: "Registry" for base in Registry.__mro__ if issubclass(base, RegistryCore)}
    classes |= {base: "Via" for base in WaitingVia.__mro__ if issubclass(base, NameAddress)}
    for cls, name in classes.items():
        for method in vars(cls).values():
            if isinstance(method, FunctionType):
                method.__qualname__ = f"{name}.{method.__name__}"


_show_as_public()
