"""Where the observer may listen, and what it says about a wrong argument."""

from __future__ import annotations

import inspect
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, sweep

import trioreg
from trioreg import ChildSpec, observer, open_supervisor
from trioreg._observer_web import settings_of
from trioreg._observer_web.addresses import Bind, Hosts, hosts_of, listen, parse_bind, url_of

BAD_BINDS: list[tuple[Any, type[Exception]]] = [
    (4001, TypeError),
    (None, TypeError),
    (b"127.0.0.1:4001", TypeError),
    ("", ValueError),
    ("127.0.0.1", ValueError),
    (":4001", ValueError),
    ("127.0.0.1:", ValueError),
    ("127.0.0.1:http", ValueError),
    ("127.0.0.1:65536", ValueError),
    ("127.0.0.1:-1", ValueError),
    ("127.0.0.1:²", ValueError),
    ("::1:4001", ValueError),
    ("[::1]", ValueError),
    ("[::x]:4001", ValueError),
    ("[1.2.3]:4001", ValueError),
    ("http://127.0.0.1:4001", ValueError),
    ("127.0.0.1:4001/", ValueError),
    ("127.0.0.1:4001\n", ValueError),
    (" 127.0.0.1:4001", ValueError),
    ("a@127.0.0.1:4001", ValueError),
]


@pytest.mark.parametrize(("bind", "error"), BAD_BINDS)
async def test_a_bind_that_is_no_address_with_a_port_is_refused_by_name_and_value(
    bind: Any, error: type[Exception]
) -> None:
    for start in (observer.serve, observer.Observer, settings_of):
        with pytest.raises(error, match=r"^bind must be ") as caught:
            result: Any = start(bind)
            if inspect.isawaitable(result):
                await result
        assert repr(bind) in str(caught.value)


@pytest.mark.parametrize(
    ("bind", "host", "port"),
    [
        ("127.0.0.1:4001", "127.0.0.1", 4001),
        ("[::1]:0", "::1", 0),
        ("LocalHost:80", "localhost", 80),
        ("my-host.example:65535", "my-host.example", 65535),
    ],
)
def test_a_bind_has_a_host_and_a_port(bind: str, host: str, port: int) -> None:
    assert parse_bind(bind) == Bind(bind, host, port)


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::]:0", "10.0.0.5:4001", "[2001:db8::1]:4001", "[::ffff:10.0.0.5]:1"])
def test_an_address_that_others_reach_needs_a_word(bind: str) -> None:
    with pytest.raises(ValueError, match=r"^bind must be a loopback address .*allow_remote=True"):
        settings_of(bind)
    assert settings_of(bind, allow_remote=True).allow_remote


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "127.9.9.9:0", "[::1]:0", "localhost:0", "[::ffff:127.0.0.1]:0"])
def test_a_loopback_address_does_not(bind: str) -> None:
    assert settings_of(bind).bind.text == bind


async def test_a_name_that_leads_to_another_machine_needs_a_word_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.5", 4001))]

    monkeypatch.setattr(trio.socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(ValueError, match="bind must be a loopback address"):
        await observer.serve("intern.example:4001")


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"read_only": "no"}, TypeError, r"^read_only must be True or False, not 'no'$"),
    ({"token": "short"}, ValueError, r"^token must have 16 to 200 characters.* 5 characters$"),
    ({"token": "a" * 201}, ValueError, r"^token must have 16 to 200 characters"),
    ({"token": "0123456789abcdef&"}, ValueError, r"only letters, digits and"),
    ({"token": b"0123456789abcdef"}, TypeError, r"^token must be a str, or None for a random one, not bytes$"),
    ({"hosts": "a.example"}, TypeError, r"^hosts must be several names.* not 'a.example'$"),
    ({"hosts": [7]}, TypeError, r"^hosts must be names, not 7$"),
    ({"hosts": ["http://a.example"]}, ValueError, r"^hosts must be names as in .* not 'http://a.example'$"),
    ({"hosts": ["*"]}, ValueError, r"^hosts must be names as in .* not '\*'$"),
]


