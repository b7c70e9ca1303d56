"""Puts a mutant into a program that has imported the module already: its functions get the code of the mutant.

So all tests are collected once, and a mutant costs a fork and its tests. This works for what is inside a function.
What a module or a class does at its import is done already: such a mutant needs a new process, and `changes` says so.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType

import attrs

Key = tuple[str, str, int]


@attrs.frozen
class Functions:
    """The functions of a program, by the file, the qualified name and the first line of their code."""

    by_code: Mapping[Key, tuple[FunctionType, ...]]

    @classmethod
    def now(cls) -> Functions:
        """All functions that there are, those inside of classes and closures included."""
        found: dict[Key, list[FunctionType]] = {}
        for thing in gc.get_objects():
            if type(thing) is FunctionType:
                found.setdefault(key(thing.__code__), []).append(thing)
        return cls({which: tuple(functions) for which, functions in found.items()})

    def changes(self, path: str, before: str, after: str) -> list[tuple[FunctionType, CodeType]] | None:
        """What to change, so that the functions of the file ``path`` do what they do in the text ``after``.

        Returns:
            Functions, each with its new code; None if new code for functions is not enough.
        """
        old, new = compile(before, path, "exec", dont_inherit=True), compile(after, path, "exec", dont_inherit=True)
        changes: list[tuple[FunctionType, CodeType]] = []
        for one, other in changed(old, new) or ():
            for function in self.by_code.get(key(one), ()):
                if function.__code__.co_freevars != other.co_freevars:
                    return None
                changes.append((function, other))
        return changes or None


def swap(changes: list[tuple[FunctionType, CodeType]]) -> None:
    """Give each function its new code."""
    for function, code in changes:
        function.__code__ = code


def key(code: CodeType) -> Key:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def changed(old: CodeType, new: CodeType) -> list[tuple[CodeType, CodeType]] | None:
    """The functions of a module that are not the same in two texts, or None if more than functions has changed."""
    pairs: list[tuple[CodeType, CodeType]] = []
    for one, other in both(old, new):
        if one is None or other is None:
            return None
        if is_function(one):
            if one != other:
                pairs.append((one, other))
        elif own(one) != own(other):
            return None
    return pairs


def both(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType | None, CodeType | None]]:
    """The code of two modules side by side, and the code of the classes and functions in them."""
    yield old, new
    ones, others = inside(old), inside(new)
    if [code.co_name for code in ones] != [code.co_name for code in others]:
        yield None, None
        return
    for one, other in zip(ones, others, strict=True):
        yield from both(one, other)


def inside(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def is_function(code: CodeType) -> bool:
    """Whether that is the code of a function, and not of a module or a class."""
    return bool(code.co_flags & inspect.CO_OPTIMIZED)


def own(code: CodeType) -> tuple[object, ...]:
    """What a module or a class does itself at its import, without the functions in it.

    Tuples of strings are left out: no mutation changes a string, and Python 3.13 lists the attributes there that the
    methods of a class assign.
    """
    constants = [constant for constant in code.co_consts if not isinstance(constant, CodeType | tuple)]
    tuples: list[tuple[object, ...]] = [constant for constant in code.co_consts if isinstance(constant, tuple)]
    others = [constant for constant in tuples if not all(isinstance(item, str) for item in constant)]
    return code.co_code, repr(constants), repr(others), code.co_names
