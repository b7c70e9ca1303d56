"""A supervisor as a block: what ``async with open_supervisor(...)`` does."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar

import trio
from trio.lowlevel import enable_ki_protection, in_trio_run

from .._runtime import AsyncBlock, RestartLimitExceeded
from .failures import as_one_group

if TYPE_CHECKING:
    from types import TracebackType

    from .supervisor_base import SupervisorBase

S = TypeVar("S", bound="SupervisorBase")

AtEnd: TypeAlias = Literal["wait", "stop"]
"""What happens at the end of a supervisor's block: wait until the last child has ended for good, or stop them all."""


class SupervisorBlock(AsyncBlock, AbstractAsyncContextManager[S], Generic[S]):
    """The context manager of `open_supervisor` and the like.

    It is a class, as Trio's own nursery manager is. ``contextlib.asynccontextmanager`` would put its own code between
    the user's and this one. Ctrl-C can interrupt that code, and would leave the nursery open.
    """

    __slots__ = ("_at_end", "_nursery", "_supervisor", "_written")

    def __init__(self, supervisor: S, written: str, at_end: AtEnd) -> None:
        if at_end not in ("wait", "stop"):
            raise ValueError(f"at_end must be 'wait' or 'stop', not {at_end!r}")
        self._written = written
        self._supervisor = supervisor
        self._at_end = at_end
        self._nursery: AbstractAsyncContextManager[trio.Nursery] | None = None

    @enable_ki_protection
    async def __aenter__(self) -> S:
        if self._nursery is not None:
            raise RuntimeError("this supervisor's block is already entered: open another one")
        if not in_trio_run():  # Trio's own error would say nothing of that
            raise RuntimeError(f"{self._written} needs Trio: run your program with trio.run(main), not with asyncio")
        supervisor = self._supervisor
        engine = supervisor._engine
        self._nursery = trio.open_nursery()
        nursery = await self._nursery.__aenter__()
        try:
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
        except BaseException as error:
            await self._close(error)
            raise
        return supervisor

    @enable_ki_protection
    async def __aexit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> bool | None:
        engine = self._supervisor._engine
        try:
            if error is None and self._at_end == "wait":
                engine.close_when_empty()
                engine.log_wait()
            else:
                engine.close()
        except BaseException as failure:
            await self._close(failure)
            raise
        return await self._close(error)

    async def _close(self, error: BaseException | None) -> bool | None:
        """Leave the nursery, as its own ``__aexit__`` does."""
        assert self._nursery is not None
        engine = self._supervisor._engine
        try:
            return await self._nursery.__aexit__(
                None if error is None else type(error), error, None if error is None else error.__traceback__
            )
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
