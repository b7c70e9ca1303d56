"""The terminal's HTTP: where the token goes, and what is said if no answer can be used."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
from support.answering import TOKEN, Program, answering

from trioreg._observer_terminal.address import BadAddress, read_address
from trioreg._observer_terminal.client import LARGEST, Answer, Connection, Denied, Gone, NoAnswer, Refused


@pytest.fixture
def program() -> Iterator[Program]:
    with answering() as program:
        yield program


def get(url: str, name: str = "overview", **params: str) -> Answer:
    return Connection(read_address(url, None), quiet=5.0).get_all({name: params})[name]


def test_a_page_is_asked_for_with_its_parameters_and_the_token_in_a_header(program: Program) -> None:
    assert get(program.url, "actors", q="ä&b", page="2")["total"] == 1
    (request,) = program.requests
    assert request.path == "/api/actors"
    assert request.params == {"q": "ä&b", "page": "2"}
    assert request.headers["authorization"] == f"Bearer {TOKEN}"


def test_the_pages_of_one_look_come_over_one_connection_below_the_prefix() -> None:
    with answering("/admin/observer") as program:
        address = read_address(program.url, None)
        assert [*Connection(address).get_all({"overview": {}, "tree": {}})] == ["overview", "tree"]
        one, two = program.requests
        assert (one.path, two.path) == ("/admin/observer/api/overview", "/admin/observer/api/tree")
        assert one.port == two.port


def test_no_redirect_is_followed(program: Program) -> None:
    with answering() as other:
        program.answer = lambda request: (307, {"Location": other.url}, b"")
        with pytest.raises(
            NoAnswer, match=r"sends us to http://127\.0\.0\.1:\d+/, and the token must not go there"
        ) as info:
            get(program.url)
        assert not other.requests
        assert TOKEN not in str(info.value)


def test_no_proxy_of_the_environment_is_used(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert get(program.url)["actors"] == 1234
        assert not proxy.requests


def test_a_wrong_token_is_said_without_the_token(program: Program) -> None:
    with pytest.raises(Denied, match="does not take this token") as info:
        get(program.url.replace(TOKEN, "wrong-token"))
    assert "wrong-token" not in str(info.value)


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (403, Denied, r"does not let us in: No\.$"),
        (400, Refused, r"does not take an argument: No\.$"),
        (404, NoAnswer, r"answers with status 404: No\.$"),
        (500, NoAnswer, r"answers with status 500: No\.$"),
    ],
)
def test_an_error_of_the_program_is_said_in_its_words(
    program: Program, status: int, error: type[NoAnswer], said: str
) -> None:
    program.answer = lambda request: (status, {}, b'{"error": "No."}')
    with pytest.raises(error, match=said):
        get(program.url)


def test_another_page_at_the_address_is_an_error(program: Program) -> None:
    program.answer = lambda request: (404, {"Content-Type": "text/html"}, b"<h1>Not found</h1>")
    with pytest.raises(NoAnswer, match="There is no observer at"):
        get(program.url)


def test_an_error_of_the_program_is_safe_to_print(program: Program) -> None:
    program.answer = lambda request: (500, {}, b"\x1b[2J\x1b]0;owned\x07" + 10_000 * b"x")
    with pytest.raises(NoAnswer) as info:
        get(program.url)
    assert str(info.value).isprintable()
    assert len(str(info.value)) < 700


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"{", b"\xff\xfe", b"[" * 100_000], ids=lambda body: body[:6])
def test_an_answer_that_is_no_json_object_is_an_error(program: Program, body: bytes) -> None:
    program.answer = lambda request: (200, {}, body)
    with pytest.raises(NoAnswer, match="is no observer"):
        get(program.url)


def test_an_answer_that_is_too_large_is_an_error(program: Program) -> None:
    program.answer = lambda request: (200, {}, b" " * (LARGEST + 2))
    with pytest.raises(NoAnswer, match="more than 8 MiB"):
        get(program.url)


def test_an_answer_that_breaks_off_is_an_error(program: Program) -> None:
    program.answer = lambda request: (200, {"Content-Length": "100", "Connection": "close"}, b"{}")
    with pytest.raises(Gone, match="has hung up"):
        get(program.url)


def test_a_server_that_speaks_no_http_is_an_error() -> None:
    with one_connection(b"SSH-2.0-OpenSSH_9.2\r\n") as url, pytest.raises(NoAnswer, match="its answer is not HTTP"):
        get(url)


def test_nobody_at_the_address_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Gone, match=rf"Nothing answers at http://127\.0\.0\.1:{port}/: connection refused"):
        get(f"http://127.0.0.1:{port}/?token=x")


def test_a_program_that_sends_nothing_is_an_error() -> None:
    with one_connection(None) as url:
        connection = Connection(read_address(url, None), quiet=0.01)
        with pytest.raises(NoAnswer, match=r"has sent nothing for 0\.01 seconds"):
            connection.get_all({"overview": {}})


def test_a_request_that_nobody_wants_any_more_ends() -> None:
    with one_connection(None) as url:
        connection = Connection(read_address(url, None))
        errors: list[Exception] = []

        def ask() -> None:
            try:
                connection.get_all({"overview": {}})
            except NoAnswer as error:
                errors.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        while thread.is_alive():  # the request may not be on its way yet
            connection.abandon()
            thread.join(0.01)
        assert [type(error) for error in errors] == [Gone]


def test_following_a_live_page_ends_with_its_stream(program: Program) -> None:
    Connection(read_address(program.url, None)).follow("overview")
    assert program.requests[0].path == "/live/overview"
    program.answer = lambda request: (503, {}, b"Too many live pages.")
    with pytest.raises(NoAnswer, match=r"status 503: Too many live pages\."):
        Connection(read_address(program.url, None)).follow("overview")


@contextmanager
def one_connection(answer: bytes | None) -> Generator[str]:
    """A server that takes one connection and sends these bytes; None: nothing, until the end of the block."""
    peers: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            peers.append(peer)
            if answer is not None:
                peer.recv(10_000)
                peer.sendall(answer)
                peer.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/?token=x"
        thread.join()
    for peer in peers:
        peer.close()


# Addresses


def test_a_url_is_taken_apart() -> None:
    address = read_address("https://example.org:8443/admin/observer/?token=a%2Fb&x=y#z", "other")
    assert (address.scheme, address.host, address.port) == ("https", "example.org", 8443)
    assert (address.prefix, address.token) == ("/admin/observer", "a/b")
    assert str(address) == "https://example.org:8443/admin/observer/"
    assert str(read_address("http://[::1]:4001/?token=t", None)) == "http://[::1]:4001/"
    assert "a/b" not in repr(address)


def test_the_token_can_be_in_the_environment() -> None:
    assert read_address("http://127.0.0.1:4001", " secret\n").token == "secret"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:4001/?token=t0ken", "the address that the program prints"),
        ("ftp://host/?token=t0ken", "the address that the program prints"),
        ("http:///?token=t0ken", "the address that the program prints"),
        ("http://host:99999/?token=t0ken", "cannot be read"),
        ("http://[::1/?token=t0ken", "cannot be read"),
        ("http://a b/?token=t0ken", "cannot be read"),
        ("http://me:t0ken@host/?token=t0ken", "no user name and no password"),
        ("http://host/ä/?token=t0ken", "must have a path in ASCII"),
        ("http://host/", "TRIOREG_OBSERVER_TOKEN"),
        ("http://host/?token=t0ken%0d%0aX:y", "as the program prints it"),
    ],
)
def test_a_url_that_cannot_be_right_is_refused_and_its_token_is_not_shown(url: str, said: str) -> None:
    with pytest.raises(BadAddress, match=said) as info:
        read_address(url, None)
    assert "t0ken" not in str(info.value)


def test_https_to_an_observer_that_has_http_is_told(program: Program) -> None:
    with pytest.raises(NoAnswer, match=r"does not speak HTTPS: does its URL begin with http://\?$"):
        get(program.url.replace("http:", "https:"))
