"""Checks of the arguments that a user passes to a registry."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, Protocol, TypeVar

from .._runtime import Owner

P = ParamSpec("P")
R = TypeVar("R")


class AcceptsNone(Protocol):
    """To a type checker: a registry whose values may be None, in which a value may be left out."""

    def _accept(self, value: None, /) -> None: ...


class _Missing:
    def __repr__(self) -> str:
        return "<missing>"


MISSING = _Missing()


def as_owner(argument: str, owner: object) -> Owner:
    """The owner that a user has given as ``argument``. `TypeError` if it is something else."""
    if not isinstance(owner, Owner):
        raise TypeError(f"{argument} must be an ActorRef or a TaskOwner, not {owner!r}")
    return owner._canonical()


def needs_owner(usage: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A method whose last argument is an owner: a call without one is refused, and the error says what to write.

    Args:
        usage: The call as it has to be, for the error.
    """
    needed = usage.count(",") + 2  # with `self`

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        @wraps(method)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            if len(args) + len(kwargs) < needed and "owner" not in kwargs:
                raise TypeError(
                    f"{method.__name__}() needs an owner: write {usage}; for the caller's own, the owner is "
                    "trioreg.current_owner()"
                )
            return method(*args, **kwargs)

        return checked

    return decorate
