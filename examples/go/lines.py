"""Go over TCP, for players with "nc": an actor for each connection.

A client sends a command in each line. Each answer, and each piece of news, is some lines of text and an empty line.
No client can disturb the others. Bad input is answered. A line that is too long ends its own connection only, and so
does a client that does not read.
"""

import math
import re
from contextlib import suppress

import trio

import trioreg
from trioreg import Actor, ActorExited, ChildSpec, DynamicSupervisor, Exit, NotRunning

from .game import Game, State, games, services, watchers
from .names import BadName, game_id, player_name, shown
from .picture import picture, score
from .rules import SIZES, IllegalMove

LONGEST_LINE = 200  # bytes
PATIENCE = 10  # seconds that a client may take to read an answer
HTTP = re.compile(rb"[A-Z]+ .* HTTP/")  # a page of another site could send moves in the body of a request

HELP = """\
name NAME         say who you are
game ID [SIZE]    take a seat in a game, such as "game a-17 9"; the first player chooses the size: 9, 13 or 19
watch ID          watch a game
play POINT        place a stone, such as "play D4"; there is no column I
pass, resign      pass your turn, or give the game up; two passes in a row end it
                  (all stones on the board then count as alive: capture dead ones first)
board, score      show the board, or the points if the game ended now
quit              leave; come back under the same name, and your seat is still yours"""

WITH_ARGUMENTS = ("name NAME", "game ID [SIZE]", "watch ID", "play POINT")  # what is in brackets may be left out
ALONE = ("pass", "resign", "board", "score", "quit", "help")
FORMS = {form.split()[0]: form for form in (*WITH_ARGUMENTS, *ALONE)}

sessions = services.via("sessions", 0)


class BadCommand(ValueError):
    """No command has this form. The text is for the player."""


class LineTooLong(Exception):
    """The client has sent a line that is too long, or has no end."""


class Session(Actor):
    """One connection. It ends when the connection does; the player's seats remain."""

    mailbox_size = 10  # a client that sends faster than it is answered has to wait

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.player = ""
        self.game = ""
        self.version = 0  # of the game, as the client has seen it

    async def on_started(self) -> None:
        self.start_soon(self.read)
        await self.tell('This is Go. Say "name NAME", then "game ID". "help" lists all commands.')

    async def read(self) -> None:
        try:
            async for line in Lines(self.stream):
                if HTTP.match(line):
                    await self.ref.cast(Session.tell, "This is no web server. Goodbye.")
                    break
                await self.ref.cast(Session.hear, line)
        except LineTooLong:
            await self.ref.cast(Session.tell, f"A line has at most {LONGEST_LINE} bytes. Goodbye.")
        except trio.BrokenResourceError:
            pass  # the client is gone: that is no crash
        self.stop()

    async def hear(self, line: bytes) -> None:
        try:
            await self.obey(line.decode().split())
        except UnicodeDecodeError:
            await self.tell("That is not UTF-8.")
        except (BadCommand, BadName, IllegalMove) as error:
            await self.tell(f"No: {error}.")
        except ActorExited:
            await self.tell("The game had to start again. Look at the board, and repeat your move if it is not there.")
        except NotRunning:
            await self.tell("The server closes.")

    async def obey(self, words: list[str]) -> None:
        match [word.lower() for word in words[:1]] + words[1:]:
            case []:
                pass
            case ["help"]:
                await self.tell(HELP)
            case ["name", _, *_] as name:
                self.player = player_name(" ".join(name[1:]))
                if self.game:
                    watchers.update_value(self.game, lambda _: self.player)  # here under the new name
                await self.tell(f"Hello, {self.player}.")
            case ["game", id]:
                await self.sit_down(game_id(id), 9)
            case ["game", id, size]:
                await self.sit_down(game_id(id), size_of(size))
            case ["watch", id]:
                self.go_to(game_id(id))
                await self.tell_board(f"You watch {self.game}.")
            case ["play", move] | ["pass" | "resign" as move]:
                await self.show(await games.via(self.current()).call(Game.play, self.who(), move))
            case ["board"]:
                await self.tell_board(f"This is {self.current()}.")
            case ["score"]:
                await self.tell(score(await games.via(self.current()).call(Game.show)))
            case ["quit"]:
                await self.tell("Goodbye.")
                self.stop()
            case wrong:
                raise BadCommand(what_is_wrong(wrong))

    async def sit_down(self, id: str, size: int) -> None:
        player = self.who()
        self.go_to(id)
        seat = await games.via(id).call(Game.join, player, size)
        await self.tell_board(f"You are {seat} in {id}." if seat else f"Both seats of {id} are taken. You watch.")

    def go_to(self, id: str) -> None:
        """Hear of this game from now on, and of no other. A slow client misses news, but it gets the newest board."""
        if self.game:
            watchers.leave(self.game)
        watchers.join(id, Session.show, value=self.player, buffer=5, overflow="drop_oldest")
        if id != self.game:
            self.game, self.version = id, 0

    def who(self) -> str:
        if not self.player:
            raise BadCommand('say who you are first, such as "name Ann"')
        return self.player

    def current(self) -> str:
        if not self.game:
            raise BadCommand('you are in no game: say "game ID" or "watch ID"')
        return self.game

    async def show(self, state: State) -> None:
        """News of the game. It may be older than what the client has seen: then it is no news."""
        if state.id == self.game and state.version > self.version:
            self.version = state.version
            await self.tell(f"{state.news}.\n{picture(state)}")

    async def tell_board(self, title: str) -> None:
        state = await games.via(self.current()).call(Game.show)
        self.version = state.version
        await self.tell(f"{title}\n{picture(state)}")

    async def tell(self, text: str, patience: float = PATIENCE) -> None:
        with trio.move_on_after(patience) as scope, suppress(trio.BrokenResourceError):
            await self.stream.send_all(f"{text}\n\n".encode())
        if scope.cancelled_caught:
            self.ref.kill()  # the client does not read, so it gets no goodbye either

    async def on_stop(self, exit: Exit) -> None:
        if exit.reason == "shutdown":
            await self.tell("The server closes. Your games are kept.", patience=1)


