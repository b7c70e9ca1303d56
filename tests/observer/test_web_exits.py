"""What a page can raise, and what follows from it: Ctrl-C and `SystemExit` end the program, errors end one request."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
import trio
from support.web import Listener, app_of, page_of
from support.web_client import Client

import trioreg
from trioreg import Actor, ChildSpec
from trioreg._observer import Observation, Page, Params
from trioreg._observer_web import ObserverApp, Opened
from trioreg._runtime import flat

EXITS = [KeyboardInterrupt(), SystemExit(7)]
ERRORS = [MemoryError(), RecursionError(), LookupError()]
TARGETS = ["/", "/live/overview"]


class Looks:
    """A page that is fine at first, and raises from then on."""

    def __init__(self, error: BaseException, *, fine: int) -> None:
        self._error = error
        self._fine = fine

    def __call__(self, _: Params) -> Mapping[str, object]:
        self._fine -= 1
        if self._fine < 0:
            raise self._error
        return {"text": f"{self._fine} looks left"}


class Served(Actor):
    """As `Observer`, with pages made up for a test."""

    def __init__(self, app: ObserverApp, started: Callable[[int], object]) -> None:
        self._app = app
        self._started = started

    async def on_start(self) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self._started(listeners[0].socket.getsockname()[1])
        self.start_soon(Opened(self._app, listeners, "").run, lambda: False)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("error", EXITS, ids=repr)
def test_ctrl_c_in_a_page_ends_the_program(error: BaseException, target: str) -> None:
    app = app_of(page_of(Looks(error, fine=target.count("live")), 0.01))
    answers: list[str] = []

    async def look(port: int) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            client = Client(stream, port)
            await client.get(target, "Connection: close")
            answers.append(await client.read_all())

    async def main() -> None:
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:

                def begin(port: int) -> None:
                    nursery.start_soon(look, port)

                children = [ChildSpec(Served, (app, begin))]
                async with trioreg.open_supervisor(children, max_restarts=math.inf):
                    await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as raised:
        trio.run(main)
    assert flat([raised.value]) == [error]
    assert "event: end" not in "".join(answers)


@pytest.mark.parametrize("error", EXITS, ids=repr)
async def test_a_mounted_stream_raises_ctrl_c_as_it_is(error: BaseException) -> None:
    # Hypercorn and others take a group for an error of the page.
    client = Listener()
    with pytest.raises(type(error)):
        await client.listen(app_of(page_of(Looks(error, fine=1), 0.01)))
    assert ("end", {}) not in client.events


async def test_ctrl_c_in_a_page_that_is_cancelled_ends_the_program_too() -> None:
    looking = trio.Event()

    async def view(_: Observation, __: Params) -> Mapping[str, object]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exit_when_cancelled)
            await trio.sleep_forever()
        raise AssertionError

    async def exit_when_cancelled() -> None:
        try:
            looking.set()
            await trio.sleep_forever()
        finally:
            raise SystemExit(7)

    app = app_of(Page("overview", "Overview", view))
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    with pytest.raises(BaseExceptionGroup) as raised, trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Opened(app, listeners, "").run)
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await Client(stream, port).get("/")
                await looking.wait()
                nursery.cancel_scope.cancel()
    assert [repr(error) for error in flat([raised.value])] == ["SystemExit(7)"]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_an_error_in_a_page_ends_one_request_and_the_server_goes_on(error: BaseException) -> None:
    app = app_of(page_of(Looks(error, fine=1), 0.01))
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Opened(app, listeners, "").run)
            for target, answer in (("/live/overview", "look"), ("/", "500"), ("/static/observer.css", "200")):
                async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                    client = Client(stream, port)
                    await client.get(target, "Connection: close")
                    text = await client.read_all()
                    assert answer in text
                    assert "event: end" not in text
            nursery.cancel_scope.cancel()


async def test_a_server_that_fails_tells_no_page_that_the_program_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    fail = trio.Event()

    async def accept(*args: Any, handler_nursery: trio.Nursery) -> None:
        handler_nursery.start_soon(partial(serve_listeners, *args, handler_nursery=handler_nursery))
        await fail.wait()
        raise LookupError

    serve_listeners: Any = trio.serve_listeners
    monkeypatch.setattr(trio, "serve_listeners", accept)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    app = app_of(page_of(lambda _: {"text": "x"}))
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Opened(app, listeners, "").run_beside)
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                client = Client(stream, port)
                await client.get("/live/overview")
                await client.read_until("look")
                fail.set()
                assert "event: end" not in await client.read_all()
            nursery.cancel_scope.cancel()
