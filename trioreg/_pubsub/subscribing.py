"""A subscription for the time of a block: `PubSub.subscribe`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Generic, TypeVar

from trio.lowlevel import checkpoint, enable_ki_protection

from .._runtime import AsyncBlock, Feed

if TYPE_CHECKING:
    from types import TracebackType

M = TypeVar("M")


class Subscribing(AsyncBlock, AbstractAsyncContextManager[Feed[M]], Generic[M]):
    """The context manager of `PubSub.subscribe`.

    ``begin`` puts the feed into the tables, and returns what takes it out.
    """

    __slots__ = ("_begin", "_entered", "_topic")

    _written = "pubsub.subscribe(...)"

    def __init__(self, topic: object, begin: Callable[[], tuple[Feed[M], Callable[[], object]]]) -> None:
        self._topic = topic
        self._begin = begin
        self._entered: tuple[Feed[M], Callable[[], object]] | None = None

    @enable_ki_protection
    async def __aenter__(self) -> Feed[M]:
        if self._entered is not None:
            raise RuntimeError(f"this subscribe({self._topic!r}) is already entered: make another one")
        await checkpoint()
        self._entered = self._begin()
        return self._entered[0]

    @enable_ki_protection
    async def __aexit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        assert self._entered is not None
        (feed, leave), self._entered = self._entered, None
        try:
            leave()
        finally:
            feed.close()
        if error is None:
            await checkpoint()
