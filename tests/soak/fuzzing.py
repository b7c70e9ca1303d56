"""Part ``fuzz``: patterns, queries and wildcards against matchers that were written from the docs alone."""

from __future__ import annotations

from support.fuzzing import CHECKS, fuzz

from soak.parts import Figures, Part

EXAMPLES = 300
"""How many examples of each check a round has."""


def fuzz_all(seed: int, *, examples: int = EXAMPLES) -> Figures:
    """Run each check on examples of this seed. An error prints the example."""
    figures = Figures()
    for name, check in CHECKS.items():
        fuzz(check, seed, examples)
        figures[f"examples of {name}"] += examples
    return figures


PART = Part("fuzz", "patterns, queries and wildcards match what a naive matcher matches", fuzz_all)
