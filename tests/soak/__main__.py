"""The command of the long runs: ``nox -s soak -- [PART ...] [--seed N] [--seconds S | --rounds N]``."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from support.command_line import positive, seconds

from soak import exploring, faulty, fuzzing, lives, machines, readers, storms
from soak.parts import Bound, Figures, Part, RoundFailed, RoundInterrupted, run_part

PARTS: list[Part] = [module.PART for module in (exploring, machines, fuzzing, storms, readers, faulty, lives)]


def arguments(argv: list[str]) -> argparse.Namespace:
    parts = "\n".join(f"  {part.name:10} {part.what}" for part in PARTS)
    parser = argparse.ArgumentParser(
        prog="nox -s soak --",
        description="The long runs of the tests. Each part does rounds; each round has a seed, which repeats it.",
        epilog=f"parts:\n{parts}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="which parts; all, if you give none")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first round; the next ones follow")
    bound = parser.add_mutually_exclusive_group()
    bound.add_argument(
        "--seconds",
        type=seconds,
        default=600.0,
        help="how long all parts take together; 600 by default. Each kind of round is done once at least",
    )
    bound.add_argument("--rounds", type=positive, help="how many rounds each part does")
    given = parser.parse_args(argv)
    known = {part.name: part for part in PARTS}
    for name in given.parts:
        if name not in known:
            parser.error(f"there is no part {name!r}: the parts are {', '.join(known)}")
    given.parts = [known[name] for name in dict.fromkeys(given.parts)] or PARTS
    return given


def shown(figures: Figures) -> str:
    return ", ".join(f"{what} {number:,}" for what, number in figures.items()) or "no round is done"


def main(argv: list[str]) -> int:
    """Run the parts, one after the other. The status of the process: 1 if a round has failed, 130 after Ctrl-C."""
    given = arguments(argv)
    each = given.seconds / len(given.parts)
    bound = Bound(rounds=given.rounds) if given.rounds is not None else Bound(seconds=each)
    to_repeat: list[str] = []
    status = 0
    for part in given.parts:
        begin = time.monotonic()
        print(f"{part.name}: {part.what} ...", flush=True)
        try:
            figures = run_part(part, bound, given.seed)
        except RoundFailed as error:
            traceback.print_exception(error)
            to_repeat.append(str(error))
            figures = error.figures
            status = 1
        except RoundInterrupted as error:
            to_repeat.append(str(error))
            figures = error.figures
            status = 130
        print(f"{part.name}: {shown(figures)}; {time.monotonic() - begin:,.0f} s", flush=True)
        if status == 130:
            break
    for line in to_repeat:
        print(line)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
