"""The rules of Go, for any number of games at once: nothing here knows of a player, a connection or a task.

A `Board` is the stones, and a `Match` is a game so far. Both are values: a move makes a new one, and a move that the
rules forbid raises `IllegalMove` and changes nothing.

- A stone captures the enemy's chains that have no liberty left. Suicide is forbidden.
- Positional superko: no stone may bring back a board that was there before. A pass is always allowed.
- Two passes in a row end the game. All stones on the board then count as alive: capture dead stones before you pass.
- Area scoring: a player has the stones and the empty regions that only these stones touch. White gets the komi.
"""

from collections.abc import Iterator
from functools import cache
from typing import Literal, TypeAlias

from attrs import evolve, field, frozen

Color: TypeAlias = Literal["black", "white"]
Point: TypeAlias = tuple[int, int]
"""Column and row, from 0: (0, 0) is the top left."""

SIZES = (9, 13, 19)
KOMI = 7.5
COLUMNS = "ABCDEFGHJKLMNOPQRST"  # there is no I: it looks like a J
EMPTY = "."
STONES: dict[Color, str] = {"black": "X", "white": "O"}
OTHER: dict[Color, Color] = {"black": "white", "white": "black"}


class IllegalMove(ValueError):
    """The rules forbid that. The text is for the player."""


@frozen
class Board:
    """The stones on the board.

    Attributes:
        cells: A character for each point, row by row from the top left: "X" is black, "O" is white, "." is empty.
    """

    size: int
    cells: str

    @classmethod
    def empty(cls, size: int) -> "Board":
        if size not in SIZES:
            raise IllegalMove(f"a board has the size 9, 13 or 19, not {size}")
        return cls(size, EMPTY * size * size)

    @property
    def rows(self) -> tuple[str, ...]:
        """The cells, a string for each row."""
        return tuple(self.cells[start : start + self.size] for start in range(0, self.size * self.size, self.size))

    def place(self, color: Color, point: Point) -> "Board":
        """The board with one more stone, and without the stones that it captures.

        Raises:
            IllegalMove: The point is taken, or the move is suicide.
        """
        column, row = point
        place = row * self.size + column
        if self.cells[place] != EMPTY:
            raise IllegalMove(f"{name_of(point, self.size)} is taken")
        mine, enemy = STONES[color], STONES[OTHER[color]]
        board = self._with(mine, {place})
        for near in neighbours(self.size)[place]:
            if board.cells[near] == enemy:
                chain, border = board.region(near)
                if EMPTY not in border:
                    board = board._with(EMPTY, chain)
        if EMPTY not in board.region(place)[1]:
            raise IllegalMove(f"{name_of(point, self.size)} is suicide: your stones would have no liberty")
        return board

    def area(self) -> dict[Color, int]:
        """How many points each player has: the stones, and the empty points that only these stones touch."""
        points: dict[Color, int] = {color: self.cells.count(stone) for color, stone in STONES.items()}
        counted: set[int] = set()
        for place, cell in enumerate(self.cells):
            if cell == EMPTY and place not in counted:
                region, border = self.region(place)
                counted |= region
                for color, stone in STONES.items():
                    if border == {stone}:
                        points[color] += len(region)
        return points

    def region(self, place: int) -> tuple[set[int], set[str]]:
        """The connected points that are equal to this one, and what is around them: a chain, or an empty region."""
        kind, around = self.cells[place], neighbours(self.size)
        region, border, open_ends = {place}, set[str](), [place]
        while open_ends:
            for near in around[open_ends.pop()]:
                if self.cells[near] != kind:
                    border.add(self.cells[near])
                elif near not in region:
                    region.add(near)
                    open_ends.append(near)
        return region, border

    def _with(self, cell: str, places: set[int]) -> "Board":
        cells = list(self.cells)
        for place in places:
            cells[place] = cell
        return Board(self.size, "".join(cells))


