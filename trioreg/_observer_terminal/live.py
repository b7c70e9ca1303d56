"""The observer that renews itself: it looks, draws, waits and listens to keys, until you leave or the program ends.

Must never happen: a key that waits for the program; two looks at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeAlias

import attrs
import trio
from rich.text import Text

from .arguments import PAGES, Arguments
from .client import Denied, Gone, NoAnswer, Refused
from .look import Look, Wanted, wanted
from .record import Record
from .screen import Showing, fitted

PATIENCE = 2.0
"""For how many seconds nothing may listen at the address until we say that the program has ended."""

TRY_AGAIN = 0.5
"""The seconds until the next try after nothing has listened."""

OPEN_AGAIN = 2.0
"""The seconds until a live page that was closed is opened again."""

PAGES_OF_KEYS: tuple[str | None, ...] = (None, *PAGES)


class Surface(Protocol):
    """The part of the terminal that is drawn on."""

    def size(self) -> tuple[int, int]:
        """Its width and its height."""
        ...

    def draw(self, lines: list[Text]) -> None:
        """Show these lines and no others."""
        ...


@attrs.frozen
class Left:
    """How it has ended: the exit status, and a sentence or ``""``."""

    status: int
    sentence: str = ""


Looker: TypeAlias = Callable[[Arguments, Wanted], Awaitable[Look]]
Stayer: TypeAlias = Callable[[Arguments], Awaitable[None]]


def status_of(error: NoAnswer) -> int:
    """The exit status for an error."""
    return 2 if isinstance(error, Refused) else 1


class Live:
    """One observer that renews itself.

    Args:
        arguments: What to show first.
        surface: Where to show it.
        look: Asks the program.
        stay: Keeps a live page of the program open.
    """

    def __init__(self, arguments: Arguments, surface: Surface, look: Looker, stay: Stayer) -> None:
        self._arguments = arguments
        self._surface = surface
        self._look = look
        self._stay = stay
        self._showing = Showing(arguments.page)
        self._part = 1
        self._turn = trio.CancelScope()
        self._gone_since: float | None = None
        self._left: Left | None = None
        self._leave = trio.Event()

    async def run(self, *listeners: Callable[[], Awaitable[None]]) -> Left:
        """Show the program until it ends, or until `leave`. The listeners run beside."""
        self.draw()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_again_and_again)
            nursery.start_soon(self._stay_there)
            for listener in listeners:
                nursery.start_soon(listener)
            await self._leave.wait()
            nursery.cancel_scope.cancel()
        assert self._left is not None
        return self._left

    def draw(self) -> None:
        """Draw what is there, in the size that the surface has now."""
        lines, offset = fitted(self._showing, *self._surface.size())
        self._showing = attrs.evolve(self._showing, offset=offset)
        self._surface.draw(lines)

    def leave(self, status: int, sentence: str = "") -> None:
        """End it. The first reason counts."""
        if self._left is None:
            self._left = Left(status, sentence)
            self._leave.set()

    # Looks

    async def _look_again_and_again(self) -> None:
        while True:
            with trio.CancelScope() as self._turn:
                pause = await self._look_once()
                self.draw()
                await trio.sleep(pause)

    async def _look_once(self) -> float:
        """One look. Returns the seconds until the next one."""
        try:
            looked = await self._look(self._arguments, wanted(self._arguments, self._showing.name, self._part))
        except NoAnswer as error:
            self._showing = attrs.evolve(self._showing, trouble=f"{error}")
            if not self._showing.looked or isinstance(error, Denied | Refused):
                self.leave(status_of(error), f"{error}")
            elif isinstance(error, Gone):
                now = trio.current_time()
                if self._gone_since is None:
                    self._gone_since = now
                elif now - self._gone_since >= PATIENCE:
                    self.leave(0, f"The program at {self._arguments.address} has ended.")
                return TRY_AGAIN
        else:
            self._gone_since = None
            self._showing = attrs.evolve(self._showing, looked={**self._showing.looked, **looked}, trouble="")
        return self._arguments.interval

    async def _stay_there(self) -> None:
        while True:
            try:
                await self._stay(self._arguments)
            except NoAnswer:
                pass  # a look says why
            else:
                self._turn.cancel()  # perhaps the program has ended
            await trio.sleep(OPEN_AGAIN)

    # Keys

    async def listen(self, keys: AsyncIterator[str]) -> None:
        """Do what keys say."""
        async for key in keys:
            self._press(key)

    def _press(self, key: str) -> None:
        index = PAGES_OF_KEYS.index(self._showing.name)
        height = self._surface.size()[1]
        steps = {"up": -1, "down": 1, "k": -1, "j": 1, "page up": -(height // 2), "page down": height // 2}
        if key in ("q", "Q"):
            self.leave(0)
        elif key == "tab":
            self._turn_to((index + 1) % len(PAGES_OF_KEYS))
        elif key == "shift-tab":
            self._turn_to((index - 1) % len(PAGES_OF_KEYS))
        elif len(key) == 1 and key in "0123456":
            self._turn_to(int(key))
        elif key == "n":
            self._turn_part(self._part + 1)
        elif key == "p":
            self._turn_part(self._part - 1)
        elif key in steps:
            self._scroll(self._showing.offset + steps[key])
        elif key == "home":
            self._scroll(0)
        elif key == "end":
            self._scroll(10**9)

    def _turn_to(self, index: int) -> None:
        name = PAGES_OF_KEYS[index]
        if name != self._showing.name:
            self._part = 1
            self._showing = attrs.evolve(self._showing, name=name, offset=0)
            self.draw()
            self._turn.cancel()

    def _turn_part(self, part: int) -> None:
        """Turn to another part of a long table."""
        name, looked = self._showing.name, self._showing.looked
        parts = Record(looked.get(name)).whole("pages") if name is not None else 1
        if 1 <= part <= parts:
            self._part = part
            self._showing = attrs.evolve(self._showing, offset=0)
            self._turn.cancel()

    def _scroll(self, offset: int) -> None:
        self._showing = attrs.evolve(self._showing, offset=max(0, offset))
        self.draw()
