"""What the tests of partition supervisors share."""

from __future__ import annotations

from typing import Any

import trio

from support.errors import Bang
from trioreg import (
    Actor,
    ActorRef,
    Partitions,
    PartitionSupervisor,
)


class Counter(Actor):
    def __init__(self, start: int = 0) -> None:
        self.value = start

    def increment(self, by: int) -> int:
        self.value += by
        return self.value

    async def wait_and_increment(self, seconds: float) -> int:
        await trio.sleep(seconds)
        return self.increment(1)

    def bang(self) -> None:
        raise Bang

    async def on_message(self, message: int) -> None:
        self.value += message


def child_of(supervisor: PartitionSupervisor[Any], number: int) -> ActorRef[Any]:
    ref = supervisor.which_children()[number].ref
    assert ref is not None
    return ref


def running(partitions: Partitions[Any]) -> int:
    """In how many partitions there is a child."""
    return sum(partitions.whereis(number) is not None for number in range(len(partitions)))
