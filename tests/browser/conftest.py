"""Chromium, and a program that it looks at: a process of its own, behind a real socket.

``nox -s browser`` runs these tests. Without Playwright they are not collected. Without a browser they are skipped.
"""

from __future__ import annotations

from collections.abc import Generator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from support.browsers import ARGUMENTS, MILLISECONDS, Observed, Opens, Watch, find_browser, observed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

if find_spec("playwright") is None or find_spec("axe_playwright_python") is None:
    collect_ignore_glob = ["test_*.py"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", action="store_true", help="make the pictures of the docs anew")


@pytest.fixture(scope="package")
def browser() -> Generator[Browser]:
    """A Chromium for all tests. Each test has a context of its own in it."""
    found = find_browser()
    if found is None:
        pytest.skip("no Chromium found: install it (apt-get install chromium), or name one in TRIOREG_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def program(browser: Browser) -> Generator[Observed]:
    """The program, for all tests that leave it as it was."""
    with observed() as running:
        yield running


@pytest.fixture
def own_program(browser: Browser) -> Generator[Observed]:
    """The program, for one test that ends it or keeps it very busy."""
    with observed() as running:
        yield running


@pytest.fixture
def watch() -> Generator[Watch]:
    watch = Watch()
    yield watch
    assert watch.problems == []


@pytest.fixture
def opens(browser: Browser, watch: Watch) -> Generator[Opens]:
    contexts: list[BrowserContext] = []

    def open_page(program: Observed, path: str = "", **options: Any) -> Page:
        options = {"viewport": {"width": 1280, "height": 800}, **options}
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(MILLISECONDS)
        watch.look_at(context, program.base)
        page = context.new_page()
        page.goto(program.url)
        if path:
            page.goto(f"{program.base}/{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
