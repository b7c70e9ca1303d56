"""A game as an actor. Its first message starts it, and it is rebuilt from its entries in the store whenever it starts.

Write `games.via("a-17").call(Game.play, "Ann", "D4")`. The address is always good: it does not matter whether the game
runs, is idle, or has crashed a moment ago. There are never two actors for one game, so its moves need no lock.
"""

from collections.abc import Mapping

from attrs import asdict, frozen

import trioreg
from trioreg import ChildSpec, OnDemand, OnDemandSupervisor, PubSub, Registry

from .rules import SIZES, Board, Color, IllegalMove, Match
from .store import Store

services: Registry[str, int] = Registry("services")
"""The parts of the program by name. The value is the port, for those that listen."""

store = services.via("store", 0, wait=True, of=Store)  # a call waits while the store restarts


@frozen
class State:
    """What people see of a game.

    Attributes:
        version: It grows with each change, so you can tell an old state from a new one.
        stones: The rows of the board, from the top: "X" is black, "O" is white, "." is empty.
        moves: How many moves there were, passes too.
        captures: How many stones each player has captured.
        last_move: Such as "D4", "pass" or "resign". "" before the first move.
        players: The names, for the seats that are taken.
        score: The points if the game ended now.
        result: "" while the game goes on, then such as "B+3.5" or "W+R".
        news: What has happened last, as a sentence.
    """

    id: str
    version: int
    size: int
    stones: tuple[str, ...]
    to_move: Color
    moves: int
    captures: Mapping[Color, int]
    last_move: str
    players: Mapping[Color, str]
    score: Mapping[Color, float]
    result: str
    news: str

    def as_json(self) -> dict[str, object]:
        return asdict(self)


watchers: PubSub[str, State] = PubSub("watchers")
"""The topic is the id of a game. Each change is published to it."""


class Game(trioreg.Actor):
    """One game. Each change goes into the store first, and then to the players."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.match = Match.new(SIZES[0])
        self.players: dict[Color, str] = {}
        self.entries: list[str] = []

    async def on_start(self) -> None:
        for entry in await store.call(Store.read, self.id):
            self.apply(entry)

    @trioreg.raises(IllegalMove)
    async def join(self, player: str, size: int = SIZES[0]) -> Color | None:
        """Take a seat: the first player is black and chooses the size, the second is white, all others watch (None).

        A player who comes back under the same name has the same seat.

        Raises:
            IllegalMove: A board does not have that size.
        """
        seat = self.seat_of(player)
        if seat is None and len(self.players) < 2:
            seat = "white" if self.players else "black"
            if seat == "black":
                await self.change(f"size {Board.empty(size).size}")
            await self.change(f"{seat} is {player}")
        return seat

    @trioreg.raises(IllegalMove)
    async def play(self, player: str, move: str) -> State:
        """Make a move: "D4", "pass" or "resign".

        Raises:
            IllegalMove: The rules forbid it, or the player has no seat. The game goes on.
        """
        seat = self.seat_of(player)
        if seat is None:
            raise IllegalMove(f"{player} has no seat in this game")
        after = self.match.play(seat, move)  # a move that is not allowed ends here, before it is stored
        await self.change(f"{seat} {after.moves[-1]}")
        return self.show()

    def show(self) -> State:
        """The game as it is now."""
        match = self.match
        return State(
            id=self.id,
            version=len(self.entries),
            size=match.board.size,
            stones=match.board.rows,
            to_move=match.to_move,
            moves=len(match.moves),
            captures=dict(match.captures),
            last_move=match.moves[-1] if match.moves else "",
            players=dict(self.players),
            score=match.score(),
            result=match.result,
            news=self.news(self.entries[-1]) if self.entries else "",
        )

    def seat_of(self, player: str) -> Color | None:
        return next((color for color, name in self.players.items() if name == player), None)

    async def change(self, entry: str) -> None:
        """First keep it, then do it, then tell all who watch. A crash between these steps loses nothing."""
        await store.call(Store.append, self.id, len(self.entries), entry)
        self.apply(entry)
        watchers.publish_nowait(self.id, self.show())

    def apply(self, entry: str) -> None:
        match entry.split(" ", 2):
            case ["size", size]:
                self.match = Match.new(int(size))
            case ["black" | "white" as color, "is", name]:
                self.players[color] = name
            case ["black" | "white" as color, move]:
                self.match = self.match.play(color, move)
            case _:
                raise ValueError(f"game {self.id} has an entry that makes no sense: {entry!r}")
        self.entries.append(entry)

    def news(self, entry: str) -> str:
        match entry.split(" ", 2):
            case ["size", size]:
                return f"The board has the size {size}"
            case ["black" | "white" as color, "is", name]:
                return f"{name} is {color}"
            case ["black" | "white" as color, "pass"]:
                return f"{self.players[color]} passes"
            case ["black" | "white" as color, "resign"]:
                return f"{self.players[color]} resigns"
            case ["black" | "white" as color, move]:
                return f"{self.players[color]} plays {move}"
            case _:
                return ""


games: OnDemand[str, Game] = OnDemand("games", Game, retire_after=600)


def tree(database: str) -> list[ChildSpec]:
    """The store, and the games, which use it until their end."""
    return [
        ChildSpec(Store, (database,), name=store),
        ChildSpec(OnDemandSupervisor, (games,), id="games"),
    ]
