"""What a part of the long runs is: a function that does a round for a seed. And the loop over seeds, up to a bound."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

import attrs

Figures = Counter[str]
"""What a round has done, to be added up: "schedules", "lives", "signals" and the like."""


@attrs.frozen
class Part:
    """A part of the long runs.

    Attributes:
        name: What the command line calls it.
        what: What it shows, in a few words.
        round: Does the round of a seed, and raises if something is wrong. The same seed does the same again.
    """

    name: str
    what: str
    round: Callable[[int], Figures]


@attrs.frozen
class Bound:
    """When a part ends: after a number of seconds, or of rounds. It does one round at least."""

    seconds: float | None = None
    rounds: int | None = None

    def seeds(self, first: int) -> Iterator[int]:
        """The seeds of the rounds that are within the bound."""
        begin = time.monotonic()
        for done in count():
            if done and self.rounds is not None and done >= self.rounds:
                return
            if done and self.seconds is not None and time.monotonic() - begin >= self.seconds:
                return
            yield first + done


class RoundFailed(Exception):
    """A round has failed; its error is the ``__cause__``.

    Attributes:
        seed: The seed of the round.
        figures: What the rounds before it have done.
    """

    def __init__(self, part: str, seed: int, figures: Figures) -> None:
        super().__init__(f"{part} fails with seed {seed}. To repeat: nox -s soak -- {part} --seed {seed} --rounds 1")
        self.seed = seed
        self.figures = figures


def run_part(part: Part, bound: Bound, first: int) -> Figures:
    """Do rounds up to the bound. `RoundFailed` at the first that fails."""
    figures: Figures = Counter()
    for seed in bound.seeds(first):
        try:
            figures += part.round(seed)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            raise RoundFailed(part.name, seed, figures) from error
        figures["rounds"] += 1
    return figures
