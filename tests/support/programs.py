"""What the tests of programs share: children that do something after a while, and `trioreg.run` in virtual time."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import trio
from trio.testing import MockClock

import trioreg
from trioreg import ChildSpec

TERM, INT = signal.SIGTERM, signal.SIGINT
HANDLED = (INT, TERM)


def does(action: Callable[[], object], *, after: float = 1, **options: Any) -> ChildSpec:
    """A child that does something after some seconds, and goes on."""

    async def act() -> None:
        await trio.sleep(after)
        action()
        await trio.sleep_forever()

    return ChildSpec(act, **options)


def gets(signum: signal.Signals) -> ChildSpec:
    """A child that sends this process a signal after one second."""
    return does(partial(signal.raise_signal, signum))


def fails(error: BaseException) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def run(*tree: ChildSpec, **options: Any) -> signal.Signals | None:
    """`trioreg.run` in virtual time. Afterwards the signal handlers must be the handlers from before."""
    before = [signal.getsignal(each) for each in HANDLED]
    options = {"clock": MockClock(autojump_threshold=0), **options}
    try:
        return trioreg.run(tree, **options)
    finally:
        assert [signal.getsignal(each) for each in HANDLED] == before
