"""Programs in processes of their own, which a test talks to; they are killed if they hang."""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from threading import Timer
from typing import Any

SECONDS = 30
"""How long a program may take that a test waits for; each takes less than one second."""


@contextmanager
def running(command: Sequence[str], **options: Any) -> Generator[subprocess.Popen[str]]:
    """A process with pipes for its output and errors. It is killed after `SECONDS`, so that no read waits for ever."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", **options
    ) as process:
        timer = Timer(SECONDS, process.kill)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            process.kill()
