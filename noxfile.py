"""The sessions for CI and for developers: `nox -l` lists them, plain `nox` runs the sessions of CI."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nox

if sys.version_info < (3, 11):  # noqa: UP036 - nox itself runs on older Pythons
    sys.exit("trioreg needs Python 3.11 or newer: run nox on one")

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "typing", "docs", "foreign", "examples", "tests", "watched", "browser"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
SUPPORTED = ("3.11", "3.12", "3.13")
PARALLEL = ("-n", "auto", "--maxprocesses", "8", "--dist", "worksteal")
"""One pytest process for each core; `nox -s tests -- -n 0` runs the tests in one process."""

MACHINES = "--ignore-glob=tests/*/test_*_machine.py"
"""Leaves out the state machines."""

SWEEPS = ("--ignore-glob=tests/*/test_inside_*.py", MACHINES)
"""Leaves out the faults at each call, Ctrl-C at each line and the state machines: a third of the time of all tests."""

EXAMPLES = ("--ignore=tests/examples", "--ignore=tests/test_foreign_programs.py")
"""Leaves out the examples, and the programs of other libraries: the sessions of these names run them."""

DOCS = ("test_docs.py", "test_doc_commands.py", "test_fragments.py", "test_start_page.py")
AROUND = tuple(
    f"--ignore=tests/{name}" for name in ("observer", "program", "testing", "differential", "mutation", "soak", *DOCS)
)
"""Leaves out what is around the runtime."""


def group(name: str) -> tuple[str, ...]:
    """The requirements of one dependency group of pyproject.toml."""
    return nox.project.dependency_groups(PYPROJECT, name)


def candidates(version: str) -> Iterator[Path]:
    """The places for a Python of that version: on PATH, or in pyenv, the newest patch first."""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        yield Path(folder, f"python{version}.exe" if os.name == "nt" else f"python{version}")
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    patches = [
        (int(match[1]), folder)
        for folder in root.glob(f"versions/{version}.*")
        if (match := re.fullmatch(rf"{re.escape(version)}\.(\d+)", folder.name))
    ]
    for _, folder in sorted(patches, reverse=True):
        yield folder / "bin" / "python"


def answers_to(version: str, python: Path) -> bool:
    """Whether that Python really runs: pyenv has a shim on PATH for versions that are switched off, too."""
    if not python.is_file():
        return False
    ask = [str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.strip() == version


def find_pythons() -> dict[str, str]:
    """The interpreters to test with, by version. nox's own is one of them, even if it is newer."""
    found: dict[str, str] = {}
    own = "{}.{}".format(*sys.version_info[:2])
    for version in SUPPORTED:
        if version == own:
            found[version] = sys.executable
        elif python := next((p for p in candidates(version) if answers_to(version, p)), None):
            found[version] = str(python)
    found.setdefault(own, sys.executable)
    return found


