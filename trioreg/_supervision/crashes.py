"""Crashes of actors on demand: how long the next life of a key has to wait, after how many crashes in a row.

A key without a crash costs nothing here, and one that is not asked for any more is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .._actors import Cell
    from .backoff import Backoff


class Crashes:
    """What is kept of a key whose actor has crashed: how many times in a row, and when it may be started again."""

    __slots__ = ("_backoff", "_by_key")

    def __init__(self, backoff: Backoff | None) -> None:
        self._backoff = backoff
        self._by_key: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def note(self, key: Hashable, cell: Cell) -> None:
        """A life has ended."""
        backoff = self._backoff
        if backoff is None:
            return
        now = trio.current_time()
        exit, began = cell.life.exit, cell.life.started_at
        if exit is None or exit.error is None:
            if exit is not None and exit.reason == "normal" and cell.life.has_started:
                self._by_key.pop(key, None)
            return
        in_a_row = self._by_key.pop(key, (0, 0.0))[0]
        if began is not None and now - began >= backoff.maximum:
            in_a_row = 0  # a life as long as that was a success
        self._by_key[key] = in_a_row + 1, now + backoff.delay(in_a_row + 1)
        # Keys that are not asked for any more are forgotten, or they would pile up. This one is not among them.
        while self._by_key[first := next(iter(self._by_key))][1] + backoff.maximum < now:
            del self._by_key[first]

    def wait(self, key: Hashable) -> float:
        """How many seconds a life of this key has to wait before it is started."""
        if not self._by_key or key not in self._by_key:
            return 0.0
        return max(0.0, self._by_key[key][1] - trio.current_time())
