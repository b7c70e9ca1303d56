"""What OpenTelemetry's side fails with: a span processor or a sampler of the user's may raise.

A failure must not reach the program, nor have the instrument removed: the next span may go well. The first one is in
the log with its traceback, the others are only there at the level DEBUG, as they come with each message.
"""

from __future__ import annotations

import logging

from .._runtime import SafeLogger

logger = SafeLogger("trioreg.telemetry")


class Failures:
    """The failures of one `Telemetry`."""

    __slots__ = ("_is_known",)

    def __init__(self) -> None:
        self._is_known = False

    def report(self, error: Exception) -> None:
        """Log it. Call this where the error is handled."""
        level = logging.DEBUG if self._is_known else logging.ERROR
        self._is_known = True
        text = "OpenTelemetry failed (%s), and the program goes on; later failures are logged at the level DEBUG"
        logger.log(level, "telemetry_failed", text, type(error).__name__, exc_info=error)
