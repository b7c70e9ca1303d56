"""The README's program runs as pasted and prints what the README says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_readme_program_prints_what_the_readme_says(tmp_path: Path) -> None:
    (program,), (output,) = fenced("python"), fenced("text")
    script = tmp_path / "program.py"
    script.write_text(program, encoding="utf-8")
    command = [sys.executable, "-X", "utf8", str(script)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (output, "", 0)


def test_the_readme_names_two_commands() -> None:
    assert len(fenced("sh")) == 2
