"""Go over TCP: what players at a terminal read, and clients of every kind that are no players."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import go_server
import pytest
import trio
from go import game, lines
from go.game import games, services, watchers
from go.lines import HELP, LONGEST_LINE, PATIENCE, Lines, Session, sessions
from support.doc_blocks import ran_by
from support.processes import SECONDS, running
from trio.testing import lockstep_stream_pair, memory_stream_pair

from trioreg import connection_handler, open_supervisor
from trioreg.testing import checked, hang

SERVER = Path(__file__).parents[2] / "examples" / "go_server.py"
FULL = Path("/dev/full")


class Client:
    """A player at a terminal. An answer or a piece of news is a list of lines."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.lines = Lines(stream)

    async def send(self, text: str | bytes) -> None:
        await self.stream.send_all(text.encode() if isinstance(text, str) else text)

    async def ask(self, command: str | bytes) -> list[str]:
        await self.send(command)
        await self.send(b"\n")
        return await self.read()

    async def read(self) -> list[str]:
        """The next answer or news. The list is empty at the end."""
        answer = list[str]()
        async for line in self.lines:
            if not line:
                break
            answer.append(line.decode())
        return answer


@pytest.fixture
async def server() -> AsyncIterator[None]:
    """The whole program runs. A crash fails the test, whatever a client has sent."""
    parts = [*game.tree(":memory:"), *lines.tree("127.0.0.1", 0)]
    async with checked(), open_supervisor(parts, at_end="stop"):
        yield


def address() -> tuple[str, int]:
    ((_, port),) = services.lookup("lines")
    return "127.0.0.1", port


@asynccontextmanager
async def connected() -> AsyncGenerator[Client]:
    async with await trio.open_tcp_stream(*address()) as stream:
        client = Client(stream)
        assert (await client.read())[0].startswith("This is Go.")
        yield client


@asynccontextmanager
async def playing() -> AsyncGenerator[tuple[Client, Client]]:
    """Ann is black and Bob is white, in the game a-17."""
    async with connected() as ann, connected() as bob:
        for player, name in ((ann, "Ann"), (bob, "Bob")):
            assert await player.ask(f"name {name}") == [f"Hello, {name}."]
            await player.ask("game a-17")
        assert (await ann.read())[0] == "Bob is white."
        yield ann, bob


ADDRESSES, TERMINAL = ran_by("tests/examples/test_go_lines.py")


async def test_the_page_shows_what_a_player_reads_and_types(server: None) -> None:
    typed, *said = TERMINAL.code.split("\n\n")
    command, hello = typed.split("\n")
    assert command == "$ nc 127.0.0.1 3619"
    async with connected() as ann, await trio.open_tcp_stream(*address()) as stream:
        await ann.ask("name Ann")
        await ann.ask("game lunch")
        bob = Client(stream)
        assert await bob.read() == [hello]
        for part in said:
            command, *answer = part.splitlines()
            heard = await bob.ask(command)
            assert heard == answer or (answer.pop() == "…" and heard[: len(answer)] == answer)


# Two players


async def test_each_player_reads_the_moves_of_the_other(server: None) -> None:
    async with playing() as (ann, bob):
        assert (await ann.ask("play D4"))[0] == "Ann plays D4."
        assert (await bob.read())[0] == "Ann plays D4."
        assert (await bob.ask("pass"))[0] == "Bob passes."
        assert (await ann.read())[0] == "Bob passes."  # and not the own move a second time


async def test_the_board_shows_the_stones_and_the_last_move(server: None) -> None:
    async with playing() as (ann, bob):
        await ann.ask("play D4")
        await bob.read()
        board = await bob.ask("play A9")
    assert board == [
        "Bob plays A9.",
        "    A B C D E F G H J",
        " 9 (O). . . . . . . .  9",
        *[f" {row}  . . . . . . . . .  {row}" for row in (8, 7, 6, 5)],
        " 4  . . . X . . . . .  4",
        *[f" {row}  . . . . . . . . .  {row}" for row in (3, 2, 1)],
        "    A B C D E F G H J",
        "X black: Ann, has captured 0",
        "O white: Bob, has captured 0",
        "black is to move.",
    ]


async def test_a_move_that_the_rules_forbid_is_answered_with_the_reason(server: None) -> None:
    async with playing() as (ann, bob):
        assert await bob.ask("play D4") == ["No: it is not your turn: black is to move."]
        assert await ann.ask("play K10") == ["No: 'k10' is not on this board: it has A1 to J9, without an I."]
        assert (await ann.ask("play D4"))[0] == "Ann plays D4."


