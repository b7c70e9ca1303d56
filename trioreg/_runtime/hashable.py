"""Check that a key of the user's is hashable. One place, so that the same mistake gives the same error everywhere."""

from __future__ import annotations

from .shown import shown_safely


def require_hashable(argument: str, value: object) -> None:
    """`TypeError` unless ``value``, given as ``argument``, is hashable."""
    try:
        hash(value)
    except TypeError as error:
        raise unhashable(argument, value, error) from None


def unhashable(argument: str, value: object, error: TypeError) -> TypeError:
    """The error for a key that is not hashable, made of the error that Python raised."""
    return TypeError(f"{argument} must be hashable: {shown_safely(value)} ({error})")
