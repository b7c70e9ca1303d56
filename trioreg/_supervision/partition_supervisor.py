"""Children by key: `Partitions`, which find the child for a key, and the `PartitionSupervisor` that keeps them alive.

A key leads to a number, by its hash alone; a number is the name of a child in a small registry of its own. So nobody
is asked on the way to a child, and all that is promised of names holds here: a restarted child has its number again
before its `__init__` runs, and one that has ended is never found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Generic, Literal, Never, TypeVar, TypeVarTuple, cast, overload

import attrs
from trio.lowlevel import current_task, enable_ki_protection

from .._actors import STARTING, STOPPING, Actor, ActorRef, Address, Function, waiting_for
from .._registry import Registry, Via
from .._runtime import NotRegistered
from .child_spec import ChildSpec, Restart, spec_of
from .supervisor import DynamicSupervisor, Supervisor, _opened

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
        name: Via[Any, Any] | None = ...,
        restart: Restart | None = ...,
        shutdown: float | Literal["kill"] | None = ...,
    ) -> ActorRef[A]: ...
    @overload
    async def start_child(
        self: Partitions[DynamicSupervisor],
        key: Hashable,
        factory: Callable[[*Ts], Awaitable[R]],
        /,
        *args: *Ts,
        name: Via[Any, Any] | None = ...,
        restart: Restart | None = ...,
        shutdown: float | Literal["kill"] | None = ...,
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
        restart: Restart | None = ...,
        shutdown: float | Literal["kill"] | None = ...,
    ) -> ActorRef[A]: ...
    @overload
    async def start_or_get(
        self: Partitions[DynamicSupervisor],
        key: Hashable,
        factory: Callable[[*Ts], Awaitable[R]],
        /,
        *args: *Ts,
        name: Via[Any, Any],
        restart: Restart | None = ...,
        shutdown: float | Literal["kill"] | None = ...,
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


class PartitionSupervisor(Supervisor, Generic[T]):
    """A supervisor of one child for each partition, reached by key: Elixir's `PartitionSupervisor`.

    Arguments and behaviour are those of `open_partition_supervisor`. As a class it is what another supervisor starts::

        open_supervisor(children=[ChildSpec(PartitionSupervisor, args=(counters, Counter))])

    Attributes:
        partitions: The children by key.
    """

    partitions: Partitions[T]

    def __init__(
        self,
        partitions: int | Partitions[T],
        factory: Callable[..., T] | Callable[..., Awaitable[object]] | ChildSpec,
        /,
        *args: object,
        with_arguments: Callable[[int], tuple[Any, ...]] | None = None,
        max_restarts: float = 3,
        max_seconds: float = 5.0,
        name: str | None = None,
    ) -> None:
        if isinstance(partitions, Partitions):
            name = partitions.name if name is None else name
        else:
            name = "partition supervisor" if name is None else name
            partitions = Partitions(name, partitions)
        specs = _specs(partitions, factory, args, with_arguments)
        super().__init__(specs, max_restarts=max_restarts, max_seconds=max_seconds, name=name)
        self.partitions = partitions

    def via(self, key: Hashable, *, wait: bool = False) -> Address[T]:
        """The address of the child for a key: `Partitions.via`."""
        return self.partitions.via(key, wait=wait)

    async def start_child(self, *_: object, **__: object) -> Never:
        """Always a `TypeError`: the children of a partition supervisor are its partitions.

        Where these are dynamic supervisors, `Partitions.start_child` starts a child of one of them.
        """
        raise TypeError(
            f"{self._engine.label}: the children of a partition supervisor are its partitions; "
            "to start a child in one of them, use partitions.start_child(key, ...)"
        )


@overload
def open_partition_supervisor(
    partitions: int | Partitions[A],
    factory: Callable[[*Ts], A],
    /,
    *args: *Ts,
    max_restarts: float = ...,
    max_seconds: float = ...,
    name: str | None = ...,
) -> AbstractAsyncContextManager[PartitionSupervisor[A]]: ...
@overload
def open_partition_supervisor(
    partitions: int | Partitions[A],
    factory: Callable[[*Ts], A],
    /,
    *,
    with_arguments: Callable[[int], tuple[*Ts]],
    max_restarts: float = ...,
    max_seconds: float = ...,
    name: str | None = ...,
) -> AbstractAsyncContextManager[PartitionSupervisor[A]]: ...
@overload
def open_partition_supervisor(
    partitions: int | Partitions[Function],
    factory: Callable[[*Ts], Awaitable[object]],
    /,
    *args: *Ts,
    max_restarts: float = ...,
    max_seconds: float = ...,
    name: str | None = ...,
) -> AbstractAsyncContextManager[PartitionSupervisor[Function]]: ...
@overload
def open_partition_supervisor(
    partitions: int | Partitions[Function],
    factory: Callable[[*Ts], Awaitable[object]],
    /,
    *,
    with_arguments: Callable[[int], tuple[*Ts]],
    max_restarts: float = ...,
    max_seconds: float = ...,
    name: str | None = ...,
) -> AbstractAsyncContextManager[PartitionSupervisor[Function]]: ...
@overload
def open_partition_supervisor(
    partitions: Partitions[T],
    factory: ChildSpec,
    /,
    *,
    with_arguments: Callable[[int], tuple[Any, ...]] | None = ...,
    max_restarts: float = ...,
    max_seconds: float = ...,
    name: str | None = ...,
) -> AbstractAsyncContextManager[PartitionSupervisor[T]]: ...
@overload
def open_partition_supervisor(
    partitions: int,
    factory: ChildSpec,
    /,
    *,
    with_arguments: Callable[[int], tuple[Any, ...]] | None = ...,
    max_restarts: float = ...,
    max_seconds: float = ...,
    name: str | None = ...,
) -> AbstractAsyncContextManager[PartitionSupervisor[Any]]: ...
def open_partition_supervisor(  # type: ignore[misc]  # mypy does not see that *args: Any takes what *args: *Ts takes
    partitions: int | Partitions[Any],
    factory: Callable[..., Any] | ChildSpec,
    /,
    *args: Any,
    with_arguments: Callable[[int], tuple[Any, ...]] | None = None,
    max_restarts: float = 3,
    max_seconds: float = 5.0,
    name: str | None = None,
) -> AbstractAsyncContextManager[PartitionSupervisor[Any]]:
    """Open a supervisor of one child for each partition, reached by key: Elixir's `PartitionSupervisor`.

    ::

        async with open_partition_supervisor(4, Counter) as counters:
            await counters.via("James Bond").call(Counter.increment, 1)

    The children are started in order, partition 0 first, and each is on its own (one-for-one); their ids are the
    numbers of their partitions. A child that has ended for good (an async function that has returned) leaves its
    partition empty. Leaving the block, restarts, giving up, and errors: as in `open_supervisor`.

    Partitions do not make use of more cores: all of a Trio run is on one. What they give is that a slow child keeps
    only its own callers waiting, and that a crash costs only its own state. How many that takes nobody but you can
    say, so there is no default.

    Args:
        partitions: Their number; or `Partitions`, which are reached from anywhere, and also after this supervisor has
            been restarted by its own.
        factory: An `Actor` class or an async function (or a ``functools.partial`` of one), or a `ChildSpec` without id
            and name.
        args: Its arguments, the same for each partition.
        with_arguments: Gets the number of a partition and returns all arguments for it, as a tuple; instead of
            ``args``. It is called once for each partition, not once for each life.
        max_restarts, max_seconds: As in `open_supervisor`, for all partitions together.
        name: What it is called in the tree and in the log; by default as its `Partitions` are.

    Raises:
        RestartLimitExceeded: It gave up: the group of its children's errors.
        ExceptionGroup: A child did not start, or the block raised. With `AlreadyRegistered` in it: another supervisor
            runs these partitions.
        TypeError, ValueError: An argument is not what is said above.
    """
    return _opened(
        PartitionSupervisor(
            partitions,
            factory,
            *args,
            with_arguments=with_arguments,
            max_restarts=max_restarts,
            max_seconds=max_seconds,
            name=name,
        )
    )


def _specs(
    partitions: Partitions[Any],
    factory: Callable[..., Any] | ChildSpec,
    args: tuple[object, ...],
    with_arguments: Callable[[int], tuple[Any, ...]] | None,
) -> list[ChildSpec]:
    """What each partition is started from."""
    spec = spec_of(factory, args)
    if spec.id is not None:
        raise ValueError(f"id must not be given: that of each partition is its number, not {spec.id!r}")
    if spec.name is not None:
        raise ValueError(f"name must not be given: that of each partition is its number, not {spec.name!r}")
    if spec.significant:
        raise ValueError(f"significant must be False: a partition supervisor has no auto_shutdown: {spec!r}")
    if with_arguments is None:
        arguments = [spec.args] * len(partitions)
    elif not callable(with_arguments):
        raise TypeError(f"with_arguments must be callable, not {with_arguments!r}")
    elif spec.args:
        raise TypeError(f"args must not be given where with_arguments gives them all: {spec.args!r}")
    else:
        arguments = [with_arguments(number) for number in range(len(partitions))]
        for result in arguments:
            if not isinstance(result, tuple):
                raise TypeError(f"with_arguments must return a tuple of arguments, not {result!r}")
    return [
        attrs.evolve(spec, args=arguments[number], id=number, name=partitions._names.via(number))
        for number in range(len(partitions))
    ]
