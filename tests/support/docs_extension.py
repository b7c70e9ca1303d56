"""The modules that draw for the docs. They are not on the path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

EXTENSION = Path(__file__).parents[2] / "docs" / "_ext"


def load(name: str) -> ModuleType:
    """A module of the docs' extension, after those that it imports."""
    spec = importlib.util.spec_from_file_location(name, EXTENSION / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and the other modules look for it there
    spec.loader.exec_module(module)
    return module
