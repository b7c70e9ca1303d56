"""The rules of Go a second time, slow and written in another way, to compare `go.rules` with.

The board is a dict, chains grow until nothing changes, and superko looks through a list of all boards.
"""

from __future__ import annotations

Spot = tuple[int, int]


class NaiveGo:
    """A game between "X", who begins, and "O"."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.spots = {(column, row) for column in range(size) for row in range(size)}
        self.near = {(c, r): {(c, r + 1), (c + 1, r), (c, r - 1), (c - 1, r)} & self.spots for c, r in self.spots}
        self.stones: dict[Spot, str] = {}
        self.boards: list[dict[Spot, str]] = [{}]
        self.captures = {"X": 0, "O": 0}
        self.turn = "X"

    @property
    def enemy(self) -> str:
        return "O" if self.turn == "X" else "X"

    def play(self, spot: Spot) -> bool:
        """Whether the move was allowed. If not, nothing has changed."""
        if spot in self.stones:
            return False
        after = {**self.stones, spot: self.turn}
        dead = {at for at in self.near[spot] if after.get(at) == self.enemy and not self.breathes(after, at)}
        dead = self.grown(dead, {at for at, stone in after.items() if stone == self.enemy})
        after = {at: stone for at, stone in after.items() if at not in dead}
        if not self.breathes(after, spot) or after in self.boards:
            return False
        self.captures[self.turn] += len(dead)
        self.stones = after
        self.boards.append(after)
        self.turn = self.enemy
        return True

    def skip(self) -> None:
        self.turn = self.enemy

    def score(self) -> dict[str, int]:
        """Stones, and empty spots from which you can walk to one colour only."""
        points = {"X": 0, "O": 0}
        for spot in self.spots:
            if spot in self.stones:
                points[self.stones[spot]] += 1
            else:
                room = self.grown({spot}, self.spots - set(self.stones))
                seen = {self.stones[at] for at in self.around(room) if at in self.stones}
                if len(seen) == 1:
                    points[seen.pop()] += 1
        return points

    def rows(self) -> tuple[str, ...]:
        span = range(self.size)
        return tuple("".join(self.stones.get((column, row), ".") for column in span) for row in span)

    def breathes(self, stones: dict[Spot, str], spot: Spot) -> bool:
        chain = self.grown({spot}, {at for at, stone in stones.items() if stone == stones[spot]})
        return any(at not in stones for at in self.around(chain))

    def grown(self, start: set[Spot], within: set[Spot]) -> set[Spot]:
        while True:
            larger = start | (self.around(start) & within)
            if larger == start:
                return start
            start = larger

    def around(self, spots: set[Spot]) -> set[Spot]:
        return set[Spot]().union(*(self.near[spot] for spot in spots))
