"""Children by key: `Partitions`, which find the child for a key. (`partition_supervisor.py` keeps it alive.)

A key leads to a number, by its hash alone; a number is the name of a child in a small registry of its own. So nobody
is asked on the way to a child, and all that is promised of names holds here: a restarted child has its number again
before its `__init__` runs, and one that has ended is never found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, TypeVarTuple, Unpack, cast, overload

from trio.lowlevel import current_task, enable_ki_protection

from .._actors import STARTING, STOPPING, Actor, ActorRef, Address, Function, waiting_for
from .._registry import Registry, Via
from .._runtime import NotRegistered
from .child_options import ChildOptions, LifeOptions
from .child_spec import ChildSpec, Restart, spec_of
from .dynamic_supervisor import DynamicSupervisor

A = TypeVar("A", bound=Actor)
R = TypeVar("R")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Ts = TypeVarTuple("Ts")


class Partitions(Generic[T]):
    """The children of a `PartitionSupervisor`, by key.

    Synopsis::

        counters: Partitions[Counter] = Partitions("counters", 4)     # at import time, as a registry

        async with open_partition_supervisor(counters, Counter):      # or: ChildSpec(PartitionSupervisor, ...)
            ...

        await counters.via("James Bond").call(Counter.increment, 1)   # from anywhere

    It is to a partition supervisor what a `Registry` is to named actors: made before there is anybody in it, usable
    from anywhere without a reference to the supervisor, and as good after a restart as before. One supervisor at a time
    fills it.

    An int between -2**32 and 2**32 belongs to partition ``abs(key) % partitions``, so ``via(0)``, ``via(1)``, ... lead
    to all of them; any other key to one that its hash decides. Keys are equal as the keys of a dict are, and equal keys
    always lead to the same partition, of whatever type they are. The hash of a str is another one in each process: do
    not write down which partition a key had.

    Args:
        name: What they are called in errors, in the tree and in the log.
        partitions: How many, at least 1.

    Raises:
        TypeError: ``name`` is not a str, or ``partitions`` is not an int.
        ValueError: ``partitions`` is less than 1.
    """

    def __init__(self, name: str, partitions: int) -> None:
        if not isinstance(partitions, int) or isinstance(partitions, bool):
            raise TypeError(f"partitions must be an int, not {partitions!r}")
        if partitions < 1:
            raise ValueError(f"partitions must be at least 1, not {partitions!r}")
        self._names: Registry[int, None] = Registry(name)
        table = self._names._sole
        assert table is not None
        self._table = table
        self._count = partitions

    @property
    def name(self) -> str:
        """The name they were made with."""
        return self._names.name

    def __len__(self) -> int:
        """How many partitions there are, whether or not somebody is in them."""
        return self._count

    def __repr__(self) -> str:
        return f"<Partitions {self.name!r}, {len(self._table)} of {self._count} running>"

    def partition_of(self, key: Hashable) -> int:
        """The number of the partition that a key belongs to, from 0. Not a checkpoint; safe from any thread; constant
        time.

        Raises:
            TypeError: ``key`` is not hashable.
        """
        return _number_of(key) % self._count

    def whereis(self, key: Hashable) -> ActorRef[T] | None:
        """The child for a key, in its current life; None while there is none.

        Not a checkpoint; safe from any thread; constant time.

        Raises:
            TypeError: ``key`` is not hashable.
        """
        return self._child(_number_of(key))

    def via(self, key: Hashable, *, wait: bool = False) -> Address[T]:
        """An address that finds the child for a key each time it is used: ``{:via, PartitionSupervisor, {name, key}}``.

        Not a checkpoint; constant time. While the partition has no child, what is sent there is a `NotRegistered`.

        Args:
            key: Any hashable.
            wait: Whether the async forms (`~Address.call`, `~Address.cast`, `~Address.send`) wait for a child that is
                not ending: through a restart of it, or of its supervisor. What has been sent once is not sent again.

        Raises:
            TypeError: ``key`` is not hashable.
        """
        return (_WaitingKeyAddress if wait else _KeyAddress)(self, key, _number_of(key))

    # Where the children are dynamic supervisors

    @overload
    async def start_child(
        self: Partitions[DynamicSupervisor],
        key: Hashable,
        factory: Callable[[*Ts], A],
        /,
        *args: *Ts,
        **options: Unpack[ChildOptions],
    ) -> ActorRef[A]: ...
    @overload
    async def start_child(
        self: Partitions[DynamicSupervisor],
        key: Hashable,
        factory: Callable[[*Ts], Awaitable[R]],
        /,
        *args: *Ts,
        **options: Unpack[ChildOptions],
    ) -> ActorRef[Function[R]]: ...
    @overload
    async def start_child(
        self: Partitions[DynamicSupervisor], key: Hashable, factory: ChildSpec, /
    ) -> ActorRef[Any]: ...
    async def start_child(  # type: ignore[misc]  # mypy does not see that *args: Any takes what *args: *Ts takes
        self: Partitions[DynamicSupervisor],
        key: Hashable,
        factory: Callable[..., Any] | ChildSpec,
        /,
        *args: Any,
        name: Via[Any, Any] | None = None,
        restart: Restart | None = None,
        shutdown: float | Literal["kill"] | None = None,
    ) -> ActorRef[Any]:
        """Start a child of the dynamic supervisor that is the partition of a key: its ``start_child``.

        It is not a message to that supervisor: any number of children start side by side, and one that fails to start
        is the caller's error only. A checkpoint; constant time.

        Args:
            key: Whose partition.
            factory, args, name, restart, shutdown: As for ``DynamicSupervisor.start_child``.

        Raises:
            NotRegistered: The partition has no supervisor now.
            ActorExited: Its supervisor is ending, or did not start.
            TypeError: ``key`` is not hashable, or the partitions are no dynamic supervisors.
            RuntimeError: Called from another thread than that of their Trio run.
            Exception: As for ``DynamicSupervisor.start_child``.
        """
        spec = spec_of(factory, args, name=name, restart=restart, shutdown=shutdown)
        supervisor = await self._supervisor(self.via(key))
        return await supervisor.start_child(spec)

    @overload
    async def start_or_get(
        self: Partitions[DynamicSupervisor],
        key: Hashable,
        factory: Callable[[*Ts], A],
        /,
        *args: *Ts,
        name: Via[Any, Any],
        **options: Unpack[LifeOptions],
    ) -> ActorRef[A]: ...
    @overload
    async def start_or_get(
        self: Partitions[DynamicSupervisor],
        key: Hashable,
        factory: Callable[[*Ts], Awaitable[R]],
        /,
        *args: *Ts,
        name: Via[Any, Any],
        **options: Unpack[LifeOptions],
    ) -> ActorRef[Function[R]]: ...
    async def start_or_get(  # type: ignore[misc]  # as for start_child
        self: Partitions[DynamicSupervisor],
        key: Hashable,
        factory: Callable[..., Any],
        /,
        *args: Any,
        name: Via[Any, Any],
        restart: Restart | None = None,
        shutdown: float | Literal["kill"] | None = None,
    ) -> ActorRef[Any]:
        """The actor that has the name, or else a new child in the partition of a key: however many ask, never two.

        `DynamicSupervisor.start_or_get` there; arguments, errors and the rest are those of `start_child`.
        """
        supervisor = await self._supervisor(self.via(key))
        ref: ActorRef[Any] = await supervisor.start_or_get(
            factory, *args, name=name, restart=restart, shutdown=shutdown
        )
        return ref

    @enable_ki_protection
    async def _supervisor(self, address: Address[DynamicSupervisor]) -> DynamicSupervisor:
        """The dynamic supervisor that has an address, once it has started."""
        ref = address._resolve()
        ref._require_thread()
        cell = ref._cell
        if cell is not None and cell.state == STARTING:
            # Linked, so that a supervisor which asks itself before it has started gets a `CallCycle`.
            with waiting_for(cell, current_task()):
                await cell.wait_started()
        if cell is None or cell.state >= STOPPING:
            raise ref._exited(ref._cell)
        if not isinstance(cell.actor, DynamicSupervisor):
            raise TypeError(f"the partitions of {self.name!r} must be dynamic supervisors to start children: {ref!r}")
        return cell.actor

    # The supervisor's side

    def _child(self, number: int) -> ActorRef[T] | None:
        entry = self._table.get(number % self._count)
        # Nobody but the supervisor's children gets to know of this registry.
        return None if entry is None else cast("ActorRef[T]", entry.owner)


def _number_of(key: Hashable) -> int:
    """A number for a key: a function of nothing but its hash, since that is all that equal keys of different types (1,
    1.0, True, and whatever somebody else's library has) are sure to have in common."""
    try:
        number = hash(key)
    except TypeError as error:
        raise TypeError(f"key must be hashable: {key!r} ({error})") from None
    if number == -2 and key == -1:
        return 1  # CPython has no hash -1
    # A large one may be an address in memory, in steps of the size of the object: all in one partition of a pool's
    # many, were it not mixed. The hash of a tuple is.
    return abs(number) if -(2**32) < number < 2**32 else abs(hash((number,)))


class _KeyAddress(Address[T_co]):
    """The address of the child for a key. Not a `Via`: a child that somebody else starts can't have it as its name."""

    __slots__ = ("_number", "_partitions", "key")

    def __init__(self, partitions: Partitions[Any], key: Hashable, number: int) -> None:
        self._partitions = partitions
        self._number = number
        self.key = key

    def __repr__(self) -> str:
        return f"<via {self._partitions.name} {self.key!r}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _KeyAddress):
            return NotImplemented
        address = cast("_KeyAddress[T_co]", other)
        return self._partitions is address._partitions and self.key == address.key

    def __hash__(self) -> int:
        return hash((id(self._partitions), self.key))

    def _resolve(self) -> ActorRef[T_co]:
        ref: ActorRef[T_co] | None = self._partitions._child(self._number)
        if ref is None:
            raise NotRegistered(self._partitions.name, self.key)
        return ref


class _WaitingKeyAddress(_KeyAddress[T_co]):
    """The address of the child for a key, whose async forms wait for it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<via {self._partitions.name} {self.key!r}, waiting>"

    @property
    def _name(self) -> Via[int, None]:
        return self._partitions._names.via(self._number % len(self._partitions), wait=True)

    if not TYPE_CHECKING:  # the types are those of `Address`

        async def call(self, method, /, *args, **kwargs):
            return await self._name.call(method, *args, **kwargs)

        async def cast(self, method, /, *args, **kwargs):
            await self._name.cast(method, *args, **kwargs)

        async def send(self, message):
            await self._name.send(message)
