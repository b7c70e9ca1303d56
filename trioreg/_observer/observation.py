"""What one observer knows of one Trio run, beside what it can ask: the log, and what happened while a page was open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._runtime import Run


class Observation:
    """One run, as it is observed.

    Attributes:
        run: The Trio run.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
