"""Part ``fuzzing``: queries and wildcards against naive matchers that are written from the docs."""

from __future__ import annotations

from collections import Counter

from support.fuzzing import CHECKS, fuzz

from soak.exploring import no_log
from soak.parts import Figures, Part

EXAMPLES = 300


def fuzz_one(seed: int) -> Figures:
    names = list(CHECKS)
    name = names[seed % len(names)]
    with no_log():
        fuzz(CHECKS[name], seed, EXAMPLES)
    return Counter({f"examples of {name}": EXAMPLES})


PART = Part("fuzzing", "queries and wildcards against naive matchers", fuzz_one)
