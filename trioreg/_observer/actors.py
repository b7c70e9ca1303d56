"""The page of all actors: sorted and filtered on the server, and one page of the table at a time.

Of the actors that are not shown, only a sort key is kept: 100,000 of them are no 100,000 rows.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, TypedDict

import trio

from .._actors import handling
from .._runtime import text_of
from .find import seen_of
from .pace import Pace
from .page import PAGE_ROWS, Page, cut
from .ranking import Ranking
from .rows import ActorRow, has_words, row_of
from .survey import walk
from .texts import Texts
from .words import words_of

if TYPE_CHECKING:
    from .observation import Observation
    from .params import Params
    from .survey import Seen

SORTS = ("queued", "handled", "restarts", "label", "kind", "path", "handling_seconds")
"""What the rows can be sorted by."""

_TEXTS = ("label", "kind", "path")


class ActorsPage(TypedDict):
    """The data of the page.

    Attributes:
        rows: The actors on this page.
        total: How many actors there are.
        matched: How many of them the filter lets through.
        q: The filter.
        sort: What they are sorted by.
        down: Whether the largest comes first.
        page: Which page this is, from 1.
        pages: How many pages there are.
    """

    rows: list[ActorRow]
    total: int
    matched: int
    q: str
    sort: str
    down: bool
    page: int
    pages: int


async def view(observation: Observation, params: Params) -> ActorsPage:
    """The actors. A checkpoint; the cost grows with their number, in slices.

    Params:
        q: Words: each must be in the name, the class, the path, the id, the state or the number (``#5``) of an actor.
        sort: One of `SORTS`. Without it, the longest queue comes first.
        down: ``1``: the largest comes first.
        page: Which page, from 1.
    """
    run, now, pace, texts = observation.run, trio.current_time(), Pace(), Texts()
    q, sort, asked = params.text("q"), params.choice("sort", SORTS), params.whole("page", 1, least=1)
    down = params.flag("down") if params.text("sort") or params.text("down") else True
    words = words_of(q)
    ranking = Ranking(asked * PAGE_ROWS, down=down, texts=sort in _TEXTS)
    total = 0
    async with aclosing(walk(run, pace)) as everyone:
        async for seen in everyone:
            total += 1
            if not words or has_words(words, seen, texts):
                ranking.add(_key(seen, sort, texts, now), seen.child)
            if texts.has_waited and pace.is_late():
                texts.has_waited = False
                await pace.rest()
    part = cut(ranking.count, asked)
    rows: list[ActorRow] = []
    for (child,) in await ranking.part(part.begin, part.end, pace):
        rows.append(row_of(seen_of(child, run), texts, now))
        if pace.is_late():
            await pace.rest()
    await trio.lowlevel.checkpoint()
    return ActorsPage(
        rows=rows,
        total=total,
        matched=ranking.count,
        q=q,
        sort=sort,
        down=down,
        page=part.page,
        pages=part.pages,
    )


def _key(seen: Seen, sort: str, texts: Texts, now: float) -> float | str:
    """What an actor is sorted by: a number or a text, with no reference to the actor."""
    child = seen.child
    if sort == "label":
        if child.spec.name is not None:
            return texts.name(child.spec.name.key).casefold()
        number = 0 if child.life is None else child.life.ref._number
        return f"{child.spec.kind.label} #{number:020}".casefold()  # so that 9 comes before 10
    if sort == "kind":
        return child.spec.kind.label.casefold()
    if sort == "path":
        return (text_of(seen.supervisor.label) or "").casefold()
    if sort == "restarts":
        return child.restarts
    life = child.life
    if life is None:
        return -1
    if sort == "queued":
        return life.queued
    if sort == "handled":
        return life.handled
    since = handling(life)[1]
    return -1 if since is None else now - since


PAGE = Page("actors", "Actors", view, seconds=2.0)
