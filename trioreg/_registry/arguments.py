"""Checks of the arguments that a user passes to a registry."""

from __future__ import annotations

from typing import Protocol

from .._runtime import Owner, current_owner


class AcceptsNone(Protocol):
    """To a type checker: a registry whose values may be None, in which a value may be left out."""

    def _accept(self, value: None, /) -> None: ...


class _Missing:
    def __repr__(self) -> str:
        return "<missing>"


MISSING = _Missing()


def as_owner(argument: str, owner: object) -> Owner:
    if not isinstance(owner, Owner):
        raise TypeError(f"{argument} must be an ActorRef or a TaskOwner, not {owner!r}")
    return owner._canonical()


def owner_or_caller(owner: object) -> Owner:
    return current_owner() if owner is MISSING else as_owner("owner", owner)


def require_hashable(argument: str, value: object) -> None:
    try:
        hash(value)
    except TypeError as error:
        raise unhashable(argument, value, error) from None


def unhashable(argument: str, value: object, error: TypeError) -> TypeError:
    return TypeError(f"{argument} must be hashable: {value!r} ({error})")
