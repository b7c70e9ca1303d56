"""The terminal when something is wrong: with the network, the keys, the program's answer, or the user's patience."""

from __future__ import annotations

import http.client
import io
import os
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from rich.console import Console
from support.answering import answering
from trio.testing import MockClock

from trioreg._observer_terminal import command, look, main, terminal
from trioreg._observer_terminal.address import read_address
from trioreg._observer_terminal.client import Connection, Gone, NoAnswer
from trioreg._observer_terminal.keys import gives_keys, pressed
from trioreg._observer_terminal.plain import UNKNOWN, time_of_day
from trioreg._observer_terminal.record import Record

URL = "http://127.0.0.1:4001/?token=" + "a" * 32


def untrusted() -> ssl.SSLError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.reason = "CERTIFICATE_VERIFY_FAILED"
    return error


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (untrusted(), NoAnswer, "cannot be trusted: certificate verify failed"),
        (OSError(113, "No route to host"), NoAnswer, "cannot be reached: no route to host"),
        (http.client.IncompleteRead(b"half"), Gone, "has hung up before its answer was whole"),
        (http.client.BadStatusLine("?"), NoAnswer, "is no observer: its answer is not HTTP"),
    ],
)
def test_each_error_of_the_network_is_a_sentence_about_the_address(
    error: Exception, kind: type[NoAnswer], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    connection = Connection(read_address(URL, None))
    monkeypatch.setattr(connection._http, "request", fail)
    with pytest.raises(NoAnswer, match=words) as caught:
        connection.get_all({"overview": {}})
    assert type(caught.value) is kind


def test_a_connection_that_was_abandoned_asks_nothing() -> None:
    with answering() as program:
        connection = Connection(read_address(program.url, None))
        connection.abandon()
        with pytest.raises(Gone, match="nobody wants the answer"):
            connection.get_all({"overview": {}})
        assert program.requests == []


def test_an_error_in_json_that_is_no_object_is_not_shown() -> None:
    with answering() as program:
        program.answer = lambda request: (500, {}, b"[1, 2]")
        with pytest.raises(NoAnswer, match=r"answers with status 500: \[1, 2\]$"):
            Connection(read_address(program.url, None)).get_all({"overview": {}})


async def test_a_program_that_answers_too_slowly_is_given_up(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(trio.to_thread, "run_sync", never)
    arguments: Any = SimpleNamespace(address=read_address(URL, None))
    with pytest.raises(NoAnswer, match=r"does not answer within \d+ seconds"):
        await look.look(arguments, {})


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), BaseExceptionGroup("", [KeyboardInterrupt()])], ids=["alone", "in a group"]
)
def test_ctrl_c_ends_the_command_with_its_status(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise error

    monkeypatch.setattr(command, "_run", interrupted)
    assert main([URL, "--once"]) == command.INTERRUPTED


def test_an_error_beside_ctrl_c_leaves_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise BaseExceptionGroup("", [KeyboardInterrupt(), ValueError()])

    monkeypatch.setattr(command, "_run", interrupted)
    with pytest.raises(BaseExceptionGroup):
        main([URL, "--once"])


async def keys_of(file: int) -> list[str]:
    return [key async for key in pressed(file)]


async def test_keys_end_when_the_terminal_hangs_up() -> None:
    reads, writes = os.pipe()
    try:
        os.write(writes, b"a\x1b[Ab")
        os.close(writes)
        assert await keys_of(reads) == ["a", "up", "b"]
    finally:
        os.close(reads)


async def test_keys_end_when_the_terminal_can_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    reads, writes = os.pipe()
    try:
        os.write(writes, b"a")
        monkeypatch.setattr("trioreg._observer_terminal.keys.os.read", gone)
        assert await keys_of(reads) == []
    finally:
        os.close(reads)
        os.close(writes)


def test_a_file_that_is_closed_gives_no_keys() -> None:
    with open(os.devnull) as file:
        pass
    assert not gives_keys(file)


class Surface:
    """As `Terminal`: it counts how often it is stopped."""

    stopped = 0

    def stop(self) -> None:
        self.stopped += 1


class Shown:
    """As `Live`."""

    def __init__(self) -> None:
        self.drawn = 0
        self.left: list[int] = []

    def draw(self) -> None:
        self.drawn += 1

    def leave(self, status: int) -> None:
        self.left.append(status)


@pytest.mark.skipif(not hasattr(signal, "SIGTSTP"), reason="Windows has no Ctrl-Z")
async def test_ctrl_z_stops_the_terminal_a_new_size_is_drawn_and_sigterm_leaves() -> None:
    async def received() -> AsyncIterator[int]:
        for number in (signal.SIGTSTP, signal.SIGWINCH, signal.SIGTERM):
            yield number

    surface, shown = Surface(), Shown()
    obey: Callable[..., Any] = terminal.obey
    await obey(shown, surface, received())
    assert (surface.stopped, shown.drawn, shown.left) == (1, 2, [128 + signal.SIGTERM])


@pytest.mark.skipif(not hasattr(signal, "SIGTSTP"), reason="Windows has no Ctrl-Z")
def test_a_terminal_that_stops_is_given_back_before_and_taken_again_after(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[object] = []

    class Told(terminal.Terminal):
        def __enter__(self) -> terminal.Terminal:
            steps.append("taken")
            return self

        def __exit__(self, *_: object) -> None:
            steps.append("given back")

    def kill(pid: int, number: int) -> None:
        steps.append((pid, number))

    monkeypatch.setattr(os, "kill", kill)
    console: Any = None
    with Told(console, None) as told:
        told.stop()
    assert steps == ["taken", "given back", (os.getpid(), signal.SIGSTOP), "taken", "given back"]


@pytest.mark.parametrize("is_legacy", [False, True])
def test_long_lines_go_on_in_the_next_one_again_at_the_end_where_that_can_be_said(is_legacy: bool) -> None:
    out = io.StringIO()
    with terminal.Terminal(Console(file=out, force_terminal=True, legacy_windows=is_legacy), None):
        begun = out.getvalue()
    assert ("\x1b[?7l" in begun) is not is_legacy
    assert ("\x1b[?7h" in out.getvalue()) is not is_legacy


def test_a_time_that_no_calendar_has_is_unknown() -> None:
    assert time_of_day(1e300) == time_of_day(None) == UNKNOWN


def test_a_record_without_fields_is_false() -> None:
    assert not Record(None)
    assert Record({"name": "bond"})
