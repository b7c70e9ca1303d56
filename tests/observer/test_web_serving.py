"""`serve`, `Observer` and `run(observe=...)`: what is printed, what a restart keeps, and who ends when."""

from __future__ import annotations

import gc
import logging
import re
import signal
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx
import pytest
import trio
from support.errors import Bang
from support.supervisors import supervising
from support.web_client import Client
from trio.testing import wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorRef, ChildSpec, Exit, Supervisor, observer
from trioreg._observer_web import Opened, open_listeners, settings_of
from trioreg._observer_web.server import Server

PRINTED = re.compile(r"trioreg observer: (http://\S+/\?token=(\S+))\n")


def url_in(text: str) -> str:
    """The address in what was printed, which is nothing else."""
    found = PRINTED.fullmatch(text)
    assert found is not None, text
    return found[1]


async def get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as client:
        return await client.get(url)


# serve


async def test_serve_prints_its_address_with_the_token_once_and_returns_it(capsys: pytest.CaptureFixture[str]) -> None:
    async with trio.open_nursery() as nursery:
        url: str = await nursery.start(observer.serve, "127.0.0.1:0")
        printed = capsys.readouterr()
        assert (url_in(printed.err), printed.out) == (url, "")
        answer = await get(url)
        assert (answer.status_code, len(answer.history), "Overview" in answer.text) == (200, 1, True)
        assert "token" not in str(answer.url)
        assert capsys.readouterr().err == ""
        nursery.cancel_scope.cancel()


async def test_a_served_observer_answers_for_its_own_port_only() -> None:
    async with trio.open_nursery() as nursery:
        url: str = await nursery.start(observer.serve, "127.0.0.1:0")
        base = url.partition("?")[0]
        async with httpx.AsyncClient(trust_env=False) as client:
            for host in ("127.0.0.1:1", "evil.example", "localhost"):
                assert (await client.get(url, headers={"host": host})).status_code == 403
            port = base.rstrip("/").rpartition(":")[2]
            assert (await client.get(url, headers={"host": f"localhost:{port}"})).status_code == 303
        nursery.cancel_scope.cancel()


async def test_serve_takes_a_token_and_hosts() -> None:
    async with trio.open_nursery() as nursery:
        serve = partial(observer.serve, token="my-own-token-0123", hosts=["tools.example"])
        url: str = await nursery.start(serve, "127.0.0.1:0")
        assert url.endswith("/?token=my-own-token-0123")
        async with httpx.AsyncClient(trust_env=False) as client:
            headers = {"host": "tools.example", "authorization": "Bearer my-own-token-0123"}
            assert (await client.get(url.partition("?")[0], headers=headers)).status_code == 200
        nursery.cancel_scope.cancel()


async def test_two_observers_of_one_run_have_tokens_of_their_own() -> None:
    async with trio.open_nursery() as nursery:
        one: str = await nursery.start(observer.serve, "127.0.0.1:0")
        other: str = await nursery.start(observer.serve, "localhost:0")
        token = one.partition("token=")[2]
        assert token not in other
        answer = await get(f"{other.partition('token=')[0]}token={token}")
        assert answer.status_code == 401
        nursery.cancel_scope.cancel()


async def test_what_the_observer_logs_from_its_start_on_is_in_its_log() -> None:
    async with trio.open_nursery() as nursery:
        url: str = await nursery.start(observer.serve, "127.0.0.1:0")
        await trio.lowlevel.checkpoint()
        logging.getLogger("trioreg.supervision").warning("something happened")
        assert "something happened" in (await get(url.replace("/?", "/log?"))).text
        nursery.cancel_scope.cancel()


# Observer


async def test_an_observer_is_a_child_that_has_started_when_it_listens(capsys: pytest.CaptureFixture[str]) -> None:
    async with supervising([ChildSpec(observer.Observer, ("127.0.0.1:0",))]):
        assert (await get(url_in(capsys.readouterr().err))).status_code == 200


