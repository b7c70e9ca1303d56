"""Users' objects as texts, while a page is made: names, keys, values.

A text is short and in one line. The `repr` of a user's object may raise, and it may be slow. A class whose `repr` is
slow is not asked again in the same look: what is shown of its objects is the name of the class.
"""

from __future__ import annotations

from time import perf_counter

from .._runtime import text_of

LONGEST = 200
"""How many characters of a text are shown."""

SLOW = 0.0001
"""From how many seconds on a `repr` counts as slow."""

PATIENCE = 0.02
"""How many seconds the slow ones of one class may take together in one look."""

_QUICK = frozenset(map(id, (str, int, float, bool, type(None))))


class Texts:
    """The texts of one look. It keeps no object."""

    __slots__ = ("_spent", "has_waited")

    def __init__(self) -> None:
        self._spent: dict[int, float] = {}  # by the id of the class: its own `__hash__` may raise
        self.has_waited = False
        """Whether a slow `repr` was asked since this was last set to False: it may be time for a rest."""

    def name(self, value: object) -> str:
        """A name or an id: a str as it is, of anything else the `repr`. Never raises an `Exception`."""
        cls = id(type(value))
        if cls in _QUICK:
            return text_of(value) or str(value)
        if self._spent.get(cls, 0.0) > PATIENCE:
            return f"<{text_of(type(value).__name__)}, whose repr is slow>"
        began = perf_counter()
        text = text_of(value) or ""
        seconds = perf_counter() - began
        if seconds > SLOW:
            self._spent[cls] = self._spent.get(cls, 0.0) + seconds
            self.has_waited = True
        return text

    def shown(self, value: object) -> str:
        """A key or a value: the `repr`. Never raises an `Exception`."""
        if type(value) is not str:
            return self.name(value)
        return text_of(repr(value if len(value) <= LONGEST else value[:LONGEST])) or ""
