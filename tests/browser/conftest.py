"""Chromium, and a program that it looks at: a process of its own, behind a real socket.

``nox -s browser`` runs these tests. Without Playwright they are not collected. Without a browser they are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

if find_spec("playwright") is None or find_spec("axe_playwright_python") is None:
    collect_ignore_glob = ["test_*.py"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

ARGUMENTS = [
    "--no-sandbox",  # CI runs as root, in a container
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--enable-precise-memory-info",
    "--js-flags=--expose-gc",
]

PROGRAM = Path(__file__).parent / "observed.py"

MILLISECONDS = 10_000
"""How long the browser waits for what a test expects. It comes within some tenths of a second."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", action="store_true", help="make the pictures of the docs anew")


@pytest.fixture(scope="package")
def browser() -> Generator[Browser]:
    """A Chromium for all tests. Each test has a context of its own in it."""
    found = os.environ.get("TRIOREG_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium found: install it (apt-get install chromium), or name one in TRIOREG_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield chromium
        chromium.close()


class Observed:
    """The program that the browser looks at.

    Attributes:
        url: Its address as it was printed, with the token.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("trioreg observer: http://127.0.0.1:"), said + process.stderr.read()
        self.url = said.removeprefix("trioreg observer: ").strip()

    @property
    def base(self) -> str:
        """Its address without the token, as in ``"http://127.0.0.1:4001"``."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def tell(self, word: str) -> str:
        """Tell the program to do something. What it answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(word, file=self._process.stdin, flush=True)
        return self._process.stdout.readline().strip()

    def end(self) -> None:
        """End it with SIGTERM, and wait for its end."""
        self._process.terminate()
        self._process.wait(60)


@contextmanager
def observed() -> Generator[Observed]:
    command = [sys.executable, "-X", "utf8", str(PROGRAM)]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, encoding="utf-8", **pipes) as process:
        try:
            yield Observed(process)
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()


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


class Watch:
    """What must not happen in a page: an error in its console, an exception, a request to another host."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.ended = False
        """Whether the test ends the program: then a request of the page fails, which Chromium reports."""

    def look_at(self, context: BrowserContext, base: str) -> None:
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.append(f"exception: {error.error}"))
        context.on("request", lambda request: self._request(request, base))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not self.ended:  # a breach of the CSP is one, too
            self.problems.append(f"{message.type} in the console: {message.text}")

    def _request(self, request: Request, base: str) -> None:
        if not request.url.startswith((f"{base}/", "data:")):
            self.problems.append(f"request to {request.url}")


@pytest.fixture
def watch() -> Generator[Watch]:
    watch = Watch()
    yield watch
    assert watch.problems == []


Opens = Callable[..., "Page"]
"""``opens(program, path, **options)``: a page of the program in a context of its own. The options are Playwright's."""


@pytest.fixture
def opens(browser: Browser, watch: Watch) -> Generator[Opens]:
    contexts: list[BrowserContext] = []

    def open_page(program: Observed, path: str = "", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
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
