"""Blocks: what ``with`` or ``async with`` opens. Each says in its errors how it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .identity import Identity

if TYPE_CHECKING:
    from typing import Never


class Block(Identity):
    """The base of the runtime's context managers, whose classes have private names.

    Attributes:
        _written: What you write to get one.
    """

    __slots__ = ()

    _written: str

    def __repr__(self) -> str:
        return f"<{self._written}>"


class SyncBlock(Block):
    """For ``with``."""

    __slots__ = ()

    if not TYPE_CHECKING:  # a type checker says the same

        async def __aenter__(self) -> Never:
            raise TypeError(f"write 'with {self._written}', not 'async with {self._written}'")

        async def __aexit__(self, *error: object) -> None:
            raise AssertionError("never entered")  # pragma: no cover  # to enter it is an error


class AsyncBlock(Block):
    """For ``async with``."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __enter__(self) -> Never:
            raise TypeError(f"write 'async with {self._written}', not 'with {self._written}'")

        def __exit__(self, *error: object) -> None:
            raise AssertionError("never entered")  # pragma: no cover  # to enter it is an error
