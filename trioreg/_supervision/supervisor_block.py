"""A supervisor as a block: what ``async with open_supervisor(...)`` does."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import trio
from trio.lowlevel import enable_ki_protection

from .._runtime import RestartLimitExceeded
from .failures import as_one_group

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
        # One group is enough: what a supervisor has failed with is not wrapped in the nursery's once more.
        if engine.failure is None and group.subgroup(RestartLimitExceeded) is None:
            raise
        one = as_one_group(group)
        if one is group:
            raise
        raise one from None
    finally:
        engine.failure = None  # its traceback leads here: no cycle