@pytest.mark.parametrize(("arguments", "error", "says"), WRONG)
async def test_a_wrong_argument_is_refused_before_anything_listens(
    arguments: dict[str, Any], error: type[Exception], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    makers: list[Callable[..., Any]] = [observer.app, observer.serve, observer.Observer]
    for make in makers:
        with pytest.raises(error, match=says) as caught:
            result: Any = make(**arguments)
            if inspect.isawaitable(result):
                await result
        if "token" in arguments:
            assert str(arguments["token"]) not in str(caught.value)
    assert capsys.readouterr().err == ""


async def test_remote_is_a_question_of_yes_or_no() -> None:
    with pytest.raises(TypeError, match=r"^allow_remote must be True or False, not 'yes'$"):
        settings_of("127.0.0.1:0", allow_remote="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_a_port_in_use_is_an_error_with_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=rf"{bind}: .*port 0 for one that is free$") as caught:
            await observer.serve(bind)
        assert caught.value.errno
        with pytest.RaisesGroup(pytest.RaisesExc(OSError, match=bind)):
            async with open_supervisor([ChildSpec(observer.Observer, (bind,))]):
                raise AssertionError
    assert "token" not in capsys.readouterr().err


def test_a_program_whose_observer_can_not_listen_starts_no_child() -> None:
    started: list[str] = []

    async def work() -> None:
        started.append("work")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=bind):
            trioreg.run(ChildSpec(work), observe=bind)
    assert started == []


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "nowhere", 4001])
def test_a_program_refuses_a_wrong_address_before_it_runs(bind: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^observe must be "):
        trioreg.run([], observe=bind)


async def test_a_name_that_does_not_exist_is_an_error_with_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(trio.socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(OSError, match=r"can't listen on nowhere\.invalid:4001: Name or service not known"):
        await observer.serve("nowhere.invalid:4001", allow_remote=True)


async def test_localhost_listens_on_one_port_of_each_address_it_has() -> None:
    listeners = await listen(parse_bind("localhost:0"), False)
    ports = {listener.socket.getsockname()[1] for listener in listeners}
    for listener in listeners:
        await listener.aclose()
    assert len(ports) == 1


async def test_nothing_listens_after_a_start_that_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[trio.socket.SocketType] = []

    def make(*args: Any) -> trio.socket.SocketType:
        made.append(trio.socket.from_stdlib_socket(socket.socket(*args)))
        return made[-1]

    async def getaddrinfo(*_: object, **__: object) -> list[Any]:
        await trio.lowlevel.checkpoint()
        families = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
        return [(family, socket.SOCK_STREAM, 6, "", (address, 0)) for family, address in families.items()]

    async def attempt(cancelling: Cancelling[Any]) -> None:
        made.clear()
        if await cancelling.run(partial(listen, parse_bind("localhost:0"), False)):
            for listener in cancelling.value:
                await listener.aclose()
        assert [each.fileno() for each in made] == [-1] * len(made)

    monkeypatch.setattr(trio.socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(trio.socket, "socket", make)
    assert await sweep(attempt) >= 2


def leads_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have each name lead to these addresses."""

    async def getaddrinfo(*_: object, **__: object) -> list[Any]:
        await trio.lowlevel.checkpoint()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(trio.socket, "getaddrinfo", getaddrinfo)


async def test_an_address_that_the_machine_does_not_have_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    leads_to(monkeypatch, "192.0.2.1", "127.0.0.1")  # the first one is for examples only
    (listener,) = await listen(parse_bind("tools.example:0"), True)
    assert listener.socket.getsockname()[0] == "127.0.0.1"
    await listener.aclose()


async def test_a_name_that_others_reach_is_answered_and_localhost_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    leads_to(monkeypatch, "127.0.0.1")
    bind = parse_bind("tools.example:0")
    (listener,) = await listen(bind, True)
    port = listener.socket.getsockname()[1]
    assert hosts_of(bind, [listener]) == frozenset({f"tools.example:{port}", f"127.0.0.1:{port}"})
    await listener.aclose()


def test_a_server_on_every_interface_does_not_know_its_names() -> None:
    assert hosts_of(parse_bind("0.0.0.0:4001"), []) is None


async def test_the_address_of_every_interface_is_shown_as_one_that_a_browser_knows() -> None:
    for bind, url in (
        ("0.0.0.0:0", "http://127.0.0.1:"),
        ("[::1]:0", "http://[::1]:"),
        ("localhost:0", "http://localhost:"),
    ):
        try:
            listeners = await listen(parse_bind(bind), True)
        except OSError:
            continue  # a machine without IPv6
        port = listeners[0].socket.getsockname()[1]
        assert url_of(parse_bind(bind), listeners[0]) == f"{url}{port}"
        for listener in listeners:
            await listener.aclose()


def test_a_server_answers_for_its_own_names_only() -> None:
    hosts = Hosts([], ["127.0.0.1:4001", "localhost:4001", "[::1]:80"])
    asked = ["127.0.0.1:4001", "LOCALHOST:4001", "[::1]", "[::1]:80", "127.0.0.1", "127.0.0.1:4002", "10.0.0.5:4001"]
    assert [hosts.allows(host) for host in asked] == [True, True, True, True, False, False, False]


def test_run_says_who_takes_an_address_that_others_reach() -> None:
    with pytest.raises(ValueError, match=r"allow_remote=True of trioreg\.observer\.serve or Observer"):
        trioreg.run([], observe="0.0.0.0:4001")
