"""A chat with rooms, private messages and presence: one actor for each connection. No client can slow the others down.

python chat_server.py                    two people chat over real sockets, then the server shuts down
python chat_server.py --serve [PORT]     serves until Ctrl-C or SIGTERM: connect with "nc 127.0.0.1 8000", try /help
python chat_server.py --serve --observe  the same, and you see it in a browser (needs trioreg[observer])

Nicknames are names in a registry, so they are free when their connection ends. Rooms are topics of a PubSub. Presence
is a task that watches them. At shutdown the server takes no new connections, and each client reads a goodbye.
"""

import argparse
import logging
import math
import re
import sys
import unicodedata
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial

import trio
from ending import exit_status

import trioreg
from trioreg import Actor, ActorExited, AlreadyRegistered, ChildSpec, DynamicSupervisor, Exit, PubSub, Registry

LONGEST_LINE = 1000  # bytes; a longer line is not sent
ENDLESS_LINE = 100_000  # bytes without an end of line; then the connection is closed
PAUSE = 0.02  # seconds between two lines of one client: a client that talks faster is read more slowly
WAITING = 100  # lines that may wait for a slow client; then the oldest is lost
PATIENCE = 30.0  # seconds that a client may take to read what waits for it; then the connection is closed
QUIET = 0.001  # seconds for each listener, between two lines about who has come and left
MOST_ROOMS = 10  # rooms that one person can be in
SHOWN = 10  # names in one line
WORD = re.compile(r"(?:[^\W\u115f\u1160\u3164\uffa0]|-){1,20}")  # without the Hangul fillers: they are invisible

HELP = """\
TEXT            say it in your room
/join ROOM      go to a room, and stay in the others; your text goes to the last one
/leave [ROOM]   leave a room
/rooms          which rooms there are
/who [ROOM]     who is in a room
/msg NAME TEXT  say it to one person
/nick NAME      change your name
/quit           say goodbye"""

people: Registry[str, None] = Registry("people")
rooms: PubSub[str, str] = PubSub("rooms")
services: Registry[str, None] = Registry("services")


class Refused(Exception):
    """What a client asks for is refused. The text is the answer."""


class Person:
    """What the rooms show for a client. The name may change."""

    name = ""

    def __str__(self) -> str:
        return self.name


