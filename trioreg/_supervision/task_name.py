"""What the Trio task of an actor is called: ``Cart #5 'a-17'``, with its class, its number, and its name if it has one.

Trio shows that in each tool that shows tasks. It is a plain string, and every start pays for it: about 1 % of the start
of a named actor. (A string that is put together when it is first shown has been measured, too. To make that object
costs as much, and it is another string for code that does not ask for its ``str``.)

A key is shown only if its type is one of Python's own. The `repr` of any other key is the user's code: it may be slow,
or raise.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from .._runtime import Owner

LONGEST = 60
_PLAIN = frozenset({str, int})


def task_name(label: str, ref: Owner, key: object) -> str:
    """The name of the task of an actor that has a name: its key is ``key``."""
    if type(key) is str and len(key) <= LONGEST:
        return f"{label} #{ref._number} {key!r}"
    shown = _shown(key)
    return f"{label} #{ref._number} {shown}" if shown else f"{label} #{ref._number}"


def _shown(key: object) -> str:
    if type(key) is str:
        return repr(key[:LONGEST] + "...")
    whole = key  # type checkers take a part of the type of `key` for unknown from here on
    parts = cast("tuple[object, ...]", key) if type(key) is tuple else (key,)
    if not _PLAIN.issuperset(map(type, parts)):
        return ""
    with suppress(ValueError):  # of very many digits
        shown = repr(whole)
        if len(shown) <= 2 * LONGEST:
            return shown
    return "..."
