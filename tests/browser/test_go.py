"""Multiplayer Go in real browsers: each player has a browser of its own."""

from __future__ import annotations

import re
from collections.abc import Generator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from support.go_site import Site, go_site

from .test_looks import serious

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page
    from support.browsers import Opens, Watch

PICTURES = Path(__file__).parents[2] / "docs" / "_static" / "go"
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site(browser: Browser) -> Generator[Site]:
    """The program, for all tests: each test has games of its own."""
    with go_site() as site:
        yield site


class Sits:
    """Puts a player into a browser of its own, at a game."""

    def __init__(self, site: Site, opens: Opens) -> None:
        self._site = site
        self._opens = opens

    def __call__(self, player: str, game: str, *, size: str = "9", **options: Any) -> Page:
        page = self._opens(self._site, f"?game={game}", **{"reduced_motion": "reduce", **options})
        say_name(page, player, size)
        return page


@pytest.fixture
def sits(site: Site, opens: Opens) -> Sits:
    return Sits(site, opens)


def say_name(page: Page, player: str, size: str = "9") -> None:
    """Go through the door. Without a name, only to watch."""
    if player:
        page.get_by_label("Your name").fill(player)
        page.get_by_role("combobox", name="Board").select_option(size)
        page.get_by_role("button", name="Play").click()
    else:
        page.get_by_role("button", name="Watch").click()
    expect(page.locator("#status")).to_have_text("Live")


def point(page: Page, name: str) -> Locator:
    return page.get_by_role("gridcell", name=re.compile(f"^{name}, "))


def play(moves: str, black: Page, white: Page) -> None:
    """Play the moves in turn, black first. Each one is seen in both browsers before the next."""
    for number, move in enumerate(moves.split()):
        mover = (black, white)[number % 2]
        point(mover, move).click()
        for page in (black, white):
            expect(point(page, move)).to_have_class(("black last", "white last")[number % 2])


def card(page: Page, color: str) -> Locator:
    return page.locator(f"#players #{color}")


CAPTURE = "E5 E4 D4 C6 F4 G7 E3"
"""Black takes the stone on E4."""


def test_two_browsers_play_a_game_with_a_capture_to_its_score(sits: Sits) -> None:
    ann, bob, watcher = sits("Ann", "lunch"), sits("Bob", "lunch"), sits("", "lunch")
    expect(ann.locator("#turn")).to_have_text("It is your turn.")
    expect(bob.locator("#turn")).to_have_text("It is Ann's turn.")
    play(CAPTURE, ann, bob)
    for page in (ann, bob, watcher):
        expect(point(page, "E4")).to_have_class("empty")
        expect(card(page, "black")).to_contain_text("1 captured")
        expect(page.locator("#here")).to_contain_text("Watching: 1")
    expect(watcher.locator("#here")).to_contain_text("You watch this game.")
    expect(watcher.get_by_role("button", name="Pass")).to_be_hidden()
    expect(watcher.locator("#ending")).to_be_hidden()
    expect(bob.locator("#ending")).to_contain_text("all stones count as alive")
    bob.get_by_role("button", name="Pass").click()
    expect(watcher.locator("#last")).to_have_text("Move 8: Bob passes")
    ann.get_by_role("button", name="Pass").click()
    for page in (ann, bob, watcher):
        expect(page.locator("#turn")).to_have_text("White wins, 5 to 9.5.")
        expect(page.get_by_role("button", name="Pass")).to_be_hidden()


def test_first_player_waits_for_the_second_and_sees_it_come(sits: Sits) -> None:
    ann = sits("<b>Ann</b>", "wait")
    expect(card(ann, "black")).to_contain_text("<b>Ann</b>")
    expect(card(ann, "white")).to_contain_text("free")
    point(ann, "E5").click()
    expect(ann.locator("#turn")).to_have_text("Wait for the other player.")
    sits("Bob", "wait")
    expect(card(ann, "white")).to_contain_text("Bob")
    expect(ann.locator("#turn")).to_have_text("It is Bob's turn.")


def test_move_that_is_not_allowed_is_explained_until_the_next_move(sits: Sits) -> None:
    ann, bob = sits("Ann", "rules"), sits("Bob", "rules")
    play("E5", ann, bob)
    point(bob, "E5").click()
    expect(bob.get_by_role("alert").last).to_have_text("E5 is taken")
    expect(ann.get_by_role("alert").last).to_have_text("")
    point(bob, "C3").click()
    expect(point(ann, "C3")).to_have_class("white last")
    expect(bob.get_by_role("alert").last).to_have_text("")


def test_player_who_reloads_the_page_or_opens_it_again_has_the_same_seat(sits: Sits) -> None:
    ann, bob = sits("Ann", "back"), sits("Bob", "back")
    play("E5", ann, bob)
    bob.reload()
    expect(card(bob, "white")).to_contain_text("you")
    expect(point(bob, "E5")).to_have_class("black last")
    address = bob.url
    bob.goto("about:blank")
    expect(card(ann, "white")).to_contain_text("away")
    again = bob.context.new_page()
    again.goto(address)
    say_name(again, "Bob")
    expect(card(ann, "white")).not_to_contain_text("away")
    point(again, "C3").click()
    expect(point(ann, "C3")).to_have_class("white last")


