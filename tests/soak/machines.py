"""Part ``machines``: the state machines of the tests, with many examples and another seed in each round."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

from soak.modules import TESTS, environment
from soak.parts import Figures, Part

MACHINES = sorted(str(path.relative_to(TESTS)) for path in TESTS.glob("*/test_*_machine.py"))

SECONDS = 3600
"""After how long a machine hangs: some take minutes, on a busy machine many."""


def run_machine(seed: int) -> Figures:
    """One machine for a seed. Hypothesis shrinks a failure, and says how to repeat it."""
    machine = MACHINES[seed % len(MACHINES)]
    options = ["-q", "-p", "no:cacheprovider", f"--hypothesis-seed={seed}", "--hypothesis-show-statistics"]
    options.append(f"--timeout={SECONDS}")
    command = [sys.executable, "-m", "pytest", *options, machine]
    env = {**environment(), "HYPOTHESIS_PROFILE": "soak"}
    done = subprocess.run(command, env=env, cwd=TESTS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{machine} fails with --hypothesis-seed={seed}:\n{done.stdout}\n{done.stderr}"
    examples = sum(map(int, re.findall(r"(\d+) passing", done.stdout)))
    assert examples, done.stdout
    return Counter({"examples": examples, "machines": 1})


PART = Part("machines", "state machines with many examples", run_machine, least=len(MACHINES))
