"""The supervision tree as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._runtime import counted
from .engine import engine_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .child import Child
    from .engine import Engine


def format_tree(engine: Engine) -> str:
    """A supervisor with all that is below it, as indented lines. A deep tree does not use up the stack."""
    lines = [engine.label]
    # The levels from the top down to where we are: what each line of a level begins with, and the children to come.
    levels = [("", _with_last(engine))]
    while levels:
        indent, children = levels[-1]
        child, is_last = next(children, (None, False))
        if child is None:
            levels.pop()
            continue
        lines.append(indent + ("└── " if is_last else "├── ") + _text(child))
        below = engine_of(child)
        if below is not None:
            levels.append((indent + ("    " if is_last else "│   "), _with_last(below)))
    return "\n".join(lines)


def _with_last(engine: Engine) -> Iterator[tuple[Child, bool]]:
    """The children of a supervisor, each with whether it is the last."""
    children = list(engine.children.values())
    return ((child, number == len(children)) for number, child in enumerate(children, 1))


def _text(child: Child) -> str:
    ref = child.ref
    parts = [child.title, repr(ref) if ref is not None else f"({child.state})"]
    if ref is not None and parts[0] == child.spec.kind.label:
        del parts[0]  # the reference shows that too
    if child.restarts:
        parts.append(f"restarted {counted(child.restarts, 'time')}")
    return "  ".join(parts)
