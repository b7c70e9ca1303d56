"""Restart intensity: how many restarts a supervisor allows, in how many seconds."""

from __future__ import annotations

import math
from collections import deque


class RestartIntensity:
    """Counts restarts in a sliding window, as OTP's supervisor does.

    Attributes:
        max_restarts: How many restarts are allowed within the window.
        max_seconds: The length of the window, in seconds.
    """

    __slots__ = ("_errors", "_times", "max_restarts", "max_seconds")

    def __init__(self, max_restarts: float, max_seconds: float) -> None:
        if isinstance(max_restarts, bool) or not isinstance(max_restarts, int | float):
            raise TypeError(f"max_restarts must be an int or math.inf, not {max_restarts!r}")
        if not max_restarts >= 0 or (max_restarts != math.inf and max_restarts != int(max_restarts)):
            raise ValueError(f"max_restarts must be a whole number of at least 0, or math.inf, not {max_restarts!r}")
        if isinstance(max_seconds, bool) or not isinstance(max_seconds, int | float):
            raise TypeError(f"max_seconds must be a number of seconds, not {max_seconds!r}")
        if not max_seconds > 0:
            raise ValueError(f"max_seconds must be more than 0, not {max_seconds!r}")
        self.max_restarts = max_restarts
        self.max_seconds = max_seconds
        self._times: deque[float] = deque()
        self._errors: deque[Exception] = deque()

    def allows(self, now: float, error: Exception) -> bool:
        """Count one more restart, at time ``now``, because of ``error``. False: it is one too many."""
        if self.max_restarts == math.inf:
            return True
        while self._times and self._times[0] < now - self.max_seconds:
            self._times.popleft()
            self._errors.popleft()
        self._times.append(now)
        self._errors.append(error)
        return len(self._times) <= self.max_restarts

    @property
    def errors(self) -> list[Exception]:
        """What caused the restarts in the window, oldest first."""
        return list(self._errors)
