"""The benchmarks: trioreg, Elixir, TriOTP, Pykka and bare Trio, measured in one run.

    python tests/benchmarks/run.py [--quick] [--rounds N] [--only NAME]... [--best] [--json FILE] [--write-docs]

Each peer is a process that times its own operations (`_peer.py`, `peer_elixir.exs`). A round starts all peers anew and
goes through the operations. For each operation the peers take turns, so that other programs on the machine disturb all
alike. A figure is the median, over the rounds, of the median of a round's batches.

A ratio is not made of two such figures: the speed of a machine changes faster than that. The two operations take turns
in pieces of some milliseconds, in one process if both are Python (`_pairs.py`). Each pair of neighbours gives a ratio,
and the median of all is the ratio of a round. The table has the median of the rounds, and the lowest and the highest.
(Ratios of memory are made of figures.)
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, cast

import attrs
import picture
from _report import NOTHING, PICTURE, TIMES, amount, machine, table, write_into_docs

HERE = Path(__file__).resolve().parent
VENVS = HERE.parents[1] / ".nox"
"""The folder for the venv of a peer that can't live in this one; git ignores it."""

COLUMNS = {"trioreg": "trioreg", "elixir": "Elixir", "triotp": "TriOTP", "pykka": "Pykka", "trio": "Trio's floor"}
PIECE = 0.005
"""The seconds of a piece, where two operations take turns."""

MEMORY_ROUNDS = 2
"""Fewer rounds for memory: it is much the same each time, and takes long to measure."""


@attrs.frozen
class Comparison:
    """With what a figure of trioreg is compared.

    Attributes:
        bar: The highest ratio that trioreg may have (section 8 of the contract), or None.
        against: The peer whose figure it is.
        beside: The name of the line that the figure is in; None: the same line.
        than: What that figure is, in a few words; None: the name of the peer.
    """

    bar: float | None = None
    against: str = "elixir"
    beside: str | None = None
    than: str | None = None

    @property
    def title(self) -> str:
        return self.than or COLUMNS[self.against]


ELIXIR = (Comparison(),)


@attrs.frozen
class Operation:
    """A line of the table.

    Attributes:
        name: Its name in the peers.
        title: Its name in the table.
        compared: With what it is compared.
        floor: The operation of bare Trio that is its floor, or None.
        unit: ``"ns"`` or ``"B"``.
        is_alone: Whether each peer measures it in a fresh process.
    """

    name: str
    title: str
    compared: tuple[Comparison, ...] = ELIXIR
    floor: str | None = None
    unit: str = "ns"
    is_alone: bool = False


def elixir(bar: float | None) -> Comparison:
    """At most ``bar`` times what Elixir needs."""
    return Comparison(bar)


def floor(bar: float | None = None) -> Comparison:
    """At most ``bar`` times Trio's floor."""
    return Comparison(bar, against="trio")


def itself(bar: float | None, beside: str, than: str) -> Comparison:
    """At most ``bar`` times what trioreg needs for another line."""
    return Comparison(bar, against="trioreg", beside=beside, than=than)


