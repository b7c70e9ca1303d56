"""Makes a Python function from source: the last step of compiling a pattern or a template."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, cast

_SHAPES_KEPT = 256

MISSING = object()


class FunctionBuilder:
    """The body of one function.

    Attributes:
        lines: Its statements. All text comes from the pattern files, never from a user.
        bound: For each variable of the pattern, the local variable that holds its value.
    """

    __slots__ = ("_constants", "_locals", "_missing", "bound", "lines")

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.bound: dict[str, str] = {}
        self._constants: list[object] = []
        self._locals = 0
        self._missing: str | None = None

    def constant(self, value: object) -> str:
        """A name for ``value``."""
        self._constants.append(value)
        return f"k{len(self._constants) - 1}"

    def missing(self) -> str:
        """A name for a default that equals no value."""
        if self._missing is None:
            self._missing = self.constant(MISSING)
        return self._missing

    def local(self, expression: str) -> str:
        """A new local variable with the value of an expression."""
        self._locals += 1
        self.lines.append(f"v{self._locals} = {expression}")
        return f"v{self._locals}"

    def unless(self, condition: str) -> None:
        """Add a step that returns None, no match, unless the condition is true."""
        self.lines.append(f"if not ({condition}): return None")

    def function(self, parameter: str) -> Callable[[Any], Any]:
        """The function that has these lines."""
        return _factory(parameter, len(self._constants), "\n        ".join(self.lines))(*self._constants)


@lru_cache(maxsize=_SHAPES_KEPT)
def _factory(parameter: str, constants: int, body: str) -> Callable[..., Callable[[Any], Any]]:
    # The constants are the arguments of an outer function, and so neither in the source nor in a dict of globals.
    arguments = ", ".join(f"k{number}" for number in range(constants))
    source = f"def factory({arguments}):\n    def match({parameter}):\n        {body}\n    return match\n"
    namespace: dict[str, Any] = {}
    exec(compile(source, "<trioreg pattern>", "exec"), namespace)
    return cast("Callable[..., Callable[[Any], Any]]", namespace["factory"])


def tuple_of(expressions: Iterable[str]) -> str:
    return f"({''.join(f'{expression}, ' for expression in expressions)})"
