"""The tests on the pages about testing run as the pages say, and fail with the texts that they show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from importlib.metadata import entry_points

import pytest
from support.doc_blocks import BLOCKS as all_blocks
from support.doc_blocks import IS_SAVED, ROOT, TESTING, Block, ran_by

BLOCKS = ran_by("tests/testing/test_testing_page.py")
SAVED = {
    block.start.removeprefix("# "): block.code
    for block in all_blocks
    if block.page in TESTING and IS_SAVED.fullmatch(block.start)
}
[AUCTION] = [
    block.code for block in all_blocks if (block.page, block.tag) == ("docs/tutorial/7-a-program.md", "python")
]
[INI] = [block.code for block in BLOCKS if block.tag == "ini"]
[TOML] = [block.code for block in BLOCKS if block.tag == "toml"]
FAILS = {"test_crash.py", "test_stop.py", "test_leak.py", "test_each_evening.py", "test_again.py"}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    for name, code in {**SAVED, "auction.py": AUCTION, "pytest.ini": INI}.items():
        (folder / name).write_text(code, encoding="utf-8")
    is_installed = bool(entry_points(group="pytest11", name="trioreg"))
    plugin = [] if is_installed else ["-p", "trioreg.pytest_plugin"]
    options = ["-rA", "--color=no", "-p", "no:cacheprovider", "-W", "error", *plugin]
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
    files = {name for name in SAVED if name.startswith("test_")}
    assert outcomes == {name: "FAILED" if name in FAILS else "PASSED" for name in files}, output


def test_as_many_tests_of_the_auction_house_pass_as_the_tutorial_says(output: str) -> None:
    [passed] = [block.code for block in BLOCKS if block.tag == "text"]
    assert f"{output.count('PASSED test_auction.py::')} passed\n" == passed


def test_pytest_has_the_same_setting_in_both_of_its_files() -> None:
    ini = ConfigParser()
    ini.read_string(INI)
    assert tomllib.loads(TOML) == {"tool": {"pytest": {"ini_options": {"trio_mode": True}}}}
    assert {name: dict(ini[name]) for name in ini.sections()} == {"pytest": {"trio_mode": "true"}}


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.tag == "py"], ids=lambda block: block.place)
def test_each_program_of_the_pages_is_saved_as_a_file(block: Block) -> None:
    assert block.code in SAVED.values()


@pytest.mark.parametrize("shown", [block.code for block in BLOCKS if block.tag == "none"])
def test_a_failure_is_shown_as_on_the_page(output: str, shown: str) -> None:
    assert without_numbers(shown) in without_numbers(output)
