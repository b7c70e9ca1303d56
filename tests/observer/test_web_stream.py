"""A page that lives: its stream of looks, and when it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, cast

import pytest
import trio
from support.errors import Bang
from support.supervisors import supervising
from support.web import BEARER, Listener, app_of, ask, page_of, page_with, scope_of
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ChildSpec
from trioreg._observer import NotThere
from trioreg._observer_web.guard import SEND_SECONDS
from trioreg._observer_web.state import MOST_STREAMS
from trioreg._observer_web.stream import SIGN_OF_LIFE_SECONDS


def counting() -> Iterator[int]:
    yield from range(1_000_000)


def html(text: object) -> dict[str, str]:
    return {"html": f'<p title="{text}">{text}</p>'}


async def test_a_stream_sends_a_look_each_time_it_differs(autojump_clock: MockClock) -> None:
    numbers = iter([1, 1, 2, 2, 2, 3, *[3] * 100])
    client = Listener()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.listen, app_of(page_of(lambda _: {"text": str(next(numbers))})))
        await trio.sleep(8.5)
        client.leave()
    assert client.status == 200
    assert client.events == [("look", html(1)), ("look", html(2)), ("look", html(3))]


async def test_a_stream_ends_with_its_client(autojump_clock: MockClock) -> None:
    client = Listener()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.listen, app_of(page_with("x")))
        await trio.sleep(1)
        client.leave()
    assert client.is_over
    assert [name for name, _ in client.events] == ["look"]


async def test_a_server_that_says_twice_that_the_request_is_complete_ends_no_stream(autojump_clock: MockClock) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        await trio.sleep(1)
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    messages = iter([{"type": "http.request"}, {"type": "http.request"}, {"type": "http.disconnect"}])
    await app_of(page_with("x"))(scope_of("/live/overview", BEARER), receive, send)
    assert next(messages, None) is None
    assert sent[0]["status"] == 200


async def test_a_stream_ends_with_the_program_and_says_so(autojump_clock: MockClock) -> None:
    app, client = app_of(page_with("x")), Listener()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.listen, app)
        await trio.sleep(1)
        app.state.end()
    assert client.events[1:] == [("end", {})]


async def test_a_live_page_ends_with_the_server_that_the_application_is_mounted_in(autojump_clock: MockClock) -> None:
    app, client = app_of(page_with("x")), Listener()
    async with trio.open_nursery() as nursery:
        with app.while_serving():
            nursery.start_soon(client.listen, app)
            await trio.sleep(1)
            assert not client.is_over
    assert client.events == [("look", html("x")), ("end", {})]


async def test_a_live_page_that_comes_after_the_end_of_its_server_ends_at_once(autojump_clock: MockClock) -> None:
    app, client = app_of(page_with("x")), Listener()
    with app.while_serving():
        pass
    await client.listen(app)
    assert client.events[-1] == ("end", {})


async def test_a_live_page_ends_that_is_at_its_first_look_when_its_server_ends(autojump_clock: MockClock) -> None:
    def look(params: object) -> dict[str, object]:
        block.__exit__(None, None, None)
        return {"text": "x"}

    app, client = app_of(page_of(look)), Listener()
    block = app.while_serving()
    block.__enter__()
    await client.listen(app)
    assert client.events[-1] == ("end", {})


async def test_live_pages_stay_open_again_when_the_server_runs_again(autojump_clock: MockClock) -> None:
    app, client = app_of(page_with("x")), Listener()
    with app.while_serving():
        pass
    async with trio.open_nursery() as nursery:
        with app.while_serving():
            nursery.start_soon(client.listen, app)
            await trio.sleep(1)
            assert not client.is_over


async def test_live_pages_may_be_opened_while_another_server_of_the_application_runs(autojump_clock: MockClock) -> None:
    app, first, second = app_of(page_with("x")), Listener(), Listener()
    async with trio.open_nursery() as nursery:
        with app.while_serving():
            with app.while_serving():
                nursery.start_soon(first.listen, app)
                await trio.sleep(1)
            await trio.sleep(1)
            assert first.is_over
            nursery.start_soon(second.listen, app)
            await trio.sleep(1)
            assert not second.is_over


@pytest.mark.parametrize("cancels", [True, False], ids=["cancelled", "told"])
async def test_a_live_page_of_a_server_that_is_restarted_is_not_told_that_the_program_is_over(
    cancels: bool, autojump_clock: MockClock
) -> None:
    async def serve() -> None:
        client = Listener()
        clients.append(client)
        async with trio.open_nursery() as nursery:
            with nullcontext() if cancels else app.while_serving():
                nursery.start_soon(client.listen, app)
                await trio.sleep(1)
                if len(clients) == 1:
                    raise Bang
                supervisor.stop()

    app, clients = app_of(page_with("x")), list[Listener]()
    async with supervising([ChildSpec(serve)]) as supervisor:
        await trio.sleep(10)
    assert [[name for name, _ in client.events] for client in clients] == [["look"], ["look", "end"]]


def test_live_pages_are_opened_in_a_trio_run_only() -> None:
    block = app_of().while_serving()
    with pytest.raises(RuntimeError):
        block.__enter__()


async def test_the_block_of_a_server_says_how_it_is_written() -> None:
    block = app_of().while_serving()
    assert repr(block) == "<pages.while_serving()>"
    with pytest.raises(TypeError, match=r"write 'with pages.while_serving\(\)', not 'async with"):
        await cast("Any", block).__aenter__()


async def test_a_stream_that_is_cancelled_says_that_it_ends(autojump_clock: MockClock) -> None:
    client = Listener()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.listen, app_of(page_with("x")))
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert client.events[1:] == [("end", {})]


async def test_a_client_that_does_not_read_does_not_delay_the_end_of_the_program(autojump_clock: MockClock) -> None:
    numbers, client = counting(), Listener()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.listen, app_of(page_of(lambda _: {"text": str(next(numbers))})))
        await trio.sleep(1.5)
        client.may_read = trio.Event()
        await trio.sleep(2)
        began = trio.current_time()
        nursery.cancel_scope.cancel()
    assert trio.current_time() - began <= 0.5


async def test_a_client_that_does_not_read_is_dropped_and_no_look_is_made_for_it(autojump_clock: MockClock) -> None:
    looks: list[float] = []

    def look(params: object) -> dict[str, object]:
        looks.append(trio.current_time())
        return {"text": str(len(looks))}

    client = Listener()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.listen, app_of(page_of(look)))
        await trio.sleep(1.5)
        assert len(looks) == 2
        client.may_read = trio.Event()
        await trio.sleep(1 + SEND_SECONDS - 0.6)
        assert not client.is_over
        await trio.sleep(0.2)
        assert client.is_over
    assert len(looks) == 3


async def test_a_quiet_stream_gives_a_sign_of_life(autojump_clock: MockClock) -> None:
    client = Listener()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.listen, app_of(page_with("x")))
        await trio.sleep(2 * SIGN_OF_LIFE_SECONDS + 2)
        client.leave()
    assert [data for _, data in client.events[1:]] == [b":\n\n", b":\n\n"]


async def test_there_is_a_bound_for_all_streams_and_each_end_makes_room(autojump_clock: MockClock) -> None:
    app = app_of(page_with("x"))
    clients = [Listener() for _ in range(MOST_STREAMS)]
    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(client.listen, app)
        await wait_all_tasks_blocked()
        refused = await ask(app, "/live/overview")
        assert (refused.status, refused.header("retry-after")) == (503, "10")
        assert f"More than {MOST_STREAMS} live pages are open" in refused.text
        assert (await ask(app, "/")).status == 200
        clients[0].leave()
        await wait_all_tasks_blocked()
        again = Listener()
        nursery.start_soon(again.listen, app)
        await wait_all_tasks_blocked()
        assert again.events
        nursery.cancel_scope.cancel()


async def test_a_stream_of_a_page_that_is_not_there_is_an_error(autojump_clock: MockClock) -> None:
    def look(params: object) -> dict[str, object]:
        raise NotThere("There is no actor 7.")

    answer = await ask(app_of(page_of(look)), "/live/overview")
    assert (answer.status, answer.text) == (404, "There is no actor 7.\n")
    assert (await ask(app_of(), "/live/nothing")).status == 404


async def test_a_stream_whose_page_goes_away_or_fails_ends(autojump_clock: MockClock) -> None:
    for error in (NotThere("There is no actor 7."), ValueError("x")):
        looks = iter(["a"])

        def look(params: object, error: Exception = error, looks: Iterator[str] = looks) -> dict[str, object]:
            for text in looks:
                return {"text": text}
            raise error

        client = Listener()
        await client.listen(app_of(page_of(look)))
        assert client.events == [("look", html("a"))]


@pytest.mark.parametrize("text", ["\n\nevent: end\ndata: {}\n\n", "\r\r", "\u2028\x85", "\ud800", "</script>", "ü€😀"])
async def test_no_text_can_write_an_event_of_its_own(text: str, autojump_clock: MockClock) -> None:
    client = Listener()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.listen, app_of(page_with(text)))
        await trio.sleep(0.5)
        client.leave()
    (piece,) = client.pieces
    lines = piece.decode("ascii").split("\n")
    assert len(piece.splitlines()) == 3
    assert (lines[0], lines[2:]) == ("event: look", ["", ""])
    assert json.loads(lines[1].removeprefix("data: "))["html"].count("<") == 2


async def test_a_stream_must_be_asked_for_with_get() -> None:
    assert (await ask(app_of(page_with("x")), "/live/overview", method="HEAD")).status == 405
    assert (await ask(app_of(page_with("x")), "/live/overview", method="POST")).status == 405


async def test_nothing_is_watched_once_the_last_stream_is_closed(autojump_clock: MockClock) -> None:
    app, client = app_of(page_with("x")), Listener()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.listen, app)
        await trio.sleep(1)
        assert app.state.observation.run.instruments is not None
        client.leave()
        await wait_all_tasks_blocked()
        assert app.state.observation.run.instruments is None
