"""An object that only the garbage collector can throw away."""

from __future__ import annotations

from collections.abc import Callable


class Cyclic:
    """Only the collector can throw it away; it does its action then."""

    def __init__(self, action: Callable[[], object]) -> None:
        self.action = action
        self.me = self

    def __del__(self) -> None:
        self.action()
