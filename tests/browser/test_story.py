"""The talk's story in a real browser: the tree, a kill, the new reference, the tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect
from support.browsers import observed

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page
    from support.browsers import Observed, Opens, Watch

EACH_AGENT = ("James Bond", "Mr. White", "Vesper Lynd", "Q", "Eve Moneypenny", "Felix Leiter")


def node(page: Page, name: str) -> Locator:
    """The box of an actor in the picture of the tree."""
    short = page.locator("text.short", has_text=re.compile(f"^{re.escape(name)}$"))
    return page.locator("g.node").filter(has=short)


def reference(page: Page, name: str) -> str:
    """The reference in that box, as in ``"SecretAgent #2"``."""
    text = node(page, name).locator("text.cls").text_content()
    assert text is not None
    return text


def kill(page: Page, name: str) -> None:
    """Kill an actor in the page: from the tree to its own page, and a confirmation."""
    node(page, name).get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    page.get_by_role("button", name="Kill").click()
    expect(page.get_by_text("Leave it alone")).to_be_visible()
    page.get_by_role("button", name="Kill").click()


def test_the_printed_address_opens_the_observer_and_the_token_is_gone_from_it(program: Observed, opens: Opens) -> None:
    page = opens(program)
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    assert page.url == f"{program.base}/"


def test_the_tree_shows_each_agent_under_its_supervisor(program: Observed, opens: Opens) -> None:
    page = opens(program, "tree")
    for name in EACH_AGENT:
        expect(node(page, name)).to_be_visible()
    assert page.locator("svg .edges path").count() >= len(EACH_AGENT)


def test_james_bond_is_killed_in_the_page_and_comes_back_under_a_new_reference(program: Observed, opens: Opens) -> None:
    page = opens(program, "tree")
    seen_live = page.context.new_page()
    seen_live.goto(f"{program.base}/tree")
    expect(seen_live.locator("#status")).to_have_text("Live")
    old, other = reference(seen_live, "James Bond"), reference(seen_live, "Mr. White")
    kill(page, "James Bond")
    page.get_by_role("link", name="To the tree").click()
    for tree in (page, seen_live):
        expect(node(tree, "James Bond").locator("text.cls")).not_to_have_text(old)
        expect(node(tree, "James Bond").locator("text.cls")).to_have_text(re.compile(r"^SecretAgent #\d+$"))
        assert reference(tree, "Mr. White") == other


def test_the_tables_of_the_registry_change_with_a_kill(program: Observed, opens: Opens) -> None:
    page = opens(program, "registries?q=agents")
    page.locator("table").get_by_role("link", name=re.compile("KeyPartition")).first.click()
    row = page.locator("table.rows tr").filter(has_text="James Bond")
    expect(row).to_have_count(1)
    old = row.inner_text()
    other = page.locator("table.rows tr").filter(has_text="Mr. White").inner_text()
    killing = page.context.new_page()
    killing.goto(f"{program.base}/tree")
    kill(killing, "James Bond")
    expect(row).not_to_have_text(old)
    expect(row).to_have_text(re.compile(r"James Bond.*SecretAgent #\d+", re.DOTALL))
    assert page.locator("table.rows tr").filter(has_text="Mr. White").inner_text() == other


def test_an_action_that_is_not_confirmed_does_nothing(program: Observed, opens: Opens) -> None:
    page = opens(program, "tree")
    before = reference(page, "Mr. White")
    node(page, "Mr. White").get_by_role("link").first.click()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("link", name="Leave it alone").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Mr. White")
    page.goto(f"{program.base}/tree")
    assert reference(page, "Mr. White") == before


def test_a_crash_is_seen_in_the_tree_while_it_is_open_and_in_the_log(program: Observed, opens: Opens) -> None:
    page = opens(program, "tree")
    expect(page.locator("#status")).to_have_text("Live")
    old = reference(page, "Vesper Lynd")
    program.tell("betray")
    expect(page.locator("ol.happened li.is-crash").filter(has_text="Vesper Lynd").first).to_be_visible()
    expect(node(page, "Vesper Lynd").locator("text.cls")).not_to_have_text(old)
    page.goto(f"{program.base}/log?level=error")
    line = page.locator("ol.log li").filter(has_text="Vesper Lynd").first
    line.get_by_text("Traceback", exact=True).click()
    expect(line.locator("pre")).to_contain_text("ValueError: <b>treason</b>")


def test_the_page_of_an_actor_that_has_ended_leads_to_its_next_life(program: Observed, opens: Opens) -> None:
    page = opens(program, "actors?q=Q")
    page.get_by_role("link", name="Q", exact=True).click()
    expect(page.locator("#status")).to_have_text("Live")
    killing = page.context.new_page()
    killing.goto(page.url)
    killing.get_by_role("button", name="Kill").click()
    killing.get_by_role("button", name="Kill").click()
    expect(page.get_by_text("It has ended: killed")).to_be_visible()
    expect(page.locator("#status")).to_have_text("Live")
    page.get_by_role("link", name=re.compile(r"Its next life is #\d+")).click()
    for each in (page, killing):
        if each is killing:
            each.get_by_role("link", name="To Q", exact=True).click()
        expect(each.get_by_role("heading", level=1)).to_have_text("Q")
        expect(each.get_by_role("button", name="Kill")).to_be_visible()


def test_a_page_says_that_the_program_has_ended_and_that_another_one_has_another_address(
    own_program: Observed, opens: Opens, watch: Watch
) -> None:
    page = opens(own_program, "tree")
    expect(page.locator("#status")).to_have_text("Live")
    watch.ended = True
    own_program.end()
    expect(page.locator("#status")).to_have_text("The program has ended")
    expect(node(page, "James Bond")).to_be_visible()  # the last look stays
    with observed(own_program.base.rpartition(":")[2]) as another:
        expect(page.locator("#status")).to_have_text("Open the address that the program has printed last")
        page.goto(another.url)
        page.go_back()
        expect(page.locator("#status")).to_have_text("Live")
