"""The `RestartLimit` of actors on demand: which keys have crashed too often lately, and for how long that holds.

No supervisor restarts an actor on demand: the next message starts it. So this limits messages: which of them may
start an actor. A key without a crash costs nothing here, and a key whose last crash is old is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import trio

from .._runtime import CrashedTooOften, RestartLimitExceeded, keep_lines
from .restart_intensity import RestartIntensity

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .restart_limit import RestartLimit


class CrashLimit:
    """What is kept of the crashes of each key."""

    __slots__ = ("_by_key", "_label", "_limit", "_name")

    def __init__(self, limit: RestartLimit, name: str, label: str) -> None:
        self._limit = limit
        self._name = name
        self._label = label
        self._by_key: OrderedDict[Hashable, RestartIntensity] = OrderedDict()

    def note(self, key: Hashable, error: Exception) -> tuple[RestartLimitExceeded, list[Exception]] | None:
        """A life has crashed. Returns what the supervisor gives up with, if it does."""
        if self.refusal(key) is not None:
            return None  # a life that was refused: it has never begun
        limit = self._limit
        now = trio.current_time()
        crashes = self._by_key.pop(key, None) or RestartIntensity(limit.max_restarts, limit.max_seconds)
        self._by_key[key] = crashes
        is_allowed = crashes.allows(now, error)
        # Forget the keys whose crashes are old, or they would pile up. This ends at this key, which has crashed now.
        while next(iter(self._by_key.values())).is_over(now):
            self._by_key.popitem(last=False)
        if is_allowed or limit.then == "drop":
            keep_lines(error)  # what is kept is not the state of the actor that has crashed
            return None
        exceeded = RestartLimitExceeded(self._label, key, limit.max_restarts, limit.max_seconds, True)
        return exceeded, crashes.errors

    def refusal(self, key: Hashable) -> CrashedTooOften | None:
        """The error for a message that would start an actor of this key, if that has crashed too often."""
        crashes = self._by_key.get(key) if self._by_key else None
        if crashes is None:
            return None
        seconds = crashes.exceeded_until - trio.current_time()
        if not seconds > 0:
            return None
        error = CrashedTooOften(self._name, key, self._limit.max_restarts, self._limit.max_seconds, seconds)
        error.__cause__ = crashes.errors[-1]
        return error
