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
from support.doc_blocks import BLOCKS, ROOT, ran_by
from support.processes import SECONDS, running

(
    LOG,
    MUSEUM,
    ADDRESS,
    VISITORS,
    LOG_OF_THE_AUCTION,
    SHOW,
    ADDRESS_OF_THE_SHOW,
) = [block.code for block in ran_by("tests/test_start_page.py")]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "PYTHONUNBUFFERED": "1"}


def saved(folder: Path, name: str, page: str) -> list[str]:
    """The command that runs the first program of that name on a page."""
    code, *_ = [block.code for block in BLOCKS if block.page == page and f"`{name}`:" in block.before]
    return written(folder, name, code)


def written(folder: Path, name: str, code: str) -> list[str]:
    """The command that runs a program. Its port is free, and its sleeps are a tenth as long."""
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


@pytest.mark.parametrize(
    ("page", "name", "log", "line"),
    [
        ("docs/start.md", "second.py", LOG, "line 10, in enter"),
        ("docs/tutorial/4-a-supervisor.md", "auction.py", LOG_OF_THE_AUCTION, "line 29, in ask_bank"),
    ],
)
def test_the_log_of_the_crash_is_as_the_page_shows(tmp_path: Path, page: str, name: str, log: str, line: str) -> None:
    command = saved(tmp_path, name, page)
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=SECONDS, check=True)
    assert done.stderr.startswith(" ".join(log.split()) + "\nTraceback")
    assert f'{name}", {line}' in done.stderr


def test_each_page_shows_the_same_address() -> None:
    assert ADDRESS_OF_THE_SHOW == ADDRESS


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a single process")
def test_the_museum_is_in_the_observer_until_ctrl_c(tmp_path: Path) -> None:
    with observed(written(tmp_path, "museum.py", MUSEUM)) as (process, url):
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in VISITORS.splitlines()] == VISITORS.splitlines(keepends=True)
        seen = restarts(url)
        assert seen["door"] > seen["sensor"] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a single process")
def test_the_auction_house_is_in_the_observer_until_ctrl_c(tmp_path: Path) -> None:
    saved(tmp_path, "auction.py", "docs/tutorial/7-a-program.md")
    with observed(written(tmp_path, "show.py", SHOW)) as (_, url):
        assert {"ledger", "auctions", "crowd"} <= restarts(url).keys()