async def test_score_is_told_during_the_game_and_at_its_end(server: None) -> None:
    async with playing() as (ann, bob):
        await ann.ask("play E5")
        assert await ann.ask("score") == [
            "If the game ended now, with all stones alive: black has 81 points, and white has 7.5, komi included."
        ]
        await bob.read()
        await bob.ask("pass")
        await ann.read()
        assert (await ann.ask("pass"))[-1] == "The game is over: B+73.5."
        assert await ann.ask("score") == [
            "The game is over: B+73.5. At its end black has 81 points, and white has 7.5, komi included."
        ]
        assert await ann.ask("play D4") == ["No: the game is over: B+73.5."]


async def test_a_player_who_drops_off_comes_back_under_the_same_name(server: None) -> None:
    async with playing() as (ann, bob):
        await ann.ask("play D4")
        await bob.stream.aclose()
        async with connected() as bob:
            await bob.ask("name Bob")
            board = await bob.ask("game a-17")
            assert (board[0], board[-1]) == ("You are white in a-17.", "white is to move.")
            assert (await bob.ask("play E5"))[0] == "Bob plays E5."
            assert (await ann.read())[0] == "Bob plays E5."


async def test_a_third_player_watches(server: None) -> None:
    async with playing() as (ann, _), connected() as cyd:
        await cyd.ask("name Cyd")
        assert (await cyd.ask("game a-17"))[0] == "Both seats of a-17 are taken. You watch."
        await ann.ask("play D4")
        assert (await cyd.read())[0] == "Ann plays D4."
        assert await cyd.ask("play E5") == ["No: Cyd has no seat in this game."]


async def test_a_watcher_needs_no_name(server: None) -> None:
    async with playing() as (ann, _), connected() as watcher:
        assert (await watcher.ask("watch A-17"))[0] == "You watch a-17."
        await ann.ask("resign")
        assert (await watcher.read())[::14] == ["Ann resigns.", "The game is over: W+R."]


async def test_a_player_hears_of_one_game_at_a_time(server: None) -> None:
    async with playing() as (ann, bob):
        assert (await bob.ask("game b-2 13"))[0] == "You are black in b-2."
        await ann.ask("play D4")
        assert (await bob.ask("play N13"))[0] == "Bob plays N13."
        assert [name for _, name in watchers.members("a-17")] == ["Ann"]


async def test_a_player_who_takes_another_name_is_no_more_here_under_the_old_one(server: None) -> None:
    async with playing() as (ann, _):
        await ann.ask("name Zoe")
        assert {name for _, name in watchers.members("a-17")} == {"Bob", "Zoe"}
        assert await ann.ask("play D4") == ["No: Zoe has no seat in this game."]


# The commands


async def test_help_lists_every_command(server: None) -> None:
    async with connected() as client:
        assert await client.ask("HELP") == HELP.splitlines()
    words = set(re.findall(r"[a-z]+", "\n".join(line[:17] for line in HELP.splitlines())))
    assert words == {"name", "game", "watch", "play", "pass", "resign", "board", "score", "quit"}


async def test_quit_closes_the_connection(server: None) -> None:
    async with connected() as client:
        assert await client.ask("quit") == ["Goodbye."]
        assert await client.read() == []


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("castle", "'castle' is no command. \"help\" lists all"),
        ("\x00", "'\\x00' is no command. \"help\" lists all"),
        ("🦜 D4", "'🦜' is no command. \"help\" lists all"),
        ("x" * 100, f'\'{"x" * 20}… is no command. "help" lists all'),
        ("name", 'NAME is missing: write "name NAME"'),
        ("game", 'ID is missing: write "game ID [SIZE]"'),
        ("game a b", "SIZE must be 9, 13 or 19, not 'b'"),
        ("game a-1 21", "SIZE must be 9, 13 or 19, not '21'"),
        ("game a ٩", "SIZE must be 9, 13 or 19, not '٩'"),
        ("game a 9 13", "'13' is too much: write \"game ID [SIZE]\""),
        ("watch", 'ID is missing: write "watch ID"'),
        ("watch a b", "'b' is too much: write \"watch ID\""),
        ("PLAY", 'POINT is missing: write "play POINT"'),
        ("play D4 E5", "'E5' is too much: write \"play POINT\""),
        ("pass D4", "'D4' is too much: write \"pass\""),
        ("resign now", "'now' is too much: write \"resign\""),
        ("board a-17", "'a-17' is too much: write \"board\""),
        ("score a-17", "'a-17' is too much: write \"score\""),
        ("help me", "'me' is too much: write \"help\""),
        ("quit now", "'now' is too much: write \"quit\""),
    ],
)
async def test_a_line_that_makes_no_sense_is_answered_with_what_is_wrong(server: None, line: str, answer: str) -> None:
    async with connected() as client:
        await client.ask("name Ann")
        assert await client.ask(line) == [f"No: {answer}."]
        assert await client.ask("name Bob") == ["Hello, Bob."]


