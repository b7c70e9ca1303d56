"""`Function`: what a reference to a function actor is a reference to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

if TYPE_CHECKING:
    # Type checkers know it even where it is not installed; at run time the default of PEP 696 plays no part.
    from typing_extensions import TypeVar

    R_co = TypeVar("R_co", covariant=True, default=object)
else:
    from typing import TypeVar

    R_co = TypeVar("R_co", covariant=True)


class Function(Generic[R_co]):
    """The type of a function actor, in ``ActorRef[Function[int]]``: it has no methods to call.

    Its parameter is what the function returns, as `ActorRef.result` gives it; ``Function`` alone is of any result.
    """

    __slots__ = ()
