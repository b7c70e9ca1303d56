"""The tests on the pages about testing run as the pages say, and fail with the texts that they show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial"
PAGES = ("testing.md", "how-to/testing.md", "tutorial/9-tested.md")
PAGE = "".join((ROOT / "docs" / page).read_text("utf-8") for page in PAGES)
BLOCK = re.compile(r"^```(py|python|none)\n(?:# (\w+\.py)\n)?(.*?)^```$", re.MULTILINE | re.DOTALL)
FAILS = {"test_crash.py", "test_stop.py", "test_leak.py", "test_each_evening.py", "test_again.py"}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    for _, name, code in BLOCK.findall(PAGE):
        if name:
            (folder / name).write_text(f"# {name}\n{code}", encoding="utf-8")
    (auction,) = re.findall(r"^```python\n(.*?)^```$", (TUTORIAL / "7-a-program.md").read_text("utf-8"), re.M | re.S)
    (folder / "auction.py").write_text(auction, encoding="utf-8")
    is_installed = bool(entry_points(group="pytest11", name="trioreg"))
    plugin = [] if is_installed else ["-p", "trioreg.pytest_plugin"]
    options = ["-rA", "--color=no", "-p", "no:cacheprovider", "-o", "trio_mode=true", "-W", "error", *plugin]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), *sys.path])}
    command = [sys.executable, "-m", "pytest", *options]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    return done.stdout + done.stderr


def without_numbers(text: str) -> str:
    """As one line, as the page breaks the longest lines, and without what differs.

    Actors have other numbers if several files run in one process. The marks differ between versions of Python, and the
    ``E`` of pytest stands at each of its own lines.
    """
    text = re.sub(r"^[ ^~]+\n", "", re.sub(r"#\d+", "#", text), flags=re.MULTILINE)
    return " ".join(re.sub(r"^E ", "", text, flags=re.MULTILINE).split())


def test_each_test_of_the_page_has_the_outcome_that_the_page_says(output: str) -> None:
    outcomes = dict(
        re.findall(r"^(?:\w+) (test_\w+\.py)::", output, re.MULTILINE)
        and [(name, outcome) for outcome, name in re.findall(r"^(\w+) (test_\w+\.py)::", output, re.MULTILINE)]
    )
    files = {name for tag, name, _ in BLOCK.findall(PAGE) if tag == "py" and name.startswith("test_")}
    assert outcomes == {name: "FAILED" if name in FAILS else "PASSED" for name in files}, output


def test_as_many_tests_of_the_auction_house_pass_as_the_tutorial_says(output: str) -> None:
    assert f"```text\n{output.count('PASSED test_auction.py::')} passed\n```" in PAGE


@pytest.mark.parametrize("shown", [text for tag, _, text in BLOCK.findall(PAGE) if tag == "none"])
def test_a_failure_is_shown_as_on_the_page(output: str, shown: str) -> None:
    assert without_numbers(shown) in without_numbers(output)