async def test_each_command_of_the_help_has_a_form_of_its_own(server: None) -> None:
    async with connected() as client:
        commands = [text for line in await client.ask("help") for text in re.split(r"  +", line)[0].split(", ") if text]
        assert sorted(commands) == sorted(form for form in lines.FORMS.values() if form != "help")


@pytest.mark.parametrize("line", ["board", "score", "play D4", "pass", "resign"])
async def test_a_player_without_a_game_is_told_how_to_find_one(server: None, line: str) -> None:
    async with connected() as client:
        assert await client.ask(line) == ['No: you are in no game: say "game ID" or "watch ID".']


async def test_a_player_without_a_name_gets_no_seat(server: None) -> None:
    async with connected() as client:
        await client.ask("watch a-17")
        for line in ("game a-17", "play D4", "resign"):
            assert await client.ask(line) == ['No: say who you are first, such as "name Ann".']


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("name \x07", r"No: a name has at most 20 characters, and all of them can be printed, not '\x07'."),
        (
            "name " + "x" * 21,
            f"No: a name has at most 20 characters, and all of them can be printed, not '{'x' * 20}….",
        ),
        (
            "watch ../x",
            "No: a game has a name such as a-17: at most 20 of the characters a-z, 0-9 and \"-\", not '../x'.",
        ),
        (b"name \xff\xfe", "That is not UTF-8."),
    ],
)
async def test_a_name_that_is_none_is_refused(server: None, line: str | bytes, answer: str) -> None:
    async with connected() as client:
        assert await client.ask(line) == [answer]


async def test_blank_lines_and_carriage_returns_do_not_count(server: None) -> None:
    async with connected() as client:
        assert await client.ask("\r\n\n   \nname Ann\r") == ["Hello, Ann."]


async def test_a_line_may_come_in_pieces_and_several_lines_in_one(server: None) -> None:
    async with connected() as client:
        for letter in "name Ann":
            await client.send(letter)
        assert await client.ask("") == ["Hello, Ann."]
        await client.send("name Bob\nname Cyd\nname")
        assert [await client.read(), await client.read()] == [["Hello, Bob."], ["Hello, Cyd."]]
        assert await client.ask(" Dan") == ["Hello, Dan."]


# Clients that are no players


@pytest.mark.parametrize("end", [b"", b"\n"])
async def test_a_line_that_is_too_long_ends_its_connection_only(server: None, end: bytes) -> None:
    async with playing() as (ann, bob):
        await bob.send(b"score\n" + b"x" * (LONGEST_LINE + 1) + end)
        assert (await bob.read())[0].startswith("If the game ended now")
        assert await bob.read() == ["A line has at most 200 bytes. Goodbye."]
        assert await bob.read() == []
        assert (await ann.ask("play D4"))[0] == "Ann plays D4."


async def test_a_client_that_says_all_at_once_gets_all_answers(server: None) -> None:
    async with connected() as client:
        await client.send("name Ann\n" * 1000)
        assert isinstance(client.stream, trio.SocketStream)
        await client.stream.send_eof()
        assert [await client.read() for _ in range(1001)] == [["Hello, Ann."]] * 1000 + [[]]


async def test_a_client_that_breaks_the_connection_disturbs_no_one(server: None) -> None:
    async with playing() as (ann, bob):
        assert isinstance(bob.stream, trio.SocketStream)
        bob.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        await bob.send("board\n" * 20)
        await bob.stream.aclose()
        for move in ("play D4", "resign"):
            assert len(await ann.ask(move)) == 15