async def test_a_restarted_observer_has_the_same_address_and_token_and_prints_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with supervising([ChildSpec(observer.Observer, ("127.0.0.1:0",))]) as supervisor:
        url = url_in(capsys.readouterr().err)
        async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as client:
            assert (await client.get(url)).status_code == 200
        before = supervisor.which_children()[0].ref
        assert before is not None
        async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as client:
            await client.get(url)
            before.kill()
            await before.wait()
            await wait_all_tasks_blocked(0.01)
            assert supervisor.which_children()[0].ref is not before
            assert (await client.get(url.partition("?")[0])).status_code == 200  # the cookie is good, too
        assert capsys.readouterr().err == ""


async def test_an_observer_ends_within_its_time_while_pages_are_open(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    async with trio.open_nursery() as nursery:
        opened = trio.Event()
        async with supervising([ChildSpec(observer.Observer, ("127.0.0.1:0",), shutdown=4)]) as supervisor:
            url = url_in(capsys.readouterr().err)
            ref = supervisor.which_children()[0].ref
            assert ref is not None

            async def look() -> None:
                async with httpx.AsyncClient(trust_env=False, timeout=None) as client:
                    live, token = url.split("/?token=")
                    headers = {"authorization": f"Bearer {token}"}
                    async with client.stream("GET", f"{live}/live/tree", headers=headers) as answer:
                        async for line in answer.aiter_lines():
                            opened.set()
                            lines.append(line)

            nursery.start_soon(look)
            nursery.start_soon(look)
            await opened.wait()
            supervisor.stop()
    assert ref.exit is not None
    assert ref.exit.reason == "shutdown"
    assert lines.count("event: end") == 2


async def _kill(supervisor: Supervisor) -> None:
    ref_of(supervisor, "observer").kill()


async def test_a_start_that_is_cancelled_does_not_lose_the_token() -> None:
    settings = settings_of("127.0.0.1:0")
    first = await open_listeners(settings)
    with trio.CancelScope() as scope:
        scope.cancel()
        await first.run()
    with trio.CancelScope() as scope:
        scope.cancel()
        await open_listeners(settings)
    assert scope.cancelled_caught
    again = await open_listeners(settings)
    assert again.url.partition("token=")[2] == first.url.partition("token=")[2]
    with trio.CancelScope() as scope:
        scope.cancel()
        await again.run()


async def _restart(supervisor: Supervisor) -> None:
    await supervisor.terminate_child("observer")
    await supervisor.restart_child("observer")


async def _restart_all(supervisor: Supervisor) -> None:
    ref_of(supervisor, "other").kill()


def ref_of(supervisor: Supervisor, id: str) -> ActorRef[Any]:
    ref = next(info.ref for info in supervisor.which_children() if info.id == id)
    assert ref is not None
    return ref


@pytest.mark.parametrize("end", [_kill, _restart, _restart_all])
async def test_a_page_of_an_observer_that_is_restarted_is_not_told_that_the_program_is_over(
    end: Callable[[Supervisor], Awaitable[None]], capsys: pytest.CaptureFixture[str]
) -> None:
    specs = [ChildSpec(observer.Observer, ("127.0.0.1:0",), id="observer"), ChildSpec(Actor, id="other")]
    async with supervising(specs, strategy="one_for_all") as supervisor:
        url = url_in(capsys.readouterr().err)
        port = int(url.partition("/?")[0].rpartition(":")[2])
        for is_first in (True, False):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                client = Client(stream, port, url.partition("token=")[2])
                await client.get("/live/tree")
                await client.read_until("event: look")
                if is_first:
                    await end(supervisor)
                    assert "event: end" not in await client.read_all()
                    await wait_all_tasks_blocked(0.01)


async def test_two_observers_at_once_with_the_same_settings_are_two(capsys: pytest.CaptureFixture[str]) -> None:
    specs = [ChildSpec(observer.Observer, ("127.0.0.1:0",), id=id) for id in (1, 2)]
    async with supervising(specs):
        one, other = [url for url, _ in PRINTED.findall(capsys.readouterr().err)]
        assert one != other
        assert [(await get(url)).status_code for url in (one, other)] == [200, 200]


def test_an_observer_shows_no_token_in_what_is_shown_of_it() -> None:
    shown = observer.Observer(token="my-own-token-0123")
    assert "my-own" not in repr(vars(shown))


# run(observe=...)


def test_a_program_is_observed_from_before_its_first_child_until_after_its_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen: list[int] = []

    class First(Actor):
        async def on_start(self) -> None:
            self.url = url_in(capsys.readouterr().err)
            seen.append((await get(self.url)).status_code)

        async def on_stop(self, exit: Exit) -> None:
            seen.append((await get(self.url)).status_code)

    async def last() -> None:
        signal.raise_signal(signal.SIGTERM)
        await trio.sleep_forever()

    assert trioreg.run([ChildSpec(First), ChildSpec(last)], observe="127.0.0.1:0") == signal.SIGTERM
    assert seen == [200, 200]


def test_an_observer_does_not_keep_a_program_running() -> None:
    assert trioreg.run([], observe="127.0.0.1:0") is None
    assert trioreg.run(ChildSpec(trio.sleep, (0,), restart="temporary"), observe="127.0.0.1:0") is None


def test_nothing_of_an_observer_is_left_after_a_program() -> None:
    handlers, tasks = [*logging.getLogger("trioreg").handlers], threading.active_count()
    gc.disable()
    try:
        trioreg.run([], observe="127.0.0.1:0")
        assert logging.getLogger("trioreg").handlers == handlers
        assert threading.active_count() == tasks
    finally:
        gc.enable()


async def test_an_observer_that_is_served_again_takes_the_log_again() -> None:
    log = logging.getLogger("trioreg.supervision")
    text = ""
    for said in ("while the first serves", "while the second serves"):
        async with trio.open_nursery() as nursery:
            url: str = await nursery.start(observer.serve, "127.0.0.1:0")
            await trio.testing.wait_all_tasks_blocked()
            log.warning(said)
            text = (await get(url.replace("/?", "/log?"))).text
            assert said in text
            nursery.cancel_scope.cancel()
        log.warning("while none serves")
    assert "while none serves" not in text


def test_the_errors_of_an_observed_program_are_the_same() -> None:
    async def fail() -> None:
        raise Bang

    with pytest.RaisesGroup(trioreg.RestartLimitExceeded, Bang):
        trioreg.run(ChildSpec(fail, restart="permanent"), max_restarts=0, observe="127.0.0.1:0")

    async def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit) as caught:
        trioreg.run(ChildSpec(leave), observe="127.0.0.1:0")
    assert caught.value.code == 3


