"""The score of each wing, and the survivors without an explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mutation.known import Change, Survivor, known_survivors
from mutation.mutants import Mutant
from mutation.results import Result

LEAST = 95.0
"""Percent of the mutants that must fall, without the equivalent ones. Each survivor must be explained besides."""


def report(mutants: Sequence[Mutant], results: Mapping[str, Result]) -> int:
    """Print what has become of these mutants.

    Returns:
        0 if enough were killed and each survivor is explained, otherwise 1.
    """
    explained = {survivor.change: survivor for survivor in known_survivors()}
    tried = [(mutant, results[mutant.name]) for mutant in mutants if mutant.name in results]
    tried = [(mutant, result) for mutant, result in tried if result.outcome != "incompetent"]
    wings = sorted({mutant.wing for mutant in mutants})
    print(f"{'wing':22} {'mutants':>8} {'tried':>7} {'killed':>7} {'explained':>9} {'open':>6} {'score':>7}")
    for wing in (*wings, "all"):
        of_wing = [result for mutant, result in tried if wing in (mutant.wing, "all")]
        there = sum(wing in (mutant.wing, "all") for mutant in mutants)
        killed = sum(not result.has_survived for result in of_wing)
        known = sum(result.has_survived and result.change in explained for result in of_wing)
        still = len(of_wing) - killed - known
        score = f"{percent_of(of_wing, explained):.1f} %" if of_wing else "-"
        print(f"{wing:22} {there:8} {len(of_wing):7} {killed:7} {known:9} {still:6} {score:>7}")
    unexplained = [each for each in tried if each[1].has_survived and each[1].change not in explained]
    for mutant, result in sorted(unexplained, key=lambda each: (each[0].file, each[0].start)):
        print(f"\n{mutant.file}:{mutant.start[0]} {mutant.operator}: {result.told}")
        print(f"  - {result.change.line}\n  + {result.change.becomes}")
    percent = percent_of([result for _, result in tried], explained)
    return 0 if percent >= LEAST and not unexplained else 1


def percent_of(results: Sequence[Result], explained: Mapping[Change, Survivor]) -> float:
    """How many of 100 mutants fell, without those that no test can kill."""
    killed = sum(not result.has_survived for result in results)
    equivalent = sum(
        result.has_survived and result.change in explained and explained[result.change].is_equivalent
        for result in results
    )
    counted = len(results) - equivalent
    return 100.0 * killed / counted if counted else 100.0
