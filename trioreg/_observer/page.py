"""What a page of the observer is: a name, and a view that gives its data. How it is shown is for others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import attrs

from .observation import Observation
from .params import Params

View: TypeAlias = Callable[[Observation, Params], Awaitable[Mapping[str, object]]]
"""Gives the data of a page: texts, numbers, booleans, None, and lists and dicts of these. It can be JSON as it is."""

PAGE_ROWS = 50
"""How many rows of a table are shown at once."""


class NotThere(LookupError):
    """What was asked for does not exist, or no more. The message says what."""


@attrs.frozen
class Page:
    """One page.

    Attributes:
        name: What it is called in its address, as in ``"actors"``.
        title: What it is called on the screen.
        view: Gives its data. A checkpoint. It raises `BadParam` or `NotThere`.
        seconds: How much time is between two looks, while it is open.
        is_eager: Whether a look comes sooner if something happens: four times a second at most.
        in_menu: Whether it has an entry in the menu. An actor and a table do not: others lead to them.
    """

    name: str
    title: str
    view: View
    seconds: float = 1.0
    is_eager: bool = False
    in_menu: bool = True


@attrs.frozen
class Cut:
    """The part of a long list that is shown: the page of it, counted from 1."""

    page: int
    pages: int
    begin: int
    end: int


def cut(count: int, page: int, rows: int = PAGE_ROWS) -> Cut:
    """Which of ``count`` rows are on that page. A page behind the last one is the last one."""
    pages = max(1, -(-count // rows))
    page = min(max(1, page), pages)
    return Cut(page, pages, (page - 1) * rows, min(count, page * rows))
