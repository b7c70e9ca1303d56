"""A supervisor of one child for each partition: `PartitionSupervisor` and `open_partition_supervisor`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Never, TypedDict, TypeVar, TypeVarTuple, Unpack, overload

import attrs

from .._actors import Actor, Address, Function
from .child_spec import ChildSpec, spec_of
from .partitions import Partitions
from .supervisor import Supervisor
from .supervisor_block import AtEnd, SupervisorBlock

A = TypeVar("A", bound=Actor)
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class PartitionOptions(TypedDict, total=False):
    """The options of `open_partition_supervisor` beside the child's own."""

    max_restarts: float
    max_seconds: float
    name: str | None
    at_end: AtEnd


class PartitionSupervisor(Supervisor, Generic[T]):
    """A supervisor of one child for each partition, reached by key: Elixir's `PartitionSupervisor`.

    It takes the arguments of `open_partition_supervisor`, and does the same. The class is for trees: another supervisor
    starts it::

        open_supervisor(children=[ChildSpec(PartitionSupervisor, args=(counters, Counter))])

    Attributes:
        partitions: The children by key.
    """

    partitions: Partitions[T]
    _default_name = "partition supervisor"

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
            partitions = Partitions(self._default_name if name is None else name, partitions)
        specs = _specs(partitions, factory, args, with_arguments)
        super().__init__(specs, max_restarts=max_restarts, max_seconds=max_seconds, name=name)
        self.partitions = partitions

    def via(self, key: Hashable, *, wait: bool = False) -> Address[T]:
        """The address of the child for a key. Arguments, cost and errors: as for `Partitions.via`. Not a checkpoint."""
        return self.partitions.via(key, wait=wait)

    async def start_child(self, *_: object, **__: object) -> Never:
        """Always raises a `TypeError`: the children of a partition supervisor are its partitions.

        If the partitions are dynamic supervisors, `Partitions.start_child` starts a child under one of them.
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
    **options: Unpack[PartitionOptions],
) -> AbstractAsyncContextManager[PartitionSupervisor[A]]: ...
@overload
def open_partition_supervisor(
    partitions: int | Partitions[A],
    factory: Callable[[*Ts], A],
    /,
    *,
    with_arguments: Callable[[int], tuple[*Ts]],
    **options: Unpack[PartitionOptions],
) -> AbstractAsyncContextManager[PartitionSupervisor[A]]: ...
@overload
def open_partition_supervisor(
    partitions: int | Partitions[Function],
    factory: Callable[[*Ts], Awaitable[object]],
    /,
    *args: *Ts,
    **options: Unpack[PartitionOptions],
) -> AbstractAsyncContextManager[PartitionSupervisor[Function]]: ...
@overload
def open_partition_supervisor(
    partitions: int | Partitions[Function],
    factory: Callable[[*Ts], Awaitable[object]],
    /,
    *,
    with_arguments: Callable[[int], tuple[*Ts]],
    **options: Unpack[PartitionOptions],
) -> AbstractAsyncContextManager[PartitionSupervisor[Function]]: ...
@overload
def open_partition_supervisor(
    partitions: Partitions[T],
    factory: ChildSpec,
    /,
    *,
    with_arguments: Callable[[int], tuple[Any, ...]] | None = ...,
    **options: Unpack[PartitionOptions],
) -> AbstractAsyncContextManager[PartitionSupervisor[T]]: ...
@overload
def open_partition_supervisor(
    partitions: int,
    factory: ChildSpec[T],
    /,
    *,
    with_arguments: Callable[[int], tuple[Any, ...]] | None = ...,
    **options: Unpack[PartitionOptions],
) -> AbstractAsyncContextManager[PartitionSupervisor[T]]: ...
def open_partition_supervisor(  # type: ignore[misc]  # mypy does not see that *args: Any takes what *args: *Ts takes
    partitions: int | Partitions[Any],
    factory: Callable[..., Any] | ChildSpec,
    /,
    *args: Any,
    with_arguments: Callable[[int], tuple[Any, ...]] | None = None,
    max_restarts: float = 3,
    max_seconds: float = 5.0,
    name: str | None = None,
    at_end: AtEnd = "wait",
) -> AbstractAsyncContextManager[PartitionSupervisor[Any]]:
    """Open a supervisor of one child for each partition, reached by key: Elixir's `PartitionSupervisor`.

    ::

        async with open_partition_supervisor(4, Counter) as counters:
            await counters.via("James Bond").call(Counter.increment, 1)

    The children are started in order, partition 0 first. The id of each is the number of its partition. A crash
    restarts only the child that crashed. A child that has ended for good, as an async function that has returned,
    leaves its partition empty. Leaving the block, restarts, giving up, and errors: as in `open_supervisor`. Entering
    and leaving are checkpoints; the cost grows with the partitions.

    Partitions do not use more cores: a Trio run is on one. With partitions, a slow child keeps only its own callers
    waiting, and a crash costs only its own state. How many you need depends on your program, so there is no default.

    Args:
        partitions: How many. Or `Partitions`, which you can use from anywhere, and also after this supervisor has been
            restarted.
        factory: An `Actor` class or an async function, or a ``functools.partial`` of one. Or a `ChildSpec` without id
            and name.
        args: Its arguments, the same for each partition.
        with_arguments: Instead of ``args``: a function that gets the number of a partition and returns all arguments
            for it, as a tuple. It is called once for each partition, not once for each life.
        max_restarts, max_seconds: As in `open_supervisor`, for all partitions together.
        at_end: As in `open_supervisor`.
        name: What it is called in the tree and in the log; by default what its `Partitions` are called.

    Raises:
        ExceptionGroup: It gave up (a `RestartLimitExceeded` and the errors that led to it are in the group).
        ExceptionGroup: A child did not start, or the block raised. With `AlreadyRegistered` in it: another supervisor
            runs these partitions.
        TypeError, ValueError: An argument is not what is said above.
    """
    return SupervisorBlock(
        PartitionSupervisor(
            partitions,
            factory,
            *args,
            with_arguments=with_arguments,
            max_restarts=max_restarts,
            max_seconds=max_seconds,
            name=name,
        ),
        "open_partition_supervisor(...)",
        at_end,
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
        raise ValueError(f"id must not be given: each partition's id is its number, not {spec.id!r}")
    if spec.name is not None:
        raise ValueError(f"name must not be given: each partition's name is its number, not {spec.name!r}")
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
