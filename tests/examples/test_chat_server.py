"""The chat server, over real sockets: what each client may do, a slow one, a thousand at once, and the end."""

from __future__ import annotations

import math
import re
import resource
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import chat_server
import pytest
import trio
from chat_server import PATIENCE, WAITING, Server, Session, people, presence, rooms, server, tree
from support.doc_blocks import ran_by
from support.processes import SECONDS, running
from trio.testing import MockClock, lockstep_stream_pair, wait_all_tasks_blocked

from trioreg import ChildSpec, Registered, connection_handler, open_dynamic_supervisor, open_supervisor

COMMAND = [sys.executable, str(Path(__file__).parents[2] / "examples" / "chat_server.py")]
GOODBYE = "The chat closes. Goodbye."


class Client:
    """One client, line by line. `heard` has each line that it has received, and `read` says how many the test knows."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.heard: list[str] = []
        self.read = 0
        self.rest = b""

    async def say(self, *lines: str | bytes) -> None:
        text = [line if isinstance(line, bytes) else line.encode() for line in lines]
        await self.stream.send_all(b"".join(line + b"\n" for line in text))

    async def hear(self) -> str:
        """The next line; "" at the end of the stream."""
        while self.read == len(self.heard):
            with trio.fail_after(4 * SECONDS):
                chunk = await self.stream.receive_some()
            if not chunk:
                return ""
            *lines, self.rest = (self.rest + chunk).split(b"\n")
            self.heard += [line.decode() for line in lines]
        self.read += 1
        return self.heard[self.read - 1]

    async def until(self, line: str) -> list[str]:
        """The lines up to this one."""
        lines = [await self.hear()]
        while lines[-1] != line:
            assert lines[-1], f"the connection has ended without {line!r}"
            lines.append(await self.hear())
        return lines

    async def ask(self, line: str | bytes) -> str:
        """Say a line that has one line as its answer."""
        await self.say(line)
        return await self.hear()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_server, "PAUSE", 0)


OPENED: list[Client] = []
"""The clients of a test. They are closed at its end."""


@asynccontextmanager
async def chatting(*names: str) -> AsyncGenerator[list[Client]]:
    """A chat, and people who are in the lobby. Each has read what was said so far."""
    async with open_supervisor(tree("127.0.0.1", 0)) as supervisor:
        clients: list[Client] = []
        for name in names:
            clients.append(await entered(name))
            for client in clients:
                await client.until(f"[lobby] * {name} has come")
        yield clients
        supervisor.stop()
    while OPENED:
        await OPENED.pop().stream.aclose()


async def connected() -> Client:
    client = Client(await trio.open_tcp_stream("127.0.0.1", await server.call(Server.where)))
    OPENED.append(client)
    assert await client.hear() == "Who are you?"
    return client


async def entered(name: str) -> Client:
    client = await connected()
    assert await client.ask(name) == f"Welcome, {name}. /help shows what you can do."
    return client


[SHOWN] = ran_by("tests/examples/test_chat_server.py")


async def test_the_page_shows_what_a_client_reads_and_types() -> None:
    async with chatting():
        ann = Client(await trio.open_tcp_stream("127.0.0.1", await server.call(Server.where)))
        OPENED.append(ann)
        for line in SHOWN.code.splitlines():
            if line in ("Ann", "Hello, Bob."):
                await ann.say(line)
                continue
            if line == "[lobby] * Bob has come":
                await entered("Bob")
            if line == "Bob to you: psst":
                await OPENED[-1].say("/msg Ann psst")
            assert await ann.hear() == line


# Names


async def test_name_that_is_taken_is_refused_and_asked_for_again() -> None:
    async with chatting("Ann"):
        second = await connected()
        assert await second.ask("ANN") == "The name ANN is taken. Who are you?"
        assert await second.ask("Bob") == "Welcome, Bob. /help shows what you can do."


async def test_name_is_free_when_its_connection_has_ended() -> None:
    async with chatting("Ann", "Bob") as (ann, bob):
        await ann.stream.aclose()
        assert await bob.hear() == "[lobby] * Ann has left"
        await entered("Ann")


async def test_new_name_is_told_to_the_room_and_the_former_one_is_free() -> None:
    async with chatting("Ann", "Bob") as (ann, bob):
        assert await ann.ask("/nick Anna") == "[lobby] * Ann is Anna now"
        assert await bob.hear() == "[lobby] * Ann is Anna now"
        assert await bob.ask("/who") == "[lobby] here: Anna, Bob"
        assert await bob.ask("/nick anna") == "The name anna is taken."
        assert await bob.ask("/nick Ann") == "[lobby] * Bob is Ann now"


async def test_name_can_change_its_capital_letters() -> None:
    async with chatting("ann") as (ann,):
        assert await ann.ask("/nick Ann") == "[lobby] * ann is Ann now"
        assert [name for name, _ in people.items()] == ["ann"]


async def test_name_that_you_have_is_no_news() -> None:
    async with chatting("Ann") as (ann,):
        assert await ann.ask("/nick Ann") == "You are Ann already."


async def test_name_is_the_same_however_its_accents_are_sent() -> None:
    async with chatting("Am\u00e9lie"):
        second = await connected()
        assert await second.ask("Ame\u0301lie") == "The name Am\u00e9lie is taken. Who are you?"


@pytest.mark.parametrize(
    "name", ["", "x" * 21, "Ann Smith", "/nick", "a\N{ZERO WIDTH SPACE}b", ".", "\N{HANGUL FILLER}"]
)
async def test_name_that_is_no_name_is_refused(name: str) -> None:
    async with chatting():
        client = await connected()
        shown = f"'{name}'" if len(name) < 20 else "'xxxxxxxxxxxxxxxxxxxx…"
        shown = shown.replace("\N{ZERO WIDTH SPACE}", r"\u200b")
        assert await client.ask(name) == f"A name has 1 to 20 letters, digits, - or _, not {shown}. Who are you?"


# Rooms and private messages


async def test_text_goes_to_all_in_the_room_and_to_no_other_room() -> None:
    async with chatting("Ann", "Bob", "Cid") as (ann, bob, cid):
        await cid.say("/leave")
        assert await cid.hear() == "You have left lobby."
        assert [await client.hear() for client in (ann, bob)] == ["[lobby] * Cid has left"] * 2
        await ann.say("Grüß dich, Bob 🦜")
        assert [await client.hear() for client in (ann, bob)] == ["[lobby] Ann: Grüß dich, Bob 🦜"] * 2
        assert await cid.ask("/who lobby") == "[lobby] here: Ann, Bob"


async def test_text_goes_to_the_room_that_was_joined_last() -> None:
    async with chatting("Ann", "Bob") as (ann, bob):
        assert await ann.ask("/join Go") == "[go] here: Ann"
        assert await ann.hear() == "[go] * Ann has come"
        assert await ann.ask("Anybody?") == "[go] Ann: Anybody?"
        await bob.say("Where is she?")
        assert [await client.hear() for client in (ann, bob)] == ["[lobby] Bob: Where is she?"] * 2
        assert await ann.ask("/join lobby") == "[lobby] here: Ann, Bob"
        assert await ann.ask("Here.") == "[lobby] Ann: Here."
        assert await bob.ask("/rooms") == "[lobby] Ann: Here."
        assert await bob.hear() == "rooms: lobby (2), go (1)"


async def test_room_with_any_letters_can_be_left() -> None:
    async with chatting("Ann") as (ann,):
        for room in ("\u0390", "\u01f0", "Straße"):
            assert await ann.ask(f"/join {room}") == f"[{room.lower()}] here: Ann".replace("ß", "ss")
            assert (await ann.hear()).endswith("Ann has come")
            assert await ann.ask("/leave") == f"You have left {room.lower()}.".replace("ß", "ss")


@pytest.mark.parametrize("room", ["\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "ß" * 20])
async def test_room_that_is_no_word_in_small_letters_is_not_joined(room: str) -> None:
    async with chatting("Ann") as (ann,):
        assert (await ann.ask(f"/join {room}")).startswith("A name has 1 to 20 letters, digits, - or _, not '")
        assert await ann.ask("/rooms") == "rooms: lobby (1)"


async def test_room_that_you_are_not_in_cannot_be_left() -> None:
    async with chatting("Ann") as (ann,):
        assert await ann.ask("/leave go") == "You are not in go."


async def test_without_a_room_your_text_is_refused() -> None:
    async with chatting("Ann") as (ann,):
        await ann.ask("/leave lobby")
        for line in ("hello", "/who", "/leave"):
            assert await ann.ask(line) == "You are in no room. Try /rooms, and /join ROOM."
        assert await ann.ask("/rooms") == "rooms: none"


async def test_person_is_in_ten_rooms_at_most() -> None:
    async with chatting("Ann") as (ann,):
        await ann.say(*[f"/join room{number}" for number in range(10)])
        await ann.until("You are in 10 rooms. /leave one first.")
        assert len(rooms.topics()) == 10


async def test_private_message_goes_to_one_person() -> None:
    async with chatting("Ann", "Bob", "Cid") as (ann, bob, cid):
        assert await ann.ask("/msg BOB  come to the harbour ") == "you to BOB: come to the harbour"
        assert await bob.hear() == "Ann to you: come to the harbour"
        assert await cid.ask("/who") == "[lobby] here: Ann, Bob, Cid"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("/msg Bob hello", "Bob is not here."),
        ("/msg Ann", "Write /msg NAME TEXT."),
        ("/msg", "Write /msg NAME TEXT."),
        ("/msg B.b hello", "A name has 1 to 20 letters, digits, - or _, not 'B.b'."),
    ],
)
async def test_private_message_to_nobody_is_refused(line: str, answer: str) -> None:
    async with chatting("Ann") as (ann,):
        assert await ann.ask(line) == answer


async def test_help_shows_each_command() -> None:
    async with chatting("Ann") as (ann,):
        await ann.say("/help", "/who")
        shown = await ann.until("[lobby] here: Ann")
        assert [line.split()[0] for line in shown[:-1]] == [
            *("TEXT", "/join", "/leave", "/rooms", "/who", "/msg", "/nick", "/quit")
        ]


async def test_after_quit_comes_a_goodbye_and_the_end() -> None:
    async with chatting("Ann", "Bob") as (ann, bob):
        assert await ann.ask("/quit") == "Goodbye, Ann."
        assert await ann.hear() == ""
        assert await bob.hear() == "[lobby] * Ann has left"


async def test_client_that_only_ends_its_own_side_gets_all_its_answers() -> None:
    async with chatting():
        client = await connected()
        assert isinstance(client.stream, trio.SocketStream)
        await client.say("Ann", "/who", "bye")
        await client.stream.send_eof()
        await client.until("[lobby] Ann: bye")
        while await client.hear():
            pass  # "Ann has come" may be the last line


# What makes no sense


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("/sing a song", "'/sing' is no command. /help shows all."),
        ("/" + "x" * 100, f"'/{'x' * 19}… is no command. /help shows all."),
        ("/join", "Write /join ROOM."),
        ("/nick", "Write /nick NAME."),
        ("/join two rooms", "A name has 1 to 20 letters, digits, - or _, not 'two rooms'."),
        ("/who two rooms", "A name has 1 to 20 letters, digits, - or _, not 'two rooms'."),
        ("/leave two rooms", "A name has 1 to 20 letters, digits, - or _, not 'two rooms'."),
        ("/join " + "x" * 21, f"A name has 1 to 20 letters, digits, - or _, not '{'x' * 20}…."),
        ("x" * 1001, "A line has at most 1000 bytes."),
        (b"\xff\xfb\x01", "That is not UTF-8."),
        ("clear \x1b[2J", r"Control characters are not sent, such as '\x1b'."),
        (b"a\0b", r"Control characters are not sent, such as '\x00'."),
        ("a\u2028[lobby] Ann: forged", r"Control characters are not sent, such as '\u2028'."),
        ("a \u202eegassem", r"Control characters are not sent, such as '\u202e'."),
    ],
    ids=[
        "command",
        "long command",
        "no room",
        "no name",
        "two words",
        "two rooms",
        "two other rooms",
        "long name",
        "long line",
        "not UTF-8",
        "terminal",
        "zero",
        "another line",
        "direction",
    ],
)
async def test_line_that_makes_no_sense_is_answered_and_the_chat_goes_on(line: str | bytes, answer: str) -> None:
    async with chatting("Ann") as (ann,):
        assert await ann.ask(line) == answer
        assert await ann.ask("hello") == "[lobby] Ann: hello"


async def test_empty_lines_and_carriage_returns_do_not_count() -> None:
    async with chatting("Ann") as (ann,):
        await ann.say("", "\r", "\thello\tall\r")
        assert await ann.hear() == "[lobby] Ann: hello all"


async def test_line_without_end_is_answered_and_closed() -> None:
    async with chatting("Ann", "Bob") as (ann, bob):
        await ann.stream.send_all(b"x" * 150_000)
        assert await ann.hear() == "A line has at most 1000 bytes."
        assert await ann.hear() == ""
        assert await bob.hear() == "[lobby] * Ann has left"


async def test_client_that_resets_its_connection_is_no_crash(caplog: pytest.LogCaptureFixture) -> None:
    async with chatting("Ann", "Bob") as (ann, bob):
        assert isinstance(ann.stream, trio.SocketStream)
        ann.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await ann.stream.aclose()
        assert await bob.hear() == "[lobby] * Ann has left"
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


# A slow client, in virtual time. Its stream has no buffer at all, so each byte waits until the client reads it.


@asynccontextmanager
async def beside_a_slow_client() -> AsyncGenerator[tuple[Client, Client]]:
    """Ann, who reads all, and a client that has read nothing since it came."""
    async with (
        open_dynamic_supervisor() as sessions,
        open_supervisor([ChildSpec(presence)]) as others,
        trio.open_nursery() as nursery,
    ):
        ann, slow = [attached(nursery, connection_handler(sessions, Session)) for _ in range(2)]
        await ann.say("Ann")
        await ann.until("[lobby] * Ann has come")
        await slow.say("Slow")
        await slow.until("[lobby] * Slow has come")
        await ann.until("[lobby] * Slow has come")
        yield ann, slow
        nursery.cancel_scope.cancel()
        others.stop()
        sessions.stop()


def attached(nursery: trio.Nursery, handler: Callable[[trio.abc.Stream], Awaitable[None]]) -> Client:
    mine, its = lockstep_stream_pair()

    async def serve() -> None:  # as `trio.serve_tcp` does
        async with its:
            await handler(its)

    nursery.start_soon(serve)
    return Client(mine)


async def test_client_that_does_not_read_slows_no_other_client(autojump_clock: MockClock) -> None:
    async with beside_a_slow_client() as (ann, _):
        started = trio.current_time()
        for number in range(3 * WAITING):
            assert await ann.ask(f"{number}") == f"[lobby] Ann: {number}"
        assert trio.current_time() == started


async def test_slow_client_gets_the_last_lines_and_sees_how_many_are_missing(autojump_clock: MockClock) -> None:
    async with beside_a_slow_client() as (ann, slow):
        for number in range(3 * WAITING):
            await ann.ask(f"{number}")
        assert await slow.hear() == "[lobby] Ann: 0"  # it was on its way
        assert await slow.hear() == f"({2 * WAITING - 1} lines are missing here: you read too slowly)"
        assert [await slow.hear() for _ in range(WAITING)] == [
            f"[lobby] Ann: {2 * WAITING + n}" for n in range(WAITING)
        ]
        await ann.ask("better?")
        assert await slow.hear() == "[lobby] Ann: better?"


async def test_client_that_reads_nothing_for_a_time_is_disconnected(autojump_clock: MockClock) -> None:
    async with beside_a_slow_client() as (ann, slow):
        await ann.ask("hello")
        started = trio.current_time()
        await trio.sleep(PATIENCE - 1)
        assert await ann.ask("/who") == "[lobby] here: Ann, Slow"
        assert await ann.hear() == "[lobby] * Slow has left"
        assert trio.current_time() == started + PATIENCE
        assert [await slow.hear(), await slow.hear()] == ["[lobby] Ann: hello", ""]  # the first was on its way


async def test_slow_client_does_not_delay_the_shutdown(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with trio.open_nursery() as nursery:
        async with beside_a_slow_client() as (ann, slow):
            await ann.ask("hello")
            await wait_all_tasks_blocked()
            started = trio.current_time()
            nursery.start_soon(ann.until, GOODBYE)
        assert trio.current_time() == started
    assert [await slow.hear(), await slow.hear()] == ["[lobby] Ann: hello", ""]
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


# A thousand


@pytest.fixture
def crowd() -> Iterator[int]:
    """A thousand, or as many as there are files for: a connection has two ends, and both are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2200
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    yield min(1000, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200) // 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_thousand_clients_hear_each_line_once_and_a_goodbye(
    crowd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_tcp_listeners = trio.open_tcp_listeners

    async def with_small_buffers(port: int, *, host: str) -> list[trio.SocketListener]:
        listeners = await open_tcp_listeners(port, host=host)
        for listener in listeners:
            listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return listeners

    monkeypatch.setattr(trio, "open_tcp_listeners", with_small_buffers)
    monkeypatch.setattr(chat_server, "PATIENCE", math.inf)  # on a busy machine this takes long
    *most_of_it, teller = tree("127.0.0.1", 0)
    async with open_supervisor(most_of_it) as supervisor:
        port = await server.call(Server.where)
        slow = await entered("slow")  # it reads no more until the end
        for _ in range(8 * WAITING):  # some wait in the kernel, some in the write that is on its way
            rooms.publish_nowait("lobby", "x" * 900)
            await trio.lowlevel.checkpoint()

        clients = [Client(await trio.open_tcp_stream("127.0.0.1", port)) for _ in range(crowd)]
        with rooms.watch("lobby") as events:  # the room is not told of each: that takes a machine some seconds
            for number, client in enumerate(clients):
                await client.say(f"client{number}")
            for _ in clients:
                assert isinstance(await events.receive(), Registered)
        await supervisor.start_child(teller)
        hello = "[lobby] client0: hello, all of you"
        await clients[0].say("hello, all of you")
        await all_read_until(hello, clients)
        assert [line for line in await slow.until(hello) if re.fullmatch(r"\(\d+ lines are missing here: .+\)", line)]

        for client in clients[-100:]:
            await client.stream.aclose()
        left = 0
        while left < 100:
            left += how_many(await clients[0].hear(), "left")
        assert (left, people.count()) == (100, crowd - 99)

        supervisor.stop()
        await all_read_until(GOODBYE, [slow, *clients[:-100]])
    assert [client.heard.count(hello) for client in [slow, *clients]] == [1] * (crowd + 1)
    assert [await client.hear() for client in clients[:-100]] == [""] * (crowd - 100)
    for client in [slow, *clients]:
        await client.stream.aclose()


