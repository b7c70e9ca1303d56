"""What the coverage leaves out of the code has its reason beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WITH_REASON = re.compile(r"# pragma: no (cover|branch)  # \w+")


def marked(text: str) -> list[str]:
    """The lines of a source that are marked as left out."""
    return [line.strip() for line in text.splitlines() if "pragma" in line]


def without_reason(text: str) -> list[str]:
    """Those marked lines of a source that do not say why."""
    return [line for line in marked(text) if not WITH_REASON.search(line)]


SOURCES = sorted(ROOT.glob("trioreg/**/*.py"))


def test_each_line_that_is_left_out_says_why() -> None:
    found = {path.name: lines for path in SOURCES if (lines := without_reason(path.read_text(encoding="utf-8")))}
    assert found == {}


def test_each_pattern_that_is_left_out_says_why() -> None:
    config = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    report = config.partition("[tool.coverage.report]")[2].partition("\n[")[0]
    patterns = [line.strip() for line in report.splitlines() if '"' in line]
    assert len(patterns) > 4
    assert [pattern for pattern in patterns if not re.search(r"  # \w+", pattern)] == []


@pytest.mark.parametrize(
    "line",
    [
        "pass  # pragma: no cover",
        "pass  # pragma: no cover # abstract",
        "pass  # pragma:nocover  # abstract",
        "if is_new:  # pragma: no branch",
        "if is_new:  # pragma: no branch  #",
    ],
)
def test_a_mark_without_a_reason_is_found(line: str) -> None:
    assert without_reason(line) == [line]
