"""`Backoff`: how long a child waits before its restarts."""

from __future__ import annotations

import random

import attrs

from .._runtime import require_number


def _check_number(_: object, attribute: attrs.Attribute[float], value: object) -> None:
    require_number(attribute.name, value)


def _check_factor(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    _check_number(_, attribute, value)
    if value < 1:
        raise ValueError(f"factor must be at least 1, not {value!r}")


def _check_jitter(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    _check_number(_, attribute, value)
    if value > 1:
        raise ValueError(f"jitter must be from 0 to 1, not {value!r}")


@attrs.frozen
class Backoff:
    """Waits before restarts, each longer than the last: ``ChildSpec(..., backoff=Backoff(initial=0.1, maximum=30))``.

    While a child waits, it has no name, is shown as ``"restarting"``, and can be terminated. A life of at least
    ``maximum`` seconds is a success: after it the waits begin anew.

    Attributes:
        initial: The first wait, in seconds.
        maximum: The longest wait, in seconds.
        factor: Each wait is this many times as long as the last.
        jitter: The share of a wait, from 0 to 1, by which it may be shorter, at random. It keeps a hundred children
            from coming back at once.

    Raises:
        TypeError, ValueError: An argument is not what is said above.
    """

    initial: float = attrs.field(default=0.1, validator=_check_number)
    maximum: float = attrs.field(default=60.0, validator=_check_number)
    factor: float = attrs.field(default=2.0, validator=_check_factor)
    jitter: float = attrs.field(default=0.0, validator=_check_jitter)

    def __attrs_post_init__(self) -> None:
        if self.maximum < self.initial:
            raise ValueError(f"maximum must be at least initial ({self.initial!r}), not {self.maximum!r}")

    def delay(self, attempt: int) -> float:
        """How long to wait before restart number ``attempt`` (from 1) in a row, in seconds.

        Not a checkpoint; safe from any thread; constant time.
        """
        try:
            longest = min(self.maximum, self.initial * float(self.factor) ** (attempt - 1))
        except OverflowError:
            longest = self.maximum if self.initial else 0.0
        return longest * (1 - self.jitter * random.random())


UNAVAILABLE_NAME = Backoff(initial=0.01, maximum=1.0)
"""How long a child without a backoff of its own waits for its next restart when its name was taken."""
