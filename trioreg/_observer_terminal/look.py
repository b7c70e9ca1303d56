"""What is asked of the program for what is shown, and the wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import trio

from .arguments import PAGES, SORTS, Arguments
from .client import STREAM_QUIET, Answer, Connection, NoAnswer

LONGEST_WAIT = 15.0
"""How many seconds a look may take."""

DASHBOARD = ("overview", "tree", "actors", "registries")

Look: TypeAlias = dict[str, Answer]
"""The data of some pages, by name."""

Wanted: TypeAlias = Mapping[str, Mapping[str, str]]
"""Which pages are asked for, each with its parameters."""


def wanted(arguments: Arguments, page: str | None, part: int = 1) -> Wanted:
    """What is asked for a page, or for the dashboard. The overview is in it: the head line is made of it.

    ``part`` is which part of a long table.
    """
    names = DASHBOARD if page is None else dict.fromkeys(("overview", page))
    return {name: _params(arguments, name, part) for name in names}


def wanted_as_json(arguments: Arguments) -> Wanted:
    """What ``--json`` asks for."""
    names = PAGES if arguments.page is None else (arguments.page,)
    return {name: _params(arguments, name, 1) for name in names}


async def look(arguments: Arguments, wanted: Wanted) -> Look:
    """Ask the program. A checkpoint. It raises `NoAnswer`. If it is cancelled, it hangs up."""
    connection = Connection(arguments.address)
    try:
        with trio.fail_after(LONGEST_WAIT):
            return await trio.to_thread.run_sync(connection.get_all, wanted, abandon_on_cancel=True)
    except trio.TooSlowError:
        raise NoAnswer(f"{arguments.address} does not answer within {LONGEST_WAIT:g} seconds") from None
    finally:
        connection.abandon()


async def stay(arguments: Arguments) -> None:
    """Keep a live page open, until the program closes it.

    The program takes samples and notes what happens only while a page is open. A checkpoint. It raises `NoAnswer`.
    """
    connection = Connection(arguments.address, quiet=STREAM_QUIET)
    try:
        await trio.to_thread.run_sync(connection.follow, "overview", abandon_on_cancel=True)
    finally:
        connection.abandon()


def _params(arguments: Arguments, name: str, part: int) -> dict[str, str]:
    params: dict[str, str] = {}
    if arguments.filter and name != "overview":
        params["q"] = arguments.filter
    if name == "actors":
        params["sort"] = arguments.sort
        params["down"] = "1" if SORTS.index(arguments.sort) < SORTS.index("label") else "0"
    if part > 1 and name in ("actors", "registries", "topics", "log"):
        params["page"] = str(part)
    return params
