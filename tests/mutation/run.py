"""Mutation tests: change the runtime in one place, run the tests that run that place, and see whether one fails.

    python tests/mutation/run.py --sample 500 --seed 1     # 500 mutants of all wings
    python tests/mutation/run.py --wing _pool              # each mutant of a wing
    python tests/mutation/run.py --again                   # the survivors once more, after a new test
    python tests/mutation/run.py --report                  # what is known, without running anything

The work is done on a copy in the folder `.mutation/`. What has been tried is kept there: a second run goes on where the
first one ended, and a file that has changed is tried anew. The first run notes which test runs which line, which takes
as long as all tests do in one process; `--lines` notes it again.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".mutation"
TESTED = ("runtime", "tasks", "registry", "actors", "pool", "supervision", "pubsub", "program", "observer", "promises")
"""The folders of tests that are run against mutants, and the tests beside them. The docs and examples are not."""

LEFT_OUT = ("test_docs.py", "test_examples.py", "test_layering.py", "test_house_picture.py")
COPIED = ("trioreg", "tests", "examples", "docs", "pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")


def main(arguments: Sequence[str]) -> int:
    options = parsed(arguments)
    WORK.mkdir(exist_ok=True)
    copy = WORK / "copy"
    make_copy(copy)
    lines = options.database_of_lines or WORK / "lines.sqlite"
    if options.lines or not lines.exists():
        note_lines(copy, lines)
    # From here on, `mutation` and `trioreg` are those of the copy, here and in all processes that tests start.
    sys.path[:0] = [str(copy), str(copy / "tests")]
    run_session: Callable[..., int] = import_module("mutation.session").run_session
    return run_session(copy, WORK, lines, options, random.Random(options.seed))


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Mutation tests of trioreg.")
    parser.add_argument("--wing", action="append", help="only mutants of that wing: _pool; may be given again")
    parser.add_argument("--sample", type=int, help="so many mutants, chosen at random; without it, all")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the choice; default 0")
    parser.add_argument("--seconds", type=float, help="stop after so many seconds; the next run goes on")
    parser.add_argument("--budget", type=float, default=40.0, help="seconds of tests for one mutant; default 40")
    parser.add_argument("--again", action="store_true", help="try the survivors again")
    parser.add_argument("--report", action="store_true", help="only print what is known")
    parser.add_argument("--lines", action="store_true", help="note again which test runs which line")
    parser.add_argument("--database-of-lines", type=Path, help="take these notes instead of .mutation/lines.sqlite")
    return parser.parse_args(arguments)


def make_copy(copy: Path) -> None:
    """The project as it is now, in a folder where a mutant disturbs nobody."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("*.pyc", ".*", "_build"))
        else:
            shutil.copy2(source, copy / name)


def note_lines(copy: Path, database: Path) -> None:
    """Run all tests once, folder by folder, and note which lines each runs."""
    database.unlink(missing_ok=True)
    program = (
        "import sys; from pathlib import Path; import pytest; from mutation.lines import Lines; "
        "pytest.main(['-q', '-p', 'no:cacheprovider', '-p', 'no:xdist', *sys.argv[2:]], "
        "plugins=[Lines(Path(sys.argv[1]), Path.cwd())])"
    )
    env = {"PYTHONPATH": f"{copy}:{copy / 'tests'}"}
    for tests in ([f"tests/{folder}"] for folder in TESTED if (copy / "tests" / folder).exists()):
        subprocess.run([sys.executable, "-c", program, str(database), *tests], cwd=copy, env=env, check=False)
    beside = [f"tests/{path.name}" for path in (copy / "tests").glob("test_*.py") if path.name not in LEFT_OUT]
    subprocess.run([sys.executable, "-c", program, str(database), *sorted(beside)], cwd=copy, env=env, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