def test_the_observer_of_a_program_is_read_only_and_not_in_its_tree(capsys: pytest.CaptureFixture[str]) -> None:
    answers: list[Any] = []

    async def look() -> None:
        url = url_in(capsys.readouterr().err)
        answers.append((await get(url.replace("/?", "/confirm?action=kill&number=1&"))).status_code)
        answers.append([each.path for each in trioreg.tree().supervisors])

    trioreg.run(ChildSpec(look), observe="127.0.0.1:0")
    assert answers == [404, ["program"]]


def test_a_program_goes_on_without_its_observer_if_that_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(self: Server) -> None:
        raise Bang

    done: list[str] = []

    async def work() -> None:
        await trio.sleep(0.01)
        done.append("work")

    monkeypatch.setattr(Server, "run", fail)
    trioreg.run(ChildSpec(work), observe="127.0.0.1:0")
    assert done == ["work"]
    assert "the program goes on without it" in caplog.text


def test_each_program_has_a_token_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        trioreg.run([], observe="127.0.0.1:0")
    one, other = PRINTED.findall(capsys.readouterr().err)
    assert one[1] != other[1]


async def test_without_stderr_nothing_is_printed_and_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    async with trio.open_nursery() as nursery:
        url: str = await nursery.start(observer.serve, "127.0.0.1:0")
        assert (await get(url)).status_code == 200
        nursery.cancel_scope.cancel()


def test_what_listens_is_not_shown_with_its_token() -> None:
    assert "token" not in repr(Opened(observer.app(), [], "http://127.0.0.1/?token=x"))
