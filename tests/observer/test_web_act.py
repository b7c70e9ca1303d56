"""Actions from a page: off unless asked for, a question first, and a form that is good for one action, once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import attrs
import pytest
import trio
from support.supervisors import supervising
from support.web import BEARER, ORIGIN, TOKEN, Answer, app_of, ask, log_in
from trio.testing import MockClock

import trioreg
from trioreg import Actor, ActorRef, ChildSpec, observer
from trioreg._observer import PAGES
from trioreg._observer_web import ObserverApp
from trioreg._observer_web.sessions import FORM_SECONDS, MOST_USED, BadForm, Sessions

FORM = {"origin": ORIGIN, "content-type": "application/x-www-form-urlencoded"}


class Agent(Actor):
    pass


@attrs.define
class World:
    """An observer, a browser that has opened it, and two actors."""

    app: ObserverApp
    cookie: dict[str, str]
    refs: list[ActorRef[Any]]

    def number(self, which: int = 0) -> int:
        return self.refs[which]._number

    async def confirm(self, action: str = "kill", number: int | None = None) -> Answer:
        number = self.number() if number is None else number
        return await ask(self.app, f"/confirm?action={action}&number={number}", self.cookie)

    async def post(self, headers: dict[str, str] | None = None, /, **fields: object) -> Answer:
        body = urlencode({"action": "kill", "number": self.number(), **fields}).encode()
        return await ask(self.app, "/act", {**FORM, **(headers or self.cookie)}, method="POST", body=body)

    @property
    def are_alive(self) -> list[bool]:
        return [ref.is_alive for ref in self.refs]


@asynccontextmanager
async def world(*, read_only: bool = False) -> AsyncGenerator[World]:
    app = app_of(*PAGES, read_only=read_only)
    async with supervising([ChildSpec(Agent, id="007"), ChildSpec(Agent, id="006")]) as supervisor:
        refs = [info.ref for info in supervisor.which_children()]
        yield World(app, await log_in(app), [ref for ref in refs if ref is not None])


async def test_an_action_is_asked_for_confirmed_and_done(autojump_clock: MockClock) -> None:
    async with world() as it:
        token = (await it.confirm()).text
        done = await it.post(token=token)
        assert done.status == 200
        assert "was killed. Its next life is" in done.text
        assert it.are_alive == [False, True]


@pytest.mark.parametrize("action", ["kill", "stop", "restart"])
async def test_what_was_done_leads_to_the_next_life_of_the_actor(action: str, autojump_clock: MockClock) -> None:
    async with world() as it:
        token = (await it.confirm(action)).text
        done = await it.post(token=token, action=action)
        after = trioreg.tree().supervisors[0].children[0].ref
        assert after is not None
        assert after is not it.refs[0]
        assert f"<a>{after._number} Agent #{after._number}</a>" in done.text


async def test_what_was_done_leads_to_an_actor_that_has_ended_for_good(autojump_clock: MockClock) -> None:
    async with world() as it:
        token = (await it.confirm("terminate")).text
        done = await it.post(token=token, action="terminate")
        assert f"<a>{it.number()} Agent #{it.number()}</a>" in done.text


async def test_nothing_is_done_by_asking(autojump_clock: MockClock) -> None:
    async with world() as it:
        for target in ("/confirm", "/act"):
            await ask(it.app, f"{target}?action=kill&number={it.number()}", it.cookie)
        assert (await ask(it.app, f"/act?action=kill&number={it.number()}", it.cookie)).status == 404
        assert it.are_alive == [True, True]


async def test_a_read_only_observer_has_no_actions(autojump_clock: MockClock) -> None:
    async with world(read_only=True) as it:
        assert (await it.confirm()).status == 404
        token = it.app.state.sessions.form_token("x", "kill", it.number(), trio.current_time())
        assert (await it.post(token=token)).status == 405
        assert it.are_alive == [True, True]


async def test_an_observer_has_no_actions_unless_you_ask_for_them(autojump_clock: MockClock) -> None:
    async with supervising([ChildSpec(Agent, id="007")]) as supervisor:
        refs = [info.ref for info in supervisor.which_children()]
        app = observer.app(token=TOKEN)
        it = World(app, await log_in(app), [ref for ref in refs if ref is not None])
        assert (await it.confirm()).status == 404
        app = observer.app(token=TOKEN, read_only=False)
        writing = World(app, await log_in(app), it.refs)
        assert (await writing.confirm()).status == 200


async def is_refused(it: World, answer: Answer, sentence: str, status: int = 403) -> None:
    assert (answer.status, sentence in answer.text) == (status, True)
    assert it.are_alive == [True, True]


async def test_a_form_without_its_token_does_nothing(autojump_clock: MockClock) -> None:
    async with world() as it:
        for token in ("", "x", "..", "a.1e9.b", "ü.ü.ü", "\0.\0.\0"):
            await is_refused(it, await it.post(token=token), "is not valid for this action")


async def test_a_form_is_good_once(autojump_clock: MockClock) -> None:
    async with world() as it:
        fields = {"action": "stop", "number": it.number(1)}
        token = (await it.confirm("stop", it.number(1))).text
        assert (await it.post(token=token, **fields)).status == 200
        again = await it.post(token=token, **fields)
        assert (again.status, "has been used already" in again.text) == (403, True)
        assert it.are_alive == [True, False]


async def test_a_form_that_is_sent_twice_at_once_is_done_once(autojump_clock: MockClock) -> None:
    async with world() as it:
        token = (await it.confirm()).text
        statuses: list[int] = []

        async def post() -> None:
            statuses.append((await it.post(token=token)).status)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(post)
            nursery.start_soon(post)
        assert sorted(statuses) == [200, 403]


async def test_a_form_is_good_for_its_action_and_its_actor_only(autojump_clock: MockClock) -> None:
    async with world() as it:
        token = (await it.confirm("stop")).text
        await is_refused(it, await it.post(token=token), "is not valid for this action")
        token = (await it.confirm("kill", it.number(1))).text
        await is_refused(it, await it.post(token=token), "is not valid for this action")


async def test_a_form_is_good_in_its_session_only(autojump_clock: MockClock) -> None:
    async with world() as it:
        token = (await it.confirm()).text
        await is_refused(it, await it.post(await log_in(it.app), token=token), "is not valid for this action")
        await is_refused(it, await it.post(BEARER, token=token), "is not valid for this action")


async def test_a_form_of_another_observer_does_nothing(autojump_clock: MockClock) -> None:
    async with world() as it:
        other = World(app_of(*PAGES, read_only=False), {}, it.refs)
        other.cookie = await log_in(other.app)
        token = (await other.confirm()).text
        await is_refused(it, await it.post(token=token), "is not valid for this action")


async def test_a_form_becomes_too_old(autojump_clock: MockClock) -> None:
    async with world() as it:
        token = (await it.confirm()).text
        await trio.sleep(FORM_SECONDS + 1)
        await is_refused(it, await it.post(token=token), "is too old")


async def test_a_form_of_another_origin_does_nothing(autojump_clock: MockClock) -> None:
    async with world() as it:
        token = (await it.confirm()).text
        for headers in (
            {"origin": "http://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "same-site"},
            {"host": "evil.example"},
        ):
            await is_refused(it, await it.post({**it.cookie, **headers}, token=token), "", 403)


async def test_a_form_without_a_session_does_nothing(autojump_clock: MockClock) -> None:
    async with world() as it:
        token = (await it.confirm()).text
        answer = await it.post({"accept": "*/*"}, token=token)
        await is_refused(it, answer, "needs its token", 401)
        body = urlencode({"action": "kill", "number": it.number(), "token": token}).encode()
        answer = await ask(it.app, f"/act?token={it.app.token}", FORM, method="POST", body=body)
        await is_refused(it, answer, "needs its token", 401)


async def test_a_body_that_is_no_form_does_nothing(autojump_clock: MockClock) -> None:
    async with world() as it:
        token = (await it.confirm()).text
        for kind in ("", "text/plain", "application/json", "multipart/form-data; boundary=x"):
            answer = await it.post({**it.cookie, "content-type": kind}, token=token)
            await is_refused(it, answer, "must be a form", 415)


@pytest.mark.parametrize(
    ("fields", "status", "sentence"),
    [
        ({"number": ""}, 400, "number must be a whole number"),
        ({"number": "x"}, 400, "number must be a whole number"),
        ({"number": "-1"}, 400, "number must be a whole number"),
        ({"number": "9" * 3000}, 400, "must have at most"),
        ({"action": "explode"}, 403, "is not valid for this action"),
        ({"action": ""}, 403, "is not valid for this action"),
    ],
)
async def test_fields_that_are_wrong_do_nothing(
    fields: dict[str, str], status: int, sentence: str, autojump_clock: MockClock
) -> None:
    async with world() as it:
        token = (await it.confirm()).text
        await is_refused(it, await it.post(token=token, **fields), sentence, status)


async def test_what_is_not_possible_or_not_there_is_not_asked(autojump_clock: MockClock) -> None:
    async with world() as it:
        assert (await it.confirm("explode")).status == 400
        assert (await it.confirm("kill", 10**9)).status == 404
        assert (await ask(it.app, "/confirm", it.cookie)).status == 400


async def test_an_actor_that_is_gone_meanwhile_is_an_error_and_its_next_life_stays(autojump_clock: MockClock) -> None:
    async with world() as it:
        token = (await it.confirm()).text
        it.refs[0].kill()
        await it.refs[0].wait()
        answer = await it.post(token=token)
        assert (answer.status, f"{it.number()}" in answer.text) == (404, True)


def test_used_forms_are_remembered_as_long_as_they_would_be_good_and_not_longer() -> None:
    sessions = Sessions("x" * 20)
    for _ in range(MOST_USED):
        sessions.spend(sessions.form_token("s", "kill", 1, 0), "s", "kill", 1, 1)
    with pytest.raises(BadForm, match=r"more than 1000 actions in 10 minutes"):
        sessions.spend(sessions.form_token("s", "kill", 1, 0), "s", "kill", 1, 2)
    later = FORM_SECONDS + 1
    sessions.spend(sessions.form_token("s", "kill", 1, later), "s", "kill", 1, later)
    assert len(sessions._used) == 1
