"""The supervision tree as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .._runtime import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .child import Child
    from .engine import Engine


class Node(NamedTuple):
    """One line of the tree: a supervisor or a worker.

    Attributes:
        text: The line itself.
        children: The nodes below it.
    """

    text: str
    children: tuple[Node, ...] = ()


def node_of(engine: Engine) -> Node:
    """The node of a supervisor, with all that is below it."""
    return Node(engine.label, tuple(_child_node(child) for child in list(engine.children.values())))


def _child_node(child: Child) -> Node:
    ref = child.ref
    parts = [child.title, repr(ref) if ref is not None else f"({child.state})"]
    if ref is not None and parts[0] == child.spec.kind.label:
        del parts[0]  # the reference shows that too
    if child.restarts:
        parts.append(f"restarted {counted(child.restarts, 'time')}")
    inner: Engine | None = getattr(child.cell.actor, "_engine", None) if child.cell is not None else None
    return Node("  ".join(parts), () if inner is None else node_of(inner).children)


def format_tree(node: Node) -> str:
    """The tree as indented lines."""
    return "\n".join(_lines(node, "", ""))


def _lines(node: Node, first: str, rest: str) -> Iterator[str]:
    yield first + node.text
    for number, child in enumerate(node.children, 1):
        is_last = number == len(node.children)
        yield from _lines(child, rest + ("└── " if is_last else "├── "), rest + ("    " if is_last else "│   "))
