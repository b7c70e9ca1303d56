"""`Identity`: an object that stands for something that runs, or for a place in this process.

A second object for the same thing would soon be wrong: a copied reference would never learn of the actor's end. So a
copy is the object itself. In another process it would lead nowhere, so it can't be pickled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Never, SupportsIndex

if TYPE_CHECKING:
    from typing import Self


class Identity:
    """The base of what is itself when it is copied, and can't be pickled."""

    __slots__ = ()

    _instead_of_pickling: ClassVar[str] = "it is of use in this process only"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Never:
        raise TypeError(f"{self!r} can't be pickled: {self._instead_of_pickling}")
