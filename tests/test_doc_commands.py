"""The commands on the pages: what they name is there, and their options are options of it."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator

import pytest
from attrs import frozen
from packaging.requirements import Requirement
from support.doc_blocks import BLOCKS, ROOT, Block, ran_by

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
NOXFILE = (ROOT / "noxfile.py").read_text("utf-8")

TOOLS = {".", "cd", "kill", "mkdir", "nc", "sleep", "ssh", "tail"}
"""Programs of the system. No test can say more of them."""

RUN_ELSEWHERE = {
    "curl": "tests/examples/test_web_shop.py",  # against the shop, and against its observer
    "hypercorn": "tests/test_foreign_programs.py",
}
"""Programs that a test runs as the page says."""

NEEDED = {
    Requirement(text).name
    for texts in [
        PROJECT["dependencies"],
        *PROJECT["optional-dependencies"].values(),
        *PYPROJECT["dependency-groups"].values(),
    ]
    for text in texts
    if isinstance(text, str)
}
"""What the tests, or a session, install."""


@frozen
class Command:
    page: str
    words: list[str]


def commands_of(block: Block) -> Iterator[Command]:
    for line in block.code.replace("\\\n", " ").splitlines():
        reader = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
        reader.whitespace_split = True
        words: list[str] = []
        for word in [*reader, ";"]:
            if not re.fullmatch(r"[;&|]+", word):
                words.append(word)
            elif words:
                yield Command(block.page, words)
                words = []


COMMANDS = [command for block in ran_by("tests/test_doc_commands.py") for command in commands_of(block)]


def options(words: list[str]) -> set[str]:
    return {word for word in words if word.startswith("-") and word != "--"}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.words))
def test_what_a_command_names_is_there(command: Command) -> None:
    words = [word for word in command.words if not re.fullmatch(r"\w+=\w+", word)]  # variables of the environment
    check(command.page, *words)


def check(page: str, program: str, *arguments: str) -> None:
    match program, *arguments:
        case ["python" | "python3", "-m", "pip", "install", *things]:
            for thing in things:
                check_installed(thing)
        case ["python" | "python3", "-m", "nox", *rest]:
            check(page, "nox", *rest)
        case ["python" | "python3", "-m", module, *rest]:
            assert importlib.util.find_spec(module) is not None
            assert options(rest) == set()
        case ["python", file, *rest]:
            check_script(page, file, rest)
        case ["nox"]:
            assert "nox.options.sessions = " in NOXFILE
        case ["nox", "-s", session, *rest]:
            assert re.search(rf"^@nox\.session.*\n(?:@.+\n)*def {session}\(", NOXFILE, re.MULTILINE)
            check_session(session, rest)
        case [tool, *_]:
            assert tool in TOOLS or f'"{tool}' in (ROOT / RUN_ELSEWHERE[tool]).read_text("utf-8")


def check_installed(thing: str) -> None:
    """A checkout with extras, or a package that the tests or a session install too."""
    if checkout := re.fullmatch(r"\.(?:\./trioreg)?(?:\[(.+)\])?", thing):
        assert checkout[1] is None or checkout[1] in PROJECT["optional-dependencies"]
    else:
        assert Requirement(thing).name in {*NEEDED, "nox"}


def check_script(page: str, file: str, arguments: list[str]) -> None:
    if file == "shop.py":
        assert any(block.page == page and block.start == f"# {file}" for block in BLOCKS)
    elif file.endswith("picture.py"):
        assert "sys.argv[1]" in (ROOT / file).read_text("utf-8")
        assert options(arguments) == set()
    else:
        source = (ROOT / file).read_text("utf-8")
        assert "argparse" in source
        assert {option for option in options(arguments) if f'"{option}"' not in source} == set()


SESSION_SCRIPTS = {"bench": "benchmarks/run.py", "differential": "differential/__main__.py", "soak": "soak/__main__.py"}


def check_session(session: str, arguments: list[str]) -> None:
    if session == "tests" and arguments:
        separator, k, word = arguments
        assert (separator, k) == ("--", "-k")
        assert any(word in file.name for file in (ROOT / "tests").rglob("test_*.py"))
    elif arguments:
        check_script("", f"tests/{SESSION_SCRIPTS[session]}", arguments)
