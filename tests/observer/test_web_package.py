"""What is installed: the extra is needed by `trioreg.observer` only, and the wheel has the templates and the files."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.imports import run_program, without

ROOT = Path(__file__).parents[2]
EXTRA = ("starlette", "jinja2", "hypercorn", "rich")


def test_trioreg_imports_nothing_of_the_observer() -> None:
    program = (
        "import sys, trioreg, trioreg.debug\n"
        f"print([name for name in sys.modules if name.partition('.')[0] in {EXTRA} or '_observer' in name])"
    )
    assert run_program(program) == "[]\n"


@pytest.mark.parametrize("missing", EXTRA)
def test_without_the_extra_trioreg_works_and_the_observer_says_what_to_install(missing: str) -> None:
    program = """
import trioreg
for use in (lambda: __import__("trioreg.observer"), lambda: trioreg.run([], observe="127.0.0.1:0")):
    try:
        use()
    except ImportError as error:
        print(error)
trioreg.run([])
"""
    says = f'trioreg.observer needs {missing}: pip install "trioreg[observer]"\n'
    assert run_program(without(missing) + program) == says * 2


def test_a_package_of_the_extra_that_cannot_be_imported_says_itself_why(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("from trioreg.observer import Observer")  # a program of the user's
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
try:
    import trioreg.observer
except ImportError as error:
    print(error)
"""
    printed = run_program(program)
    assert "Observer" in printed
    assert "pip install" not in printed


def shipped(folder: Path) -> set[str]:
    """The files beside the Python files."""
    return {
        str(path.relative_to(folder.parent))
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling is not installed")
def test_the_wheel_has_each_template_and_each_file(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, timeout=120, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "trioreg"
    files = shipped(package)
    assert any(name.endswith(".html") for name in files)
    assert any(name.endswith(".css") for name in files)
    assert files <= names
    assert {str(path.relative_to(ROOT)) for path in package.rglob("*.py")} <= names
