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


def require_room_for_task() -> None:
    """``require_room(10)``, enough to start a task. Written out: each start pays for it, and so it costs half.

    Each function returns what the next one returns (None), which saves two bytecodes.
    """
    return _room_for_10()


def require_room_for_launch() -> None:
    """``require_room(13)``, enough to launch an actor on demand. Written out for the same reason."""
    return _room_for_13()


def _room_for_13() -> None:
    return _room_for_12()


def _room_for_12() -> None:
    return _room_for_11()


def _room_for_11() -> None:
    return _room_for_10()


def _room_for_10() -> None:
    return _room_for_9()


def _room_for_9() -> None:
    return _room_for_8()


def _room_for_8() -> None:
    return _room_for_7()


def _room_for_7() -> None:
    return _room_for_6()


def _room_for_6() -> None:
    return _room_for_5()


def _room_for_5() -> None:
    return _room_for_4()


def _room_for_4() -> None:
    return _room_for_3()


def _room_for_3() -> None:
    return _room_for_2()


def _room_for_2() -> None:
    return _room_for_1()


def _room_for_1() -> None:
    pass
