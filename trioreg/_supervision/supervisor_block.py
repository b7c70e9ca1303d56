"""A supervisor as a block: what ``async with open_supervisor(...)`` does."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import trio
from trio.lowlevel import enable_ki_protection

from .._runtime import RestartLimitExceeded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .supervisor_base import SupervisorBase

S = TypeVar("S", bound="SupervisorBase")


@asynccontextmanager
@enable_ki_protection
async def open_block(supervisor: S) -> AsyncGenerator[S]:
    engine = supervisor._engine
    try:
        async with trio.open_nursery() as nursery:
            started = trio.Event()

            @enable_ki_protection
            async def run() -> None:
                await engine.run(supervisor._specs, started.set)
                # The supervisor has ended, so end the block. In this order: a block that has not been entered yet is
                # entered first, and then cancelled.
                started.set()
                nursery.cancel_scope.cancel()

            nursery.start_soon(run, name=engine.label)
            await started.wait()
            try:
                yield supervisor
            except BaseException:
                engine.close()
                raise
            engine.close_when_empty()
    except BaseExceptionGroup as group:
        # One group is enough: the supervisor's own failure is not wrapped in the nursery's once more. (The group may
        # have a copy of that failure in it: Trio makes one when it takes `Cancelled` out.)
        # As in the engine, an error outweighs the cancellation during which it came up.
        failure: object = engine.failure
        if isinstance(failure, RestartLimitExceeded) and _is_single(group):
            raise failure from None
        raise
    finally:
        engine.failure = None  # its traceback leads here: no cycle


def _is_single(group: BaseExceptionGroup[BaseException]) -> bool:
    """Whether there is one failure in it, beside a cancellation or not."""
    failures = group.split(trio.Cancelled)[1]
    return failures is not None and len(failures.exceptions) == 1