async def test_a_client_that_does_not_read_holds_up_no_one_and_is_let_go(
    server: None, mock_clock: trio.testing.MockClock
) -> None:
    async with playing() as (ann, bob), trio.open_nursery() as nursery:
        ours, theirs = lockstep_stream_pair()  # what is sent has to be read at once
        nursery.start_soon(connection_handler(sessions, Session), theirs)
        deaf = Client(ours)
        await deaf.read()
        await deaf.send("watch a-17\n")
        for move in ("D4", "E5", "F6", "G7"):
            await ann.ask(f"play {move}")
            await bob.read()
            ann, bob = bob, ann
        assert trio.current_time() == 0  # the clock stands still
        while nursery.child_tasks:
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(PATIENCE)


async def test_a_thousand_watchers_read_of_a_move(server: None) -> None:
    async with playing() as (ann, _), trio.open_nursery() as nursery:
        handler, clients = connection_handler(sessions, Session), list[Client]()
        for _ in range(1000):
            ours, theirs = memory_stream_pair()
            nursery.start_soon(handler, theirs)
            await ours.send_all(b"watch a-17\n")
            clients.append(Client(ours))
        for watcher in clients:
            assert [(await watcher.read())[0][:7], (await watcher.read())[0]] == ["This is", "You watch a-17."]
        await ann.ask("play D4")
        for watcher in clients:
            assert (await watcher.read())[0] == "Ann plays D4."
            await watcher.stream.aclose()


@pytest.mark.parametrize("head", ["POST / HTTP/1.1", "GET /?name HTTP/1.0"])
async def test_a_web_page_can_not_play_through_the_port_for_terminals(server: None, head: str) -> None:
    """A page of any site can send a POST to this machine, and write what it likes into the body."""
    async with playing() as (ann, _), connected() as page:
        await page.send(f"{head}\r\nHost: 127.0.0.1:3619\r\n\r\nname Ann\ngame a-17\nresign\n")
        assert await page.read() == ["This is no web server. Goodbye."]
        assert await page.read() == []
        assert (await ann.ask("play D4"))[0] == "Ann plays D4."


# Crashes, and the end


async def test_a_player_is_told_that_the_game_had_to_start_again(server: None) -> None:
    async with playing() as (ann, _):
        running_game = games.whereis("a-17")
        assert running_game is not None
        with hang(running_game):
            await ann.send("play D4\n")
            while running_game.statistics().queued == 0:
                await trio.lowlevel.checkpoint()
            running_game.kill()
        assert await ann.read() == [
            "The game had to start again. Look at the board, and repeat your move if it is not there."
        ]
        assert (await ann.ask("play D4"))[0] == "Ann plays D4."


async def test_at_the_shutdown_each_client_is_told_before_its_connection_is_closed() -> None:
    parts = [*game.tree(":memory:"), *lines.tree("127.0.0.1", 0)]
    async with checked(), open_supervisor(parts) as supervisor, connected() as ann, connected() as bob:
        supervisor.stop()
        for client in (ann, bob):
            assert await client.read() == ["The server closes. Your games are kept."]
            assert await client.read() == []


# The program


def serving(*arguments: str | Path, **options: Any) -> AbstractContextManager[subprocess.Popen[str]]:
    return running([sys.executable, str(SERVER), *map(str, arguments)], **options)


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline().rpartition(" ")[2])


@contextmanager
def talking(port: int) -> Generator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        yield connection


def said(connection: socket.socket, commands: str, end: str) -> str:
    """Send commands, and give all that comes until ``end``."""
    connection.sendall(commands.encode())
    answer = ""
    while end not in answer:
        chunk = connection.recv(4096)
        assert chunk
        answer += chunk.decode()
    return answer


@pytest.mark.skipif(sys.platform == "win32", reason="no signals for a single process")
def test_a_killed_server_loses_no_move_that_it_has_answered(tmp_path: Path) -> None:
    options = ("--serve", "0", "--games", tmp_path / "games.sqlite3")
    with serving(*options) as process, talking(port_of(process)) as ann:
        said(ann, "name Ann\ngame a-17\nplay D4\n", end="Ann plays D4.")
        process.kill()
        process.wait()
    with serving(*options) as process:
        with talking(port_of(process)) as ann:
            answer = said(ann, "name Ann\ngame a-17\n", end="to move.")
            assert "You are black in a-17." in answer
            assert " 4  . . .(X). . . . .  4" in answer
            process.send_signal(signal.SIGTERM)
            assert said(ann, "", end="kept.").strip() == "The server closes. Your games are kept."
        out, err = process.communicate()
    assert (out, err, process.returncode) == ("", "go: SIGTERM: shutting down; a second signal ends it at once\n", 0)


