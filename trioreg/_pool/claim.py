"""A worker for the time of a block: `Pool.claim`.

A claim ends with its block. If its holder ends first, because the block was entered by hand and never left, the claim
ends with the holder, as a name ends with its owner.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from trio.lowlevel import checkpoint_if_cancelled, current_task, enable_ki_protection

from .._actors import Actor
from .._runtime import AsyncBlock, current_owner, do_later

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable
    from types import TracebackType

    from .._actors import ActorRef
    from .._runtime import Exit, Owner, Token
    from .desk import Desk
    from .place import Worker

A = TypeVar("A", bound=Actor)


class Claim(AsyncBlock, AbstractAsyncContextManager["ActorRef[A]"], Generic[A]):
    """The context manager of `Pool.claim`."""

    __slots__ = ("_desk", "_find_desk", "_holder", "_is_entered", "_key", "_worker")

    _written = "pool.claim(...)"

    def __init__(self, find_desk: Callable[[], Desk], key: Hashable) -> None:
        self._find_desk = find_desk
        self._key = key
        self._is_entered = False
        self._desk: Desk
        self._worker: Worker | None = None
        self._holder: Owner | None = None

    @enable_ki_protection
    async def __aenter__(self) -> ActorRef[A]:
        if self._is_entered:
            raise RuntimeError("this claim is already entered: make another one")
        self._is_entered = True
        await checkpoint_if_cancelled()
        self._desk = self._find_desk()
        worker = await self._desk.check_out_at_checkpoint(self._key)
        self._worker = worker
        try:
            owner = current_owner()
            owner._take(CLAIMS, self, 0)
            self._holder = owner
            worker.claimer = current_task()
        except BaseException:
            self._give_back_surely(worker)
            raise
        return cast("ActorRef[A]", worker.cell.ref)

    @enable_ki_protection
    async def __aexit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        if self._worker is not None:
            try:
                self._give_back()
            except (MemoryError, RecursionError):
                self._give_back_later(self._worker)
        holder, self._holder = self._holder, None
        if holder is not None and holder._token(CLAIMS, self) is not None:
            holder._drop(CLAIMS, self)

    def _give_back(self) -> None:
        worker = self._worker
        if worker is not None:
            worker.claimer = None
            self._desk.give_back(worker)
            self._worker = None

    def _give_back_surely(self, worker: Worker) -> None:
        try:
            self._give_back()
        except (MemoryError, RecursionError):
            self._give_back_later(worker)

    def _give_back_later(self, worker: Worker) -> None:
        do_later(worker.cell.ref._run.token, self._give_back)


class _Claims:
    """All claims, as the lessor of each."""

    __slots__ = ()

    def _reclaim(self, owner: Owner, keys: Collection[tuple[Any, Token]], exit: Exit | None) -> None:
        for claim, _ in keys:
            cast("Claim[Any]", claim)._give_back()


CLAIMS = _Claims()
