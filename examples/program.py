"""A service as a program: named actors under supervisors. They start in order and shut down in order.

python program.py REPORTS    files that many reports (6 by default), then ends by itself
python program.py --serve    runs until Ctrl-C or SIGTERM

In each case the station ends first, then the agents, and the archive last. So an agent can still file a report
while it shuts down. The exit status is 0 if the program ended by itself or by SIGTERM, and 130 after Ctrl-C. A second
signal ends the program at once.
"""

import argparse
import logging
import math
import os
import sys
from itertools import cycle

import trio

import trioreg
from trioreg import Actor, ChildSpec, Exit, Registry, Supervisor, Via

names: Registry[str, None] = Registry("names")
archive: Via[str, None] = names.via("archive")


class Archive(Actor):
    def __init__(self) -> None:
        self.reports: list[str] = []
        say("archive: open")

    def file(self, report: str) -> int:
        self.reports.append(report)
        return len(self.reports)

    async def on_stop(self, exit: Exit) -> None:
        say(f"archive: closed, with {len(self.reports)} reports")


class SecretAgent(Actor):
    def __init__(self, codename: str) -> None:
        self.codename = codename
        say(f"{codename}: on duty")

    async def report(self) -> int:
        return await archive.call(Archive.file, f"{self.codename} has seen nothing")

    async def on_stop(self, exit: Exit) -> None:
        await archive.call(Archive.file, f"{self.codename} goes home")  # the archive is still there
        say(f"{self.codename}: off duty")


async def station(reports: float) -> None:
    """Ask the agents for a report, in turn. This child is "significant": when it ends, the program ends."""
    say("station: on the air")
    for codename in cycle(["James Bond", "Mr. White"]):
        number = await names.via(codename).call(SecretAgent.report)
        if reports < math.inf:
            say(f"station: {codename} has filed report {number}")
        else:
            await trio.sleep(1)
        if number >= reports:
            return


def tree(reports: float) -> list[ChildSpec]:
    agents = [ChildSpec(SecretAgent, (name,), name=names.via(name)) for name in ("James Bond", "Mr. White")]
    return [
        ChildSpec(Archive, name=archive),
        ChildSpec(Supervisor, (agents,), id="agents"),
        ChildSpec(station, (reports,), significant=True),
    ]


def say(text: str) -> None:
    """A full disk or a closed pipe is no reason for a service to end: it goes on, and says no more."""
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def main() -> int:
    parser = argparse.ArgumentParser(description="A service that shuts down in order.")
    parser.add_argument("reports", metavar="REPORTS", nargs="?", type=int, help="how many reports to file (default: 6)")
    parser.add_argument("--serve", action="store_true", help="run until Ctrl-C or SIGTERM")
    arguments = parser.parse_args()
    if arguments.serve and arguments.reports is not None:
        parser.error("give either REPORTS or --serve, not both")
    if arguments.reports is not None and arguments.reports < 1:
        parser.error(f"REPORTS must be at least 1, not {arguments.reports}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    reports = math.inf if arguments.serve else arguments.reports or 6
    try:
        received = trioreg.run(tree(reports), auto_shutdown="any_significant", name="service")
    except KeyboardInterrupt:
        say("ended by SIGINT")
        return 130
    say("ended by itself" if received is None else f"ended by {received.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