def test_the_page_shows_the_addresses_that_the_server_prints() -> None:
    with serving("--serve", "0", "--web", "0") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in ADDRESSES.code.splitlines()]
    assert re.sub(r"\d+$", "N", "".join(lines), flags=re.M) == re.sub(r"\d+$", "N", ADDRESSES.code, flags=re.M)


@pytest.mark.skipif(sys.platform == "win32", reason="no signals for a single process")
def test_ctrl_c_ends_the_server_quietly() -> None:
    with serving("--serve", "0") as process:
        port_of(process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (out, err, process.returncode) == ("", "go: SIGINT: shutting down; a second signal ends it at once\n", 130)


def test_ctrl_c_while_an_actor_of_the_story_runs_ends_it_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def show(self: game.Game) -> game.State:
        signal.raise_signal(signal.SIGINT)
        return show_game(self)

    show_game = game.Game.show
    monkeypatch.setattr(game.Game, "show", show)
    monkeypatch.setattr(sys, "argv", ["go_server.py"])
    assert go_server.main() == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("option", ["--serve", "--web"])
def test_a_port_that_is_taken_is_named_with_what_to_do_and_gets_status_2(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(option, str(port)) as process:
            out, err = process.communicate()
    what_to_do = rf"Choose another --host, or {option} PORT \(0: a free one\)"
    assert re.fullmatch(rf"go_server.py: can't listen on 127.0.0.1, port {port}: .+\. {what_to_do}\n", err)
    assert (out, process.returncode) == ("", 2)


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("options", [(), ("--serve", "0")], ids=["story", "server"])
def test_an_output_that_is_full_gets_one_line_and_status_2(options: tuple[str, ...]) -> None:
    with FULL.open("w") as full, serving(*options, stdout=full) as process:
        _, err = process.communicate()
    assert (err, process.returncode) == ("go_server.py: [Errno 28] No space left on device\n", 2)


@pytest.mark.skipif(sys.platform == "win32", reason="no closed pipe of this kind")
def test_a_server_whose_addresses_no_one_reads_ends_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    with serving("--serve", "0", stdout=write) as process:
        os.close(write)
        _, err = process.communicate()
    assert (err, process.returncode) == ("", 0)


def test_a_file_that_has_no_games_is_named(tmp_path: Path) -> None:
    (file := tmp_path / "notes.txt").write_text("This is not a database, but it is as long as one. " * 10)
    with serving("--serve", "0", "--games", file) as process:
        out, err = process.communicate()
    assert err == f"go_server.py: can't keep games in {file}: file is not a database\n"
    assert (out, process.returncode) == ("", 2)


def test_a_database_of_something_else_is_named_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE entries (diary)")
    before = file.read_bytes()
    with serving("--serve", "0", "--games", file) as process:
        out, err = process.communicate()
    assert err == f"go_server.py: can't keep games in {file}: no such column: game\n"
    assert (out, process.returncode, file.read_bytes()) == ("", 2, before)


def test_a_file_of_games_belongs_to_one_server_at_a_time(tmp_path: Path) -> None:
    """Two of them would show two different boards of the same game."""
    options = ("--serve", "0", "--games", tmp_path / "go.db")
    with serving(*options) as first:
        port_of(first)  # it has started
        with serving(*options) as second:
            out, err = second.communicate()
    assert err == f"go_server.py: can't keep games in {tmp_path / 'go.db'}: another program has them\n"
    assert (out, second.returncode) == ("", 2)


@pytest.mark.parametrize(
    ("arguments", "report"),
    [
        (("--serve", "65536"), "argument --serve: a port is a number from 0 to 65535, not 65536"),
        (("--serve", "0", "--games", "/"), "argument --games: '/' is no file"),
        (("--serve", "0", "--games", os.devnull), f"argument --games: {os.devnull!r} is no file"),
        (("--serve", "0", "--games", "no/folder"), "can't keep games in no/folder: unable to open database file"),
        (("--serve", "0", "--games", ""), "argument --games: '' is no file"),
        (("--observe",), "--observe needs --serve or --web: the story is too short to be watched"),
        (("--host", "0.0.0.0"), "--host needs --serve or --web: the story listens on this machine only"),
        (("--games", "go.db"), "--games needs --serve or --web: the story keeps its game in memory"),
    ],
)
def test_wrong_arguments_get_one_line_and_status_2(arguments: tuple[str, ...], report: str) -> None:
    with serving(*arguments) as process:
        out, err = process.communicate()
    assert err.endswith(f"{report}\n")
    assert (out, process.returncode) == ("", 2)