PYTHONS = find_pythons()
NEWEST = max(PYTHONS, key=lambda version: [*map(int, version.split("."))])
MISSING = [version for version in SUPPORTED if version not in PYTHONS]


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: the rules and the format."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def typing(session: nox.Session) -> None:
    """mypy and pyright, both strict, and pyright's count of the public names whose types are known: all of them.

    In tests/typing, an expected error that does not come is a failure.
    """
    session.install("-e", ".", *group("typing"))
    session.run("mypy", "--strict", "--warn-unused-ignores")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "trioreg", "--ignoreexternal")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the docs into docs/_build/html. A warning or a broken reference is an error."""
    session.install("-e", ".", *group("docs"))
    strict = ("-W", "--keep-going", "-n")
    session.run("sphinx-build", *strict, "-E", "-b", "html", "docs", "docs/_build/html")


@nox.session(python=PYTHONS[NEWEST])
def foreign(session: nox.Session) -> None:
    """Run the programs of other libraries in the docs: Pykka, Quart-Trio, and on Python 3.13 TriOTP."""
    session.install("-e", ".", *group("foreign"))
    has_triotp = NEWEST not in ("3.11", "3.12")
    libraries = ["pykka", "quart_trio", *["triotp"] * has_triotp]
    env = {"TRIOREG_FOREIGN": " ".join(libraries)}
    session.run("pytest", "tests/test_foreign_programs.py", *session.posargs, env=env)


@nox.session
def examples(session: nox.Session) -> None:
    """Test every example on the built package, as a user installs it."""
    session.install(".", *group("test"))
    session.run("pytest", "tests/examples", *PARALLEL, "--durations=5", *session.posargs)


@nox.session
@nox.parametrize("python", [nox.param(path, id=version) for version, path in PYTHONS.items()])
def tests(session: nox.Session) -> None:
    """Run the tests on every supported Python of this machine; `nox -s "tests(3.12)" -- tests` runs all of them.

    Without arguments, what costs minutes does not run on each Python.
    """
    if MISSING:
        session.warn(f"not tested on {', '.join(MISSING)}: no such Python found on this machine")
    session.install("-e", ".", *group("test"))
    session.run("pytest", *PARALLEL, "--durations=10", *(session.posargs or left_out(str(session.python))))


def left_out(python: str) -> tuple[str, ...]:
    """What does not run on this Python, if there are several: another one runs it, and it costs minutes."""
    oldest, newest = PYTHONS[min(PYTHONS)], PYTHONS[max(PYTHONS)]
    if oldest == newest:
        return ()
    if python == oldest:
        return MACHINES, *EXAMPLES
    return EXAMPLES if python == newest else (*SWEEPS, *EXAMPLES, *AROUND)


@nox.session
def watched(session: nox.Session) -> None:
    """Run tests while an instrument checks what it is told; without arguments, the state machines."""
    session.install("-e", ".", *group("test"))
    env = {"TRIOREG_WATCHED": "1"}
    session.run("pytest", *PARALLEL, *(session.posargs or ("-k", "machine")), env=env)


@nox.session
def browser(session: nox.Session) -> None:
    """Test the pages of the observer and of Go in Chromium; `-- --screenshots` makes the pictures of the docs anew."""
    session.install("-e", ".", *group("browser"))
    session.run("pytest", "tests/browser", *PARALLEL, "--durations=5", *session.posargs)


@nox.session
def oldest(session: nox.Session) -> None:
    """Run the tests on the oldest run-time dependencies that pyproject.toml allows."""
    pins = [bound.replace(">=", "==") for bound in PYPROJECT["project"]["dependencies"]]
    session.install("-e", ".", *pins, *group("test"))
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build the sdist and the wheel, install each in a new environment, and use it there as a user would."""
    session.install(*group("package"))
    session.run("python", "tests/package/use_it.py")


@nox.session
def soak(session: nox.Session) -> None:
    """Run the long proofs: `-- [PART ...] [--seed N] [--seconds S | --rounds N]`; some 20 minutes by default."""
    session.install("-e", ".", *group("test"))
    session.chdir("tests")
    session.run("python", "-m", "soak", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests under coverage, with all processes that they start. Each line and branch must be run."""
    session.install("-e", ".", *group("coverage"))
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *PARALLEL, *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(python=PYTHONS[NEWEST])
def mutation(session: nox.Session) -> None:
    """Make the runtime wrong in one place after the other: a test has to fail. `-- --sample 300 --seed 1`"""
    session.install("-e", ".", *group("mutation"))
    session.run("python", "tests/mutation/run.py", *session.posargs)


@nox.session
def differential(session: nox.Session) -> None:
    """Run random operations on trioreg and on Elixir: `nox -s differential -- --operations 5000000 --seed 7`."""
    session.install("-e", ".", *group("test"))
    session.run("python", "-m", "differential", *session.posargs, env={"PYTHONPATH": "tests"})


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks: `nox -s bench -- ARGUMENTS`."""
    session.install(".", *group("bench"))
    session.run("python", "tests/benchmarks/run.py", *session.posargs)
