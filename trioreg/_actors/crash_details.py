"""What the log says of a crash, beside its error: what the actor was doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._runtime import attributes_of, shown_safely

if TYPE_CHECKING:
    from .cell import Cell


class CrashDetails(str):
    """The words for the log of the program.

    Attributes:
        public: The same for what others see too, as the observer's pages: without the arguments of the message, unless
            the class of the actor has ``log_state = True``.
    """

    __slots__ = ("public",)

    public: str


def crash_details(cell: Cell) -> CrashDetails:
    """For the log: what the actor was doing when it crashed, and its attributes if ``log_state`` says so."""
    words = public = ""
    if cell.life.crashed_in is not None:
        name, args, kwargs = cell.life.crashed_in
        shown = [*map(shown_safely, args), *(f"{key}={shown_safely(value)}" for key, value in kwargs.items())]
        words = f", in {name}({', '.join(shown)})"
        public = f", in {name}"
    if cell.actor is not None and cell.actor.log_state:
        words += f", with {shown_safely(attributes_of(cell.actor))}"
    details = CrashDetails(words)
    details.public = words if getattr(cell.handlers.cls, "log_state", False) is True else public
    return details
