"""Which tests are run against a mutant, and in which order: those that run its line, the quickest first."""

from __future__ import annotations

from collections.abc import Container
from itertools import chain

from mutation.lines import Runs
from mutation.mutants import Mutant

FOLDERS = {"_observer_web": "observer", "_observer_terminal": "observer", "_telemetry": "program"}
"""Wings whose tests are in the folder of another wing."""

UNSEEN = {
    "trioreg/__init__.py": "tests/runtime/test_public_names.py",
    "trioreg/pytest_plugin.py": "tests/testing/test_plugin.py",
    "trioreg/testing.py": "tests/runtime/test_public_names.py",
}
"""The tests of a file that runs before them, or only in processes that they start. Their lines are not noted."""

ELSEWHERE = 3.0
"""A test of another wing counts as this many times slower than it is: it is less likely to notice."""

REMEMBERED = 8
"""How many of the tests that killed the last mutants of a file are tried first."""


class Choice:
    """Chooses tests, and remembers which of them have killed a mutant before."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._killers: dict[str, list[str]] = {}
        self._blind = frozenset(runs.seconds).difference(*runs.lines.values())

    def tests_for(self, mutant: Mutant, *, seconds: float, without: Container[str] = ()) -> tuple[list[str], int]:
        """The tests to run, in order, within that many ``seconds``, and how many tests there would be without a limit.

        Those that run the statement; if there are none, those that run its function, or that run something of its
        file. A line at the level of a module is run by an import, before any test. Then come those tests of the wing
        whose lines nobody knows, because they follow each call themselves; and at the end, those that run something of
        the file: one of them may run the line in a process of its own.
        """
        candidates = {test for test in self._all_for(mutant) if test not in without}
        first = [test for test in self._killers.get(mutant.file, ()) if test in candidates]
        rest = sorted(candidates.difference(first), key=lambda test: self._cost(test, mutant))
        own = {test for test in self._runs.tests_of(mutant.file) if self._is_of(mutant, test)}.difference(candidates)
        blind = {test for test in self._blind if self._is_of(mutant, test)}
        chosen: list[str] = []
        last = (sorted(tests, key=self._runs.seconds.__getitem__) for tests in (blind, own))
        for test in chain(first, rest, *last):
            if test in without:
                continue
            seconds -= self._runs.seconds[test]
            if seconds < 0 and chosen:
                break
            chosen.append(test)
        return chosen, len(candidates) + len(blind) + len(own)

    def remember(self, mutant: Mutant, killer: str) -> None:
        """That test has killed that mutant: it is tried first on the next mutants of the file."""
        killers = self._killers.setdefault(mutant.file, [])
        if killer in killers:
            killers.remove(killer)
        killers.insert(0, killer)
        del killers[REMEMBERED:]

    def _all_for(self, mutant: Mutant) -> set[str]:
        spans = [mutant.statement] if mutant.function is None else [mutant.statement, mutant.function]
        for first, last in spans:
            if found := self._runs.tests_of(mutant.file, first, last):
                return found
        if found := self._runs.tests_of(mutant.file):
            return found
        unseen = UNSEEN.get(mutant.file)
        return {test for test in self._runs.seconds if unseen is not None and test.startswith(f"{unseen}::")}

    def _cost(self, test: str, mutant: Mutant) -> tuple[float, str]:
        return self._runs.seconds[test] * (1.0 if self._is_of(mutant, test) else ELSEWHERE), test

    def _is_of(self, mutant: Mutant, test: str) -> bool:
        """Whether a test belongs to the wing of a mutant."""
        folder = FOLDERS.get(mutant.wing, mutant.wing.removeprefix("_"))
        return test.startswith(f"tests/{folder}/")
