"""A pool of workers with a progress bar: four safe-crackers look for the code of a safe.

python safe_crackers.py          opens a safe with the code 7547
python safe_crackers.py 0815     opens another one

The crackers try a hundred codes at a time, and stop when one of them has found the right code. In a terminal you see a
progress bar, made with `rich` (pip install rich). In a file or a pipe you get a line for each tenth of the codes.

The exit status is 0 if the safe is open, 130 after Ctrl-C, and 143 after SIGTERM: each cracker finishes what it tries,
and goes home.
"""

import argparse
import hashlib
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

import trio
from ending import exit_status

from trioreg import Actor, open_pool

try:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
except ModuleNotFoundError:
    print("safe_crackers.py needs rich for its progress bar: python -m pip install rich", file=sys.stderr)
    sys.exit(2)

CODES = 10_000
AT_ONCE = 100


class Safe:
    """It keeps no code, only what the code makes of its hash. The more rounds, the slower it is to try one."""

    def __init__(self, code: str, rounds: int) -> None:
        self.rounds = rounds
        self.digest = self.hash(code)

    def hash(self, code: str) -> bytes:
        return hashlib.pbkdf2_hmac("sha256", code.encode(), b"salt", self.rounds)


class Cracker(Actor):
    def __init__(self, safe: Safe) -> None:
        self.safe = safe

    async def try_from(self, first: int) -> str | None:
        """Try some codes, in a thread, so that the progress bar goes on."""
        return await trio.to_thread.run_sync(self.find, first)

    def find(self, first: int) -> str | None:
        codes = (f"{number:04}" for number in range(first, first + AT_ONCE))
        return next((code for code in codes if self.safe.hash(code) == self.safe.digest), None)


@contextmanager
@trio.lowlevel.enable_ki_protection  # a second Ctrl-C would leave the terminal without its cursor
def showing_progress() -> Generator[Callable[[int, int | None], None]]:
    """A function for `Pool.map` to call when an item is done, and a bar or lines that show it."""
    if sys.stdout is None or not sys.stdout.isatty():  # None: the program was started without one
        yield print_each_tenth
        return
    with Progress(
        TextColumn("trying codes"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True
    ) as progress:
        bar = progress.add_task("", total=CODES)
        yield lambda done, total: progress.update(bar, completed=done * AT_ONCE)


def print_each_tenth(done: int, total: int | None) -> None:
    assert total is not None  # None: for an input without a length
    if done * 10 // total > (done - 1) * 10 // total:
        print(f"{done * AT_ONCE} of {CODES} codes tried", flush=True)


async def crack(safe: Safe, crackers: int) -> str | None:
    with showing_progress() as on_progress:
        async with open_pool(Cracker, safe, size=crackers) as pool:
            parts = range(0, CODES, AT_ONCE)
            async with pool.map(Cracker.try_from, parts, ordered=False, on_progress=on_progress) as found:
                async for code in found:
                    if code is not None:
                        return code
    return None


def code_of_safe(text: str) -> str:
    if len(text) != 4 or not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"a code has four digits, and {text!r} has not")
    return text


def up_to(most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not 1 <= (value := int(text)) <= most:
            raise argparse.ArgumentTypeError(f"must be from 1 to {most}, not {value}")
        return value

    return number


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("code", metavar="CODE", nargs="?", type=code_of_safe, default="7547", help="the code to find")
    parser.add_argument("--crackers", metavar="N", type=up_to(40), default=4, help="how many workers (default: 4)")
    parser.add_argument(
        "--rounds", metavar="N", type=up_to(100_000), default=100, help="how slow a try is (default: 100)"
    )
    arguments = parser.parse_args()
    safe = Safe(arguments.code, arguments.rounds)
    status = exit_status(lambda: print("the safe is open:", trio.run(crack, safe, arguments.crackers)))
    if status > 128:  # Ctrl-C or SIGTERM
        print("stopped, and the safe is still shut", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
