"""The outcome of one item in a stream that returns errors: `Done` or `Failed`."""

from __future__ import annotations

import copy
from typing import Any, Generic, TypeAlias, TypeVar

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

    def __deepcopy__(self, memo: dict[int, Any]) -> Failed[T_co]:
        return Failed(copy.deepcopy(self.item, memo), self.error)  # as in an `Exit`: the error that was raised


Outcome: TypeAlias = Done[T, R] | Failed[T]