OPERATIONS = (
    Operation("lookup", "look up a unique key", (elixir(0.4),), floor="dict_get"),
    Operation("lookup_partitions", "… with 8 partitions", (itself(2, "lookup", "one partition"),), floor="dict_get"),
    Operation("register_by_actor", "register + unregister, by an actor", (elixir(0.5),)),
    Operation("register_by_task", "register + unregister, by a task", (elixir(0.5),)),
    Operation("call", "call by name, idle actor, sync handler", (elixir(1.4), floor(1.3)), floor="checkpoint"),
    Operation("call_async", "call by name, async handler", (elixir(None), floor()), floor="two_switches"),
    Operation("call_many", "a thousand callers of a thousand actors, each call"),
    Operation("call_many_async", "… async handlers"),
    Operation("cast", "cast by name, sent and handled", (elixir(1.0),)),
    Operation("cast_inline", "… the name written inline", (elixir(1.0), itself(1.1, "cast", "a kept address"))),
    Operation("cast_by_key", "… by `registry.cast_nowait`", (itself(1.1, "cast", "a kept address"),)),
    Operation(
        "cast_empty_instrument", "… with an instrument that has no hooks", (itself(1.1, "cast", "without instruments"),)
    ),
    Operation(
        "cast_counting_instrument",
        "… with an instrument that counts messages",
        (itself(None, "cast", "without instruments"),),
    ),
    Operation("cast_by_reference", "cast by reference, sent and handled"),
    Operation("cast_awaited", "cast by name, awaited: a checkpoint each", floor="checkpoint"),
    Operation("dispatch", "dispatch to 10,000 waiting actors, each", (floor(1.2),), floor="reschedule"),
    Operation("dispatch_handled", "… until handled, by `on_message`", (floor(),), floor="reschedule_and_run"),
    Operation("dispatch_cast_handled", "… until handled, as a cast", (floor(),), floor="reschedule_and_run"),
    Operation("publish_one", "publish to one actor", (elixir(1.5),)),
    Operation("publish_hundred", "… to 100 actors, each", (elixir(1.5), floor(1.2)), floor="reschedule_hundred"),
    Operation("publish", "… to 10,000 actors, each", (elixir(1.5), floor(1.2)), floor="reschedule"),
    Operation(
        "publish_handled", "… to 10,000 actors, until handled", (elixir(None), floor()), floor="reschedule_and_run"
    ),
    Operation("publish_to_tasks", "… to 10,000 tasks, until received", (floor(),), floor="channels"),
    Operation("pool_claim", "claim a worker of a pool and return it", (floor(2), elixir(None)), floor="limiter"),
    Operation("pool_call", "call any worker of a pool", (elixir(None),)),
    Operation("start_stop", "start a named actor and stop it", (elixir(2.6), floor(1.8)), floor="start_stop_task"),
    Operation("start_stop_task", "… a bare task, with the same two handshakes", (), floor="start_stop_task"),
    Operation("start_cast_stop", "start a named actor, one cast, stop it", floor="start_stop_task"),
    Operation("start_child", "start a named actor, a thousand together", (), floor="spawn"),
    Operation("start_by_message", "… on demand, by a call", (itself(1.3, "start_child", "start_child"),)),
    Operation("call_on_demand", "call on demand, idle actor", (itself(None, "call", "by name"),)),
    Operation("cast_on_demand", "cast on demand, sent and handled", (itself(None, "cast", "by name"),)),
    Operation("memory", "an idle named actor, allocated", (elixir(1.0),), unit="B", is_alone=True),
    Operation("memory_rss", "an idle named actor, in RAM", unit="B", is_alone=True),
)

BY_NAME = {operation.name: operation for operation in OPERATIONS}


def with_compared(names: Iterable[str]) -> list[Operation]:
    """These operations, and those that they are compared with."""
    wanted = set(names)
    wanted |= {compared.beside for name in wanted for compared in BY_NAME[name].compared if compared.beside}
    return [operation for operation in OPERATIONS if operation.name in wanted]


@attrs.frozen
class Ratio:
    """trioreg compared with one other figure in one operation.

    Attributes:
        operation: The name of the operation.
        against: The peer that the other figure is of.
        than: What the other figure is, in a few words.
        ratio: trioreg's figure divided by the other one; below 1, trioreg is better.
        rounds: The ratio of each round.
        bar: The highest ratio that is good enough, or None.
        is_met: Whether the ratio is not above the bar; None without a bar.
    """

    operation: str
    against: str
    than: str
    ratio: float
    rounds: list[float]
    bar: float | None
    is_met: bool | None


class PeerFailed(Exception):
    """A peer did not start, or failed; the message says why."""