class Outbox:
    """The lines that wait for one client: the last `WAITING` of them. To put one in never waits."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=WAITING)
        self.missing = 0
        self.has_lines = trio.Event()

    def put(self, line: str) -> None:
        if len(self.lines) == WAITING:
            self.missing += 1
        self.lines.append(line)
        self.has_lines.set()

    def take(self) -> bytes:
        """All that waits. The client sees where lines are missing."""
        gap = [f"({self.missing} lines are missing here: you read too slowly)"] if self.missing else []
        text = "".join(f"{line}\n" for line in [*gap, *self.lines])
        self.lines.clear()
        self.missing = 0
        self.has_lines = trio.Event()
        return text.encode()


class Session(Actor):
    """One client. It ends when the connection does, and its nickname and its place in the rooms end with it."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.person = Person()
        self.joined: list[str] = []  # the last room is where the person talks
        self.outbox = Outbox()
        self.is_writing = False

    async def on_start(self) -> None:
        self.hear("Who are you?")
        self.start_soon(self.read)
        self.start_soon(self.write)

    def hear(self, line: str) -> None:  # the message that rooms and other people send
        self.outbox.put(line)

    async def read(self) -> None:
        rest = b""
        with suppress(trio.BrokenResourceError):  # the client is gone: that is no crash
            async for chunk in self.stream:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self.obey(line)
                    await trio.sleep(PAUSE)
                if len(rest) > ENDLESS_LINE:
                    self.obey(rest)  # it says what is wrong
                    break
        self.stop()

    async def write(self) -> None:
        with suppress(trio.BrokenResourceError):
            while not self.is_writing:
                await self.outbox.has_lines.wait()
                await trio.lowlevel.checkpoint()  # lines that come together go together; `on_stop` sends the last ones
                self.is_writing = True  # and it stays so if the client takes too long
                with trio.move_on_after(PATIENCE):
                    await self.stream.send_all(self.outbox.take())
                    self.is_writing = False
        self.stop()

    async def on_stop(self, exit: Exit) -> None:
        if exit.reason == "shutdown":
            self.hear("The chat closes. Goodbye.")
        if not self.is_writing:  # or else the client reads too slowly, and has half of a line
            with suppress(trio.BrokenResourceError), trio.move_on_after(1):
                await self.stream.send_all(self.outbox.take())

    # What a client can ask for. Nothing here waits, so the lines of a client are obeyed one after the other.

    def obey(self, line: bytes) -> None:
        try:
            text = text_of(line)
            if self.person.name:
                self.command(text)
            else:
                self.rename(text)
                self.hear(f"Welcome, {self.person}. /help shows what you can do.")
                self.join("lobby")
        except Refused as refusal:
            self.hear(f"{refusal}" if self.person.name else f"{refusal} Who are you?")

    def command(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        rest = rest.strip()
        match word:
            case "/help":
                self.hear(HELP)
            case "/join":
                self.join(needed(rest, "Write /join ROOM."))
            case "/leave":
                self.leave(rest or self.room())
            case "/rooms":
                found = sorted((-rooms.count(room), str(room)) for room in rooms.topics())
                self.hear(f"rooms: {listed([f'{room} ({-count})' for count, room in found])}")
            case "/who":
                self.who(rest or self.room())
            case "/msg":
                name, _, said = rest.partition(" ")
                self.whisper(name, said.strip())
            case "/nick":
                self.rename(needed(rest, "Write /nick NAME."))
            case "/quit":
                self.hear(f"Goodbye, {self.person}.")
                self.stop()
            case _ if word.startswith("/"):
                raise Refused(f"{shown(word)} is no command. /help shows all.")
            case _ if text:
                rooms.publish_nowait(self.room(), f"[{self.room()}] {self.person}: {text}")
            case _:
                pass  # an empty line

    def room(self) -> str:
        if not self.joined:
            raise Refused("You are in no room. Try /rooms, and /join ROOM.")
        return self.joined[-1]

    def join(self, word: str) -> None:
        room = room_of(word)
        if room in self.joined:
            self.joined.remove(room)
        elif len(self.joined) == MOST_ROOMS:
            raise Refused(f"You are in {MOST_ROOMS} rooms. /leave one first.")
        else:
            rooms.join(room, Session.hear, value=self.person)
        self.joined.append(room)
        self.who(room)

    def leave(self, word: str) -> None:
        room = room_of(word)
        if not rooms.leave(room):
            raise Refused(f"You are not in {room}.")
        self.joined.remove(room)
        self.hear(f"You have left {room}.")

    def who(self, word: str) -> None:
        room = room_of(word)
        self.hear(f"[{room}] here: {listed([person for _, person in rooms.members(room)])}")

    def whisper(self, word: str, text: str) -> None:
        needed(text, "Write /msg NAME TEXT.")
        name = word_of(word)
        try:
            people.via(name.casefold(), of=Session).cast_nowait(Session.hear, f"{self.person} to you: {text}")
        except (trioreg.NotRegistered, ActorExited):
            raise Refused(f"{name} is not here.") from None
        self.hear(f"you to {name}: {text}")

    def rename(self, word: str) -> None:
        name, former = word_of(word), self.person.name
        if name == former:
            raise Refused(f"You are {name} already.")
        try:
            people.register(name.casefold())  # gone in the step in which this actor ends
        except AlreadyRegistered as error:
            if error.holder is not self.ref:  # "ann" may become "Ann"
                raise Refused(f"The name {name} is taken.") from None
        else:
            people.unregister(former.casefold())
        self.person.name = name
        for room in self.joined:
            rooms.publish_nowait(room, f"[{room}] * {former} is {name} now")


def text_of(line: bytes) -> str:
    if len(line) > LONGEST_LINE:
        raise Refused(f"A line has at most {LONGEST_LINE} bytes.")
    try:
        text = unicodedata.normalize("NFC", line.decode().replace("\t", " ").strip())  # a letter has its accent in it
    except UnicodeDecodeError:
        raise Refused("That is not UTF-8.") from None
    if controls := [character for character in text if is_control(character)]:
        raise Refused(f"Control characters are not sent, such as {controls[0]!r}.")
    return text


def is_control(character: str) -> bool:
    """Such a character could change a terminal, begin another line, or turn the direction of the text."""
    turns = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return unicodedata.category(character) in {"Cc", "Zl", "Zp"} or unicodedata.bidirectional(character) in turns


def word_of(text: str) -> str:
    if not WORD.fullmatch(text):
        raise Refused(f"A name has 1 to 20 letters, digits, - or _, not {shown(text)}.")
    return text


def room_of(text: str) -> str:
    """The name of a room, in small letters. They have to be a name too: "İ" and "ß" become two characters."""
    return word_of(unicodedata.normalize("NFC", word_of(text).casefold()))


def needed(text: str, otherwise: str) -> str:
    if not text:
        raise Refused(otherwise)
    return text


def shown(text: str) -> str:
    """What a client has written, in an answer: not too long."""
    quoted = repr(text)
    return quoted if len(quoted) <= 22 else f"{quoted[:21]}…"


def listed(things: Sequence[object]) -> str:
    """As in "Ann, Bob and 3 more"."""
    more = f" and {len(things) - SHOWN} more" if len(things) > SHOWN else ""
    return ", ".join(map(str, things[:SHOWN])) + more or "none"


async def presence() -> None:
    """Tell each room who has come and who has left. The larger a room, the more people are in one line."""
    with rooms.watch(trioreg.ANY) as events:
        while True:
            news: dict[tuple[str, str], list[object]] = {}
            for event in await events.receive_some():
                what = "come" if isinstance(event, trioreg.Registered) else "left"
                news.setdefault((str(event.key), what), []).append(event.value)
            for (room, what), persons in news.items():
                has = "has" if len(persons) == 1 else "have"
                reached = await rooms.publish(room, f"[{room}] * {listed(persons)} {has} {what}")
                await trio.sleep(reached * QUIET)


sessions = services.via("sessions", of=DynamicSupervisor)


class Server(Actor):
    """Takes the connections. When it is ended, it waits for their sessions."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    async def on_start(self) -> None:
        try:
            listeners = await trio.open_tcp_listeners(self.port, host=self.host)
        except OSError as error:
            where = f"{self.host}, port {self.port}: {error.strerror}"
            raise OSError(f"can't listen on {where}. Choose another --host, or --serve PORT (0: a free one)") from error
        self.port = listeners[0].socket.getsockname()[1]
        self.start_soon(trio.serve_listeners, trioreg.connection_handler(sessions, Session), listeners)

    def where(self) -> int:
        return self.port


server = services.via("server", of=Server)


def tree(host: str, port: int) -> list[ChildSpec]:
    """Children end in reverse order: `presence` is silent at shutdown, then the server ends with its sessions."""
    return [
        ChildSpec(DynamicSupervisor, name=sessions),
        ChildSpec(Server, (host, port), name=server, shutdown=math.inf),
        ChildSpec(presence),
    ]


class Announcement(Actor):
    """Says where the server listens. If that can't be printed, the program does not start."""

    async def on_start(self) -> None:
        print(f"the chat is open on port {await server.call(Server.where)}", flush=True)
        self.stop()


# The story: two clients in the same program.


class Client:
    def __init__(self, name: str, stream: trio.SocketStream) -> None:
        self.name = name
        self.stream = stream
        self.heard = b""

    async def say(self, line: str, *, lines: int) -> None:
        """Send a line, and print how many lines come back."""
        await self.stream.send_all(f"{line}\n".encode())
        await self.show(lines)

    async def show(self, count: int) -> None:
        while self.heard.count(b"\n") < count:
            self.heard += await self.stream.receive_some() or b"the end\n"
        *lines, self.heard = self.heard.split(b"\n", count)
        for line in lines:
            print(f"{self.name} reads: {line.decode()}")


async def enter(port: int, name: str, streams: AsyncExitStack) -> Client:
    stream = await streams.enter_async_context(await trio.open_tcp_stream("127.0.0.1", port))
    client = Client(name, stream)
    await client.show(1)
    await client.say(name, lines=3)
    return client


async def story() -> None:
    async with AsyncExitStack() as streams:
        async with trioreg.open_supervisor(tree("127.0.0.1", 0)) as supervisor:
            port = await server.call(Server.where)
            ann = await enter(port, "Ann", streams)
            bob = await enter(port, "Bob", streams)
            await ann.show(1)
            await ann.say("Hello, Bob.", lines=1)
            await bob.show(1)
            await bob.say("/msg Ann psst", lines=1)
            await ann.show(1)
            await ann.say("/join go", lines=2)
            await ann.say("/rooms", lines=1)
            await ann.say("/nick Bob", lines=1)
            await ann.stream.aclose()
            await bob.show(1)
            await bob.say("/who", lines=1)
            supervisor.stop()
        await bob.show(2)
    print("names and rooms at the end:", people.count(), len(rooms))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", metavar="PORT", nargs="?", type=int, const=8000, help="8000; 0: any free port")
    parser.add_argument("--host", help="where to listen (default: 127.0.0.1: this machine only)")
    parser.add_argument(
        "--observe", metavar="HOST:PORT", nargs="?", const="127.0.0.1:4001", help="show it in a browser"
    )
    arguments = parser.parse_args()
    port: int | None = arguments.serve
    if port is None and arguments.observe:
        parser.error("--observe needs --serve: the story is too short to be watched")
    if port is None and arguments.host is not None:
        parser.error("--host needs --serve: the story listens on this machine only")
    if port is not None and not 0 <= port < 65536:
        parser.error(f"PORT must be from 0 to 65535, not {port}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if port is None:
        return exit_status(partial(trio.run, story), trio.BrokenResourceError)
    host = "127.0.0.1" if arguments.host is None else arguments.host
    children = [*tree(host, port), ChildSpec(Announcement, restart="temporary")]
    serve = partial(trioreg.run, children, name="chat", observe=arguments.observe)
    return exit_status(serve, ImportError, ValueError)


if __name__ == "__main__":
    sys.exit(main())
