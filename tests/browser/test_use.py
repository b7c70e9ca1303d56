"""How a page is used: filter, sort, page, fold, with a keyboard alone, and without JavaScript."""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from trioreg._observer_web.state import MOST_STREAMS

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route
    from support.browsers import Observed, Opens, Watch


def names(page: Page) -> list[str]:
    """The first column of the table."""
    return page.locator("tbody tr th").all_inner_texts()


SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])


@SCRIPTS
def test_actors_are_filtered_on_the_server_and_the_address_says_so(
    program: Observed, opens: Opens, scripts: bool
) -> None:
    page = opens(program, "actors", java_script_enabled=scripts)
    page.get_by_label("Filter").fill("c-01")
    page.get_by_label("Filter").press("Enter")
    expect(page.locator("tbody tr")).to_have_count(10)
    assert all("c-01" in name for name in names(page))
    assert "q=c-01" in page.url


def test_actors_are_filtered_while_you_type_and_the_field_keeps_its_text_and_focus(
    program: Observed, opens: Opens
) -> None:
    page = opens(program, "actors")
    page.get_by_label("Filter").press_sequentially("c-11", delay=20)
    expect(page.locator("tbody tr")).to_have_count(10)
    expect(page.get_by_label("Filter")).to_be_focused()
    expect(page.get_by_label("Filter")).to_have_value("c-11")


def test_what_is_typed_before_the_script_is_there_is_a_filter_too(program: Observed, opens: Opens) -> None:
    page = opens(program)
    late: list[Route] = []
    page.route("**/live.js", lambda route: late.append(route))
    with page.expect_request("**/live.js"):
        page.goto(f"{program.base}/actors", wait_until="commit")
    page.get_by_label("Filter").fill("c-11")
    late.pop().continue_()
    expect(page.locator("tbody tr")).to_have_count(10)


def test_an_answer_that_comes_late_is_not_shown(program: Observed, opens: Opens) -> None:
    page = opens(program, "actors")
    page.get_by_role("button", name="Pause").click()  # else the next look would show what is right
    late: list[Route] = []
    page.route("**/actors?q=James", lambda route: late.append(route))
    page.get_by_label("Filter").fill("James")
    page.get_by_label("Filter").press("Enter")
    page.get_by_label("Filter").fill("c-11")
    page.get_by_label("Filter").press("Enter")
    expect(page.locator("tbody tr")).to_have_count(10)
    with page.expect_response("**/actors?q=James"):
        late.pop().continue_()
    page.evaluate("async () => (await fetch(location.href)).text()")  # the page has had its turn, too
    assert page.locator("tbody tr").count() == 10
    expect(page.get_by_label("Filter")).to_have_value("c-11")


@SCRIPTS
def test_the_pages_of_a_table_have_each_row_once(program: Observed, opens: Opens, scripts: bool) -> None:
    page = opens(program, "actors?q=carts&sort=label", java_script_enabled=scripts)
    seen: list[str] = []
    for number in range(1, 4):
        expect(page.locator(".place")).to_have_text(f"Page {number} of 3")
        seen += [name for name in names(page) if "c-" in name]
        if number < 3:
            page.get_by_role("link", name="Next").click()
    assert seen == sorted(set(seen))
    assert len(seen) == 120


@SCRIPTS
def test_actors_are_sorted_by_the_head_of_a_column(program: Observed, opens: Opens, scripts: bool) -> None:
    page = opens(program, "actors?q=c-00", java_script_enabled=scripts)
    head = page.locator("thead th").first
    head.get_by_role("link", name="Actor").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    ascending = names(page)
    head.get_by_role("link", name="Actor").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    assert names(page) == ascending[::-1] != ascending


@SCRIPTS
def test_a_supervisor_is_folded_and_unfolded_and_the_address_says_so(
    program: Observed, opens: Opens, scripts: bool
) -> None:
    page = opens(program, "tree", java_script_enabled=scripts)
    bond = page.locator("g.node").filter(has_text="James Bond")
    expect(bond).to_have_count(1)
    page.locator("#canvas").get_by_role("link", name="Fold agents").click()
    expect(bond).to_have_count(0)
    folded = page.url
    page.locator("#canvas").get_by_role("link", name="Unfold agents").click()
    expect(bond).to_have_count(1)
    page.goto(folded)
    expect(bond).to_have_count(0)


@SCRIPTS
def test_james_bond_can_be_killed_with_and_without_javascript(program: Observed, opens: Opens, scripts: bool) -> None:
    page = opens(program, "actors?q=Felix", java_script_enabled=scripts)
    page.get_by_role("link", name="Felix Leiter").click()
    before = page.url
    page.get_by_role("button", name="Kill").click()
    page.get_by_role("button", name="Kill").click()
    page.get_by_role("link", name="To Felix Leiter").click()
    expect(page.get_by_role("button", name="Kill")).to_be_visible()
    assert page.url != before


def tab_to(page: Page, name: re.Pattern[str]) -> None:
    """Press Tab until a link, button or field of that name has the focus. The focus must be seen."""
    for _ in range(60):
        page.keyboard.press("Tab")
        name_here, width = page.evaluate(
            """() => {
                const here = document.activeElement;
                const label = here.labels?.[0]?.textContent ?? here.getAttribute("aria-label") ?? here.textContent;
                return [label.trim(), parseFloat(getComputedStyle(here).outlineWidth)];
            }"""
        )
        if name.search(name_here):
            assert width > 0, f"the focus of {name_here!r} is not seen"
            return
    pytest.fail(f"no {name.pattern} in sixty tabs")


