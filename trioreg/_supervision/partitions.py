"""Children by key: `Partitions`, which find the child for a key. (`partition_supervisor.py` keeps it alive.)

A key gives a number. The number is the name of a child, in a small registry of its own. So the way to a
child leads through no supervisor and no task, and what is promised of names holds here too: a restarted child has its
number before its `__init__` runs, and a child that has ended is never found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Literal,
    Protocol,
    TypeVar,
    TypeVarTuple,
    Unpack,
    cast,
    overload,
)
from zlib import crc32

from trio.lowlevel import current_task, enable_ki_protection

from .._actors import STARTING, STOPPING, Actor, ActorRef, Address, Function, SharedStartWait, waiting_for
from .._registry import Registry, Via
from .._runtime import (
    Identity,
    NotRegistered,
    require_count,
    require_hashable,
    require_sync,
    show_methods_as,
    shown_whole,
    sync_result,
    unhashable,
)
from .backoff import Backoff
from .child_options import ChildOptions, LifeOptions
from .child_spec import ChildSpec, Restart, spec_of
from .dynamic_supervisor import DynamicSupervisor
from .restart_limit import RestartLimit

A = TypeVar("A", bound=Actor)
C = TypeVar("C")
R = TypeVar("R")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Ts = TypeVarTuple("Ts")

_HASH_OF_STR = str.__hash__
_HASH_OF_BYTES = bytes.__hash__

# Never change this, nor how `number_of` uses it: programs store their data by partition. The checksum alone would
# spread keys badly over 16 partitions if they differ in few bits. Multiplied (by 2**32 divided by the golden ratio) it
# spreads them as well as a cryptographic hash does, in a fifth of the time.
_SPREAD = 0x9E3779B1


class _PartitionsOf(Protocol[T_co]):
    """`Partitions` of a class or of a subclass of it. (`Partitions` itself is invariant: its supervisor needs that.)"""

    def via(self, key: Hashable, *, wait: bool = False) -> Address[T_co]: ...


class Partitions(Identity, Generic[T]):
    """A fixed number of children, found by key: the children of a `PartitionSupervisor`.

    Synopsis::

        counters: Partitions[Counter] = Partitions("counters", 4)  # at import time

        async with open_partition_supervisor(counters, Counter):  # or in a tree
            ...

        await counters.via("James Bond").call(Counter.increment, 1)  # from anywhere

    Make it once, as you make a `Registry`: before it has any child, at import time if you like. You can use it from
    anywhere, without a reference to the supervisor, and it is as good after a restart as before. One supervisor at a
    time fills it.

    A key always belongs to the same partition. Which one depends on its type:

    - A str or bytes: its characters or bytes decide. The partition is the same in every process, on every machine and
      with every version of Python, so you may store data by partition.
    - An int between -2**32 and 2**32: ``abs(key) % partitions``. So ``via(0)``, ``via(1)``, ... reach all of them.
    - Any other key: its hash decides, and that may differ from process to process.

    Keys are equal as the keys of a dict are, and equal keys have the same partition. There is one exception: a type of
    your own that is equal to a str or to bytes. For that, and for a partition that you choose, there is ``number_of``.

    Args:
        name: What the partitions are called in errors, in the tree and in the log.
        partitions: How many there are, at least 1. With another number, most keys have another partition.
        number_of: A function that takes a key and returns an int, for every key that is used. The key belongs to
            partition ``number_of(key) % partitions``. It must give equal keys the same number.

    Raises:
        TypeError: ``name`` is not a str, ``partitions`` is not an int, or ``number_of`` is not callable or is async.
        ValueError: ``partitions`` is less than 1.
    """

    _instead_of_pickling: ClassVar[str] = "make them at import time in each process"

    def __init__(self, name: str, partitions: int, *, number_of: Callable[[Any], int] | None = None) -> None:
        require_count("partitions", partitions, 1)
        self._names: Registry[int, None] = Registry(name)
        self._names._names.purpose = "partitions"
        table = self._names._sole
        assert table is not None
        self._table = table
        self._count = partitions
        self._number_of = _default_number if number_of is None else _checked(number_of)

    @property
    def name(self) -> str:
        """What they are called."""
        return self._names.name

    def __len__(self) -> int:
        """How many partitions there are, empty ones included."""
        return self._count

    def __repr__(self) -> str:
        return f"<Partitions {self.name!r}, {len(self._table)} of {self._count} running>"

    def partition_of(self, key: Hashable) -> int:
        """The number, from 0, of the partition that a key belongs to.

        Stable for a str, for bytes and for an int between -2**32 and 2**32: the same in every process, on every machine
        and with every version of Python.

        Not a checkpoint; safe from any thread. Constant time; for a str or bytes it grows with their length.

        Raises:
            TypeError: ``key`` is not hashable, or ``number_of`` did not return an int.
        """
        return self._number_of(key) % self._count

    def whereis(self, key: Hashable) -> ActorRef[T] | None:
        """The reference of the child for a key. None while the partition has no child.

        Not a checkpoint; safe from any thread; it costs as much as `partition_of`.

        Raises:
            TypeError: As for `partition_of`.
        """
        return self._child(self._number_of(key))

    def via(self, key: Hashable, *, wait: bool = False) -> Address[T]:
        """An address that finds the child for a key each time it is used: ``{:via, PartitionSupervisor, {name, key}}``.

        Not a checkpoint; it costs as much as `partition_of`. While the partition has no child, to send there raises
        `NotRegistered`.

        Args:
            key: Any hashable.
            wait: Whether the async forms (`~Address.call`, `~Address.cast`, `~Address.send`) wait for a child: through
                its restart, or its supervisor's. A message is sent once: it is not sent again to a restarted child.

        Raises:
            TypeError: As for `partition_of`.
        """
        return (_WaitingKeyAddress if wait else _KeyAddress)(self, key, self._number_of(key))

    # Where the children are dynamic supervisors

    @overload
    async def start_child(
        self: _PartitionsOf[DynamicSupervisor],
        key: Hashable,
        factory: Callable[[*Ts], A],
        /,
        *args: *Ts,
        **options: Unpack[ChildOptions],
    ) -> ActorRef[A]: ...
    @overload
    async def start_child(
        self: _PartitionsOf[DynamicSupervisor],
        key: Hashable,
        factory: Callable[[*Ts], Awaitable[R]],
        /,
        *args: *Ts,
        **options: Unpack[ChildOptions],
    ) -> ActorRef[Function[R]]: ...
    @overload
    async def start_child(
        self: _PartitionsOf[DynamicSupervisor], key: Hashable, factory: ChildSpec[C], /
    ) -> ActorRef[C]: ...
    async def start_child(  # type: ignore[misc]  # mypy does not see that *args: Any takes what *args: *Ts takes
        self,
        key: Hashable,
        factory: Callable[..., Any] | ChildSpec,
        /,
        *args: Any,
        name: Via[Any, Any, Any] | None = None,
        restart: Restart | None = None,
        shutdown: float | Literal["kill"] | None = None,
        backoff: Backoff | None = None,
        limit: RestartLimit | None = None,
    ) -> ActorRef[Any]:
        """Start a child under the dynamic supervisor that is the partition of a key.

        ::

            room = await rooms.start_child("cats", Room, "cats", name=names.via("cats"))

        It is not a message to that supervisor: any number of children start side by side, and a child that does not
        start is the caller's error only. A checkpoint; constant time.

        Args:
            key: A key of the partition.
            factory: An `Actor` class or an async function, or a ``functools.partial`` of one. Or a whole `ChildSpec`.
            args: Its arguments.
            name: The name that the child has in a registry, from `Registry.via`.
            restart: When it is restarted: ``"permanent"``, ``"transient"`` or ``"temporary"``, as in `ChildSpec`.
            shutdown: How long it may take to end: seconds, ``math.inf`` or ``"kill"``, as in `ChildSpec`.
            backoff: How long it waits before each restart, as in `ChildSpec`.
            limit: How many restarts it may have, and what follows from one more, as in `ChildSpec`.

        Returns:
            The reference of the child's first life.

        Raises:
            NotRegistered: The partition has no supervisor now.
            ActorExited: Its supervisor is ending, or did not start.
            TypeError: ``key`` is not hashable, or the partitions are not dynamic supervisors.
            RuntimeError: You are in another thread than their Trio run.
            Exception: As for ``DynamicSupervisor.start_child``.
        """
        spec = spec_of(factory, args, None, name, restart, shutdown, backoff, limit)
        supervisor = await self._supervisor(self.via(key))
        return await supervisor.start_child(spec)

    @overload
    async def start_or_get(
        self: _PartitionsOf[DynamicSupervisor],
        key: Hashable,
        factory: Callable[[*Ts], A],
        /,
        *args: *Ts,
        name: Via[Any, Any, Any],
        **options: Unpack[LifeOptions],
    ) -> ActorRef[A]: ...
    @overload
    async def start_or_get(
        self: _PartitionsOf[DynamicSupervisor],
        key: Hashable,
        factory: Callable[[*Ts], Awaitable[R]],
        /,
        *args: *Ts,
        name: Via[Any, Any, Any],
        **options: Unpack[LifeOptions],
    ) -> ActorRef[Function[R]]: ...
    @overload
    async def start_or_get(
        self: _PartitionsOf[DynamicSupervisor], key: Hashable, factory: ChildSpec[C], /
    ) -> ActorRef[C]: ...
    async def start_or_get(  # type: ignore[misc]  # as for start_child
        self,
        key: Hashable,
        factory: Callable[..., Any] | ChildSpec,
        /,
        *args: Any,
        name: Via[Any, Any, Any] | None = None,
        restart: Restart | None = None,
        shutdown: float | Literal["kill"] | None = None,
        backoff: Backoff | None = None,
        limit: RestartLimit | None = None,
    ) -> ActorRef[Any]:
        """The actor that has the name, or else a new child in the partition of a key: `DynamicSupervisor.start_or_get`.

        Never two actors with that name, even if many tasks ask at once. A checkpoint; constant time.

        Args:
            key: A key of the partition.
            factory, args, restart, shutdown, backoff, limit: As for `start_child`. A `ChildSpec` has to have a name.
            name: The name, from `Registry.via`.

        Returns:
            The reference of the actor that has the name.

        Raises:
            NotRegistered, ActorExited, TypeError, RuntimeError, Exception: As for `start_child`.
        """
        spec = spec_of(factory, args, None, name, restart, shutdown, backoff, limit)
        supervisor = await self._supervisor(self.via(key))
        return await supervisor.start_or_get(spec)

    @enable_ki_protection
    async def _supervisor(self, address: Address[Any]) -> DynamicSupervisor:
        """The dynamic supervisor that has an address, once it has started."""
        ref = address._resolve()
        ref._require_thread()
        cell = ref._cell
        if cell is not None and cell.state == STARTING:
            # As a wait: a supervisor that asks itself before it has started gets a `CallCycle`.
            with waiting_for(cell, current_task(), SharedStartWait):
                await cell.wait_started()
        if cell is None or cell.state >= STOPPING:
            raise ref._exited(ref._cell)
        if not isinstance(cell.actor, DynamicSupervisor):
            raise TypeError(f"the partitions of {self.name!r} must be dynamic supervisors to start children: {ref!r}")
        return cell.actor

    # The supervisor's side

    def _child(self, number: int) -> ActorRef[T] | None:
        entry = self._table.get(number % self._count)
        # Only the supervisor's children are ever in this registry.
        return None if entry is None else cast("ActorRef[T]", entry.owner)


def number_of(key: Hashable) -> int:
    """A number for a key, the same for equal keys.

    It comes from the hash: only that is sure to be the same for equal keys of different types (1, 1.0, True, and what a
    library brings along). But Python's hash of text and bytes is another one in each process.
    """
    kind = type(key)
    value: Any = key  # a `cast` would be a call
    if kind is int and -(2**32) < value < 2**32:
        return abs(value)  # type: ignore[no-any-return]  # as below, sooner
    # A subclass that has the hash of `str` has its equality too, as equal keys have equal hashes.
    if kind is str or kind.__hash__ is _HASH_OF_STR:
        return crc32(value.encode("utf-8", "surrogatepass")) * _SPREAD >> 20
    if kind.__hash__ is _HASH_OF_BYTES:
        return crc32(value) * _SPREAD >> 20
    try:
        number = hash(key)
    except TypeError as error:
        raise unhashable("key", key, error) from None
    if number == -2 and key == -1:
        return 1  # CPython has no hash -1
    if kind is memoryview:
        return number_of(bytes(value))  # equal to these bytes, as a key of a dict too
    # A large hash may be an address in memory, in steps of the object's size: unmixed, all of a kind could be in one
    # partition. The hash of a tuple is mixed.
    return abs(number) if -(2**32) < number < 2**32 else abs(hash((number,)))


_default_number = number_of


def _checked(number_of: Callable[[Any], int]) -> Callable[[Hashable], int]:
    """The user's own function from keys to numbers, with checks of the key and of the result."""
    require_sync("number_of", number_of)

    def checked(key: Hashable) -> int:
        require_hashable("key", key)
        number: object = sync_result("number_of", number_of, number_of(key))
        if not isinstance(number, int):
            raise TypeError(f"number_of must return an int, not {number!r} for the key {key!r}")
        return number

    return checked


class _KeyAddress(Address[T_co]):
    """The address of the child for a key. Not a `Via`: no other child can have it as its name."""

    __slots__ = ("_number", "_partitions", "key")

    _instead_of_pickling: ClassVar[str] = "it leads to partitions of this process; pickle its key"

    def __init__(self, partitions: Partitions[Any], key: Hashable, number: int) -> None:
        self._partitions = partitions
        self._number = number
        self.key = key

    def __repr__(self) -> str:
        return f"<via {self._partitions.name} {shown_whole(self.key)}>"

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
        return f"<via {self._partitions.name} {shown_whole(self.key)}, waiting>"

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


show_methods_as("Address", _KeyAddress, _WaitingKeyAddress)
