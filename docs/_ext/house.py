"""The house, read from the source code: which wings trioreg has, which files are in them, and what imports what.

It uses `ast` alone: nothing is imported, and nothing is written down by hand. So what the docs show can't go stale. A
package that breaks a rule of the house is a `HouseError`, which fails the docs build: a file in no wing, a circle of
imports, a file without a docstring.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Graph = Mapping[str, set[str]]


ROOF = {"__init__.py", "debug.py", "observer.py", "pytest_plugin.py", "telemetry.py", "testing.py"}
"""The public modules. They are in no wing, and import from all of them."""


class HouseError(Exception):
    """The package breaks a rule of the house; the message says which file, and what to do."""


@dataclass
class Wing:
    """A folder of the package.

    Attributes:
        name: The folder's name.
        doc: The docstring of its ``__init__.py``.
        files: The first sentence of each file's docstring.
        imports: For each file the files of this wing that it imports.
        uses: For each other wing the names that this one takes from it.
    """

    name: str
    doc: str
    files: dict[str, str] = field(default_factory=dict[str, str])
    imports: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    uses: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    @property
    def headline(self) -> str:
        return first_sentence(self.doc)

    @property
    def first(self) -> str | None:
        """The file to read first, as the docstring says."""
        found = re.search(r"Read first: `([\w.]+)`", self.doc)
        return found and found[1]


def first_sentence(doc: str) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(doc.strip().partition("\n\n")[0].split())


def read(package: Path) -> list[Wing]:
    """The wings of a package, the lowest first."""
    if strays := sorted({path.name for path in package.glob("*.py")} - ROOF):
        raise HouseError(f"{package.name}/{strays[0]} is in no wing: move it into one of the folders")
    folders = sorted(path.parent for path in package.glob("*/__init__.py"))
    for path in sorted(package.rglob("*.py")):
        if path.parent != package and path.parent not in folders:
            raise HouseError(f"{path.relative_to(package.parent)} is in no wing: move it into one of the folders")
    wings = {folder.name: Wing(folder.name, _docstring(folder / "__init__.py")) for folder in folders}
    for folder in folders:
        wing = wings[folder.name]
        for path in sorted(folder.glob("*.py")):
            own = path.name != "__init__.py"
            if own:
                wing.files[path.name] = first_sentence(_docstring(path))
                wing.imports[path.name] = set()
            for other, file, name in _imports(path, package, wings):
                if other != wing.name:
                    wing.uses.setdefault(other, set()).add(name)
                elif own and file != path.name and (folder / file).exists():
                    wing.imports[path.name].add(file)
        levels(wing.imports, f"files in {wing.name}")
    floors = levels({wing.name: set(wing.uses) for wing in wings.values()}, "wings")
    return sorted(wings.values(), key=lambda wing: (floors[wing.name], len(wing.files), wing.name))


def _docstring(path: Path) -> str:
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not doc:
        raise HouseError(f"{path} has no docstring: say in its first line what it is for")
    return doc


def _imports(path: Path, package: Path, wings: Mapping[str, Wing]) -> Iterator[tuple[str, str, str]]:
    """Wing, file and name of all that a file imports from the package, for type checkers only or not."""
    here = path.relative_to(package.parent).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            start = list(here[: len(here) - node.level + 1]) if node.level else []
            module = [*start, *(node.module.split(".") if node.module else ())]
            targets = [[*module, alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        else:
            continue
        for target in targets:
            if target[0] == package.name and len(target) > 2 and target[1] in wings:
                yield target[1], f"{target[2]}.py", target[-1]


def levels(graph: Graph, what: str) -> dict[str, int]:
    """How far up each node is: 0 where it uses nothing, else one more than the highest that it uses."""
    found: dict[str, int] = {}

    def level(node: str, way: tuple[str, ...]) -> int:
        if node in way:
            circle = " -> ".join([*way[way.index(node) :], node])
            raise HouseError(f"the imports of the {what} go in a circle: {circle}")
        if node not in found:
            found[node] = 1 + max((level(used, (*way, node)) for used in graph[node]), default=-1)
        return found[node]

    for node in graph:
        level(node, ())
    return found


def without_shortcuts(graph: Graph) -> dict[str, set[str]]:
    """The same graph without each edge that a longer way through other nodes says already."""
    reached: dict[str, set[str]] = {}

    def reach(node: str) -> set[str]:
        if node not in reached:
            reached[node] = {node}.union(*(reach(used) for used in graph[node]))
        return reached[node]

    return {
        node: {used for used in uses if not any(used in reach(other) for other in uses if other != used)}
        for node, uses in graph.items()
    }


def description(wing: Wing) -> str:
    """What a wing is for, in its own words: Markdown."""
    return f"**`{wing.name}`**. {wing.doc.strip()}"


def table(wing: Wing) -> str:
    """What each file of a wing is for, in its own words: Markdown."""
    rows = [f"| `{file}` | {sentence.replace('|', chr(92) + '|')} |" for file, sentence in wing.files.items()]
    return "\n".join(["| file | what it is for |", "|---|---|", *rows])