def test_an_agent_is_killed_with_the_keyboard_alone(program: Observed, opens: Opens) -> None:
    page = opens(program)
    tab_to(page, re.compile("^Skip"))
    page.keyboard.press("Enter")
    page.goto(f"{program.base}/")
    tab_to(page, re.compile("^Actors$"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/actors")
    tab_to(page, re.compile("^Filter$"))
    page.keyboard.type("Moneypenny")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    tab_to(page, re.compile("Eve Moneypenny"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/actor?number=*")
    before = page.url
    tab_to(page, re.compile("^Kill"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/confirm?*")
    tab_to(page, re.compile("^Kill"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/act*")
    page.goto(f"{program.base}/actors?q=Moneypenny")
    page.get_by_role("link", name="Eve Moneypenny").click()
    assert page.url != before


def test_a_live_page_keeps_the_focus_and_the_selection(program: Observed, opens: Opens) -> None:
    page = opens(program, "tree")
    expect(page.locator("#status")).to_have_text("Live")
    page.evaluate("() => getSelection().selectAllChildren(document.querySelector('h1'))")
    link = page.locator("#canvas").get_by_role("link", name="Fold agents")
    link.focus()
    happened = page.locator("ol.happened li")
    before = happened.count()
    program.tell("betray")
    page.wait_for_function(
        "before => document.querySelectorAll('ol.happened li').length !== before", arg=before
    )  # the page has changed
    expect(link).to_be_focused()
    assert page.evaluate("() => getSelection().toString()").strip() == "Tree"


def test_zoom_and_folds_stay_while_the_tree_changes(program: Observed, opens: Opens) -> None:
    page = opens(program, "tree")
    page.locator("#canvas").get_by_role("link", name="Fold carts").click()
    page.get_by_role("button", name="Larger").click()
    happened = page.locator("ol.happened li.is-crash")
    before = happened.first.get_attribute("id") or "" if happened.count() else ""
    program.tell("betray")
    expect(happened.first).to_be_visible()
    expect(happened.first).not_to_have_id(before)  # not the count: the list is short, and an old crash may leave it
    expect(page.locator("#zoom-now")).to_have_text("125 %")
    width, natural = page.locator("#picture").evaluate("it => [it.width.baseVal.value, it.viewBox.baseVal.width]")
    assert width == pytest.approx(1.25 * natural, abs=0.1)
    expect(page.locator("#canvas").get_by_role("link", name="Unfold carts")).to_be_visible()


def test_a_page_that_is_not_seen_or_paused_has_no_stream(program: Observed, opens: Opens) -> None:
    page = opens(program, "tree")
    expect(page.locator("#status")).to_have_text("Live")
    agent = page.locator("g.node").filter(has_text="Vesper Lynd").locator("text.cls")
    old = agent.text_content()
    see = """is => {
        Object.defineProperty(document, "hidden", {value: !is, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(see, False)
    program.tell("betray")
    with page.expect_request("**/live/tree"):
        page.evaluate(see, True)
    expect(agent).not_to_have_text(old or "")
    page.get_by_role("button", name="Pause").click()
    page.evaluate(see, False)
    page.evaluate(see, True)
    expect(page.locator("#status")).to_have_text("Paused")
    with page.expect_request("**/live/tree"):
        page.get_by_role("button", name="Go on").click()


def test_one_live_page_too_many_says_so_and_takes_the_next_free_place(
    program: Observed, opens: Opens, watch: Watch
) -> None:
    page = opens(program, "log")
    expect(page.locator("#status")).to_have_text("Live")
    watch.ended = True  # Chromium writes each status that is an error into the console
    token = program.url.partition("token=")[2]
    host, port = program.base.removeprefix("http://").split(":")
    with ExitStack() as streams:
        for _ in range(MOST_STREAMS - 1):
            stream = streams.enter_context(socket.create_connection((host, int(port))))
            stream.sendall(
                f"GET /live/log HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
            )
            assert stream.recv(100).startswith(b"HTTP/1.1 200 ")
        other = page.context.new_page()
        other.goto(f"{program.base}/log")
        expect(other.locator("#status")).to_have_text("Too many live pages are open, trying again")
    expect(other.locator("#status")).to_have_text("Live")


def test_a_page_without_a_stream_says_why(program: Observed, opens: Opens, watch: Watch) -> None:
    page = opens(program, "log")
    watch.ended = True  # Chromium writes each status that is an error into the console
    status = 404

    def refuse(route: Route) -> None:
        route.fulfill(status=status, body="no")

    page.route("**/live/log", refuse)
    for status, says in (  # noqa: B007 - `refuse` takes it
        (404, "It is gone. This is the last look"),  # as a table whose registry has gone
        (401, "Open the address that the program has printed last"),
        (500, "This page failed, trying again. The log says why"),
        (502, "Connection lost, trying again"),  # as a proxy says it
    ):
        page.reload()
        expect(page.locator("#status")).to_have_text(says)
    page.unroute("**/live/log")
    expect(page.locator("#status")).to_have_text("Live")
