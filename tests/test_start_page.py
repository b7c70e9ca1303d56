"""The programs of the page "Start: ten minutes", as a reader saves them and runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from support.processes import SECONDS, running

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "start.md").read_text("utf-8")
PROGRAMS = dict(re.findall(r"`(\w+\.py)`:\n\n```(?:python|py)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
SHOWN = re.findall(r"^```none\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LOG, ADDRESS, VISITORS = SHOWN
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "PYTHONUNBUFFERED": "1"}


def saved(folder: Path, name: str) -> list[str]:
    """The command that runs a program of the page. Its port is free, and its sensor is forty times as fast."""
    code = PROGRAMS[name].replace("127.0.0.1:4001", "127.0.0.1:0").replace("trio.sleep(2)", "trio.sleep(0.05)")
    code = code.replace("observe=", "max_restarts=1000, observe=")
    (folder / name).write_text(code, encoding="utf-8")
    return [sys.executable, str(folder / name)]


def test_the_log_of_the_crash_is_as_the_page_shows(tmp_path: Path) -> None:
    command = saved(tmp_path, "second.py")
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=SECONDS, check=True)
    assert done.stderr.startswith(" ".join(LOG.split()) + "\nTraceback")
    assert 'second.py", line 10, in enter' in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a single process")
def test_the_museum_is_in_the_observer_until_ctrl_c(tmp_path: Path) -> None:
    with running(saved(tmp_path, "museum.py"), env=ENVIRONMENT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = process.stderr.readline()
        assert re.sub(r":\d+/\?token=\S+", ":4001/?token=…", said) == ADDRESS
        assert [process.stdout.readline() for _ in VISITORS.splitlines()] == VISITORS.splitlines(keepends=True)
        address, _, token = said.split()[-1].partition("/?token=")
        asked = Request(f"{address}/api/tree", headers={"Authorization": f"Bearer {token}"})
        with urlopen(asked, timeout=SECONDS) as answer:
            restarts = {node["label"]: node["restarts"] for node in json.load(answer)["nodes"]}
        assert restarts["door"] > restarts["sensor"] == 0
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().endswith("KeyboardInterrupt\n")
