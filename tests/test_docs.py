"""The README's program runs as pasted and prints what the README says, and so does every example in the docs."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import FunctionType

import pytest
import trio
from attrs import frozen
from support.doc_blocks import BLOCKS, ran_by
from support.inside import number_actors_from_one
from support.processes import running
from trio.testing import MockClock

import trioreg
from trioreg import debug, testing

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
COMPARED = ROOT / "examples" / "nursery_and_dict.py"
GUIDES = {
    "actors",
    "logs",
    "on-demand",
    "pubsub",
    "pool",
    "registry",
    "seeing",
    "start",
    "supervision",
    "tasks",
}
"""Pages that live by their examples, as those of `how-to` do."""

RUN = trio.run


def fenced(language: str) -> list[str]:
    return [block.code for block in ran_by("tests/test_docs.py, README") if block.tag == language]


SAVED = re.compile(r"Save (?:this|it) as `\w+\.py`:\Z")
"""Before a block that is a program of its own. A block without it goes on where the one before it has ended."""


@frozen
class Example:
    """A ``python`` block of a page, and its output: the ``text`` block after it."""

    line: int
    code: str
    output: str
    is_program: bool


def examples(page: Path) -> Iterator[Example]:
    name = page.relative_to(ROOT).as_posix()
    blocks = [block for block in ran_by("tests/test_docs.py, pages") if block.page == name]
    for block, after in pairwise([*blocks, None]):
        if block is not None and block.tag == "python":
            output = after.code if after is not None and after.tag == "text" else ""
            yield Example(block.line, block.code, output, SAVED.search(block.before) is not None)


WIDTH = 88
"""How many columns of a code block a page shows without a scroll bar."""


def too_wide(page: Path) -> Iterator[str]:
    """The lines of code blocks that a page would cut. A block of a directive is no code."""
    inside = ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r" *(```+)(.*)$", line)
        if fence is None:
            if inside and not inside.startswith("{") and len(line) > WIDTH:
                yield f"{page.name}:{number}: {len(line)} columns"
        else:
            inside = "" if inside else fence[2] or "text"


def test_code_blocks_fit_on_a_page() -> None:
    assert [line for page in [README, *PAGES] for line in too_wide(page)] == []


def run_in_virtual_time(main: Callable[..., Awaitable[object]], *args: object, **options: object) -> object:
    return RUN(main, *args, clock=MockClock(autojump_threshold=0))


def test_the_readme_program_prints_what_the_readme_says(tmp_path: Path) -> None:
    (program,), (output,) = fenced("python"), fenced("text")
    script = tmp_path / "program.py"
    script.write_text(program, encoding="utf-8")
    command = [sys.executable, "-X", "utf8", str(script)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (output, "", 0)


def test_the_readme_names_two_commands() -> None:
    assert len([block for block in BLOCKS if (block.page, block.tag) == ("README.md", "sh")]) == 2


def test_the_readme_shows_six_lines_that_go_wrong_and_three_that_do_not() -> None:
    wrong, right = fenced("py")
    assert (wrong.count("\n"), right.count("\n")) == (6, 3)
    assert all(f"\n\n{code}\n\n" in COMPARED.read_text(encoding="utf-8") for code in (wrong, right))


def test_the_readme_shows_what_the_six_lines_and_the_three_lines_do() -> None:
    wrong, right = fenced("none")
    printed = (ROOT / "examples" / "expected" / "nursery_and_dict.txt").read_text(encoding="utf-8")
    assert printed == f"With a dict\n{wrong}With a registry\n{right}"


LINK = re.compile(r"(?:\]\(|^\[\w+\]: )(?!https?:)([^)#\s]+)", re.MULTILINE)


@pytest.mark.parametrize("link", LINK.findall(README.read_text(encoding="utf-8")))
def test_what_the_readme_links_to_exists(link: str) -> None:
    assert (ROOT / link).exists()


@pytest.mark.parametrize("folder", ["how-to", "applications", "coming-from"])
def test_the_front_page_leads_to_each_page_that_is_short(folder: str) -> None:
    front = (DOCS / "index.md").read_text(encoding="utf-8")
    assert set(re.findall(rf"\({folder}/([\w-]+\.md)\)", front)) == {page.name for page in (DOCS / folder).iterdir()}


@pytest.fixture
def own_logging() -> Iterator[None]:
    """What an example sets up for its log ends with its page: handlers, filters, levels."""
    loggers = [logging.getLogger(name) for name in ("trioreg", "shop", "bank")]
    before = [(logger, logger.level, logger.handlers, logger.filters) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.filters = list(logger.handlers), list(logger.filters)
    yield
    logging.disable(logging.NOTSET)
    for logger, level, handlers, filters in before:
        logger.handlers, logger.filters = handlers, filters
        logger.setLevel(level)


@pytest.mark.parametrize("page", [pytest.param(page, id=page.relative_to(DOCS).as_posix()) for page in PAGES])
def test_the_examples_of_a_page_run_in_order_and_print_its_output(
    page: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, own_logging: None
) -> None:
    # The sleeps of an example take no time, and actors are numbered as where a reader runs the page as a script.
    monkeypatch.setattr(trio, "run", run_in_virtual_time)
    number_actors_from_one(monkeypatch)
    # One namespace for a page, named as in a script: what an example prints is what a reader would see.
    namespace: dict[str, object] = {"__name__": "__main__"}
    blocks = list(examples(page))
    assert blocks or (page.stem not in GUIDES and page.parent.name != "how-to")
    for block in blocks:
        if block.is_program:
            number_actors_from_one(monkeypatch)
            namespace = {"__name__": "__main__"}
        # The empty lines before the code make a traceback name the line of the page.
        exec(compile("\n" * block.line + block.code, str(page), "exec"), namespace)
        assert capsys.readouterr().out == block.output, f"{page.name}, line {block.line + 1}"


MARKS = re.compile(r"^[ ~^]+\n", re.MULTILINE)
"""The marks below a line of a traceback. They differ from one version of Python to the next."""


def words(text: str) -> str:
    """The text without the marks, and as one line: a page breaks the longest lines."""
    return " ".join(MARKS.sub("", text).split())


SAVED_PROGRAMS = ran_by("tests/test_docs.py, programs in which something is wrong")

CASES = {
    program.start.removeprefix("# "): (
        program.code,
        [
            output.code
            for output in SAVED_PROGRAMS
            if output.tag == "none" and (output.page, output.section) == (program.page, program.section)
        ],
    )
    for program in SAVED_PROGRAMS
    if program.tag == "py"
}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGUSR1")
@pytest.mark.parametrize("name", CASES)
def test_a_program_in_which_something_is_wrong_prints_what_the_page_shows(name: str, tmp_path: Path) -> None:
    program, outputs = CASES[name]
    (tmp_path / name).write_text(program, encoding="utf-8")
    command = [sys.executable, "-X", "utf8", str(ROOT / "tests" / "support" / "as_a_reader.py"), name, "42"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with running(command, cwd=tmp_path, env=environment, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        lines = list(iter(process.stdout.readline, "READY\n"))
        process.send_signal(signal.SIGUSR1)
        process.send_signal(signal.SIGTERM)
        printed = "".join(lines) + process.stdout.read()
    printed = printed.replace(f"process {process.pid}", "process 1720")
    assert outputs
    for output in outputs:
        assert words(output) in words(printed)


PROMISES = (ROOT / "docs" / "promises.md").read_text("utf-8")


def test_each_promise_names_a_test_or_figures() -> None:
    _, *promises = PROMISES.split("\n## ")
    assert len(promises) == 10
    for promise in promises:
        assert "`test_" in promise or "figures" in promise, promise


def test_each_promise_has_a_file_of_tests_which_the_page_names_in_its_place() -> None:
    _, *promises = PROMISES.split("\n## ")
    files = {file.name for file in (ROOT / "tests" / "promises").glob("test_*.py")}
    named = [re.findall(r"^Its tests are in `tests/promises/(test_\w+\.py)`\.$", text, re.M) for text in promises]
    for number, found in enumerate(named, 1):
        assert [file.startswith(f"test_{number}_") for file in found] == [True]
    assert {file for found in named for file in found} == files


@pytest.mark.parametrize(("name", "file"), re.findall(r"`(test_\w+)`\s+in\s+`([\w/.]+)`", PROMISES))
def test_each_test_that_a_promise_names_exists(name: str, file: str) -> None:
    assert f"def {name}(" in (ROOT / file).read_text("utf-8")


SESSIONS = set(
    re.findall(r"^@nox\.session.*\n(?:@.+\n)*def (\w+)", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE)
)


def test_each_session_is_in_the_table_for_contributors() -> None:
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE)
    assert set(table) == SESSIONS


def test_the_page_on_how_trioreg_is_tested_has_each_session_that_proves_something() -> None:
    page = (ROOT / "docs" / "how-trioreg-is-tested.md").read_text("utf-8")
    assert set(re.findall(r"`nox -s (\w+)", page)) == SESSIONS - {"lint"}


KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
"""The sections of a version, in the order of keepachangelog.com."""


def test_the_changelog_has_its_versions_and_their_sections_in_order() -> None:
    _, *versions = (ROOT / "CHANGELOG.md").read_text("utf-8").split("\n## ")
    titles, bodies = zip(*(version.split("\n", 1) for version in versions), strict=True)
    assert titles[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", title) for title in titles[1:])
    for body in bodies:
        kinds = re.findall(r"^### (.+)$", body, re.MULTILINE)
        assert kinds == [kind for kind in KINDS if kind in kinds]


REFERENCE = "\n".join(page.read_text("utf-8") for page in sorted((DOCS / "reference").glob("*.md")))


@pytest.mark.parametrize("name", trioreg.__all__)
def test_the_reference_page_has_each_public_name_and_its_methods(name: str) -> None:
    entry = re.search(rf"^\.\. \S+:: (?:trioreg\.)?{name}\n(?: +:members: (.+))?", REFERENCE, re.MULTILINE)
    assert entry is not None
    public = getattr(trioreg, name)
    listed = set((entry[1] or "").split(", ")) - {""}
    assert all(hasattr(public, member) for member in listed)
    if isinstance(public, type):
        # What a class has from another public class is shown there.
        parents = [base for base in public.__mro__[1:] if base.__name__ in trioreg.__all__]
        own = {
            member
            for base in public.__mro__
            if base.__module__.startswith("trioreg")
            for member, value in vars(base).items()
            if isinstance(value, FunctionType | property) and not member.startswith("_") and member != "derive"
        }
        assert {member for member in own if not any(hasattr(parent, member) for parent in parents)} <= listed


@pytest.mark.parametrize("name", debug.__all__)
def test_the_reference_page_has_each_name_of_the_module_for_debugging(name: str) -> None:
    assert re.search(rf"^\.\. \S+:: trioreg\.debug\.{name}$", REFERENCE, re.MULTILINE) is not None


@pytest.mark.parametrize("name", testing.__all__)
def test_the_reference_page_has_each_name_of_the_module_for_tests(name: str) -> None:
    module = getattr(testing, name).__module__  # some are of another public module
    assert re.search(rf"^\.\. \S+:: {re.escape(module)}\.{name}(\(\))?$", REFERENCE, re.MULTILINE) is not None
