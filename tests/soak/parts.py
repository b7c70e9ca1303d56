"""What a part of the long runs is: a function that does a round for a seed. And the loop over seeds, up to a bound."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

import attrs
from support.errors import leaves

Figures = Counter[str]
"""What a round has done, to be added up: "schedules", "lives", "signals" and the like."""


@attrs.frozen
class Part:
    """A part of the long runs.

    Attributes:
        name: What the command line calls it.
        what: What it shows, in a few words.
        round: Does the round of a seed, and raises if something is wrong. The same seed does the same again.
        least: How many rounds it does however short the time is: one of each kind that it has.
    """

    name: str
    what: str
    round: Callable[[int], Figures]
    least: int = 1


@attrs.frozen
class Bound:
    """When a part ends: after a number of seconds, or of rounds."""

    seconds: float | None = None
    rounds: int | None = None

    def seeds(self, first: int, least: int) -> Iterator[int]:
        """The seeds of the rounds that are within the bound; of ``least`` rounds, if the bound is in seconds."""
        begin = time.monotonic()
        for done in count():
            if self.rounds is not None and done >= self.rounds:
                return
            if self.seconds is not None and done >= least and time.monotonic() - begin >= self.seconds:
                return
            yield first + done


class RoundEnded(Exception):
    """A round has not come to its end; its error is the ``__cause__``.

    Attributes:
        seed: The seed of the round.
        figures: What the rounds before it have done.
    """

    def __init__(self, text: str, seed: int, figures: Figures) -> None:
        super().__init__(text)
        self.seed = seed
        self.figures = figures


class RoundFailed(RoundEnded):
    """A round has failed."""


class RoundInterrupted(RoundEnded):
    """Somebody has pressed Ctrl-C. That says nothing about the round."""


def run_part(part: Part, bound: Bound, first: int) -> Figures:
    """Do rounds up to the bound. `RoundFailed` at the first that fails, `RoundInterrupted` at Ctrl-C."""
    figures: Figures = Counter()
    for seed in bound.seeds(first, part.least):
        command = f"nox -s soak -- {part.name} --seed {seed}"
        try:
            figures += part.round(seed)
        except BaseException as error:
            if has_ctrl_c(error):
                raise RoundInterrupted(f"interrupted. To go on: {command}", seed, figures) from error
            text = f"{part.name} fails with seed {seed}. To repeat: {command} --rounds 1"
            raise RoundFailed(text, seed, figures) from error
        figures["rounds"] += 1
    return figures


def has_ctrl_c(error: BaseException | None) -> bool:
    """Whether an error comes from Ctrl-C: nurseries make groups of it, and `explore` an error of its own."""
    if error is None:
        return False
    return any(isinstance(leaf, KeyboardInterrupt) or has_ctrl_c(leaf.__cause__) for leaf in leaves(error))
