"""Go in a browser, without a browser: what the server sends, and what it refuses."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import go
import go_server
import httpx
import pytest
import trio
from go import game, lines, web
from go.game import Game, games, services, watchers
from support.websockets import Closed, Rejected, WebSocketClient, connect

from trioreg import Supervisor, open_supervisor

ANN, BOB, WATCHER = "/games/a-17/live?player=Ann", "/games/a-17/live?player=Bob", "/games/a-17/live"


@asynccontextmanager
async def site() -> AsyncGenerator[tuple[Supervisor, int]]:
    """The supervisor of games and a web server, and the server's port."""
    children = [*game.tree(":memory:"), *web.tree("127.0.0.1", 0)]
    async with open_supervisor(children, at_end="stop") as supervisor:
        ((_, port),) = services.lookup("web")
        yield supervisor, port


async def shown(client: WebSocketClient, **what: object) -> Any:
    """The next game that is shown and has that, such as the number of its moves."""
    while True:
        message = await client.receive()
        seen = {**message, **message.get("game", {})}
        if {name: seen.get(name) for name in what} == what:
            return seen


async def refused_move(client: WebSocketClient) -> str:
    """The next error."""
    while True:
        match await client.receive():
            case {"error": str(error)}:
                return error
            case _:
                pass


async def close_of(client: WebSocketClient) -> Closed:
    with pytest.raises(Closed) as closed:
        while True:
            await client.receive()
    return closed.value


async def test_players_and_watchers_see_each_move_at_once() -> None:
    async with (
        site() as (_, port),
        await connect(port, ANN) as ann,
        await connect(port, BOB) as bob,
        await connect(port, WATCHER) as watcher,
    ):
        await shown(ann, players={"black": "Ann", "white": "Bob"})
        await ann.send({"move": "D4"})
        await shown(bob, moves=1, to_move="white")
        await bob.send({"move": "pass"})
        for client in (ann, bob, watcher):
            seen = await shown(client, moves=2)
            assert (seen["stones"][5], seen["last_move"]) == ("...X.....", "pass")


async def test_move_that_the_rules_forbid_is_explained_to_the_player_alone() -> None:
    async with site() as (_, port), await connect(port, ANN) as ann, await connect(port, BOB) as bob:
        await shown(ann, players={"black": "Ann", "white": "Bob"})
        await ann.send({"move": "D4"})
        await shown(bob, moves=1)
        await bob.send({"move": "D4"})
        assert await refused_move(bob) == "D4 is taken"
        await bob.send({"move": "E5"})
        assert "error" not in await shown(ann, moves=2)


async def test_watcher_can_not_play() -> None:
    async with site() as (_, port), await connect(port, WATCHER) as watcher:
        await watcher.send({"move": "D4"})
        assert await refused_move(watcher) == "you watch this game"


@pytest.mark.parametrize(
    "data",
    [
        "",
        "D4",
        "{",
        "[" * web.LONGEST_MESSAGE,
        "null",
        '["move", "D4"]',
        '{"play": "D4"}',
        '{"move": 4}',
        '{"move": null}',
        b'{"move": "D4"}',
        b"\xff\xfe",
    ],
)
async def test_message_without_a_move_is_answered_and_the_game_goes_on(data: str | bytes) -> None:
    async with site() as (_, port), await connect(port, ANN) as ann:
        await ann.send_data(data)
        assert await refused_move(ann) == 'a message is text such as {"move": "D4"}'
        await ann.send({"move": "D4"})
        await shown(ann, moves=1)


async def test_message_may_come_in_fragments() -> None:
    async with site() as (_, port), await connect(port, ANN) as ann:
        for fragment in ('{"mo', "", 've": "D'):
            await ann.send_data(fragment, finished=False)
        await ann.send_data('4"}')
        await shown(ann, moves=1, last_move="D4")


