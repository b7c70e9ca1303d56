"""The parts of the mutation tests that need no Cosmic Ray: what they say of a mutant is true."""

from __future__ import annotations

import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from mutation import lines
from mutation.choice import Choice
from mutation.lines import Runs
from mutation.mutants import Mutant
from mutation.swap import Functions, swap

posix = pytest.mark.skipif(sys.platform == "win32", reason="mutants are tried in forks")

TEXT = """\
LIMIT = 3

class Counter:
    def __init__(self):
        self.count = 0

    def is_full(self):
        return any(self.count >= LIMIT for _ in "once")
"""


def imported(text: str, path: str) -> ModuleType:
    module = ModuleType("counter")
    exec(compile(text, path, "exec"), module.__dict__)
    return module


def mutant(statement: tuple[int, int], function: tuple[int, int] | None) -> Mutant:
    at = (statement[0], 0)
    return Mutant("trioreg/_pool/desk.py", "AddNot", 0, at, (statement[1], 1), statement, function, "")


def test_a_function_that_is_imported_already_gets_the_code_of_the_mutant(tmp_path: Path) -> None:
    path = str(tmp_path / "counter.py")
    counter = imported(TEXT, path).Counter()
    changes = Functions.now().changes(path, TEXT, TEXT.replace(">=", "<"))
    assert changes is not None
    assert not counter.is_full()
    swap(changes)
    assert counter.is_full()


def test_an_attribute_that_a_mutant_does_not_assign_is_a_change_inside_a_function(tmp_path: Path) -> None:
    path = str(tmp_path / "counter.py")
    module = imported(TEXT, path)
    changes = Functions.now().changes(path, TEXT, TEXT.replace("self.count = 0", "pass"))
    assert changes is not None
    swap(changes)
    assert not hasattr(module.Counter(), "count")


def test_a_change_of_what_a_module_does_at_its_import_needs_a_new_process(tmp_path: Path) -> None:
    path = str(tmp_path / "counter.py")
    module = imported(TEXT, path)
    assert Functions.now().changes(path, TEXT, TEXT.replace("LIMIT = 3", "LIMIT = 4")) is None
    assert module.LIMIT == 3


def test_the_lines_of_a_test_are_kept_and_noted_anew(tmp_path: Path) -> None:
    database = tmp_path / "lines"
    connection = lines.connect(database)
    lines.add(connection, "test_a", 1.0, {"/f.py": [1, 70]})
    lines.add(connection, "test_b", 2.0, {"/f.py": [1]})
    lines.add(connection, "test_b", 3.0, {"/f.py": [1, 2]})
    connection.close()
    runs = lines.read(database)
    assert runs.seconds == {"test_a": 1.0, "test_b": 3.0}
    assert runs.tests_of("/f.py") == runs.tests_of("/f.py", 1, 1) == {"test_a", "test_b"}
    assert runs.tests_of("/f.py", 2, 69) == {"test_b"}
    assert runs.tests_of("/f.py", 3, 70) == {"test_a"}
    assert runs.tests_of("/f.py", 71, 99) == runs.tests_of("/g.py") == set()


def test_the_tests_of_a_file_that_has_changed_are_forgotten_and_no_others(tmp_path: Path) -> None:
    database = tmp_path / "lines"
    with closing(lines.connect(database)) as connection:
        for test in ("tests/test_a.py::test", "tests/test_a.py::test_old", "tests/test_b.py::test"):
            lines.add(connection, test, 1.0, {"/f.py": [1]})
    lines.note_files(database, {"tests/test_a.py": "one", "tests/test_b.py": "two"})
    lines.note_files(database, {"tests/test_a.py": "three"})
    lines.forget(database, {"tests/test_a.py": "three"})
    assert lines.noted_files(database) == {"tests/test_a.py": "three", "tests/test_b.py": "two"}
    runs = lines.read(database)
    assert [*runs.seconds] == ["tests/test_b.py::test"]
    assert runs.tests_of("/f.py") == {"tests/test_b.py::test"}


@posix
@pytest.mark.parametrize("nonsense", ["--wing=pool", "--sample=0", "--sample=-3", "--seconds=0", "--budget=nan"])
def test_a_run_that_would_try_no_mutant_is_refused(nonsense: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        import_module("mutation.run").parsed([nonsense])
    option, _, value = nonsense.partition("=")
    said = capsys.readouterr().err
    assert "nox -s mutation --: error: " in said
    assert f"argument {option}: invalid choice: '{value}'" in said or f"argument {option}: must be a " in said


@posix
def test_two_runs_do_not_work_in_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fcntl = import_module("fcntl")
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert import_module("mutation.run").main(["--folder", str(tmp_path)]) == 2
    assert "Another run is at work" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_the_tests_that_run_the_line_are_chosen_the_quickest_and_those_of_the_wing_first() -> None:
    ten, twelve = 1 << 10, 1 << 12
    lines = {"tests/pool/a": ten, "tests/pool/b": ten | twelve, "tests/registry/c": ten, "tests/pool/d": twelve}
    seconds = {"tests/pool/a": 0.3, "tests/pool/b": 0.2, "tests/registry/c": 0.15, "tests/pool/d": 0.1}
    choice = Choice(Runs(seconds, {"trioreg/_pool/desk.py": lines}))
    one = mutant((10, 10), (9, 12))
    # The last does not run the line, but something of the file.
    in_order = ["tests/pool/b", "tests/pool/a", "tests/registry/c", "tests/pool/d"]
    assert choice.tests_for(one, seconds=9.0) == (in_order, 4)
    assert choice.tests_for(one, seconds=0.3) == (["tests/pool/b"], 4)
    choice.remember(one, "tests/registry/c")
    assert choice.tests_for(one, seconds=9.0)[0] == ["tests/registry/c", *in_order[:2], "tests/pool/d"]


def test_a_line_that_no_test_runs_has_the_tests_of_its_function_or_of_its_file() -> None:
    choice = Choice(Runs({"a": 0.1, "b": 0.2}, {"trioreg/_pool/desk.py": {"a": 1 << 10, "b": 1 << 90}}))
    assert choice.tests_for(mutant((11, 11), (9, 12)), seconds=9.0) == (["a"], 1)
    assert choice.tests_for(mutant((1, 1), None), seconds=9.0) == (["a", "b"], 2)


def test_the_tests_of_the_wing_whose_lines_are_not_known_come_last() -> None:
    seconds = {"tests/pool/a": 0.3, "tests/pool/faults": 0.1, "tests/registry/faults": 0.1}
    choice = Choice(Runs(seconds, {"trioreg/_pool/desk.py": {"tests/pool/a": 1 << 10}}))
    assert choice.tests_for(mutant((10, 10), (9, 12)), seconds=9.0)[0] == ["tests/pool/a", "tests/pool/faults"]
