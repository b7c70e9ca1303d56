"""Programs of the pages "Start: ten minutes" and "Tutorial", as a reader saves them and runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from support.processes import SECONDS, running

ROOT = Path(__file__).parent.parent
START = (ROOT / "docs" / "start.md").read_text("utf-8")
PROGRAM_PAGE = (ROOT / "docs" / "tutorial" / "7-a-program.md").read_text("utf-8")
SEEN_PAGE = (ROOT / "docs" / "tutorial" / "8-seen.md").read_text("utf-8")
LOG, ADDRESS, VISITORS = re.findall(r"^```none\n(.*?)^```$", START, re.MULTILINE | re.DOTALL)
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "PYTHONUNBUFFERED": "1"}


def saved(folder: Path, name: str, page: str) -> list[str]:
    """The command that runs a program of the page. Its port is free, and its sleeps are a tenth as long."""
    (code,) = re.findall(rf"`{name}`:\n\n```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    code = code.replace("127.0.0.1:4001", "127.0.0.1:0").replace("observe=", "max_restarts=1000, observe=")
    code = re.sub(r"trio\.sleep\(([\d.]+)\)", r"trio.sleep(\1 / 10)", code)
    (folder / name).write_text(code, encoding="utf-8")
    return [sys.executable, str(folder / name)]


@contextmanager
def observed(command: list[str]) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A program with an observer, and its address with the token. Ctrl-C ends it."""
    with running(command, env=ENVIRONMENT) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert re.sub(r":\d+/\?token=\S+", ":4001/?token=…", said) == ADDRESS
        yield process, said.split()[-1]
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().endswith("KeyboardInterrupt\n")


def restarts(url: str) -> dict[str, int]:
    """How often each child in the tree has been restarted."""
    address, _, token = url.partition("/?token=")
    asked = Request(f"{address}/api/tree", headers={"Authorization": f"Bearer {token}"})
    with urlopen(asked, timeout=SECONDS) as answer:
        return {node["label"]: node["restarts"] for node in json.load(answer)["nodes"]}


def test_the_log_of_the_crash_is_as_the_page_shows(tmp_path: Path) -> None:
    command = saved(tmp_path, "second.py", START)
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=SECONDS, check=True)
    assert done.stderr.startswith(" ".join(LOG.split()) + "\nTraceback")
    assert 'second.py", line 10, in enter' in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a single process")
def test_the_museum_is_in_the_observer_until_ctrl_c(tmp_path: Path) -> None:
    with observed(saved(tmp_path, "museum.py", START)) as (process, url):
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in VISITORS.splitlines()] == VISITORS.splitlines(keepends=True)
        seen = restarts(url)
        assert seen["door"] > seen["sensor"] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a single process")
def test_the_auction_house_is_in_the_observer_until_ctrl_c(tmp_path: Path) -> None:
    saved(tmp_path, "auction.py", PROGRAM_PAGE)
    with observed(saved(tmp_path, "show.py", SEEN_PAGE)) as (_, url):
        assert {"ledger", "auctions", "crowd"} <= restarts(url).keys()
