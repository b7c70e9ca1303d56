"""Restart intensity: how many restarts a supervisor, or one child, has had lately, and whether one more is allowed."""

from __future__ import annotations

import math
from collections import deque

from .restart_limit import require_limit


class RestartIntensity:
    """Counts restarts in a sliding window, as OTP's supervisor does.

    Attributes:
        max_restarts: How many restarts are allowed within the window.
        max_seconds: The length of the window, in seconds.
    """

    __slots__ = ("_errors", "_times", "max_restarts", "max_seconds")

    def __init__(self, max_restarts: float, max_seconds: float) -> None:
        require_limit(max_restarts, max_seconds)
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

    def left(self, now: float) -> float:
        """How many more restarts are allowed at time ``now``."""
        return self.max_restarts - sum(1 for time in self._times if time >= now - self.max_seconds)

    @property
    def exceeded_until(self) -> float:
        """Until when there are too many in the window, as `trio.current_time`. ``-math.inf`` if there are not."""
        over = len(self._times) - self.max_restarts
        return self._times[int(over) - 1] + self.max_seconds if over > 0 else -math.inf

    def is_over(self, now: float) -> bool:
        """Whether all that were counted are older than the window."""
        return not self._times or self._times[-1] + self.max_seconds < now

    @property
    def errors(self) -> list[Exception]:
        """The errors that caused the restarts in the window, oldest first."""
        return list(self._errors)
