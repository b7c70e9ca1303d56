"""`ObserverApp.while_serving`: the block in which a server serves the application that is mounted into it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from trio.lowlevel import enable_ki_protection

from .._runtime import SyncBlock

if TYPE_CHECKING:
    from .state import State


class WhileServing(SyncBlock, AbstractContextManager[None]):
    """One block. It counts in the Trio run in which it is entered."""

    _written = "pages.while_serving()"

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state

    @enable_ki_protection
    def __enter__(self) -> None:
        self._state().begin_serving()

    @enable_ki_protection
    def __exit__(self, *error: object) -> None:
        self._state().end_serving()