class Peer:
    """A process that measures. It runs inside a ``with`` block."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.command = command
        self.about: dict[str, str] = {}
        self.operations: frozenset[str] = frozenset()
        self._log: IO[str] | None = None
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Peer:
        self._log = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, cwd=HERE
        )
        try:
            answer = self._answer()
        except BaseException:
            self.__exit__()
            raise
        self.about = answer["about"]
        self.operations = frozenset(answer["operations"])
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None and self._log is not None
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def measure(self, operation: str, seconds: float, batches: int) -> list[float]:
        return cast("list[float]", self.ask(f"{operation} {seconds} {batches}")["samples"])

    def turns(self, operation: str, seconds: float) -> Turns:
        """The operation, measured one piece at a time, inside a ``with`` block."""
        return Turns(self, operation, seconds)

    def pairs(self, operation: str, other: str, seconds: float, pairs: int) -> list[float]:
        """The ratios of two operations that take turns inside this peer."""
        return self.measure(f"{operation}/{other}", seconds, pairs)

    def ask(self, line: str) -> dict[str, Any]:
        """Send a line, and wait for the answer."""
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise PeerFailed(f"{self.name}: the process has ended") from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None and self._log is not None
        line = self._process.stdout.readline()
        if line and not line.startswith("{"):
            said = [line, self._process.stdout.readline(), self._process.stdout.readline()]
            raise PeerFailed(f"{self.name}: not an answer: {''.join(said).strip()!r}")
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the process ended without an answer"}
        if "error" in answer:
            self._log.seek(0)
            last = self._log.read().strip().splitlines()[-1:]
            raise PeerFailed(" — ".join([f"{self.name}: {answer['error']}", *last]))
        return answer


class Turns:
    """An operation that is set up in a peer, and is measured whenever it is its turn."""

    def __init__(self, peer: Peer, operation: str, seconds: float) -> None:
        self._peer = peer
        self._begin = f"{operation} {seconds} turns"

    def __enter__(self) -> Turns:
        self._peer.ask(self._begin)
        return self

    def __exit__(self, *_: object) -> None:
        self._peer.ask("end")

    def piece(self) -> float:
        """Nanoseconds."""
        return cast("float", self._peer.ask("go")["took"])


def in_turns(ours: Turns, theirs: Turns, pairs: int) -> list[float]:
    """The ratio of each pair of pieces. Each of the two is as often the first of its pair as the second."""
    found: list[float] = []
    with ours, theirs:
        for number in range(pairs):
            first, second = (theirs, ours) if number % 2 else (ours, theirs)
            took = {first: first.piece(), second: second.piece()}
            found.append(took[ours] / took[theirs])
    return found


@attrs.define
class Results:
    """All that was measured: for each operation and peer, and for each comparison, one figure for each round."""

    figures: dict[str, dict[str, list[float]]] = attrs.Factory(lambda: dict[str, dict[str, list[float]]]())
    pairs: dict[str, dict[Comparison, list[float]]] = attrs.Factory(lambda: dict[str, dict[Comparison, list[float]]]())
    versions: dict[str, str] = attrs.Factory(lambda: dict[str, str]())
    left_out: list[str] = attrs.Factory(lambda: list[str]())
    takes_best: bool = False
    load: float = attrs.Factory(lambda: os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0)

    def add(self, operation: str, peer: str, samples: Sequence[float]) -> None:
        if samples:
            self.figures.setdefault(operation, {}).setdefault(peer, []).append(statistics.median(samples))

    def figure(self, operation: Operation, peer: str) -> float | None:
        name = operation.floor if peer == "trio" else operation.name
        rounds = self.figures.get(name or "", {}).get(peer)
        if not rounds:
            return None
        return min(rounds) if self.takes_best else statistics.median(rounds)

    def add_pairs(self, operation: str, compared: Comparison, ratios: Sequence[float]) -> None:
        self.pairs.setdefault(operation, {}).setdefault(compared, []).append(statistics.median(ratios))

    def ratios(self, operation: Operation) -> list[Ratio]:
        """One for each comparison that was measured."""
        ratios: list[Ratio] = []
        for compared in operation.compared:
            rounds = self._rounds(operation, compared)
            if rounds:
                ratio, bar = statistics.median(rounds), compared.bar
                is_met = None if bar is None else ratio <= bar
                ratios.append(Ratio(operation.name, compared.against, compared.title, ratio, rounds, bar, is_met))
        return ratios

    def _rounds(self, operation: Operation, compared: Comparison) -> list[float]:
        if not operation.is_alone:
            return self.pairs.get(operation.name, {}).get(compared, [])
        ours, theirs = self.figure(operation, "trioreg"), self.figure(operation, compared.against)
        return [ours / theirs] if ours and theirs else []


def peers(triotp: str | None, results: Results) -> list[Peer]:
    """The peers that work on this machine. For each of the others the results get the reason."""
    found = [Peer(name, [sys.executable, f"peer_{name}.py"]) for name in ("trioreg", "trio", "pykka")]
    if elixir := shutil.which("elixir"):
        # More processes than its default limit of 262,144.
        found.insert(1, Peer("elixir", [elixir, "--erl", "+P 1000000", "peer_elixir.exs"]))
    else:
        results.left_out.append("Elixir: there is no `elixir` on PATH")
    try:
        found.append(Peer("triotp", [triotp or python_with_triotp(), "peer_triotp.py"]))
    except PeerFailed as failure:
        results.left_out.append(str(failure))
    working: list[Peer] = []
    for peer in found:
        try:
            with peer:
                results.versions |= {f"{peer.name}'s {name}": version for name, version in peer.about.items()}
        except (PeerFailed, OSError) as failure:
            results.left_out.append(str(failure))
        else:
            working.append(peer)
    return working


def python_with_triotp() -> str:
    """The interpreter of TriOTP's own venv, which is made at the first run: TriOTP pins a Trio of years ago."""
    venv = VENVS / f"bench-triotp-{sys.version_info.major}.{sys.version_info.minor}"
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    has_triotp = [str(python), "-c", "import triotp.gen_server"]
    if python.exists() and subprocess.run(has_triotp, capture_output=True, check=False).returncode == 0:
        return str(python)
    print(f"making a venv for TriOTP in {venv.relative_to(HERE.parents[1])}", file=sys.stderr)
    steps = [
        [sys.executable, "-m", "venv", "--clear", str(venv)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "triotp"],
        has_triotp,
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            why = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise PeerFailed(" — ".join(["TriOTP: could not make its venv", *why]))
    return str(python)


def measure(
    operations: Sequence[Operation],
    all_peers: Sequence[Peer],
    rounds: int,
    memory_rounds: int,
    seconds: float,
    batches: int,
) -> Iterable[tuple[str, str, list[float]]]:
    """Measure round after round, peer after peer: operation, peer, samples."""
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        turn = number % len(all_peers)
        order = [*all_peers[turn:], *all_peers[:turn]]
        floors: set[str] = set()
        with ExitStack() as stack:
            for peer in order:
                stack.enter_context(peer)
            for operation in operations:
                if operation.is_alone and number >= memory_rounds:
                    continue
                for peer in order:
                    name = operation.floor if peer.name == "trio" else operation.name
                    if name is None or name not in peer.operations or name in floors:
                        continue
                    if peer.name == "trio":
                        floors.add(name)
                    if operation.is_alone:
                        with Peer(peer.name, peer.command) as fresh:
                            yield name, peer.name, fresh.measure(name, seconds, batches)
                    else:
                        yield name, peer.name, peer.measure(name, seconds, batches)


def measure_pairs(
    operations: Sequence[Operation], all_peers: Sequence[Peer], rounds: int, pairs: int
) -> Iterable[tuple[str, Comparison, list[float]]]:
    """Each comparison of each operation, round after round: operation, comparison, the ratio of each pair."""
    by_name = {peer.name: peer for peer in all_peers}
    ours = by_name["trioreg"]
    for number in range(rounds):
        print(f"pairs, round {number + 1} of {rounds}", file=sys.stderr)
        for operation in operations:
            for compared in () if operation.is_alone else operation.compared:
                if compared.against in ("trioreg", "trio"):
                    other = operation.floor if compared.against == "trio" else compared.beside
                    assert other is not None
                    with ours:
                        yield operation.name, compared, ours.pairs(operation.name, other, PIECE, pairs)
                elif (theirs := by_name.get(compared.against)) and operation.name in theirs.operations:
                    with ours, theirs:
                        one, two = (peer.turns(operation.name, PIECE) for peer in (ours, theirs))
                        yield operation.name, compared, in_turns(one, two, pairs)


def as_table(operations: Sequence[Operation], results: Results) -> str:
    present = [peer for peer in COLUMNS if any(results.figure(operation, peer) for operation in operations)]
    headers = ["operation", *(COLUMNS[peer] for peer in present), "ratio", "bar", ""]
    rows: list[list[str]] = []
    for operation in operations:
        ratios = results.ratios(operation)
        rows.append(
            [
                operation.title,
                *(amount(results.figure(operation, peer), operation.unit) for peer in present),
                ", ".join(map(as_text, ratios)) or NOTHING,
                ", ".join(f"≤ {compared.bar:g}" for compared in operation.compared if compared.bar is not None),
                ", ".join("met" if ratio.is_met else "missed" for ratio in ratios if ratio.is_met is not None),
            ]
        )
    return table(headers, rows)


def as_text(ratio: Ratio) -> str:
    lowest, highest = min(ratio.rounds), max(ratio.rounds)
    spread = f" ({lowest:.2f} to {highest:.2f})" if len(ratio.rounds) > 1 else ""
    return f"{ratio.ratio:.2f}{spread} {TIMES} {ratio.than}"


def footnotes(results: Results, rounds: int) -> str:
    versions = results.versions
    parts = [
        ("trioreg", versions.get("trioreg's trioreg")),
        ("Trio", versions.get("trioreg's trio")),
        ("Elixir", versions.get("elixir's elixir")),
        ("OTP", versions.get("elixir's otp")),
        ("TriOTP", versions.get("triotp's triotp")),
        ("Pykka", versions.get("pykka's pykka")),
    ]
    known = ", ".join(f"{name} {version}" for name, version in parts if version is not None)
    if rounds == 1:
        kind, ratio = "One round", "A ratio is the median of many pairs of pieces, measured in turns."
    else:
        kind = f"{'The best' if results.takes_best else 'Medians'} of {rounds} rounds"
        ratio = (
            "A ratio is the median of the rounds, in parentheses the lowest and the highest. Each of them is the "
            "median of many pairs of pieces, measured in turns."
        )
    lines = [f"{kind}; {machine()}; {known}.", ratio]
    if results.load > 0.25 * (os.cpu_count() or 1):
        lines.append(f"The machine was not idle (load average before the run: {results.load:.1f}).")
    lines += [f"Not measured: {reason}." for reason in results.left_out]
    return "\n".join(lines)


def as_json(operations: Sequence[Operation], results: Results, rounds: int) -> dict[str, Any]:
    return {
        "machine": machine(),
        "versions": results.versions,
        "rounds": rounds,
        "load": results.load,
        "left_out": results.left_out,
        "operations": [
            {
                "name": operation.name,
                "title": operation.title,
                "unit": operation.unit,
                "figures": {peer: results.figure(operation, peer) for peer in COLUMNS},
            }
            for operation in operations
        ],
        "ratios": [attrs.asdict(ratio) for operation in operations for ratio in results.ratios(operation)],
        "rounds_of": results.figures,
    }


def main() -> None:
    names = list(BY_NAME)
    parser = argparse.ArgumentParser(description="Measure trioreg, Elixir, TriOTP, Pykka and bare Trio in one run.")
    parser.add_argument("--rounds", type=int, metavar="N", help="how many rounds (default: 7, with --quick 2)")
    parser.add_argument("--quick", action="store_true", help="a first look, in less than half a minute")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument(
        "--best", action="store_true", help="figures are of the best round, not the median: for a busy machine"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    parser.add_argument("--write-docs", action="store_true", help="renew docs/performance.md and its picture")
    parser.add_argument("--triotp", metavar="PYTHON", help="a Python that has TriOTP (default: make a venv)")
    arguments = parser.parse_args()
    rounds: int = arguments.rounds or (2 if arguments.quick else 7)
    memory_rounds, seconds, batches = (1, 0.05, 1) if arguments.quick else (MEMORY_ROUNDS, 0.05, 3)
    pairs = 10 if arguments.quick else 40
    if arguments.write_docs and (arguments.only or arguments.quick or arguments.best):
        parser.error("--write-docs needs the whole run: leave out --only, --quick and --best")

    operations = with_compared(arguments.only or names)
    results = Results(takes_best=arguments.best)
    all_peers = peers(arguments.triotp, results)
    if not any(peer.name == "trioreg" for peer in all_peers):
        sys.exit("\n".join(results.left_out))
    for name, peer, samples in measure(operations, all_peers, rounds, memory_rounds, seconds, batches):
        results.add(name, peer, samples)
    for name, compared, ratios in measure_pairs(operations, all_peers, rounds, pairs):
        results.add_pairs(name, compared, ratios)

    shown = as_table(operations, results)
    notes = footnotes(results, rounds)
    print(f"{shown}\n\n{notes}")
    data = as_json(operations, results, rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    if arguments.write_docs:
        write_into_docs("benchmarks", f"{shown}\n\n{notes}")
        PICTURE.write_text(picture.draw(data), encoding="utf-8")


if __name__ == "__main__":
    main()
