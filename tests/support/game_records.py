"""Records of games of Go in SGF, as far as the tests need it: one game without variations."""

from __future__ import annotations

import re
from pathlib import Path

from attrs import frozen

PROPERTY = re.compile(r"([A-Z]{1,2})\[([^]]*)\]")


@frozen
class GameRecord:
    """A game as it was published.

    Attributes:
        moves: Each with its player, "black" or "white", and what Go players call the point, or "pass".
    """

    size: int
    komi: float
    result: str
    moves: tuple[tuple[str, str], ...]


def read_record(path: Path) -> GameRecord:
    """The game in a file."""
    properties = PROPERTY.findall(path.read_text(encoding="utf-8"))
    head = dict(properties)
    size = int(head["SZ"])
    moves = tuple(
        ({"B": "black", "W": "white"}[name], vertex(value, size)) for name, value in properties if name in ("B", "W")
    )
    return GameRecord(size, float(head["KM"]), head["RE"], moves)


def vertex(value: str, size: int) -> str:
    """What SGF calls "dp", and players call D4. SGF counts from the top left; an empty value or "tt" is a pass."""
    if value in ("", "tt"):
        return "pass"
    column, row = (ord(letter) - ord("a") for letter in value)
    return f"{'ABCDEFGHJKLMNOPQRST'[column]}{size - row}"