async def test_people_who_come_together_are_in_one_line(autojump_clock: MockClock) -> None:
    async with open_supervisor([ChildSpec(presence)]) as supervisor, AsyncExitStack() as stack:
        await wait_all_tasks_blocked()
        enter = stack.enter_async_context
        feeds = [await enter(rooms.subscribe("lobby", value=f"person{number}")) for number in range(50)]
        await trio.sleep(1)
        lines = await feeds[0].receive_some()
        assert sum(how_many(line, "come") for line in lines) == 50
        assert len(lines) < 10
        supervisor.stop()


async def all_read_until(line: str, clients: list[Client]) -> None:
    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(client.until, line)


def how_many(line: str, what: str) -> int:
    """How many people have come, or left."""
    found = re.fullmatch(rf"\[lobby\] \* (.+?)(?: and (\d+) more)? ha(?:s|ve) {what}", line)
    return len(found[1].split(", ")) + int(found[2] or 0) if found else 0


# As a program


@pytest.mark.skipif(sys.platform == "win32", reason="no signals for a single process")
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_the_server_and_its_clients_read_a_goodbye(signum: signal.Signals, status: int) -> None:
    with running([*COMMAND, "--serve", "0"]) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(" ")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as ann, ann.makefile("rw") as lines:
            assert lines.readline() == "Who are you?\n"
            lines.write("Ann\n")
            lines.flush()
            assert lines.readline() == "Welcome, Ann. /help shows what you can do.\n"
            process.send_signal(signum)
            assert lines.read().endswith(f"\n{GOODBYE}\n")
        out, err = process.communicate()
    assert (out, err) == ("", f"chat: {signum.name}: shutting down; a second signal ends it at once\n")
    assert process.returncode == status


def test_port_that_is_in_use_is_named_with_what_to_do_and_gets_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, error = refused("--serve", str(port), capsys=capsys)
    assert status == 2
    said = rf"chat_server.py: can't listen on 127.0.0.1, port {port}: .*in use.*\. Choose another .*--serve.*\n"
    assert re.fullmatch(said, error)


@pytest.mark.parametrize(
    ("argument", "report"),
    [
        ("--serve=70000", "PORT must be from 0 to 65535, not 70000"),
        ("--serve=chat", "argument --serve: invalid int value: 'chat'"),
        ("--host=0.0.0.0", "--host needs --serve: the story listens on this machine only"),
        ("--observe", "--observe needs --serve: the story is too short to be watched"),
    ],
)
def test_wrong_argument_gets_the_usage_and_status_2(
    argument: str, report: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, error = refused(argument, capsys=capsys)
    assert (status, error.splitlines()[-1]) == (2, f"chat_server.py: error: {report}")


def refused(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """The exit status of the program with these arguments, and what it prints to stderr."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["chat_server.py", *arguments])
        try:
            status: object = chat_server.main()
        except SystemExit as exit:
            status = exit.code
    out, error = capsys.readouterr()
    assert out == ""
    return status, error
