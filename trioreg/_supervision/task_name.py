"""What the Trio task of an actor is called: ``Cart #5 'a-17'``, with its class, its number, and its name if it has one.

Trio shows that in each tool that shows tasks. Every start pays for it, so it is made at once from what is at hand. Of a
name only a key is shown that Python shows by itself. The `repr` of any other key is the user's code: it may be slow, or
raise. (A string that is made when it is first shown was measured, too: to make that object costs as much.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._runtime import Owner

_LONGEST = 60
_PLAIN = frozenset({str, int})


def task_name(label: str, ref: Owner, key: object) -> str:
    """The name of the task of an actor that has a name: its key is ``key``."""
    if type(key) is str and len(key) <= _LONGEST:
        return f"{label} #{ref._number} {key!r}"
    if type(key) is int or (type(key) is tuple and _PLAIN.issuperset(map(type, key))):
        try:
            shown = repr(key)
        except ValueError:  # of very many digits
            shown = "..."
    elif type(key) is str:
        shown = repr(key[:_LONGEST] + "...")
    else:
        return f"{label} #{ref._number}"
    return f"{label} #{ref._number} {shown if len(shown) <= 2 * _LONGEST else '...'}"