@frozen
class Match:
    """A game so far.

    Attributes:
        moves: All moves, such as "D4" or "pass". Black has the first, and the players take turns. Only a "resign" may
            come out of turn.
        captures: How many stones each player has captured.
        seen: All boards that there were, the empty one too.
        result: "" while the game goes on, then such as "B+3.5" or "W+R" (white wins, because black has resigned).
    """

    board: Board
    komi: float = KOMI
    to_move: Color = "black"
    moves: tuple[str, ...] = ()
    captures: dict[Color, int] = field(factory=lambda: {"black": 0, "white": 0})
    seen: frozenset[str] = frozenset()
    result: str = ""

    @classmethod
    def new(cls, size: int, komi: float = KOMI) -> "Match":
        board = Board.empty(size)
        return cls(board, komi, seen=frozenset({board.cells}))

    def play(self, color: Color, move: str) -> "Match":
        """The game after one more move: "D4", "pass", or "resign", in capital or small letters.

        You may resign when it is not your turn, too.

        Raises:
            IllegalMove: The rules forbid the move.
        """
        move = move.strip().lower()
        if self.result:
            raise IllegalMove(f"the game is over: {self.result}")
        if move == "resign":
            return evolve(self, moves=(*self.moves, move), result=f"{letter(OTHER[color])}+R")
        if color != self.to_move:
            raise IllegalMove(f"it is not your turn: {self.to_move} is to move")
        return self._passed() if move == "pass" else self._placed(point_of(move, self.board.size))

    def score(self) -> dict[Color, float]:
        """The points of each player if the game ended now: the area, and the komi for white."""
        area = self.board.area()
        return {"black": area["black"], "white": area["white"] + self.komi}

    def _placed(self, point: Point) -> "Match":
        color, enemy = self.to_move, STONES[OTHER[self.to_move]]
        name = name_of(point, self.board.size)
        board = self.board.place(color, point)
        if board.cells in self.seen:
            raise IllegalMove(f"{name} is forbidden by ko: the board would be as it was before. Play elsewhere first")
        captured = self.board.cells.count(enemy) - board.cells.count(enemy)
        return evolve(
            self,
            board=board,
            to_move=OTHER[color],
            moves=(*self.moves, name),
            captures={**self.captures, color: self.captures[color] + captured},
            seen=self.seen | {board.cells},
        )

    def _passed(self) -> "Match":
        is_over = self.moves[-1:] == ("pass",)
        result = result_of(self.score()) if is_over else ""
        return evolve(self, to_move=OTHER[self.to_move], moves=(*self.moves, "pass"), result=result)


def result_of(score: dict[Color, float]) -> str:
    """Who wins, and by how much: "B+3.5", "W+10", or "0" for a draw, which is what game records say."""
    lead = score["black"] - score["white"]
    return f"{'B' if lead > 0 else 'W'}+{abs(lead):g}" if lead else "0"


def letter(color: Color) -> str:
    """The player in a result: "B" or "W"."""
    return color[0].upper()


def point_of(name: str, size: int) -> Point:
    """The point with a name such as "D4", as people and GTP write it: columns are letters, row 1 is at the bottom.

    Raises:
        IllegalMove: There is no such point.
    """
    column, row = COLUMNS.find(name[:1].upper()), name[1:]
    if not name[:1].isascii() or not row.isascii() or not row.isdecimal() or len(row) > 2:
        raise IllegalMove(f"{name[:12]!r} is no point: points are such as D4")
    if not 0 <= column < size or not 1 <= int(row) <= size:
        raise IllegalMove(f"{name[:12]!r} is not on this board: it has A1 to {COLUMNS[size - 1]}{size}, without an I")
    return column, size - int(row)


def name_of(point: Point, size: int) -> str:
    """The name of a point, such as "D4"."""
    column, row = point
    return f"{COLUMNS[column]}{size - row}"


@cache
def neighbours(size: int) -> tuple[tuple[int, ...], ...]:
    """For each place in `Board.cells`, the places beside it."""
    return tuple(tuple(_beside(place, size)) for place in range(size * size))


def _beside(place: int, size: int) -> Iterator[int]:
    row, column = divmod(place, size)
    if row > 0:
        yield place - size
    if row < size - 1:
        yield place + size
    if column > 0:
        yield place - 1
    if column < size - 1:
        yield place + 1
