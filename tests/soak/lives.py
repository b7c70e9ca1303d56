"""Part ``lives``: very many lives with flat memory. A round is a process; even seeds have the garbage collector on."""

from __future__ import annotations

from soak.modules import run_module
from soak.parts import Figures, Part

LIVES = 1_000_000
"""How many lives a round has."""


def live(seed: int) -> Figures:
    """The seed says whether the garbage collector is on, and nothing else: these lives have nothing random."""
    return run_module("living", LIVES, "on" if seed % 2 == 0 else "off", seconds=7200)


PART = Part("lives", "a million lives with flat memory, with and without the garbage collector", live, least=2)
