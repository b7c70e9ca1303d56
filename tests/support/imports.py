"""A Python of its own that imports trioreg, also one that lacks a package."""

from __future__ import annotations

import subprocess
import sys


def without(package: str) -> str:
    """The lines of a program after which it cannot import that package."""
    return f"""
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Without())
"""


def run_program(program: str) -> str:
    """What a program prints. It must end with status 0."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
