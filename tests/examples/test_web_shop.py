"""The web shop over real sockets: what customers get, also if they send nonsense, if a cart crashes, or at the end."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import trio
import trio.lowlevel
import web_shop
from support.doc_blocks import block
from support.processes import SECONDS, running
from trio.testing import MockClock
from web_shop import ask
from webshop import carts as shelf
from webshop import server, site
from webshop.carts import Cart, Store, carts, open_database, store

import trioreg
from trioreg import Supervisor
from trioreg.testing import crash

SCRIPT = Path(web_shop.__file__)
TEA = '{"thing": "tea", "count": 2}'


@asynccontextmanager
async def shop(path: str = ":memory:") -> AsyncGenerator[Supervisor]:
    async with trioreg.open_supervisor(web_shop.tree("127.0.0.1", 0, path), at_end="stop") as supervisor:
        yield supervisor


async def connect() -> trio.SocketStream:
    address = urlsplit(await server.web.call(server.Web.address))
    assert address.hostname is not None
    assert address.port is not None
    return await trio.open_tcp_stream(address.hostname, address.port)


async def api(method: str, path: str, body: str | None = None) -> tuple[int, dict[str, object]]:
    status, text = await ask(method, f"/api/carts/{path}", body)
    return status, json.loads(text)


# Carts


async def test_each_customer_has_a_cart_and_the_first_request_starts_it() -> None:
    async with shop():
        assert len(carts) == 0
        assert await api("POST", "ann", TEA) == (200, {"items": {"tea": 2}, "total": 950})
        assert await api("GET", "bob") == (200, {"items": {}, "total": 0})
        assert [customer for customer, _ in carts.items()] == ["ann", "bob"]


async def test_requests_at_the_same_time_start_one_cart_and_all_count() -> None:
    async with shop():
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(api, "POST", "ann", TEA)
        assert (await api("GET", "ann"))[1]["items"] == {"tea": 40}
        assert len(carts) == 1


async def test_a_cart_that_has_retired_is_loaded_again() -> None:
    async with shop():
        await api("POST", "ann", TEA)
        await carts.via("ann").stop()
        assert len(carts) == 0
        assert (await api("GET", "ann"))[1]["items"] == {"tea": 2}


async def test_carts_are_there_after_the_program_has_started_again(tmp_path: Path) -> None:
    path = str(tmp_path / "carts.db")
    async with shop(path):
        await api("POST", "ann", TEA)
    async with shop(path):
        assert (await api("GET", "ann"))[1]["items"] == {"tea": 2}


async def test_a_crash_costs_one_request_and_nothing_that_was_answered() -> None:
    async with shop():
        await api("POST", "ann", TEA)
        status, answer = await api("GET", "ann/share?people=0")
        assert (status, str(answer["error"])[:20]) == (500, "the cart has crashed")
        assert await api("GET", "ann/share?people=2") == (200, {"each": 475})


async def test_a_cart_that_crashes_again_and_again_is_refused_and_other_carts_go_on() -> None:
    async with shop():
        for _ in range(6):
            assert (await api("GET", "ann/share?people=0"))[0] == 500
        status, answer = await api("GET", "ann")
        assert status == 503
        assert re.fullmatch(r"this cart has crashed too often: try again in \d+ seconds", str(answer["error"]))
        assert (await api("GET", "bob"))[0] == 200


async def test_while_the_store_restarts_a_request_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[int] = []
    may_open = threading.Event()

    def open_slowly(path: str) -> sqlite3.Connection:
        assert may_open.wait(SECONDS)
        return open_database(path)

    async def add() -> None:
        answers.append((await api("POST", "ann", TEA))[0])

    async with shop(), trio.open_nursery() as nursery:
        await carts.via("ann").call(Cart.contents)
        monkeypatch.setattr(shelf, "open_database", open_slowly)
        await store.cast(Store.run, "this is not SQL", ())  # it crashes
        nursery.start_soon(add)
        while not answers and ((cart := carts.whereis("ann")) is None or cart.statistics().handling is None):
            await trio.lowlevel.checkpoint()
        may_open.set()
    assert answers == [200]


async def test_a_database_that_fails_costs_requests_and_not_the_shop() -> None:
    async with shop() as supervisor:
        await api("POST", "ann", TEA)
        await store.call(Store.run, "ALTER TABLE items RENAME TO lost", ())
        assert [(await api("POST", who, TEA))[0] for who in ("ann", "bob", "eve", "joe", "max")] == [500] * 5
        assert supervisor.which_child("store").restarts == 0
        await store.call(Store.run, "ALTER TABLE lost RENAME TO items", ())
        assert (await api("GET", "ann"))[1]["items"] == {"tea": 2}


async def test_what_is_paid_leaves_the_cart_and_an_empty_cart_can_not_be_paid() -> None:
    async with shop():
        await api("POST", "ann", TEA)
        assert await api("POST", "ann/pay") == (200, {"items": {"tea": 2}, "total": 950})
        assert await api("POST", "ann/pay") == (409, {"error": "this cart is empty"})


# Bad input


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "sentence"),
    [
        ("POST", "ann", "two teas", 400, "the body must be JSON"),
        ("POST", "ann", "", 400, "the body must be JSON"),
        ("POST", "ann", "[1, 2]", 400, "the body must be JSON"),
        ("POST", "ann", '{"thing": "tea"}', 400, "the body must be JSON"),
        ("POST", "ann", "[" * 9000, 400, "the body must be JSON"),
        ("POST", "ann", "\x80", 400, "the body must be JSON"),
        ("POST", "ann", '{"thing": "elephant", "count": 1}', 404, "there is no such thing"),
        ("POST", "ann", '{"thing": ["tea"], "count": 1}', 400, "the body must be JSON"),
        ("POST", "ann", '{"thing": "tea", "count": -1}', 400, "the count must be"),
        ("POST", "ann", '{"thing": "tea", "count": 0}', 400, "the count must be"),
        ("POST", "ann", '{"thing": "tea", "count": 1.5}', 400, "the body must be JSON"),
        ("POST", "ann", '{"thing": "tea", "count": true}', 400, "the count must be"),
        ("POST", "ann", '{"thing": "tea", "count": 1' + "0" * 5000 + "}", 400, "the body must be JSON"),
        ("POST", "ann", "x" * 5_000_000, 413, "the body of a request is at most"),
        ("GET", "ann/share?people=-1", None, 400, "a number has 1 to 9 digits"),
        ("GET", "ann/share", None, 400, "a number has 1 to 9 digits"),
        ("GET", "A%00", None, 400, "the name of a customer"),
        ("GET", "x" * 41, None, 400, "the name of a customer"),
        ("DELETE", "ann", None, 405, "Method Not Allowed"),
        ("GET", "ann/elephant", None, 404, "Not Found"),
    ],
)
async def test_bad_input_gets_a_sentence_and_starts_no_cart(
    method: str, path: str, body: str | None, status: int, sentence: str
) -> None:
    async with shop():
        answered, text = await ask(method, f"/api/carts/{path}", body)
        assert (answered, json.loads(text)["error"][: len(sentence)]) == (status, sentence)
        assert len(carts) == 0
        assert (await api("GET", "ann"))[0] == 200


async def test_a_cart_has_room_for_a_thousand_of_each_thing() -> None:
    async with shop():
        await api("POST", "ann", '{"thing": "tea", "count": 1000}')
        assert (await api("POST", "ann", TEA))[0] == 409
        assert (await api("GET", "ann"))[1]["items"] == {"tea": 1000}


async def test_a_body_that_does_not_come_gets_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "BODY_SECONDS", 0.01)
    async with shop(), await connect() as client:
        await client.send_all(b"POST /api/carts/ann HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        assert (await client.receive_some()).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "sent", [b"POST /api/carts/ann HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{", b"\xff\x00"]
)
async def test_a_client_that_leaves_in_the_middle_is_no_crash(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with shop():
        async with await connect() as client:
            await client.send_all(sent)
            await client.send_eof()
            with trio.fail_after(SECONDS):
                async for _ in client:
                    pass
        assert (await api("GET", "ann"))[0] == 200
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


# A request of HTTP/2 that has no path: Hypercorn has an error of its own then.
CONNECT = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex(
    "00000004000000000000000c0105000000014287bdab4e9c17b7ff4181f3"
)
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nhello"
)


@pytest.mark.parametrize("sent", [CONNECT, UPGRADE], ids=["connect", "upgrade with a body"])
async def test_bytes_that_hypercorn_does_not_expect_end_their_own_connection_only(sent: bytes) -> None:
    async with shop() as supervisor, await connect() as other:
        async with await connect() as client:
            await client.send_all(sent)
            with trio.fail_after(SECONDS):
                async for _ in client:
                    pass
        await other.send_all(b"GET /api/carts/ann HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await other.receive_some()).startswith(b"HTTP/1.1 200 ")
        assert supervisor.which_child("web").restarts == 0


# The page


async def test_the_page_shows_the_cart_and_its_buttons_fill_it() -> None:
    async with shop():
        assert await ask("GET", "/?customer=ann") == (303, "")
        assert await ask("POST", "/carts/ann", "thing=tea&count=2") == (303, "")
        status, text = await ask("GET", "/carts/ann")
        assert (status, "<td>tea<td>2<td>4.75" in text, "Pay 9.50" in text) == (200, True, True)
        assert await ask("POST", "/carts/ann/pay") == (303, "")
        assert "Pay 0.00" in (await ask("GET", "/carts/ann"))[1]


async def test_the_page_shares_the_price_and_says_so_if_the_cart_crashes() -> None:
    async with shop():
        await api("POST", "ann", TEA)
        assert "Each pays 4.75" in (await ask("GET", "/carts/ann/share?people=2"))[1]
        status, text = await ask("GET", "/carts/ann/share?people=0")
        assert (status, "the cart has crashed" in text) == (500, True)


@pytest.mark.parametrize("form", ["", "thing=tea", "thing=tea&count=two", "thing=<b>&count=1", "\x80=%ff", "count=-1"])
async def test_a_form_that_is_wrong_gets_a_page_with_a_sentence(form: str) -> None:
    async with shop():
        status, text = await ask("POST", "/carts/ann", form)
        assert status in (400, 404)
        assert "<h1>This does not work</h1>" in text
        assert "<b>" not in text


# Other sites


async def answer_of(method: str, path: str, *headers: str, body: str = "") -> int:
    """The status of the answer to a request that has these headers and no others."""
    lines = [f"{method} {path} HTTP/1.1", *headers, f"Content-Length: {len(body)}", "Connection: close", "", body]
    async with await connect() as client:
        await client.send_all("\r\n".join(lines).encode())
        answer = b""
        with trio.fail_after(SECONDS):
            async for chunk in client:
                answer += chunk
    return int(answer.split()[1])


@pytest.mark.parametrize("path", ["/carts/ann", "/api/carts/ann"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "http://127.0.0.1", "http://127.0.0.1:8001", "http://localhost:8000"]
)
async def test_a_form_of_another_site_is_refused(path: str, origin: str) -> None:
    async with shop():
        sent = "thing=tea&count=2" if path == "/carts/ann" else TEA
        assert await answer_of("POST", path, "Host: 127.0.0.1:8000", f"Origin: {origin}", body=sent) == 403
        assert len(carts) == 0


@pytest.mark.parametrize(
    "headers",
    [
        ["Host: 127.0.0.1:8000", "Origin: http://127.0.0.1:8000"],
        ["Host: LOCALHOST:8000", "Origin: http://localhost:8000"],
        ["Host: [::1]:8000", "Origin: http://[::1]:8000"],
        ["Host: 127.0.0.1"],  # curl says no origin
    ],
)
async def test_a_form_of_the_shop_and_a_program_are_served(headers: list[str]) -> None:
    async with shop():
        assert await answer_of("POST", "/api/carts/ann", *headers, body=TEA) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.", "", "[", "[::1", "a:b:c"]
)
async def test_a_name_that_another_site_has_pointed_here_is_refused(host: str) -> None:
    async with shop():
        assert await answer_of("GET", "/api/carts/ann", f"Host: {host}") == 403
        assert len(carts) == 0


@pytest.mark.parametrize("place", ["cross-site", "same-site"])
@pytest.mark.parametrize("kind", ["image", "iframe", "empty"])
async def test_what_a_page_of_another_site_loads_is_refused(place: str, kind: str) -> None:
    async with shop():
        fetched = [f"Sec-Fetch-Site: {place}", f"Sec-Fetch-Dest: {kind}"]
        assert await answer_of("GET", "/carts/ann/share?people=0", "Host: 127.0.0.1:8000", *fetched) == 403
        assert len(carts) == 0


@pytest.mark.parametrize(
    ("place", "kind"), [("cross-site", "document"), ("same-origin", "empty"), ("none", "document")]
)
async def test_a_link_of_another_site_and_what_the_shop_loads_are_served(place: str, kind: str) -> None:
    async with shop():
        fetched = [f"Sec-Fetch-Site: {place}", f"Sec-Fetch-Dest: {kind}"]
        assert await answer_of("GET", "/carts/ann", "Host: 127.0.0.1:8000", *fetched) == 200


def test_no_site_can_show_a_page_of_the_shop_in_a_frame() -> None:
    assert site.page("A page", "").headers["content-security-policy"] == "frame-ancestors 'none'"


async def test_the_observer_is_behind_the_same_guard() -> None:
    token = f"Authorization: Bearer {site.pages.token}"
    async with shop():
        ours = await answer_of("GET", "/observer/api/actors", "Host: localhost", token)
        of_another_name = await answer_of("GET", "/observer/api/actors", "Host: evil.example", token)
        of_another_site = await answer_of("GET", "/observer/", "Host: localhost", token, "Origin: http://evil.example")
    assert (ours, of_another_name, of_another_site) == (200, 403, 403)


async def test_a_websocket_of_another_site_is_refused() -> None:
    upgrade = ["Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: aGVsbG8="]
    async with shop():
        assert await answer_of("GET", "/", "Host: localhost", "Origin: http://evil.example", *upgrade) == 403


async def test_behind_a_proxy_the_shop_has_the_name_that_is_given() -> None:
    children = web_shop.tree("127.0.0.1", 0, name="shop.example.org")
    async with trioreg.open_supervisor(children, at_end="stop"):
        origin = "Origin: https://shop.example.org"  # the proxy speaks HTTPS
        assert await answer_of("POST", "/api/carts/ann", "Host: shop.example.org", origin, body=TEA) == 200
        assert await answer_of("GET", "/api/carts/ann", "Host: evil.example") == 403


# The observer


async def test_the_observer_is_in_the_same_application_and_wants_its_token() -> None:
    async with shop():
        await api("GET", "ann")
        assert (await ask("GET", "/observer/"))[0] == 401
        status, text = await ask("GET", "/observer/api/actors", token=site.pages.token)
        assert (status, "ann" in text) == (200, True)


# The commands of the pages


async def curl(command: str, token: str = "") -> str:
    """What a shell prints for a command of a page. The shop is on another port, and the observer has a prefix here."""
    address = await server.web.call(server.Web.address)
    command = command.replace("http://127.0.0.1:8000", address.rstrip("/"))
    command = command.replace("http://127.0.0.1:4001", f"{address.rstrip('/')}/observer")
    environment = os.environ | {"TOKEN": token}
    done = await trio.run_process(
        ["sh", "-c", command], capture_stdout=True, capture_stderr=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


NEEDS_CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no `curl` on PATH")
CURL = "curl http://127.0.0.1:8000/api/carts/ann"


@NEEDS_CURL
async def test_the_commands_of_the_page_shop_for_ann(monkeypatch: pytest.MonkeyPatch) -> None:
    async with shop():
        commands = block("docs/applications/web-shop.md", CURL).code.splitlines()
        empty, tea, elephant, share, paid = [json.loads(await curl(command)) for command in commands]
    assert empty == {"items": {}, "total": 0}
    assert tea == {"items": {"tea": 2}, "total": 950}
    assert elephant["error"].startswith("there is no such thing")
    assert share == {"each": 475}
    assert paid == tea


@NEEDS_CURL
async def test_the_command_of_the_page_asks_the_observer_for_the_actors() -> None:
    async with shop():
        await api("GET", "ann")
        command = block("docs/observer.md", 'curl -H "Authorization: Bearer $TOKEN" \\').code
        assert "ann" in await curl(command, site.pages.token)


# The end


async def test_the_shop_closes_after_the_answers_and_takes_no_new_customers(monkeypatch: pytest.MonkeyPatch) -> None:
    at_the_bank, may_go_on = trio.Event(), trio.Event()
    answers: list[int] = []

    async def charge(cents: int) -> None:
        at_the_bank.set()
        await may_go_on.wait()

    async def pay() -> None:
        answers.append((await api("POST", "ann/pay"))[0])

    monkeypatch.setattr(shelf, "charge", charge)
    async with trio.open_nursery() as nursery:
        async with shop() as supervisor:
            await api("POST", "ann", TEA)
            idle, late = await connect(), await connect()
            port = late.socket.getpeername()[1]
            await idle.send_all(b"GET /api/carts/ann HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await idle.receive_some()
            nursery.start_soon(pay)
            await at_the_bank.wait()
            supervisor.stop()
            async for _ in idle:  # Hypercorn closes a connection without a request
                pass
            with pytest.raises(OSError, match="connect"):
                await trio.open_tcp_stream("127.0.0.1", port)
            assert [answers, len(carts)] == [[], 1]
            may_go_on.set()
        assert len(carts) == 0
        await idle.aclose()
        await late.aclose()
    assert answers == [200]


async def test_a_request_that_takes_too_long_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    at_the_bank, may_go_on = trio.Event(), trio.Event()

    async def charge(cents: int) -> None:
        at_the_bank.set()
        await may_go_on.wait()

    monkeypatch.setattr(shelf, "charge", charge)
    monkeypatch.setattr(server, "LAST_SECONDS", 0.05)
    async with shop() as supervisor:
        await api("POST", "ann", TEA)
        async with await connect() as client:
            await client.send_all(b"POST /api/carts/ann/pay HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await at_the_bank.wait()
            supervisor.stop()
            assert await client.receive_some() == b""  # without an answer
        may_go_on.set()


def live_page() -> bytes:
    """The request of a page of the observer that is open."""
    token = f"Authorization: Bearer {site.pages.token}"
    return f"GET /observer/live/overview HTTP/1.1\r\nHost: localhost\r\n{token}\r\n\r\n".encode()


async def test_an_open_page_of_the_observer_does_not_hold_up_the_end(mock_clock: MockClock) -> None:
    mock_clock.rate = 1
    async with shop() as supervisor, await connect() as client:
        await client.send_all(live_page())
        shown = b""
        while b"event: look" not in shown:
            shown += await client.receive_some()
        mock_clock.rate = 0  # the clock stands still: the last seconds of the running requests are never over
        supervisor.stop()
        async for chunk in client:
            shown += chunk
        assert b"event: end" in shown


async def test_an_open_page_of_the_observer_waits_for_the_next_server_if_one_crashes() -> None:
    async with shop():
        for _ in range(2):
            web = shelf.names.whereis("web", of=server.Web)
            assert web is not None
            async with await connect() as client:
                await client.send_all(live_page())
                shown = b""
                while b"event: look" not in shown:
                    shown += await client.receive_some()
                crash(web, OSError("the network is gone"))
                async for chunk in client:
                    shown += chunk
                assert b"event: end" not in shown
            await web.wait()
            await shelf.names.wait_for("web")


# The program


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the program in this process: a new one takes a second to import all."""
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    return web_shop.main()


