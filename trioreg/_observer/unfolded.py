"""Which supervisors of the tree are open, as the query says it: ``open=0.3,0.7&closed=0.1&q=cart``.

A supervisor that neither list names is open if there is room.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlencode

import attrs

from .params import BadParam, Params

LONGEST = 1500
"""How many characters a list has at most: what was unfolded long ago falls out of it."""

_ID = re.compile(r"\d+(\.\d+)*", re.ASCII)


@attrs.frozen
class Unfolded:
    """What a query says.

    Attributes:
        q: The filter; empty if there is none.
        opened: The places that are to be open, the last one that was opened last.
        closed: The places that are not.
    """

    q: str
    opened: tuple[str, ...]
    closed: tuple[str, ...]

    def toggle(self, id: str, is_open: bool) -> str:
        """The query that folds or unfolds one more place."""
        opened = [each for each in self.opened if each != id]
        closed = [each for each in self.closed if each != id]
        (closed if is_open else opened).append(id)
        items = {"open": _joined(opened), "closed": _joined(closed), "q": self.q}
        return urlencode({name: text for name, text in items.items() if text}, safe=",")

    def wanted(self) -> set[str]:
        """The places that are to be open, and all that are above these."""
        found: set[str] = set()
        for each in self.opened:
            while each and each not in found:
                found.add(each)
                each = above(each)
        return found


def unfolded(params: Params) -> Unfolded:
    """Read the query. `BadParam` if a list is not one of places."""
    return Unfolded(params.text("q"), _ids(params, "open"), _ids(params, "closed"))


def above(id: str) -> str:
    """The place above: empty for one at the top."""
    return id.rpartition(".")[0]


def _ids(params: Params, name: str) -> tuple[str, ...]:
    ids = tuple(each for each in params.text(name).split(",") if each)
    for each in ids:
        if not _ID.fullmatch(each):
            raise BadParam(f"{name} must be places in the tree, as in 0.3,0.7, not {each!r}")
    return tuple(dict.fromkeys(ids))


def _joined(ids: Iterable[str]) -> str:
    text = ",".join(ids)
    while len(text) > LONGEST:
        text = text.partition(",")[2]
    return text
