"""The pages of the observer: as HTML, as JSON, under any prefix, and with names that are written to do harm."""

from __future__ import annotations

import copy
import math
import pickle
from html.parser import HTMLParser
from importlib.metadata import version
from typing import Any

import pytest
import trio
from hypercorn.middleware.dispatcher import TrioDispatcherMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from support.supervisors import supervising
from support.web import BEARER, TOKEN, Listener, app_of, ask, log_in, page_of, page_with
from trio.testing import MockClock

from trioreg import Actor, ChildSpec, Registry, observer
from trioreg._observer import PAGES, BadParam, NotThere

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"' onload='alert(1)\" x=`\n&lt;"


class Tags(HTMLParser):
    """Every start tag of a page, with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def does_harm(html: str) -> list[object]:
    """What in a page would run: a script that is not one of the files, or an attribute that is a script or a style."""
    return [
        (tag, attrs)
        for tag, attrs in Tags(html).tags
        if (
            tag in ("img", "iframe", "object", "embed", "base", "style", "link")
            and (tag != "link" or "/static/" not in str(attrs.get("href")))
        )
        or (tag == "script" and "/static/" not in str(attrs.get("src")))
        or any(name.startswith("on") or name == "style" for name in attrs)
        or str(attrs.get("href", "")).lower().startswith("javascript:")
    ]


# Texts that do harm


class Evil(Exception):
    def __str__(self) -> str:
        return EVIL


class Key:
    def __repr__(self) -> str:
        return EVIL

    def __hash__(self) -> int:
        return 7


class Agent(Actor):
    log_state = True

    def __init__(self) -> None:
        self.secret = EVIL

    def note(self, text: str) -> None:
        pass

    def crash(self) -> None:
        raise Evil


Agent.__qualname__ = Agent.__name__ = f"Agent{EVIL}"


@pytest.mark.parametrize("target", ["", "tree", "actors", "actor?trace=1&number=", "registries", "log"])
async def test_a_script_in_any_text_of_the_program_stays_a_text(target: str, autojump_clock: MockClock) -> None:
    names: Registry[object, object] = Registry(EVIL)
    app = observer.app(token=TOKEN)
    await ask(app)  # from now on it has the log
    spec = ChildSpec(Agent, id=EVIL, name=names.via(Key(), EVIL))
    async with supervising([spec, ChildSpec(Agent, id=Key())], name=EVIL) as supervisor:
        doomed, ref = [info.ref for info in supervisor.which_children()]
        assert doomed is not None
        assert ref is not None
        doomed.send_nowait(EVIL)
        doomed.cast_nowait(Agent.crash)
        await trio.sleep(1)
        target += f"{ref._number}" if target.endswith("=") else ""
        for query in ("", f"{'&' if '?' in target else '?'}q=%3Cscript%3Ealert(1)%3C/script%3E%22%27"):
            page = await ask(app, f"/{target}{query}")
            assert page.status == 200
            assert "alert(1)" in page.text or not target  # the overview shows what happens while it is open
            assert does_harm(page.text) == []
            name = target.partition("?")[0] or "overview"
            client = Listener()
            async with trio.open_nursery() as nursery:
                path = f"/live/{name}?{target.partition('?')[2]}{query if '?' in target else query[1:]}"
                nursery.start_soon(client.listen, app, path)
                await trio.sleep(0.5)
                client.leave()
            assert does_harm(client.events[0][1]["html"]) == []


@pytest.mark.parametrize(
    "target", ["/<script>", "/actors?sort=<script>", "/actor?number=<script>", "/table?id=<script>"]
)
async def test_a_script_in_the_address_stays_a_text(target: str) -> None:
    app = observer.app(token=TOKEN)
    for answer in (await ask(app, target), await ask(app, f"/api{target}")):
        assert answer.status in (400, 404)
        assert "<script>alert" not in answer.text
        assert "<script>" not in answer.text or answer.header("content-type") == "application/json"
    assert does_harm((await ask(app, target)).text) == []


async def test_the_answers_are_what_they_say_they_are() -> None:
    app = app_of(page_with(EVIL))
    types = {target: (await ask(app, target)).header("content-type") for target in ("/", "/api/overview", "/nothing")}
    assert [*types.values()] == ["text/html; charset=utf-8", "application/json", "text/html; charset=utf-8"]
    assert (await ask(app, "/", {})).header("content-type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize("text", ["Schlüssel", "密钥", "😀", "a" * 10_000, "\ud800", "\x00\x1b[31m", ""])
async def test_any_text_can_be_shown(text: str) -> None:
    app = app_of(page_with(text))
    assert text.encode("utf-8", "replace") in (await ask(app)).body
    assert (await ask(app, "/api/overview")).json == {"text": text}


# Pages


async def test_every_page_is_there_as_html_and_as_json(autojump_clock: MockClock) -> None:
    app = observer.app(token=TOKEN)
    async with supervising([ChildSpec(Agent, id="007")]) as supervisor:
        ref = supervisor.which_children()[0].ref
        assert ref is not None
        queries = {"actor": f"?number={ref._number}", "table": None}
        for page in PAGES:
            query = queries.get(page.name, "")
            if query is not None:
                assert (await ask(app, f"/{page.name}{query}")).status == 200
                assert isinstance((await ask(app, f"/api/{page.name}{query}")).json, dict)


async def test_the_first_page_is_the_overview() -> None:
    app = app_of(page_with("x"))
    assert (await ask(app, "/")).text == (await ask(app, "/overview")).text


async def test_an_error_of_a_page_says_what_is_wrong_in_html_and_in_json() -> None:
    for error, status in ((BadParam("page must be <1>"), 400), (NotThere("There is no actor 7."), 404)):

        def fail(params: object, error: Exception = error) -> dict[str, object]:
            raise error

        app = app_of(page_of(fail))
        html, data = await ask(app, "/"), await ask(app, "/api/overview")
        assert (html.status, data.status, data.json) == (status, status, {"error": str(error)})
        assert str(error).replace("<", "&lt;").replace(">", "&gt;") in html.text


async def test_a_parameter_that_is_too_long_is_an_error() -> None:
    answer = await ask(app_of(page_with("x")), f"/api/overview?q={'a' * 2001}")
    assert (answer.status, "at most 2000 characters" in answer.json["error"]) == (400, True)


async def test_numbers_that_json_does_not_have_become_null() -> None:
    app = app_of(page_of(lambda _: {"text": [math.inf, {"a": (math.nan, 1.5)}]}))
    assert (await ask(app, "/api/overview")).json == {"text": [None, {"a": [None, 1.5]}]}


async def test_a_head_request_is_answered() -> None:
    assert (await ask(app_of(page_with("x")), method="HEAD")).status == 200


def test_an_application_is_itself_when_copied_and_shows_no_token() -> None:
    app = observer.app(token=TOKEN)
    assert copy.copy(app) is copy.deepcopy(app) is app
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(app)
    assert TOKEN not in repr(app)


# Under a prefix


def site() -> Any:
    async def fail_over(request: Request, error: Exception) -> Response:
        return PlainTextResponse("the site's own error", 418)

    return Starlette(
        routes=[Mount("/my observer", app_of(page_with("x")), name="observer")],
        exception_handlers={Exception: fail_over, 404: fail_over, 405: fail_over},
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["*"])],
    )


async def test_it_can_be_mounted_under_a_prefix() -> None:
    tested = site()
    answer = await ask(tested, f"/my%20observer/?token={TOKEN}", {})
    assert (answer.status, answer.header("location")) == (303, "/my%20observer/")
    cookie = {"cookie": answer.cookie}
    assert "path=/my%20observer;" in answer.header("set-cookie").lower()
    assert (await ask(tested, "/my%20observer/", cookie)).status == 200
    assert (await ask(tested, "/my%20observer/api/overview", cookie)).json == {"text": "x"}
    assert (await ask(tested, "/my%20observer/static/live.js", {})).status == 200


@pytest.mark.skipif(version("hypercorn") < "0.18", reason="its dispatcher does not tell the prefix")
async def test_the_dispatcher_of_hypercorn_has_it_beside_another_application() -> None:
    async def home(request: Request) -> Response:
        return PlainTextResponse("home")

    other = Starlette(routes=[Route("/", home)])
    mounts: dict[str, Any] = {"/observer": app_of(page_with("x")), "": other}
    tested: Any = TrioDispatcherMiddleware(mounts)
    answer = await ask(tested, f"/observer/?token={TOKEN}", {})
    assert (answer.status, answer.header("location")) == (303, "/observer/")
    assert (await ask(tested, "/observer/api/overview", {"cookie": answer.cookie})).json == {"text": "x"}
    assert (await ask(tested, "/", {})).text == "home"


async def test_its_errors_are_its_own_also_in_an_application_that_handles_errors() -> None:
    tested = site()
    for target, method, status in (
        ("/nothing", "GET", 404),
        ("/a/b", "GET", 404),
        ("/", "POST", 405),
        ("/act", "POST", 405),
    ):
        answer = await ask(tested, f"/my%20observer{target}", BEARER, method=method)
        assert answer.status == status


async def test_links_have_the_prefix() -> None:
    app = observer.app(token=TOKEN)
    for path in ("/tools/", "/"):  # some servers cut the prefix off, and others do not
        answer = await ask(app, path, root_path="/tools")
        links = [attrs[name] for _, attrs in Tags(answer.text).tags for name in ("href", "src") if name in attrs]
        assert [link for link in links if not str(link).startswith(("/tools/", "#", "?"))] == []


async def test_the_address_without_the_last_slash_leads_to_the_one_with_it() -> None:
    answer = await ask(app_of(page_with("x")), "/tools", root_path="/tools")
    assert (answer.status, answer.header("location")) == (303, "/tools/")


async def test_the_url_has_the_token() -> None:
    app = observer.app(token=TOKEN)
    assert app.url("http://127.0.0.1:8000/tools/") == f"http://127.0.0.1:8000/tools/?token={TOKEN}"
    for base in ("127.0.0.1:8000", 7):
        with pytest.raises(ValueError, match=r"^base must be an address as in "):
            app.url(base)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_each_application_has_a_token_of_its_own() -> None:
    assert observer.app().token != observer.app().token
    assert len(observer.app().token) >= 32


async def test_it_answers_the_lifespan_of_a_server() -> None:
    asked = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return asked.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await app_of()({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_each_run_is_observed_by_itself() -> None:
    app = app_of(page_with("x"))
    states = [app.state]

    async def other() -> None:
        states.append(app.state)

    await trio.to_thread.run_sync(trio.run, other)
    assert states[0] is app.state
    assert states[1].observation.run is not states[0].observation.run


async def test_a_browser_that_is_logged_in_stays_so() -> None:
    app = app_of(page_with("x"))
    cookie = await log_in(app)
    assert [(await ask(app, "/", cookie)).status for _ in range(3)] == [200] * 3
