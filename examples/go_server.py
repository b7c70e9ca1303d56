"""Multiplayer Go: each game is an actor. Its first message starts it, and after a crash it is rebuilt from its moves.

python go_server.py                 two players play over TCP; the game is killed, one of them drops off, both go on
python go_server.py --serve         serves until Ctrl-C: play with "nc 127.0.0.1 3619"
python go_server.py --web           the same in a browser, at http://127.0.0.1:3620; both options together serve both
python go_server.py --help          says how to keep the games in a file, and how to choose other ports

It shows actors on demand, a store that outlives them, topics for all who watch, and an actor for each connection.
"""

import argparse
import logging
import os
import sqlite3
import sys
from functools import partial

import trio
from ending import exit_status
from go import game, lines, store
from go.game import games, services

import trioreg
from trioreg import ChildSpec


class Announcement(trioreg.Actor):
    """It says where the servers listen. If that can't be printed, the program does not start."""

    def __init__(self, host: str) -> None:
        self.host = host

    async def on_start(self) -> None:
        if services.lookup("lines"):
            print(f"for players with a terminal: nc {self.host} {port_of('lines')}")
        if services.lookup("web"):
            name = f"[{self.host}]" if ":" in self.host else self.host  # an IPv6 address
            print(f"for players with a browser: http://{name}:{port_of('web')}")
        print(end="", flush=True)
        self.stop()


def port_of(service: str) -> int:
    ((_, port),) = services.lookup(service)
    return port


# The story: two players in the same program.


class Player:
    """A player at a terminal. In the block, the player is there."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __aenter__(self) -> "Player":
        await self.come()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.leave()

    async def come(self) -> None:
        self.stream = await trio.open_tcp_stream("127.0.0.1", port_of("lines"))
        self.lines = lines.Lines(self.stream)
        await self.hear()
        await self.say(f"name {self.name}")

    async def say(self, command: str) -> list[str]:
        """Send a command, and give the lines of the answer."""
        await self.stream.send_all(f"{command}\n".encode())
        return await self.hear()

    async def hear(self) -> list[str]:
        answer = list[str]()
        while line := (await anext(self.lines)).decode():
            answer.append(line)
        return answer

    async def leave(self) -> None:
        await self.stream.aclose()


async def story() -> None:
    tree = [*game.tree(":memory:"), *lines.tree("127.0.0.1", 0)]
    async with trioreg.open_supervisor(tree, at_end="stop"), Player("Ann") as ann, Player("Bob") as bob:
        for player in (ann, bob):
            print(f"{player.name} reads: {(await player.say('game a-17'))[0]}")
        await ann.hear()  # Bob is white

        black, white = ["D6", "C5", "D4", "F6", "E5"], ["E6", "F5", "E4", "D5"]
        for number, move in enumerate(black):
            await play(ann, move, bob)
            if number < len(white):
                await play(bob, white[number], ann)
        print("\nAnn has captured a stone. Bob wants to take it back:")
        print(f"Bob reads: {(await bob.say('play D5'))[0]}")

        old = games.whereis("a-17")
        assert old is not None
        old.kill()
        await old.wait()
        print("\nThe game is killed. The next message starts it again, from its moves:")
        print(f"Bob reads: {(await bob.say('play D5'))[0]}")
        print("it is another actor:", games.whereis("a-17") is not old)

        await bob.leave()
        print("\nBob drops off. Under the same name he has his seat again:")
        await bob.come()
        print(f"Bob reads: {(await bob.say('game a-17'))[0]}")

        await play(bob, "C6", ann)
        await play(ann, "D5", bob)
        await bob.say("pass")
        await ann.hear()
        print("\n".join(["\nBoth pass. Ann reads:", *await ann.say("pass"), *await ann.say("score")]))


async def play(player: Player, move: str, other: Player) -> None:
    """Make a move, and wait until the other player has read of it."""
    await player.say(f"play {move}")
    print(f"{other.name} reads: {(await other.hear())[0]}")


# The program


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--serve", metavar="PORT", type=port, nargs="?", const=3619, help="serve terminals (port: 3619; 0: a free one)"
    )
    parser.add_argument(
        "--web", metavar="PORT", type=port, nargs="?", const=3620, help="serve browsers (port: 3620; 0: a free one)"
    )
    parser.add_argument("--host", help="where to listen (default: 127.0.0.1: this machine only)")
    parser.add_argument(
        "--games", metavar="FILE", type=file, default=":memory:", help="keep the games in a file (default: in memory)"
    )
    parser.add_argument(
        "--observe", metavar="ADDRESS", nargs="?", const="127.0.0.1:4001", help="see the program in the observer"
    )
    arguments = parser.parse_args()
    is_story = arguments.serve is None and arguments.web is None
    if is_story and arguments.observe:
        parser.error("--observe needs --serve or --web: the story is too short to be watched")
    if is_story and arguments.host is not None:
        parser.error("--host needs --serve or --web: the story listens on this machine only")
    if is_story and arguments.games != ":memory:":
        parser.error("--games needs --serve or --web: the story keeps its game in memory")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if is_story:
        # Ctrl-C is for the story, and not for an actor that runs at that moment: its players would get an error.
        return exit_status(partial(trio.run, story, restrict_keyboard_interrupt_to_checkpoints=True))
    return exit_status(partial(serve, arguments), ImportError, ValueError, sqlite3.Error)


def serve(arguments: argparse.Namespace) -> None:
    host = "127.0.0.1" if arguments.host is None else arguments.host
    tree = game.tree(arguments.games)
    if arguments.serve is not None:
        tree += lines.tree(host, arguments.serve)
    if arguments.web is not None:
        tree += web_tree(host, arguments.web)
    tree.append(ChildSpec(Announcement, (host,), restart="temporary"))
    with store.alone(arguments.games):
        trioreg.run(tree, name="go", observe=arguments.observe)


def web_tree(host: str, port: int) -> list[ChildSpec]:
    try:
        from go import web  # only here: it needs more than trioreg itself does
    except ImportError as error:
        raise ImportError(f'{error}. The page needs: pip install starlette "hypercorn[trio]"') from error
    return web.tree(host, port)


def port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**16:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to {2**16 - 1}, not {number}")
    return number


def file(text: str) -> str:
    if not text or (os.path.exists(text) and not os.path.isfile(text)):  # a folder, a pipe, a device
        raise argparse.ArgumentTypeError(f"{text!r} is no file")
    return text


if __name__ == "__main__":
    sys.exit(main())