async def test_fragments_that_are_too_long_together_end_their_own_connection_only() -> None:
    async with site() as (_, port), await connect(port, ANN) as ann, await connect(port, BOB) as bob:
        for _ in range(3):
            await bob.send_data("x" * (web.LONGEST_MESSAGE // 2), finished=False)
        assert (await close_of(bob)).code == 1009
        await ann.send({"move": "D4"})
        await shown(ann, moves=1)


@pytest.mark.parametrize("move", ["", "Z1", "D4 ", "d", "\N{SNOWMAN}", "D99999999999999999999", "\x00"])
async def test_move_that_is_none_is_explained_or_understood(move: str) -> None:
    async with site() as (_, port), await connect(port, ANN) as ann:
        await ann.send({"move": move})
        if move.strip() == "D4":
            await shown(ann, moves=1)
        else:
            assert await refused_move(ann)


async def test_message_that_is_too_long_ends_its_own_connection_only() -> None:
    async with site() as (_, port), await connect(port, ANN) as ann, await connect(port, BOB) as bob:
        await bob.send({"move": "x" * web.LONGEST_MESSAGE})
        assert (await close_of(bob)).code == 1009
        await ann.send({"move": "D4"})
        await shown(ann, moves=1)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/games/no%20game/live", "a game has a name such as a-17"),
        ("/games/a-17/live?player=", "a name has at least one visible character"),
        ("/games/a-17/live?player=" + "x" * 21, "a name has at most 20 characters"),
        ("/games/a-17/live?player=" + "%F0%9F%A6%9C" * 21, "a name has at most 20 characters"),  # a long reason is cut
        ("/games/a-17/live?player=Ann&size=8", "a board has the size 9, 13 or 19"),
        ("/games/a-17/live?player=Ann&size=", "a board has the size 9, 13 or 19"),
    ],
)
async def test_name_that_is_not_possible_is_refused_with_a_sentence(target: str, reason: str) -> None:
    async with site() as (_, port), await connect(port, target) as client:
        closed = await close_of(client)
        assert closed.code == web.REFUSED
        assert closed.reason.startswith(reason)


async def test_bytes_that_hypercorn_does_not_expect_end_their_own_connection_only() -> None:
    """An upgrade with a body: h11 raises an error of its own."""
    async with site() as (supervisor, port), await connect(port, ANN) as ann:
        head = [
            "GET /games/a-17/live HTTP/1.1",
            f"host: 127.0.0.1:{port}",
            f"origin: http://127.0.0.1:{port}",
            "connection: upgrade",
            "upgrade: websocket",
            "sec-websocket-version: 13",
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            "content-length: 5",
        ]
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all("\r\n".join([*head, "", "hello"]).encode())
            async for _ in stream:
                pass  # up to its end
        await ann.send({"move": "D4"})
        await shown(ann, moves=1)
        assert supervisor.which_child("web").restarts == 0


async def test_address_without_a_game_is_refused() -> None:
    async with site() as (_, port):
        for target in ("/", "/games/a-17", "/games/a-17/live/", "/games/a/b/live", "/page/go.js"):
            with pytest.raises(Rejected) as rejected:
                await connect(port, target)
            assert rejected.value.status == 403


async def test_first_player_chooses_the_size_of_the_board() -> None:
    async with site() as (_, port), await connect(port, f"{ANN}&size=13") as ann:
        await shown(ann, size=13)
        async with await connect(port, f"{BOB}&size=19") as bob:
            await shown(bob, size=13, players={"black": "Ann", "white": "Bob"})


async def test_player_whose_connection_is_lost_is_away_and_comes_back_to_the_same_seat() -> None:
    async with site() as (_, port), await connect(port, ANN) as ann:
        async with await connect(port, BOB) as bob:
            await shown(ann, players={"black": "Ann", "white": "Bob"}, away=[])
            await ann.send({"move": "D4"})
            await shown(bob, moves=1)
        await shown(ann, away=["white"])
        async with await connect(port, BOB) as bob:
            await shown(ann, away=[])
            await shown(bob, moves=1)
            await bob.send({"move": "E5"})
            await shown(ann, moves=2, to_move="black")


async def test_player_at_a_terminal_and_player_in_a_browser_play_each_other() -> None:
    async with site() as (supervisor, port), await connect(port, ANN) as ann:
        for child in lines.tree("127.0.0.1", 0):
            await supervisor.start_child(child)
        ((_, terminals),) = services.lookup("lines")
        async with await trio.open_tcp_stream("127.0.0.1", terminals) as terminal:
            await terminal.send_all(b"name Bob\ngame a-17\n")
            await shown(ann, players={"black": "Ann", "white": "Bob"}, away=[])
            await ann.send({"move": "D4"})
            await shown(ann, moves=1)
            await terminal.send_all(b"play E5\n")
            await shown(ann, moves=2, away=[], watching=0)
        await shown(ann, away=["white"])


async def test_page_says_how_many_watch() -> None:
    async with site() as (_, port), await connect(port, ANN) as ann:
        await shown(ann, watching=0)
        async with await connect(port, WATCHER), await connect(port, WATCHER):
            await shown(ann, watching=2)
        await shown(ann, watching=0)


