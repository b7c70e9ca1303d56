"""What the tests of the observer share: rows of all actors, and objects with a repr that does harm."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import trio

from trioreg import Actor
from trioreg._observer import Observation, Page, Params, pace
from trioreg._observer.pace import Pace
from trioreg._observer.rows import ActorRow, row_of
from trioreg._observer.survey import walk
from trioreg._observer.texts import Texts
from trioreg._runtime import current_run


class Plain(Actor):
    """An actor that does nothing."""

    async def note(self, what: object) -> object:
        return what


class Stuck(Actor):
    """An actor that stays in its handler."""

    async def hang(self) -> None:
        await trio.sleep_forever()


class Raising:
    """Its repr raises."""

    def __repr__(self) -> str:
        raise ValueError("no repr of this")


class Slow:
    """Its repr takes 1 ms, and counts how often it is asked."""

    asked = 0

    def __repr__(self) -> str:
        type(self).asked += 1
        time.sleep(0.001)
        return "slow"


class Fickle:
    """A key whose hash raises from some moment on."""

    def __init__(self) -> None:
        self._is_raising = False

    @contextmanager
    def raising(self) -> Generator[None]:
        """In this block, its hash raises."""
        self._is_raising = True
        try:
            yield
        finally:
            self._is_raising = False

    def __hash__(self) -> int:
        if self._is_raising:
            raise ValueError("no hash of this")
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return "fickle"


class Steps:
    """A clock that goes on by the length of a slice each time it is asked. It counts what is done between two rests."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        self.since_rest = 0
        self.most = 0

    def __call__(self) -> float:
        self.now += 2 * pace.SLICE
        return self.now


async def look(page: Page, observation: Observation | None = None, /, **texts: object) -> Any:
    """The data of a page, as plain data."""
    params = Params({name: str(text) for name, text in texts.items()})
    data = await page.view(observation or Observation(current_run()), params)
    assert is_plain(data), data
    return data


async def rows() -> dict[str, ActorRow]:
    """The rows of all actors by their label."""
    texts, found = Texts(), dict[str, ActorRow]()
    async for seen in walk(current_run(), Pace()):
        row = row_of(seen, texts, trio.current_time())
        found[row["label"]] = row
    return found


def is_plain(data: object) -> bool:
    """Whether data can be JSON as it is, and keeps no object of the program alive."""
    if isinstance(data, dict):
        texts = cast("dict[object, object]", data)
        return all(type(key) is str and is_plain(value) for key, value in texts.items())
    if isinstance(data, list | tuple):
        return all(map(is_plain, cast("list[object]", data)))
    return data is None or type(data) in (str, int, float, bool)
