"""One look that knows what takes a moment to know: messages a second are counted over time."""

from __future__ import annotations

from contextlib import suppress

import trio

from .arguments import Arguments
from .client import NoAnswer
from .live import Looker, Stayer
from .look import Look, Wanted
from .record import Record

MOMENT = 1.1
"""The seconds until the second look: the program takes its samples once a second."""


async def look_once(arguments: Arguments, wanted: Wanted, look: Looker, stay: Stayer) -> Look:
    """Ask the program, and once more after a moment if it does not yet know how many messages it handles.

    It raises `NoAnswer`. A checkpoint.
    """
    looked = await look(arguments, wanted)
    if "overview" not in looked or Record(looked["overview"]).number("messages_per_second") is not None:
        return looked
    error: NoAnswer | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_stay_quietly, arguments, stay)
        await trio.sleep(MOMENT)
        try:
            looked = await look(arguments, wanted)
        except NoAnswer as raised:  # outside of the nursery, it is no group
            error = raised
        nursery.cancel_scope.cancel()
    if error is not None:
        raise error
    return looked


async def _stay_quietly(arguments: Arguments, stay: Stayer) -> None:
    with suppress(NoAnswer):  # then the number is not known
        await stay(arguments)
