"""The outcome of one item in a stream that returns errors: `Done` or `Failed`."""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

import attrs

T = TypeVar("T")
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)


@attrs.frozen
class Done(Generic[T_co, R_co]):
    """The function returned, in a stream with ``on_error="return"``. Elixir's ``{:ok, value}``.

    Attributes:
        item: The argument of the call.
        value: The result of the call.
    """

    item: T_co
    value: R_co


@attrs.frozen
class Failed(Generic[T_co]):
    """The function raised, in a stream with ``on_error="return"``. Elixir's ``{:exit, {item, reason}}``.

    Attributes:
        item: The argument of the call.
        error: The exception that the call raised.
    """

    item: T_co
    error: Exception


Outcome: TypeAlias = Done[T, R] | Failed[T]
