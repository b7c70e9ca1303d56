"""A Chromium of this machine, the program that it looks at, and what must not happen in its pages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

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

PROGRAM = Path(__file__).parent.parent / "browser" / "agency.py"

MILLISECONDS = 10_000
"""How long the browser waits for what a test expects. It comes within some tenths of a second."""


def find_browser() -> str | None:
    """The Chromium of this machine, or the one that TRIOREG_CHROMIUM names."""
    return os.environ.get("TRIOREG_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


Opens = Callable[..., "Page"]
"""``opens(program, path, **options)``: a page of the program in a context of its own. The options are Playwright's."""


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
        return self.url.partition("/?token=")[0]

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
def observed(port: str = "0") -> Generator[Observed]:
    command = [sys.executable, "-X", "utf8", str(PROGRAM), port]
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
