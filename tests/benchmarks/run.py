"""The benchmarks: trioreg, Elixir, TriOTP, Pykka and bare Trio, measured in one run.

    python tests/benchmarks/run.py [--quick] [--rounds N] [--only NAME]... [--best] [--json FILE] [--write-docs]

Each peer is a process that times its own operations (`_peer.py`, `peer_elixir.exs`). A round starts all peers anew and
goes through the operations. For each operation the peers take turns, so that other programs on the machine disturb all
alike. A figure is the median, over the rounds, of the median of a round's batches. A ratio is made of two figures of
one run.
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
MEMORY_ROUNDS = 2
"""Fewer rounds for memory: it is much the same each time, and takes long to measure."""


@attrs.frozen
class Operation:
    """A line of the table.

    Attributes:
        name: Its name in the peers.
        title: Its name in the table.
        bar: The highest ratio to ``against`` that trioreg may have (section 8 of the contract), or None.
        against: The peer that the ratio compares with.
        floor: The operation of bare Trio that is its floor, or None.
        beside: Another operation of trioreg, to compare with that instead of a peer.
        unit: ``"ns"`` or ``"B"``.
        is_alone: Whether each peer measures it in a fresh process.
    """

    name: str
    title: str
    bar: float | None = None
    against: str = "elixir"
    floor: str | None = None
    beside: str | None = None
    unit: str = "ns"
    is_alone: bool = False


OPERATIONS = (
    Operation("lookup", "look up a unique key", 0.5, floor="dict_get"),
    Operation("register_by_actor", "register + unregister, by an actor", 0.6),
    Operation("register_by_task", "register + unregister, by a task", 0.6),
    Operation("call", "call by name, idle actor, sync handler", 1.5, floor="two_switches"),
    Operation("call_async", "call by name, async handler", floor="two_switches"),
    Operation("cast", "cast by name, sent and handled", 1.0),
    Operation("cast_by_reference", "cast by reference, sent and handled"),
    Operation("cast_awaited", "cast by name, awaited: a checkpoint each", floor="checkpoint"),
    Operation("dispatch", "dispatch to 10,000 waiting actors, each", 1.2, against="trio", floor="reschedule"),
    Operation("dispatch_handled", "… until handled, by `on_message`", against="trio", floor="reschedule_and_run"),
    Operation("dispatch_cast_handled", "… until handled, as a cast", against="trio", floor="reschedule_and_run"),
    Operation("start_stop", "start a named actor and stop it", 3.0, floor="spawn"),
    Operation("start_child", "start a named actor, a thousand together"),
    Operation("start_by_message", "… on demand, by a call", 1.3, against="trioreg", beside="start_child"),
    Operation("call_on_demand", "call on demand, idle actor", against="trioreg", beside="call"),
    Operation("cast_on_demand", "cast on demand, sent and handled", against="trioreg", beside="cast"),
    Operation("memory", "an idle named actor, allocated", 1.3, unit="B", is_alone=True),
    Operation("memory_rss", "an idle named actor, in RAM", unit="B", is_alone=True),
)


@attrs.frozen
class Ratio:
    """trioreg compared with one peer in one operation.

    Attributes:
        operation: The name of the operation.
        against: The peer.
        ratio: trioreg's figure divided by the peer's; below 1, trioreg is better.
        bar: The highest ratio that is good enough, or None.
        is_met: Whether the ratio is not above the bar; None without a bar.
    """

    operation: str
    against: str
    ratio: float
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
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(f"{operation} {seconds} {batches}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise PeerFailed(f"{self.name}: the process has ended") from None
        return cast("list[float]", self._answer()["samples"])

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None and self._log is not None
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the process ended without an answer"}
        if "error" in answer:
            self._log.seek(0)
            last = self._log.read().strip().splitlines()[-1:]
            raise PeerFailed(" — ".join([f"{self.name}: {answer['error']}", *last]))
        return answer


@attrs.define
class Results:
    """All that was measured: for each operation and peer, one figure for each round."""

    figures: dict[str, dict[str, list[float]]] = attrs.Factory(lambda: dict[str, dict[str, list[float]]]())
    versions: dict[str, str] = attrs.Factory(lambda: dict[str, str]())
    left_out: list[str] = attrs.Factory(lambda: list[str]())
    takes_best: bool = False
    load: float = attrs.Factory(lambda: os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0)

    def add(self, operation: str, peer: str, samples: Sequence[float]) -> None:
        if samples:
            self.figures.setdefault(operation, {}).setdefault(peer, []).append(statistics.median(samples))

    def figure(self, operation: Operation, peer: str) -> float | None:
        return self._figure(operation.floor if peer == "trio" else operation.name, peer)

    def _figure(self, name: str | None, peer: str) -> float | None:
        rounds = self.figures.get(name or "", {}).get(peer)
        if not rounds:
            return None
        return min(rounds) if self.takes_best else statistics.median(rounds)

    def ratio(self, operation: Operation) -> Ratio | None:
        ours, theirs = self.figure(operation, "trioreg"), self.figure(operation, operation.against)
        if operation.beside is not None:
            theirs = self._figure(operation.beside, operation.against)
        if ours is None or not theirs:
            return None
        ratio = ours / theirs
        bar = operation.bar
        return Ratio(operation.name, operation.against, ratio, bar, None if bar is None else ratio <= bar)


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


def as_table(operations: Sequence[Operation], results: Results) -> str:
    present = [peer for peer in COLUMNS if any(results.figure(operation, peer) for operation in operations)]
    headers = ["operation", *(COLUMNS[peer] for peer in present), "ratio", "bar", ""]
    rows: list[list[str]] = []
    for operation in operations:
        ratio = results.ratio(operation)
        bar = "" if operation.bar is None else f"≤ {operation.bar:g}"
        rows.append(
            [
                operation.title,
                *(amount(results.figure(operation, peer), operation.unit) for peer in present),
                NOTHING if ratio is None else f"{ratio.ratio:.2f} {TIMES} {COLUMNS[ratio.against]}",
                bar,
                "" if ratio is None or ratio.is_met is None else "met" if ratio.is_met else "missed",
            ]
        )
    return table(headers, rows)


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
    kind = "The best" if results.takes_best else "Medians"
    lines = [f"{kind} of {rounds} rounds; {machine()}; {known}."]
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
        "ratios": [attrs.asdict(ratio) for operation in operations if (ratio := results.ratio(operation))],
        "rounds_of": results.figures,
    }


def main() -> None:
    names = [operation.name for operation in OPERATIONS]
    parser = argparse.ArgumentParser(description="Measure trioreg, Elixir, TriOTP, Pykka and bare Trio in one run.")
    parser.add_argument("--rounds", type=int, metavar="N", help="how many rounds (default: 7, with --quick 2)")
    parser.add_argument("--quick", action="store_true", help="a first look, in less than half a minute")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--best", action="store_true", help="take the best round, not the median: for a busy machine")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    parser.add_argument("--write-docs", action="store_true", help="renew docs/performance.md and its picture")
    parser.add_argument("--triotp", metavar="PYTHON", help="a Python that has TriOTP (default: make a venv)")
    arguments = parser.parse_args()
    rounds: int = arguments.rounds or (2 if arguments.quick else 7)
    memory_rounds, seconds, batches = (1, 0.05, 1) if arguments.quick else (MEMORY_ROUNDS, 0.05, 3)
    if arguments.write_docs and (arguments.only or arguments.quick or arguments.best):
        parser.error("--write-docs needs the whole run: leave out --only, --quick and --best")

    operations = [operation for operation in OPERATIONS if not arguments.only or operation.name in arguments.only]
    results = Results(takes_best=arguments.best)
    all_peers = peers(arguments.triotp, results)
    if not any(peer.name == "trioreg" for peer in all_peers):
        sys.exit("\n".join(results.left_out))
    for name, peer, samples in measure(operations, all_peers, rounds, memory_rounds, seconds, batches):
        results.add(name, peer, samples)

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
