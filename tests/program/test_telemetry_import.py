"""OpenTelemetry is imported by `trioreg.telemetry` only, which says so if it is not there."""

from __future__ import annotations

import subprocess
import sys

WITHOUT = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Without())
"""


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_trioreg_imports_nothing_of_opentelemetry() -> None:
    program = "import sys, trioreg; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    assert run(program) == "[]\n"


def test_trioreg_works_without_opentelemetry_and_telemetry_says_what_to_install() -> None:
    program = "import trioreg\ntry:\n    import trioreg.telemetry\nexcept ImportError as error:\n    print(error)"
    assert run(WITHOUT + program) == "trioreg.telemetry needs OpenTelemetry: install trioreg[otel]\n"
