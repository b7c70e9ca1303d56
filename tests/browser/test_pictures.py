"""The pictures of the docs and of the README: ``nox -s browser -- --screenshots`` makes them anew.

They show the talk's story, as ``examples/secret_agents.py --observe`` plays it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from support.browsers import Observed

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page
    from support.browsers import Opens

ROOT = Path(__file__).parent.parent.parent
PICTURES = ROOT / "docs" / "_static" / "observer"

SCREEN = {"width": 1000, "height": 620}
LOW = {"width": 1000, "height": 460}


@pytest.fixture
def are_wanted(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--screenshots", False):
        pytest.skip("the pictures are made with --screenshots")


@pytest.fixture
def story(are_wanted: None) -> Generator[Observed]:
    """The secret agents, live."""
    with live([sys.executable, str(ROOT / "examples" / "secret_agents.py"), "--observe", "127.0.0.1:0"]) as program:
        yield program


@pytest.fixture
def museum(are_wanted: None, tmp_path: Path) -> Generator[Observed]:
    """The last program of the page "Start: ten minutes"."""
    with live([sys.executable, save(tmp_path, "museum.py", "start.md")]) as program:
        yield program


@pytest.fixture
def auctions(are_wanted: None, tmp_path: Path) -> Generator[Observed]:
    """The auction house of the tutorial, with a crowd."""
    save(tmp_path, "auction.py", "tutorial/7-a-program.md")
    with live([sys.executable, save(tmp_path, "show.py", "tutorial/8-seen.md")]) as program:
        yield program


def save(folder: Path, name: str, page: str) -> str:
    """Save a program of a page, as its reader does. The port is a free one."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (code,) = re.findall(rf"`{name}`:\n\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (folder / name).write_text(code.replace("127.0.0.1:4001", "127.0.0.1:0"), encoding="utf-8")
    return str(folder / name)


@contextmanager
def live(command: list[str]) -> Generator[Observed]:
    with subprocess.Popen(command, encoding="utf-8", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            yield Observed(process)
        finally:
            process.kill()


def take(page: Page, name: str) -> None:
    page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")


def bond(page: Page) -> Locator:
    """The reference of James Bond, who is the first one on each page."""
    return first_reference(page, "SecretAgent")


def first_reference(page: Page, of: str) -> Locator:
    return page.get_by_text(re.compile(rf"{of} #\d+")).first


def text_of(locator: Locator) -> str:
    text = locator.text_content()
    assert text is not None
    return text


def test_pictures_of_the_tree_and_of_the_tables_before_and_after_a_kill(story: Observed, opens: Opens) -> None:
    tree = opens(story, "tree", viewport=LOW, color_scheme="light", reduced_motion="reduce")
    table = tree.context.new_page()
    table.set_viewport_size({"width": 1000, "height": 320})
    table.goto(f"{story.base}/registries")
    table.get_by_role("link", name=re.compile("KeyPartition")).first.click()
    for page in (tree, table):
        expect(page.locator("#status")).to_have_text("Live")
    before = re.sub(r"[<>]", "", text_of(bond(table)))
    expect(bond(tree)).to_contain_text(before)
    take(tree, "tree-before")
    take(table, "table-before")
    for page in (tree, table):
        expect(bond(page)).not_to_contain_text(before)
    take(tree, "tree-after")
    take(table, "table-after")


def test_pictures_of_the_readme_show_one_moment(story: Observed, opens: Opens) -> None:
    tree = opens(story, "tree", viewport=LOW, color_scheme="light", reduced_motion="reduce")
    table = tree.context.new_page()
    table.goto(f"{story.base}/registries")
    table.get_by_role("link", name=re.compile("KeyPartition")).first.click()
    for page in (tree, table):
        page.set_viewport_size({"width": 560, "height": 440})  # two of these fit beside each other
    now = ""
    while not all(now and now in text_of(bond(page)) for page in (tree, table)):
        before = re.sub(r"[<>]", "", text_of(bond(table)))
        for page in (tree, table):
            expect(bond(page)).not_to_contain_text(before)
        now = re.sub(r"[<>]", "", text_of(bond(table)))
        take(tree, "readme-tree")
        take(table, "readme-table")


def test_picture_of_the_museum_after_a_crash(museum: Observed, opens: Opens) -> None:
    page = opens(museum, "tree", viewport={**LOW, "height": 490}, color_scheme="light", reduced_motion="reduce")
    door = first_reference(page, "Door")
    expect(door).not_to_have_text(text_of(door), timeout=30_000)  # it crashes every eight seconds
    take(page, "museum-tree")


def test_picture_of_the_auction_house(auctions: Observed, opens: Opens) -> None:
    page = opens(auctions, "tree", viewport={**SCREEN, "height": 560}, color_scheme="light", reduced_motion="reduce")
    expect(page.get_by_text("crashed: ConnectionError").first).to_be_visible(timeout=60_000)  # Eve has bid
    expect(page.get_by_role("link", name=re.compile(r"Auction #\d+")).first).to_be_visible(timeout=60_000)
    take(page, "auction-tree")


@pytest.mark.parametrize("name", ["overview", "actors", "actor", "registries", "log"])
def test_picture_of_a_page(story: Observed, opens: Opens, name: str) -> None:
    page = opens(story, "tree", viewport=SCREEN, color_scheme="light", reduced_motion="reduce")
    expect(bond(page)).not_to_have_text(text_of(bond(page)))  # he has been killed
    if name == "actor":
        page.goto(f"{story.base}/actors?q=Bond")
        page.get_by_role("link", name="James Bond").click()
    else:
        page.goto(f"{story.base}/{'' if name == 'overview' else name}")
    expect(page.locator("#status")).to_have_text("Live")
    if name == "overview":
        page.wait_for_function("() => document.querySelector('.chart path.line').getAttribute('d').length > 40")
    take(page, name)
