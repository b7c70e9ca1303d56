"""Supervisors that are shut down at the end of a block."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from trioreg import ChildSpec, DynamicSupervisor, Supervisor, open_dynamic_supervisor, open_supervisor


@asynccontextmanager
async def supervised(*, max_restarts: float = 3) -> AsyncGenerator[DynamicSupervisor]:
    """A dynamic supervisor that is shut down at the end of the block."""
    with trio.fail_after(10_000), trio.CancelScope() as scope:
        async with open_dynamic_supervisor(max_restarts=max_restarts) as supervisor:
            yield supervisor
            scope.cancel()


@asynccontextmanager
async def supervising(children: Sequence[ChildSpec] = (), **options: Any) -> AsyncGenerator[Supervisor]:
    """A supervisor of these children, shut down at the end of the block."""
    with trio.CancelScope() as scope:
        async with open_supervisor(children, **options) as supervisor:
            yield supervisor
            scope.cancel()
