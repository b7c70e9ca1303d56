"""What the command is asked for: its arguments, read and checked."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

import attrs

from .address import TOKEN_VARIABLE, Address, BadAddress, read_address

PAGES = ("overview", "tree", "actors", "registries", "topics", "log")
"""The pages, in the order of their keys: 1 is the first."""

SORTS = ("queued", "handled", "restarts", "handling_seconds", "label", "kind", "path")
"""What the actors can be sorted by. Those before ``"label"`` are numbers: the largest comes first."""

LONGEST_FILTER = 200

ABOUT = """\
Watch a running program in the terminal: its supervision tree, its actors, its
registries, and what happened last. The program must serve an observer, as with
trioreg.run(..., observe="127.0.0.1:4001"). It prints the URL when it starts.
"""

MORE = f"""\
token:
  Other users of the machine can see the arguments of a command. To hide the
  token from them, leave it out of the URL, and set the environment variable
  {TOKEN_VARIABLE} to it.

keys:
  q             leave
  0             the dashboard
  1 to 6        overview, tree, actors, registries, topics, log
  tab, right    the next page (shift-tab, left: the page before)
  n, p          the next and the previous part of a long table
  up, down      scroll; also page up, page down, home, end

counts:
  Crashes, restarts and messages are counted while you watch, or while a page is
  open in a browser. So --once takes about a second if nobody watches.

what --json prints:
  One object. Its keys are the names of the pages: overview, tree, actors,
  registries, topics, log. With --page it has that page only. Each value is what
  the program answers to GET /api/NAME.

exit status:
  0    all is printed, or you have left with q, or the program has ended
  1    the program cannot be reached, it does not take the token, or the output
       cannot be written
  2    an argument is wrong
  130  you have pressed Ctrl-C
  141  the reader of the output has gone, as in: ... --json | head

The command connects to the program directly. It uses no proxy and follows no
redirect. With NO_COLOR in the environment it uses no colors. The keys work on
Linux and macOS. On Windows, leave with Ctrl-C.
"""


@attrs.frozen
class Arguments:
    """What to show, and of which program.

    Attributes:
        address: Where the program is.
        page: One of `PAGES`, or None for the dashboard (with ``json``: for all pages).
        sort: One of `SORTS`.
        filter: Shows only what has this text in it; ``""`` for all.
        interval: The seconds between an answer and the next question.
        once: Print it once, and end.
        json: Print the data once as JSON, and end.
    """

    address: Address
    page: str | None = None
    sort: str = "queued"
    filter: str = ""
    interval: float = 1.0
    once: bool = False
    json: bool = False


def read_arguments(argv: Sequence[str] | None) -> Arguments:
    """The arguments of the command. If one is wrong, it says so on stderr and raises ``SystemExit(2)``."""
    parser = argparse.ArgumentParser(
        prog="python -m trioreg.observer",
        description=ABOUT,
        epilog=MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("url", metavar="URL", help="the URL that the program prints, with its ?token=")
    parser.add_argument("--once", action="store_true", help="print it once, and end (default without a terminal)")
    parser.add_argument("--json", action="store_true", help="print the data once as JSON, and end")
    parser.add_argument(
        "--page", choices=PAGES, metavar="PAGE", help=f"show one page: {', '.join(PAGES)} (default: a dashboard of all)"
    )
    parser.add_argument(
        "--sort", choices=SORTS, metavar="BY", default="queued", help=f"sort the actors by {', '.join(SORTS)}"
    )
    parser.add_argument(
        "--filter",
        type=_filter,
        metavar="TEXT",
        default="",
        help="show only actors, tables and lines with TEXT in them",
    )
    parser.add_argument(
        "--interval",
        type=_interval,
        metavar="SECONDS",
        default=1.0,
        help="the time between two looks, 0.1 to 3600 (default: 1)",
    )
    given = parser.parse_args(argv)
    try:
        address = read_address(given.url, os.environ.get(TOKEN_VARIABLE))
    except BadAddress as error:
        parser.error(str(error))
    return Arguments(
        address=address,
        page=given.page,
        sort=given.sort,
        filter=given.filter,
        interval=given.interval,
        once=given.once,
        json=given.json,
    )


def _filter(text: str) -> str:
    if len(text) > LONGEST_FILTER:
        raise argparse.ArgumentTypeError(f"must have at most {LONGEST_FILTER} characters, not {len(text)}")
    if not text.isprintable():
        raise argparse.ArgumentTypeError(f"must be printable text, not {text!a}")
    return text


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"must be a number of seconds, 0.1 to 3600, not {text!r}")
    return seconds