def test_page_comes_back_by_itself_when_its_connection_is_lost(site: Site, sits: Sits, watch: Watch) -> None:
    ann, bob = sits("Ann", "lost"), sits("Bob", "lost")
    play("E5", ann, bob)
    watch.ended = True
    with site.closed():
        expect(bob.locator("#status")).to_have_text("Connection lost, trying again …")
        expect(bob.get_by_role("button", name="Pass")).to_be_disabled()
        expect(point(bob, "E5")).to_have_class("black last")  # the last look stays
        point(bob, "C3").click()
        expect(bob.get_by_role("alert").last).to_have_text("There is no connection now. Try again soon.")
    for page in (ann, bob):
        expect(page.locator("#status")).to_have_text("Live")
    point(bob, "C3").click()
    expect(point(ann, "C3")).to_have_class("white last")


def test_page_without_a_network_says_so_and_comes_back_with_it(sits: Sits, watch: Watch) -> None:
    ann, bob = sits("Ann", "network"), sits("Bob", "network")
    watch.ended = True
    bob.context.set_offline(True)
    expect(bob.locator("#status")).to_have_text("Connection lost, trying again …")
    expect(card(ann, "white")).to_contain_text("away")
    bob.context.set_offline(False)
    expect(bob.locator("#status")).to_have_text("Live")
    expect(card(ann, "white")).not_to_contain_text("away")


def test_game_whose_actor_is_killed_goes_on_in_the_open_pages(site: Site, sits: Sits) -> None:
    ann, bob = sits("Ann", "unharmed"), sits("Bob", "unharmed")
    play("E5 E4 D4 C6 F4 G7", ann, bob)
    site.kill("unharmed")
    point(ann, "E3").click()
    for page in (ann, bob):
        expect(point(page, "E4")).to_have_class("empty")
        expect(card(page, "black")).to_contain_text("1 captured")
        expect(point(page, "G7")).to_have_class("white")
        expect(page.locator("#status")).to_have_text("Live")


def test_game_is_played_with_the_keyboard_alone(site: Site, opens: Opens) -> None:
    page = opens(site, "?game=keys")
    expect(page.get_by_label("Your name")).to_be_focused()
    page.keyboard.type("Ann")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("Live")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(point(page, "E5")).to_be_focused()
    for key in ("ArrowUp", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    expect(point(page, "F5")).to_be_focused()
    page.keyboard.press("Enter")
    expect(point(page, "F5")).to_have_class("black last")
    for _ in range(9):
        page.keyboard.press("ArrowLeft")
    expect(point(page, "A5")).to_be_focused()


def test_player_resigns_after_a_question(sits: Sits) -> None:
    ann, bob = sits("Ann", "over"), sits("Bob", "over")
    ann.once("dialog", lambda dialog: dialog.dismiss())
    ann.get_by_role("button", name="Resign").click()
    expect(bob.locator("#turn")).to_have_text("It is Ann's turn.")
    ann.once("dialog", lambda dialog: dialog.accept())
    ann.get_by_role("button", name="Resign").click()
    for page in (ann, bob):
        expect(page.locator("#turn")).to_have_text("Black has resigned: White wins.")


def test_name_that_is_refused_leads_back_to_the_door_with_a_sentence(site: Site, opens: Opens) -> None:
    page = opens(site, "?game=no%20game")
    page.get_by_role("button", name="Watch").click()
    expect(page.locator("#refused")).to_contain_text("a game has a name such as a-17")
    page.get_by_role("textbox", name="Game").fill("a-game")
    page.get_by_role("button", name="Watch").click()
    expect(page.locator("#status")).to_have_text("Live")


def test_axe_finds_nothing_serious_and_no_page_is_wider_than_the_screen(sits: Sits, site: Site, opens: Opens) -> None:
    door, ann = opens(site), sits("A name of 20 letters", "looks", size="19")
    expect(point(ann, "T19")).to_be_visible()
    point(ann, "D4").click()
    expect(point(ann, "D4")).to_have_class("black last")
    point(ann, "D4").click()
    expect(ann.locator("#note")).not_to_be_empty()
    problems: list[str] = []
    for page in (door, ann):
        page.evaluate(AXE)
        for width in (360, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                problems.append(f"at {width} px, the page is wider than the screen")
            page.emulate_media(color_scheme="light")
            problems += [f"light, {width} px: {problem}" for problem in serious(page)]
            page.emulate_media(color_scheme="dark")
            problems += [f"dark, {width} px: {problem}" for problem in serious(page, "color-contrast")]
    assert problems == []


def test_picture_of_a_game(sits: Sits, request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--screenshots", False):
        pytest.skip("the pictures are made with --screenshots")
    screen: dict[str, Any] = {"viewport": {"width": 900, "height": 660}, "color_scheme": "light"}
    ann, bob = sits("Ann", "lunch-break", **screen), sits("Bob", "lunch-break", **screen)
    play("C3 G7 G3 C7 E5 E4 D4 F3 F4 G4 E3", ann, bob)
    expect(point(ann, "E4")).to_have_class("empty")
    bob.mouse.move(0, 0)
    bob.screenshot(path=PICTURES / "board.png", animations="disabled")
