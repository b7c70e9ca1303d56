"""Each page: axe-core finds nothing serious in light and dark, and no page is wider than the screen.

The other promise, no error in the console, no breach of the Content-Security-Policy and no request to another host,
holds for each test here: see the fixture `watch`.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from support.browsers import Observed, Opens, Watch

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")

PAGES = [
    "overview",
    "tree",
    "actors",
    "actor",
    "supervisor",
    "registries",
    "table",
    "topics",
    "log",
    "confirm",
    "error",
]


def data(page: Page, program: Observed, address: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(page.request.get(f"{program.base}/api/{address}").text())
    return answer


def address_of(page: Page, program: Observed, name: str) -> str:
    """The address of a page: some are about an actor or a table."""
    match name:
        case "overview":
            return ""
        case "actor":
            return f"actor?number={data(page, program, 'actors?q=James')['rows'][0]['number']}"
        case "supervisor":
            rows = data(page, program, "actors?q=agents")["rows"]
            return f"actor?number={next(row['number'] for row in rows if row['is_supervisor'])}"
        case "confirm":
            number = data(page, program, "actors?q=James")["rows"][0]["number"]
            return f"confirm?action=kill&number={number}"
        case "table":
            return f"table?id={data(page, program, 'registries?q=odd')['tables'][0]['id']}"
        case "actors":  # a few rows: axe-core takes long for many
            return "actors?q=c-01"
        case "registries":
            return "registries?q=agents"
        case "error":
            return "actor?number=999999999"
        case _:
            return name


def serious(page: Page, *rules: str) -> list[str]:
    """What axe-core finds that is serious or critical, with these rules or with all: the rule, and where."""
    options: dict[str, object] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    found: list[dict[str, Any]] = page.evaluate("async options => (await axe.run(options)).violations", options)
    return [
        f"{violation['impact']}: {violation['id']}: {node['html'][:200]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"][:3]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious_and_no_page_is_wider_than_the_screen(
    program: Observed, opens: Opens, watch: Watch, name: str
) -> None:
    page = opens(program, reduced_motion="reduce")
    watch.ended = name == "error"  # Chromium writes each status that is an error into the console
    page.goto(f"{program.base}/{address_of(page, program, name)}")
    if name not in ("confirm", "error"):
        expect(page.locator("#status")).to_have_text("Live")
        page.get_by_role("button", name="Pause").click()
    page.evaluate(AXE)
    problems: list[str] = []
    for width in (380, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"at {width} px, the page is wider than the screen")
        page.emulate_media(color_scheme="light")
        problems += [f"light, {width} px: {problem}" for problem in serious(page)]
        page.emulate_media(color_scheme="dark")  # only colours differ
        problems += [f"dark, {width} px: {problem}" for problem in serious(page, "color-contrast")]
    assert problems == []


def test_the_widest_screen_and_the_longest_names_do_not_break_a_page(program: Observed, opens: Opens) -> None:
    page = opens(program, "actors?q=odd", viewport={"width": 2560, "height": 1200})
    expect(page.get_by_role("link", name="Überlänge").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.title() != "hacked"  # by the script in a name