def size_of(text: str) -> int:
    if text not in map(str, SIZES):
        raise BadCommand(f"SIZE must be 9, 13 or 19, not {shown(text)}")
    return int(text)


def what_is_wrong(words: list[str]) -> str:
    """Why these words are none of the `FORMS`."""
    command, *arguments = words
    if command not in FORMS:
        return f'{shown(command)} is no command. "help" lists all'
    _, *names = FORMS[command].split()
    if len(arguments) > len(names):
        return f'{shown(arguments[len(names)])} is too much: write "{FORMS[command]}"'
    return f'{names[len(arguments)]} is missing: write "{FORMS[command]}"'


class Lines:
    """The lines that come from a stream: ``async for line in Lines(stream)``. What has no end is no line.

    Raises:
        LineTooLong: A line has more than `LONGEST_LINE` bytes. The lines before it have come.
    """

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self.stream = stream
        self.rest = bytearray()

    def __aiter__(self) -> "Lines":
        return self

    async def __anext__(self) -> bytes:
        while (end := self.rest.find(b"\n", 0, LONGEST_LINE + 1)) < 0:
            if len(self.rest) > LONGEST_LINE:
                raise LineTooLong
            chunk = await self.stream.receive_some()
            if not chunk:
                raise StopAsyncIteration
            self.rest += chunk
        line = bytes(self.rest[:end])
        del self.rest[: end + 1]
        return line


class Listener(Actor):
    """It listens for connections. When it has started, its port is in `services`."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    async def on_start(self) -> None:
        try:
            self.listeners = await trio.open_tcp_listeners(self.port, host=self.host)
        except OSError as error:
            where = f"{self.host}, port {self.port}: {error.strerror}"
            raise OSError(f"can't listen on {where}. Choose another --host, or --serve PORT (0: a free one)") from error
        services.register("lines", self.listeners[0].socket.getsockname()[1])
        self.start_soon(trio.serve_listeners, trioreg.connection_handler(sessions, Session), self.listeners)


def tree(host: str, port: int) -> list[ChildSpec]:
    """The listener ends first, and with it each session, which says goodbye within its own time: so it has no limit."""
    return [
        ChildSpec(DynamicSupervisor, name=sessions),
        ChildSpec(Listener, (host, port), shutdown=math.inf),
    ]