@pytest.mark.skipif(sys.platform == "win32", reason="no signals for a single process")
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_closes_the_shop(signum: signal.Signals, status: int) -> None:
    with running([sys.executable, str(SCRIPT), "--serve", "0"]) as process:
        assert process.stdout is not None
        shop, observer = (process.stdout.readline().split()[-1] for _ in range(2))
        with urlopen(shop, timeout=SECONDS) as answer:
            assert b"Your name" in answer.read()
        assert observer.startswith(f"{shop}observer/?token=")
        process.send_signal(signum)
        _, err = process.communicate()
    assert err.splitlines()[-1] == f"shop: {signum.name}: shutting down; a second signal ends it at once"
    assert process.returncode == status


def test_an_address_that_is_in_use_is_named_with_what_to_do_and_gets_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(monkeypatch, "--serve", str(port)) == 2
    printed = capsys.readouterr()
    said = rf"web_shop.py: can't listen on 127.0.0.1, port {port}: .*in use.*\. Choose another .*--serve.*\n"
    assert re.fullmatch(said, printed.err)
    assert printed.out == ""


def test_a_host_that_is_none_gets_one_line_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--serve", "0", "--host", "a..b") == 2
    assert re.fullmatch(r"web_shop.py: .*label empty.*\n", capsys.readouterr().err)


