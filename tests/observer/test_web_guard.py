"""What each request to the observer must pass before it sees anything of the program."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from support.web import BEARER, HOST, ORIGIN, TOKEN, Answer, app_of, ask, log_in, page_of, page_with, scope_of
from trio.testing import MockClock

from trioreg._observer_web import ObserverApp
from trioreg._observer_web.answers import SECURITY
from trioreg._observer_web.guard import BODY_SECONDS, LONGEST_BODY, LONGEST_HEADERS, LONGEST_URL, MOST_HEADERS

SECRET = "the secret of the program"


def app() -> ObserverApp:
    return app_of(page_with(SECRET))


def is_refused(answer: Answer, status: int, sentence: str) -> bool:
    """Whether it is an error that says why in one sentence, and shows nothing of the program."""
    assert SECRET not in answer.text
    assert TOKEN not in answer.text
    return (answer.status, sentence in answer.text) == (status, True)


# The token


async def test_a_request_without_the_token_sees_nothing() -> None:
    for target in ("/", "/overview", "/api/overview", "/live/overview", "/confirm", "/nothing"):
        assert is_refused(await ask(app(), target, {}), 401, "needs its token")


async def test_a_browser_without_the_token_gets_a_page_that_says_where_to_find_it() -> None:
    answer = await ask(app(), "/", {"accept": "text/html,*/*"})
    assert (answer.status, answer.text) == (401, "<h1>No token</h1>")


async def test_a_wrong_token_sees_nothing() -> None:
    for token in ("", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "%ff", "ü", "%00"):
        assert is_refused(await ask(app(), f"/?token={token}", {}), 401, "belongs to another observer")


async def test_a_wrong_bearer_token_sees_nothing_even_with_a_valid_cookie() -> None:
    tested = app()
    cookie = await log_in(tested)
    for given in ("Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN, "Bearer ü"):
        answer = await ask(tested, "/", {"authorization": given, **cookie})
        assert is_refused(answer, 401, "belongs to another observer")


async def test_the_token_in_the_header_is_enough_for_a_program() -> None:
    assert (await ask(app(), "/api/overview", BEARER)).json == {"text": SECRET}


async def test_the_token_in_the_address_becomes_a_cookie_and_leaves_the_address() -> None:
    answer = await ask(app(), f"/overview?q=a+b&token={TOKEN}&sort=%C3%BC", {})
    assert (answer.status, answer.header("location")) == (303, "/overview?q=a+b&sort=%C3%BC")
    assert TOKEN not in answer.header("set-cookie")
    assert answer.header("set-cookie").lower().endswith("; httponly; path=/; samesite=strict")


async def test_the_cookie_of_the_token_opens_each_page() -> None:
    tested = app()
    cookie = await log_in(tested)
    assert SECRET in (await ask(tested, "/", cookie)).text
    assert (await ask(tested, "/api/overview", cookie)).json == {"text": SECRET}


async def test_the_cookie_is_for_the_prefix_only_under_which_the_observer_is_mounted() -> None:
    answer = await ask(app(), f"/my/observer/?token={TOKEN}", {}, root_path="/my/observer")
    assert answer.header("location") == "/my/observer/"
    assert "path=/my/observer;" in answer.header("set-cookie").lower()


async def test_the_cookie_is_secure_behind_https() -> None:
    scope = {**scope_of(f"/?token={TOKEN}", {}), "scheme": "https"}
    answer = await ask_with(scope)
    assert "; secure" in answer.header("set-cookie").lower()


async def ask_with(scope: Any) -> Answer:
    async def around(_: object, receive: Any, send: Any) -> None:
        await app()(scope, receive, send)

    return await ask(around)


async def test_a_cookie_that_was_changed_or_made_up_is_none() -> None:
    tested = app()
    cookie = (await log_in(tested))["cookie"]
    name, _, value = cookie.partition("=")
    session, _, signature = value.partition(".")
    for made_up in ("", "x", session, f"{session}.", f"x{session}.{signature}", f"{session}.{signature[:-1]}", "ü.ü"):
        assert is_refused(await ask(tested, "/", {"cookie": f"{name}={made_up}"}), 401, "needs its token")
    assert is_refused(await ask(tested, "/", {"cookie": f"other={value}"}), 401, "needs its token")


async def test_a_cookie_of_another_site_under_our_name_does_not_hide_ours() -> None:
    tested = app()
    cookie = (await log_in(tested))["cookie"]
    name = cookie.partition("=")[0]
    assert (await ask(tested, "/", {"cookie": f"a=b; {name}=theirs; {cookie}"})).status == 200


async def test_the_cookie_of_another_observer_with_the_same_token_is_none() -> None:
    name = (await log_in(tested := app()))["cookie"].partition("=")[0]
    value = (await log_in(app()))["cookie"].partition("=")[2]
    assert is_refused(await ask(tested, "/", {"cookie": f"{name}={value}"}), 401, "needs its token")


def test_the_cookie_of_another_run_is_none() -> None:
    tested = app()
    cookie = trio.run(log_in, tested)
    assert is_refused(trio.run(ask, tested, "/", cookie), 401, "needs its token")


async def test_after_a_link_of_another_site_a_page_of_our_own_leads_on() -> None:
    # A redirect would still count as the other site's, so the browser would not send a strict cookie.
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    answer = await ask(app(), f'/overview?token={TOKEN}&q="><script>', headers)
    assert answer.status == 200
    assert 'content="0;url=/overview?q=%22%3E%3Cscript%3E"' in answer.text
    assert answer.cookie


@pytest.mark.parametrize("path", ["//other.site/", "/\\other.site/", "///other.site", "/%2F/other.site"])
async def test_the_redirect_never_leads_to_another_site(path: str) -> None:
    location = (await ask(app(), f"{path}?token={TOKEN}", {})).header("location")
    assert location.startswith("/other.site")


async def test_a_prefix_that_the_client_chooses_does_not_lead_to_another_site() -> None:
    # As with Mount("/{rest:path}", ...) in Starlette.
    answer = await ask(app(), f"//other.site/?token={TOKEN}", {}, root_path="//other.site")
    assert answer.header("location") == "/other.site/"


async def test_a_line_break_in_the_address_does_not_write_a_header() -> None:
    answer = await ask(app(), f"/a%0d%0aset-cookie:x=y?token={TOKEN}&q=%0d%0ax:y", {})
    assert answer.header("location") == "/a%0D%0Aset-cookie%3Ax%3Dy?q=%0D%0Ax%3Ay"
    assert not any("\r" in value or "\n" in value for _, value in answer.headers)


async def test_the_style_sheet_needs_no_token_but_is_for_known_hosts_only() -> None:
    assert (await ask(app(), "/static/observer.css", {})).status == 200
    assert (await ask(app(), "/static/observer.css", {"host": "evil.example"})).status == 403


# Names and origins


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4001", "127.0.0.1.evil.example", "localhost.evil.example", "a@127.0.0.1", ""]
)
async def test_another_name_that_leads_to_this_machine_is_refused(host: str) -> None:
    answer = await ask(app(), "/", {**BEARER, "host": host})
    assert is_refused(answer, 403, "does not answer for the host")


@pytest.mark.parametrize("host", ["127.0.0.1:4001", "localhost", "LOCALHOST:1", "[::1]:4001", "10.0.0.5"])
async def test_no_other_site_can_have_an_address_or_localhost_as_its_name(host: str) -> None:
    assert (await ask(app(), "/", {**BEARER, "host": host})).status == 200


async def test_names_that_were_given_are_answered_with_their_port() -> None:
    tested = app_of(page_with(SECRET), hosts=["Tools.example", "other.example:81"])
    status = {
        host: (await ask(tested, "/", {**BEARER, "host": host})).status
        for host in ("tools.example", "tools.example:9", "other.example:81", "other.example")
    }
    assert [*status.values()] == [200, 200, 200, 403]


async def test_a_request_without_a_host_or_with_two_is_refused() -> None:
    two = [("host", HOST), ("host", "evil.example"), *BEARER.items()]
    assert is_refused(await ask(app(), "/", two), 400, "one header Host")
    scope = scope_of("/", BEARER)
    scope["headers"] = scope["headers"][1:]
    assert is_refused(await ask_with(scope), 400, "one header Host")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:3000", f"http://{HOST}1", "file://"]
)
@pytest.mark.parametrize("target", ["/", "/live/overview", "/api/overview"])
async def test_a_page_of_another_origin_reads_nothing(origin: str, target: str) -> None:
    tested = app()
    answer = await ask(tested, target, {"origin": origin, **await log_in(tested)})
    assert is_refused(answer, 403, "comes from another origin")


async def test_a_post_without_an_origin_is_refused() -> None:
    tested = app_of(page_with(SECRET), read_only=False)
    answer = await ask(tested, "/act", await log_in(tested), method="POST", body=b"action=kill&number=1")
    assert is_refused(answer, 403, "must have the header Origin")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
async def test_what_the_browser_says_is_of_another_site_reads_nothing(site: str) -> None:
    tested = app()
    for mode in ("cors", "no-cors", "navigate"):
        headers = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": "iframe", **await log_in(tested)}
        assert is_refused(await ask(tested, "/", headers), 403, "comes from another site")


@pytest.mark.parametrize(("mode", "dest"), [("cors", "document"), ("no-cors", "document"), ("navigate", "frame")])
async def test_what_is_no_opened_page_of_another_site_reads_nothing(mode: str, dest: str) -> None:
    tested = app()
    headers = {"sec-fetch-site": "same-site", "sec-fetch-mode": mode, "sec-fetch-dest": dest, **await log_in(tested)}
    assert is_refused(await ask(tested, "/", headers), 403, "comes from another site")


async def test_a_form_of_another_site_is_not_sent_even_with_our_origin() -> None:
    tested = app_of(page_with(SECRET), read_only=False)
    headers = {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    answer = await ask(tested, "/act", {**headers, "origin": ORIGIN, **await log_in(tested)}, method="POST")
    assert is_refused(answer, 403, "comes from another site")


async def test_an_origin_is_a_page_of_the_web() -> None:
    tested = app()
    answer = await ask(tested, "/", {"origin": f"chrome-extension://{HOST}", **await log_in(tested)})
    assert is_refused(answer, 403, "comes from another origin")


async def test_two_tokens_in_headers_are_none() -> None:
    two = [*BEARER.items(), ("authorization", "Bearer x")]
    assert is_refused(await ask(app(), "/", two), 401, "belongs to another observer")


async def test_a_user_may_follow_a_link_of_another_site() -> None:
    tested = app()
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert (await ask(tested, "/", {**headers, **await log_in(tested)})).status == 200


# Bounds


@pytest.mark.parametrize(
    ("target", "headers", "status", "sentence"),
    [
        (f"/?q={'a' * LONGEST_URL}", BEARER, 414, "at most 4096 bytes"),
        (f"/{'a' * LONGEST_URL}", BEARER, 414, "at most 4096 bytes"),
        ("/", {**BEARER, "cookie": "a" * LONGEST_HEADERS}, 431, "at most 100 headers"),
        ("/", [*BEARER.items(), *[("a", "b")] * MOST_HEADERS], 431, "at most 100 headers"),
        ("/?" + "&".join(f"a{n}=" for n in range(60)), BEARER, 400, "at most 50 parameters"),
        ("/?q=1&q=2", BEARER, 400, "is given twice"),
        ("/", {**BEARER, "content-length": f"{LONGEST_BODY + 1}"}, 413, "at most 4096 bytes"),
        ("/", {**BEARER, "content-length": "-1"}, 413, "at most 4096 bytes"),
        ("/", {**BEARER, "content-length": "\xb2"}, 413, "at most 4096 bytes"),
    ],
)  # fmt: skip
async def test_a_request_that_is_too_large_is_refused(
    target: str, headers: dict[str, str], status: int, sentence: str
) -> None:
    assert is_refused(await ask(app(), target, headers), status, sentence)


async def test_a_body_that_does_not_say_how_long_it_is_is_bounded_too() -> None:
    assert is_refused(await ask(app(), body=b"a" * (LONGEST_BODY + 1)), 413, "at most 4096 bytes")
    assert (await ask(app(), body=b"a" * LONGEST_BODY)).status == 200


async def test_a_body_that_does_not_come_is_waited_for_some_seconds(autojump_clock: MockClock) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    began = trio.current_time()
    await app()(scope_of("/", BEARER), trio.sleep_forever, send)
    assert sent[0]["status"] == 408
    assert trio.current_time() - began == BODY_SECONDS


async def test_a_client_that_goes_before_its_request_is_complete_gets_no_answer() -> None:
    sent: list[Any] = []
    messages = iter([{"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        await trio.lowlevel.checkpoint()
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    await app()(scope_of("/", BEARER), receive, send)
    assert sent == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "G\xcbT"])
async def test_other_methods_are_refused(method: str) -> None:
    assert is_refused(await ask(app(), method=method), 405, "must be GET or POST")


async def test_a_page_can_not_be_posted_to() -> None:
    answer = await ask(app(), method="POST")
    assert answer.status == 405
    assert SECRET not in answer.text


async def test_a_web_socket_is_closed() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app()({"type": "websocket"}, trio.sleep_forever, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


# Answers


async def test_every_answer_has_the_headers_of_security() -> None:
    tested = app_of(page_of(lambda _: {}))  # its template fails
    cookie = await log_in(tested)
    answers = [
        await ask(tested, "/", {}),
        await ask(tested, "/", {"host": "evil.example"}),
        await ask(tested, f"/?token={TOKEN}", {}),
        await ask(tested, "/", cookie),
        await ask(tested, "/api/overview", cookie),
        await ask(tested, "/static/observer.css", {}),
        await ask(tested, "/static/nothing", {}),
        await ask(tested, "/nothing", cookie),
        await ask(tested, "/nothing/at/all", cookie),
        await ask(tested, "/", cookie, method="DELETE"),
        await ask(tested, "/", {**cookie, "origin": ORIGIN}, method="POST"),
    ]
    assert [answer.status for answer in answers] == [401, 403, 303, 500, 200, 200, 404, 404, 404, 405, 405]
    for answer in answers:
        assert {name: answer.header(name) for name in SECURITY} == SECURITY


def test_the_policy_allows_no_inline_script_and_nothing_from_outside() -> None:
    policy = SECURITY["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "default-src 'none'" in policy
    assert "base-uri 'none'" in policy


def test_no_other_page_can_frame_the_observer_and_no_answer_is_taken_for_a_script() -> None:
    assert "frame-ancestors 'none'" in SECURITY["content-security-policy"]
    assert (SECURITY["x-frame-options"], SECURITY["x-content-type-options"]) == ("DENY", "nosniff")


@pytest.mark.parametrize(
    "name",
    ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "..\\app.py", "/etc/passwd", "observer.css%00", ".", "", "a/b"],
)
async def test_a_request_for_a_file_leads_to_no_other_file(name: str) -> None:
    answer = await ask(app(), f"/static/{name}", BEARER)
    assert answer.status == 404


async def test_the_token_never_gets_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    tested = app_of(page_of(lambda _: {}))  # the template fails
    with caplog.at_level(logging.DEBUG):
        await ask(tested, f"/?token={TOKEN}", {})
        await ask(tested, f"/?token={TOKEN}x", {})
        await ask(tested, f"/overview?token={TOKEN}", {}, method="POST")
        assert (await ask(tested, "/overview", BEARER)).status == 500
    assert caplog.records
    assert TOKEN not in caplog.text


async def test_a_request_that_fails_is_logged_and_answered_without_a_word_about_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(params: object) -> Any:
        raise RuntimeError(SECRET)

    answer = await ask(app_of(page_of(fail)), "/overview", BEARER)
    assert is_refused(answer, 500, "The log of the program says why")
    assert SECRET in caplog.text
