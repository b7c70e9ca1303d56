"""Room on the stack, for a change that could not be undone half-way."""

from __future__ import annotations

_FRAMES = 24
"""More than Trio needs to cancel a scope, or to start a task."""


def require_room(frames: int = _FRAMES) -> None:
    """Raise `RecursionError` if the stack is almost full: now, while nothing has changed.

    Trio itself can't undo what it has begun. A scope that it has cancelled half-way can't be cancelled again.
    """
    if frames:
        require_room(frames - 1)