def test_a_database_that_can_not_be_opened_gets_one_line_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "no folder" / "carts.db"
    assert run(monkeypatch, "--serve", "0", "--database", str(path)) == 2
    report = f"web_shop.py: can't keep carts in {path}: unable to open database file\n"
    assert capsys.readouterr() == ("", report)


def test_a_second_shop_can_not_have_the_same_database(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path, link = tmp_path / "carts.db", tmp_path / "link.db"
    link.symlink_to(path)
    with shelf.alone(str(path)):
        for each in (path, link):
            assert run(monkeypatch, "--serve", "0", "--database", str(each)) == 2
            report = f"web_shop.py: can't keep carts in {each}: another program has them\n"
            assert capsys.readouterr() == ("", report)
    with shelf.alone(str(path)):
        pass


def test_shops_that_keep_nothing_do_not_disturb_each_other() -> None:
    with shelf.alone(":memory:"), shelf.alone(":memory:"):
        pass


def test_a_database_of_something_else_gets_one_line_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE items (name)")
    assert run(monkeypatch, "--serve", "0", "--database", str(tmp_path / "other.db")) == 2
    report = f"web_shop.py: can't keep carts in {tmp_path / 'other.db'}: no such column: customer\n"
    assert capsys.readouterr() == ("", report)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--serve", "tea"),
        ("--serve", "65536"),
        ("elephant",),
        ("--database", "."),
        ("--serve", "0", "--database", os.devnull),
        ("--database", ""),
        ("--database", "x.db"),
        ("--host", "0.0.0.0"),
        ("--name", "tea.example.org"),
    ],
)
def test_wrong_arguments_get_the_usage_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, *arguments)
    assert capsys.readouterr().err.startswith("usage: web_shop.py")


def test_without_what_it_needs_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "hypercorn.py").write_text("raise ModuleNotFoundError('missing', name='hypercorn')")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    with running([sys.executable, str(SCRIPT)], env=environment) as process:
        printed = process.communicate()
    report = 'web_shop.py needs hypercorn. In the source of trioreg, type: python -m pip install ".[observer]"\n'
    assert printed == ("", report)
    assert process.returncode == 2