async def test_game_whose_actor_is_killed_goes_on_with_all_its_stones() -> None:
    async with site() as (_, port), await connect(port, ANN) as ann, await connect(port, BOB) as bob:
        await ann.send({"move": "D4"})
        await shown(bob, moves=1)
        first = games.whereis("a-17")
        assert first is not None
        first.kill()
        await first.wait()
        await bob.send({"move": "E5"})
        seen = await shown(ann, moves=2)
        assert (seen["stones"][4], seen["stones"][5]) == ("....O....", "...X.....")
        assert games.whereis("a-17") is not first


async def test_browser_comes_back_when_its_game_can_not_answer() -> None:
    async with site() as (supervisor, port), await connect(port, ANN) as ann:
        await shown(ann, moves=0)
        await supervisor.terminate_child("games")
        await ann.send({"move": "D4"})
        assert (await close_of(ann)).code == web.AGAIN


async def test_browser_is_told_to_come_back_when_the_server_ends() -> None:
    async with site() as (supervisor, port), await connect(port, ANN) as ann, await connect(port, WATCHER) as watcher:
        await shown(ann, watching=1)
        await supervisor.terminate_child("web")
        assert [(await close_of(client)).code for client in (ann, watcher)] == [web.AGAIN, web.AGAIN]


@pytest.mark.skipif(sys.platform != "linux", reason="the bound on a send is an option of Linux")
async def test_browser_that_reads_nothing_holds_up_neither_a_game_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "PATIENCE", 0.2)
    async with site() as (supervisor, port), await connect(port, ANN) as ann, await connect(port, WATCHER):
        state = attrs.evolve(await games.via("a-17").call(Game.show), news="x" * 1_000_000)
        for moves in range(1, 11):  # more than the buffers of a socket take
            watchers.publish_nowait("a-17", attrs.evolve(state, moves=moves))
            await shown(ann, moves=moves)
        await supervisor.terminate_child("web")


# Other sites


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:{}", "http://127.0.0.1:{}"),
        ("localhost:{}", "http://localhost:{}"),
        ("LOCALHOST:{}", "http://localhost:{}"),
        ("127.0.0.1", "https://127.0.0.1"),
        ("[::1]:{}", "http://[::1]:{}"),
        ("192.0.2.7:{}", "http://192.0.2.7:{}"),
    ],
)
async def test_page_of_this_server_may_play(host: str, origin: str) -> None:
    async with (
        site() as (_, port),
        await connect(port, ANN, host=host.format(port), origin=origin.format(port)) as ann,
    ):
        await shown(ann, players={"black": "Ann"})


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:{}", None),
        ("127.0.0.1:{}", "null"),
        ("127.0.0.1:{}", "http://127.0.0.1"),
        ("127.0.0.1:{}", "http://127.0.0.1:1"),
        ("127.0.0.1:{}", "http://localhost:{}"),
        ("127.0.0.1:{}", "http://evil.example"),
        ("127.0.0.1:{}", "http://127.0.0.1:{}.evil.example"),
        ("evil.example:{}", "http://evil.example:{}"),
        ("127.0.0.1.evil.example:{}", "http://127.0.0.1.evil.example:{}"),
        ("localhost.evil.example", "http://localhost.evil.example"),
    ],
)
async def test_page_of_another_site_may_not_play(host: str, origin: str | None) -> None:
    async with site() as (_, port):
        with pytest.raises(Rejected) as rejected:
            await connect(port, ANN, host=host.format(port), origin=origin and origin.format(port))
        assert rejected.value.status == 403
        assert games.items() == []


async def test_page_is_shown_under_its_own_names_only() -> None:
    async with site() as (_, port), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/", headers={"host": "evil.example"})).status_code == 403


async def test_each_answer_forbids_what_is_not_of_this_server() -> None:
    async with site() as (_, port), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        for path in ("/", "/go.js", "/board.js", "/connection.js", "/go.css", "/icon.svg", "/missing", "/../web.py"):
            answer = await client.get(path)
            assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'"), path
            assert answer.status_code == (404 if path in ("/missing", "/../web.py") else 200), path


async def test_port_that_is_taken_is_said_in_a_sentence() -> None:
    async with site() as (supervisor, port):
        with pytest.raises(OSError, match=f"can't listen on 127.0.0.1, port {port}: Address already in use"):
            await supervisor.start_child(web.WebServer, "127.0.0.1", port)


def test_program_says_what_to_install_for_the_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr(go, "web")
    monkeypatch.setitem(sys.modules, "go.web", None)  # as if an import in it had failed
    monkeypatch.setattr(sys, "argv", ["go_server.py", "--web", "0"])
    assert go_server.main() == 2
    assert capsys.readouterr().err.endswith('The page needs: pip install starlette "hypercorn[trio]"\n')
