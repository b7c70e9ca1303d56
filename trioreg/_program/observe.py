"""``run(observe=...)``: the observer beside a program. It is loaded only if it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Opened(Protocol):
    """An observer that listens. What it is knows only `trioreg.observer`, which is above all wings."""

    async def run_beside(self) -> None: ...


def prepared_observer(bind: str | None) -> Callable[[], Awaitable[Opened | None]]:
    """What makes the observer listen. None: there is none.

    Raises:
        ImportError: The extra is not installed.
        TypeError, ValueError: ``bind`` is not an address of this machine with a port.
    """
    if bind is None:
        return _no_observer
    module = import_module("trioreg.observer")
    return cast("Callable[[], Awaitable[Opened | None]]", module._prepare(bind))


async def _no_observer() -> None:
    return None
