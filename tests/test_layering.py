"""The wings of the package: which may import which, and from where.

The order of the wings and the ban on circles are contracts of import-linter, in `pyproject.toml`. What they cannot say
is asked here, of the source: a wing is used through its ``__init__``, and no import hides in a function.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def keeps_contracts(root: Path) -> tuple[bool, str]:
    """Whether the package in ``root`` keeps the contracts of import-linter, and what import-linter says.

    It runs in its own process, as it changes the logging and the import path.
    """
    lint = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    done = subprocess.run(
        [sys.executable, "-c", lint], cwd=root, capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    return done.returncode == 0, done.stdout + done.stderr


def modules(root: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(root.glob("trioreg/**/*.py")):
        yield path.relative_to(root), ast.parse(path.read_text(encoding="utf-8"))


@cache
def exported(root: Path, wing: str) -> set[str]:
    """The names in ``__all__`` of a wing."""
    tree = ast.parse((root / "trioreg" / wing / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    raise AssertionError(f"{wing} has no __all__")


def taken_from_inside(root: Path) -> list[str]:
    """Imports that go past the ``__init__`` of another wing, or through the ``__init__`` of their own."""
    found: list[str] = []
    for path, tree in modules(root):
        package = path.parts[:-1]
        own = package[1] if len(package) > 1 else None
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                targets = [(alias.name.split("."), [""]) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = list(package[: len(package) - node.level + 1]) if node.level else []
                targets = [([*base, *(node.module or "").split(".")], [alias.name for alias in node.names])]
            else:
                continue
            for target, names in targets:
                target = [part for part in target if part]
                if target[0] != "trioreg":
                    continue
                if len(target) > 1 and target[1] == own:
                    is_right = len(target) > 2
                else:
                    is_right = len(target) == 2 and set(names) <= exported(root, target[1])
                if not is_right:
                    found.append(f"{path}:{node.lineno}: {ast.unparse(node)}")
    return found


def hidden_in_functions(root: Path) -> list[str]:
    """Imports inside a function."""
    found: list[str] = []
    for path, tree in modules(root):
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        for node in imports:
            if any(is_inside(node, function) for function in functions):
                found.append(f"{path}:{node.lineno}: {ast.unparse(node)}")
    return found


def is_inside(node: ast.stmt, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    assert function.end_lineno is not None
    return function.lineno <= node.lineno <= function.end_lineno


def test_a_wing_imports_only_wings_below_it_and_nothing_imports_in_a_circle() -> None:
    is_kept, report = keeps_contracts(ROOT)
    assert is_kept, report


def test_other_wings_import_from_the_init_of_a_wing_only() -> None:
    assert taken_from_inside(ROOT) == []


def test_no_import_is_inside_a_function() -> None:
    assert hidden_in_functions(ROOT) == []


# The same checks on a copy of the package with one import too many.


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "trioreg", tmp_path / "trioreg", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def add(copy: Path, module: str, line: str) -> None:
    path = copy / "trioreg" / module
    path.write_text(path.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")


def test_import_linter_reports_an_import_upwards_a_circle_and_a_new_wing_without_a_place(copy: Path) -> None:
    add(copy, "_tasks/stream.py", "from .._registry import Via")
    add(copy, "_runtime/exit.py", "import typing\nif typing.TYPE_CHECKING:\n    from .errors import ActorExited")
    (copy / "trioreg" / "_attic").mkdir()
    (copy / "trioreg" / "_attic" / "__init__.py").touch()
    is_kept, report = keeps_contracts(copy)
    assert not is_kept
    assert "trioreg._tasks is not allowed to import trioreg._registry" in report
    assert "No cycles are allowed in trioreg._runtime" in report
    assert "trioreg._attic" in report


def test_imports_from_the_inside_of_a_wing_are_seen(copy: Path) -> None:
    lines = [
        "from .._runtime.owner import Owner",
        "from .._runtime import owner",
        "from .. import Exit",
        "from . import Actor",
        "import trioreg._runtime.owner",
    ]
    for line in lines:
        add(copy, "_actors/call.py", line)
    add(copy, "__init__.py", "from ._runtime.owner import Owner")
    found = [found.split(": ")[1] for found in taken_from_inside(copy)]
    assert found == ["from ._runtime.owner import Owner", *lines]


def test_an_import_inside_a_function_is_seen(copy: Path) -> None:
    add(copy, "_actors/call.py", "def late() -> None:\n    from .agent import Agent")
    assert [found.split(": ")[1] for found in hidden_in_functions(copy)] == ["from .agent import Agent"]
