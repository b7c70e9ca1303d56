"""What the log says of a crash, beside its error: what the actor was doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._runtime import attributes_of, shown_safely

if TYPE_CHECKING:
    from .cell import Cell


def crash_details(cell: Cell) -> str:
    """For the log: what the actor was doing when it crashed, and its attributes if ``log_state`` says so."""
    words = ""
    if cell.life.crashed_in is not None:
        name, args, kwargs = cell.life.crashed_in
        shown = [*map(shown_safely, args), *(f"{key}={shown_safely(value)}" for key, value in kwargs.items())]
        words = f", in {name}({', '.join(shown)})"
    if cell.actor is not None and cell.actor.log_state:
        words += f", with {shown_safely(attributes_of(cell.actor))}"
    return words
