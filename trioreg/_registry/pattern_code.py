"""Python functions made from source: what the other pattern files write a pattern as."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, cast

_SHAPES_KEPT = 256

MISSING = object()


class FunctionBuilder:
    """The body of one function.

    Attributes:
        lines: Its statements: only what is written in this module, never anything of a user's.
        bound: The variables of the pattern, and the local variable in which each is.
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
        """A name for the default that no value can be."""
        if self._missing is None:
            self._missing = self.constant(MISSING)
        return self._missing

    def local(self, expression: str) -> str:
        """A new local variable with that value."""
        self._locals += 1
        self.lines.append(f"v{self._locals} = {expression}")
        return f"v{self._locals}"

    def unless(self, condition: str) -> None:
        """No match, unless that is true."""
        self.lines.append(f"if not ({condition}): return None")

    def function(self, parameter: str) -> Callable[[Any], Any]:
        """The function, as it stands now."""
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
