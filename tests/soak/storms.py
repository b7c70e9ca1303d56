"""Part ``storms``: SIGINT and SIGTERM for real. A round is a process that interrupts itself (`ctrl_c.py`) in many short
runs, and programs of `trioreg.run` (`served.py`) that get signals from outside, one or many, at random moments."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from random import Random

from soak.modules import SECONDS, command_of, run_module
from soak.parts import Figures, Part

INT, TERM = signal.SIGINT, signal.SIGTERM
RUNS = 50
"""How many runs the process that interrupts itself does in a round."""


def one_program(draw: Random) -> Figures:
    """A program gets signals. One ends it in order, and a second one at once. It never hangs."""
    many = draw.choice([1, 1, 1, 2, 20])
    signals = [draw.choice([INT, TERM]) for _ in range(many)]
    command, env = command_of("served", draw.randrange(10**6))
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begins\n", process.stderr and process.stderr.read()
            time.sleep(draw.choice([0, 10 ** draw.uniform(-4, -0.5)]))
            for number in signals:
                process.send_signal(number)
                time.sleep(draw.choice([0, 0, 10 ** draw.uniform(-4, -1)]))
            out, err = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    told = f"seed and signals {signals}: status {process.returncode}\n{out}\n{err}"
    is_in_order = "ended in order" in out
    if many == 1:
        assert is_in_order, told
        assert process.returncode == (0 if signals == [TERM] else -INT), told
    else:
        # The second one may come when the first has done its work.
        assert process.returncode in ((0, -INT, -TERM) if is_in_order else (-INT, -TERM)), told
    assert "left behind" not in out and "Internal" not in err, told
    return Counter({"signals": many, "programs": 1, "ended in order": int(is_in_order)})


def storm(seed: int) -> Figures:
    draw = Random(seed)
    figures = run_module("ctrl_c", seed, RUNS)
    for _ in range(3):
        figures += one_program(draw)
    return figures


PART = Part("storms", "SIGINT and SIGTERM at any moment", storm)
