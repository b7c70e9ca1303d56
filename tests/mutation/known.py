"""The survivors that are explained in `survivors.toml`: mutants that change nothing that a promise is about."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

SURVIVORS = Path(__file__).with_name("survivors.toml")


@attrs.frozen
class Change:
    """What a mutation does to a file, in words that stay true if lines move.

    Attributes:
        file: The path below the project.
        line: The lines that the mutation changes, without the blanks around each, joined by blanks.
        becomes: What stands there instead, in the same form.
    """

    file: str
    line: str
    becomes: str


@attrs.frozen
class Survivor:
    """A mutant that may survive, and the reason.

    Attributes:
        change: What it changes.
        reason: Why no test should kill it.
        is_equivalent: Whether it does what the code does, so that no test can kill it. A score does not count it.
    """

    change: Change
    reason: str
    is_equivalent: bool


def known_survivors(file: Path = SURVIVORS) -> list[Survivor]:
    """The entries of the file."""
    entries: list[dict[str, Any]] = tomllib.loads(file.read_text()).get("survivor", [])
    return [
        Survivor(Change(each["file"], each["line"], each["becomes"]), each["reason"], each.get("equivalent", False))
        for each in entries
    ]


def change_between(file: str, before: str, after: str) -> Change:
    """What is not the same in two texts of a file."""
    olds: list[str] = []
    news: list[str] = []
    for line in difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""):
        if line.startswith("-") and not line.startswith("---"):
            olds.append(line[1:])
        if line.startswith("+") and not line.startswith("+++"):
            news.append(line[1:])
    return Change(file, joined(olds), joined(news))


def joined(lines: Sequence[str]) -> str:
    """The lines as one, with one blank wherever there are blanks or a line ends."""
    return " ".join(" ".join(lines).split())
