"""The methods of a private class, under the name of the public class that has them.

A public class may be made of several private ones. Python names a method by its qualified name: in an error about
arguments, in the warning about a coroutine that was never awaited, in the name of a Trio task. Users know
`Registry.register`, and no class that it is defined in.
"""

from __future__ import annotations

from types import FunctionType
from typing import get_overloads, overload


def show_methods_as(public: str, *classes: type) -> None:
    """Name all methods of ``classes``, and their overloads, as if ``trioreg.<public>`` had them."""
    for cls in classes:
        for method in vars(cls).values():
            if isinstance(method, FunctionType):
                overloads = [variant for variant in get_overloads(method) if isinstance(variant, FunctionType)]
                for function in (method, getattr(method, "__wrapped__", method), *overloads):
                    function.__module__ = "trioreg"
                    function.__qualname__ = f"{public}.{method.__name__}"
                for variant in overloads:
                    overload(variant)  # `typing.get_overloads` finds them by the name
