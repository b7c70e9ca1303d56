"""What a type checker says of partitions: nothing in here runs; see `test_types.py`."""

from __future__ import annotations

from typing import Any, assert_type

from trioreg import (
    Actor,
    ActorRef,
    Address,
    ChildSpec,
    DynamicSupervisor,
    Function,
    Partitions,
    PartitionSupervisor,
    Registry,
    open_dynamic_supervisor,
    open_partition_supervisor,
)


class Counter(Actor):
    def __init__(self, start: int, label: str) -> None:
        self.value = start

    def increment(self, by: int) -> int:
        return self.value + by


class SubCounter(Counter): ...


class Other(Actor):
    def increment(self, by: int) -> int:
        return by


async def worker(jobs: int) -> None: ...


async def opening(counters: Partitions[Counter], sub: Partitions[SubCounter]) -> None:
    async with open_partition_supervisor(4, Counter, 1, "x") as by_number:
        assert_type(by_number, PartitionSupervisor[Counter])
        assert_type(by_number.partitions, Partitions[Counter])
    async with open_partition_supervisor(counters, Counter, with_arguments=lambda number: (number, "x")) as numbered:
        assert_type(numbered, PartitionSupervisor[Counter])
    async with open_partition_supervisor(counters, SubCounter, 1, "x"):
        pass
    async with open_partition_supervisor(4, worker, 3) as function:
        assert_type(function, PartitionSupervisor[Function])
    async with open_partition_supervisor(4, worker, with_arguments=lambda number: (number,)) as functions:
        assert_type(functions, PartitionSupervisor[Function])
    async with open_partition_supervisor(4, ChildSpec(worker)) as anything:
        assert_type(anything, PartitionSupervisor[Any])
    async with open_partition_supervisor(counters, ChildSpec(Counter)) as from_spec:
        assert_type(from_spec, PartitionSupervisor[Counter])
    async with open_partition_supervisor(4, DynamicSupervisor) as dynamic:
        assert_type(dynamic, PartitionSupervisor[DynamicSupervisor])
    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(PartitionSupervisor[Counter], counters, Counter)
        assert_type(ref, ActorRef[PartitionSupervisor[Counter]])


def wrong_opening(counters: Partitions[Counter], sub: Partitions[SubCounter]) -> None:
    open_partition_supervisor(counters, Other)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]
    open_partition_supervisor(sub, Counter, 1, "x")  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]
    open_partition_supervisor(4, Counter)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]
    open_partition_supervisor(4, Counter, "x", 1)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]
    open_partition_supervisor(4, Counter, with_arguments=lambda number: ("x", number))  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]


async def by_key(counters: Partitions[Counter], supervisor: PartitionSupervisor[Counter]) -> None:
    assert_type(counters.whereis("x"), ActorRef[Counter] | None)
    assert_type(await counters.via("x").call(Counter.increment, 1), int)
    assert_type(await supervisor.via("x", wait=True).call(Counter.increment, 1), int)
    await counters.via("x").call(Counter.increment, "1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await counters.via("x").call(Other.increment, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    counters.via("x").cast_nowait(Other.increment, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Rooms(DynamicSupervisor):
    """Partitions of a subclass start children, too."""


async def starting_in_a_subclass(
    rooms: Partitions[Rooms], supervisor: PartitionSupervisor[Rooms], names: Registry[str, None]
) -> None:
    assert_type(await rooms.start_child("x", Counter, 1, "x"), ActorRef[Counter])
    assert_type(await supervisor.partitions.start_or_get("x", Counter, 1, "x", name=names.via("x")), ActorRef[Counter])
    assert_type(rooms.via("x"), Address[Rooms])


async def starting(
    rooms: Partitions[DynamicSupervisor], counters: Partitions[Counter], names: Registry[str, None]
) -> None:
    assert_type(await rooms.start_child("x", Counter, 1, "x", name=names.via("x")), ActorRef[Counter])
    assert_type(await rooms.start_or_get("x", Counter, 1, "x", name=names.via("x")), ActorRef[Counter])
    assert_type(await rooms.start_child("x", worker, 1), ActorRef[Function[None]])
    assert_type(await rooms.start_child("x", ChildSpec(worker)), ActorRef[Any])
    await rooms.start_child("x", Counter, "x", 1)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await counters.start_child("x", Counter, 1, "x")  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    await rooms.start_child("x", Counter, 1, "x", name=counters.via("x"))  # type: ignore[call-arg, call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
