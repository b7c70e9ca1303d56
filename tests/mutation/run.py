"""Mutation tests: change the runtime in one place, run the tests that run that place, and see whether one fails.

    python tests/mutation/run.py --sample 500 --seed 1     # 500 mutants of all wings
    python tests/mutation/run.py --wing _pool              # each mutant of a wing
    python tests/mutation/run.py --again                   # the survivors once more, after a new test
    python tests/mutation/run.py --report                  # what is known, without running anything

The work is done on a copy in the folder `.mutation/`. What has been tried is kept there: a second run goes on where the
first one ended, and a file that has changed is tried anew. The first run notes which test runs which line, which takes
as long as all tests do in one process. A later run notes the tests in files that are new or have changed. If a file of
the runtime has changed since, it says so; `--lines` notes everything again.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".mutation"
TESTED = (
    "runtime",
    "tasks",
    "registry",
    "actors",
    "pool",
    "supervision",
    "pubsub",
    "program",
    "observer",
    "testing",
    "promises",
)
"""The folders of tests that are run against mutants, and the tests beside them. The docs and examples are not."""

LEFT_OUT = (
    "test_docs.py",
    "test_doc_commands.py",
    "test_every_example.py",
    "test_foreign_programs.py",
    "test_house_picture.py",
    "test_layering.py",
)
FOLLOWERS = re.compile(r"support\.(faults|interrupts)")
"""Test files that use these helpers follow each call, or each line, of what they test."""

HAS_RUN = (0, 1, 5)
"""How pytest ends if it has run the tests that there are. Some may have failed: they are asked nothing."""

COPIED = (
    "trioreg",
    "tests",
    "examples",
    "docs",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
)


def main(arguments: Sequence[str]) -> int:
    options = parsed(arguments)
    work: Path = options.folder.resolve()
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another run is at work in {work}. Give this one another --folder.", file=sys.stderr)
            return 2
        return run(work, options)


def run(work: Path, options: argparse.Namespace) -> int:
    """Do what the options ask for, in a folder that no other run uses."""
    copy = work / "copy"
    make_copy(copy)
    # From here on, `mutation` and `trioreg` are those of the copy, here and in all processes that tests start.
    sys.path[:0] = [str(copy), str(copy / "tests")]
    lines = (options.database_of_lines or work / "lines.sqlite").resolve()
    if options.database_of_lines is None and not options.report:
        if options.lines:
            lines.unlink(missing_ok=True)
        note_lines(copy, lines)
    run_session: Callable[..., int] = import_module("mutation.session").run_session
    return run_session(copy, work, lines, options, random.Random(options.seed))


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s mutation --", description="Mutation tests of trioreg.")
    parser.add_argument(
        "--wing", action="append", choices=wings(), metavar="WING", help="only mutants of it: _pool; may be given again"
    )
    parser.add_argument("--sample", type=positive, help="how many mutants to try, chosen at random; without it, all")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the choice; default 0")
    parser.add_argument("--seconds", type=seconds, help="stop after this many seconds; the next run goes on")
    parser.add_argument("--budget", type=seconds, default=40.0, help="seconds of tests for one mutant; default 40")
    parser.add_argument(
        "--glance", action="store_true", help="do not try a survivor in a new process: a run with --again will"
    )
    parser.add_argument("--folder", type=Path, default=WORK, help="the folder to work in; default .mutation")
    parser.add_argument("--again", action="store_true", help="try the survivors again")
    parser.add_argument("--report", action="store_true", help="only print what is known")
    parser.add_argument("--lines", action="store_true", help="note again which test runs which line")
    parser.add_argument("--database-of-lines", type=Path, help="take these notes instead of .mutation/lines.sqlite")
    return parser.parse_args(arguments)


def wings() -> list[str]:
    """The wings of the runtime, and the modules of its roof."""
    return sorted(path.name for path in (ROOT / "trioreg").iterdir() if path.suffix == ".py" or path.name[:2] != "__")


# The same as in tests/support/command_line.py, which can't be imported here: `support` has to come from the copy.


def positive(text: str) -> int:
    with suppress(ValueError):
        if (number := int(text)) >= 1:
            return number
    raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")


def seconds(text: str) -> float:
    with suppress(ValueError):
        if (number := float(text)) > 0:
            return number
    raise argparse.ArgumentTypeError(f"must be a number of more than 0, not {text!r}")


def make_copy(copy: Path) -> None:
    """The project as it is now, in a folder of its own."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("*.pyc", ".*", "_build"))
        else:
            shutil.copy2(source, copy / name)


def note_lines(copy: Path, database: Path) -> None:
    """Run the tests that are not noted yet, folder by folder, and note which lines each runs."""
    notes: Any = import_module("mutation.lines")
    noted = notes.noted_files(database)
    sources = digests(copy, (copy / "trioreg").rglob("*.py"))
    if not noted:
        notes.note_files(database, sources)
    elif moved := sorted(file for file, digest in sources.items() if noted.get(file) != digest):
        print(f"Changed since it was noted which test runs which line: {', '.join(moved)}. --lines notes it again.")
    program = (
        "import sys; from pathlib import Path; import pytest; from mutation.lines import Lines; "
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-p', 'no:xdist', *sys.argv[3:]], "
        "plugins=[Lines(Path(sys.argv[1]), Path.cwd(), is_blind=sys.argv[2] == 'blind')]))"
    )
    env = {**os.environ, "PYTHONPATH": f"{copy}:{copy / 'tests'}"}
    folders = [*(copy / "tests" / folder for folder in TESTED)]
    for place in (*folders, copy / "tests"):
        found = place.rglob("test_*.py") if place in folders else place.glob("test_*.py")
        files = [file for file in sorted(found) if file.name not in LEFT_OUT]
        follow = [file for file in files if FOLLOWERS.search(file.read_text())]
        for how, tests in (("seeing", [file for file in files if file not in follow]), ("blind", follow)):
            new = {name: digest for name, digest in digests(copy, tests).items() if noted.get(name) != digest}
            if new:
                notes.forget(database, new)
                command = [sys.executable, "-c", program, str(database), how, *new]
                if subprocess.run(command, cwd=copy, env=env, check=False).returncode in HAS_RUN:
                    notes.note_files(database, new)


def digests(root: Path, files: Iterable[Path]) -> dict[str, str]:
    """Of each file what is in it, in short, by its path below a folder."""
    return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
