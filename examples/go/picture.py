"""A game as text, for a terminal."""

from .game import State
from .rules import COLUMNS, STONES, point_of


def picture(state: State) -> str:
    """The board with the last move in parentheses, and who is to move."""
    columns = " ".join(COLUMNS[: state.size])
    return "\n".join([f"    {columns}", *_rows(state), f"    {columns}", *_players(state), _turn(state)])


def score(state: State) -> str:
    """The points of each player."""
    black, white = state.score["black"], state.score["white"]
    points = f"black has {black:g} points, and white has {white:g}, komi included"
    if state.result:
        return f"The game is over: {state.result}. At its end {points}."
    return f"If the game ended now, with all stones alive: {points}."


def _rows(state: State) -> list[str]:
    rows = [f" {' '.join(row)} " for row in state.stones]
    if state.last_move not in ("", "pass", "resign"):
        column, row = point_of(state.last_move, state.size)
        cells = rows[row]
        rows[row] = f"{cells[: 2 * column]}({cells[2 * column + 1]}){cells[2 * column + 3 :]}"
    return [f"{state.size - number:2} {row} {state.size - number}" for number, row in enumerate(rows)]


def _players(state: State) -> list[str]:
    return [
        f"{stone} {color}: {state.players.get(color, 'the seat is free')}, has captured {state.captures[color]}"
        for color, stone in STONES.items()
    ]


def _turn(state: State) -> str:
    return f"The game is over: {state.result}." if state.result else f"{state.to_move} is to move."
