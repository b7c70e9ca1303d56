"""A run over many mutants: it collects the tests once, tries one mutant after the other, and keeps what it finds."""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from mutation import lines
from mutation.choice import Choice
from mutation.mutants import Mutant, mutants_of, mutated
from mutation.report import report
from mutation.results import Results
from mutation.swap import Functions, swap
from mutation.trial import Forks, Told, Verdict, in_a_new_process

PATIENCE = 5.0
"""How many times longer a test may take without a mutation: a busy machine must not make it look unsound."""

NO_TEST = Verdict(None, "no test", 0, 0.0)


class Trials:
    """A plugin for pytest, which tries mutants instead of running the tests that pytest has collected."""

    def __init__(self, copy: Path, work: Path, runs: lines.Runs, results: Results, options: argparse.Namespace) -> None:
        self._copy = copy
        self._work = work
        self._runs = runs
        self._results = results
        self._options = options
        self._choice = Choice(runs)
        self._sound: dict[tuple[str, bool], bool] = {}
        self._unsound: set[str] = set()
        self.mutants: list[Mutant] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._forks = Forks(session, self._runs.seconds)
        self._unsound.update(test for test in self._runs.seconds if not self._forks.knows(test))
        gc.unfreeze()  # what is frozen is not among the objects that the collector shows
        self._functions = Functions.now()
        gc.collect()
        gc.freeze()
        began = monotonic()
        for number, mutant in enumerate(self.mutants, 1):
            if self._options.seconds is not None and monotonic() - began > self._options.seconds:
                break
            before = (self._copy / mutant.file).read_text()
            after = mutated(before, mutant)
            if after is None:
                self._results.no_python(mutant)
                continue
            verdict = self._verdict(mutant, before, after)
            self._results.keep(mutant, verdict, before, after)
            place = f"{mutant.file}:{mutant.start[0]} {mutant.operator}"
            print(f"{number}/{len(self.mutants)} {verdict.seconds:.1f} s {verdict.how}: {place}", file=sys.__stderr__)
        return True

    def _verdict(self, mutant: Mutant, before: str, after: str) -> Verdict:
        """What becomes of a mutant. A test that fails without the mutation, too, is not asked again."""
        path = self._copy / mutant.file
        times = path.stat()
        changes = self._functions.changes(str(path), before, after)
        is_new = changes is None
        passed: set[str] = set()

        def attempt(tests: list[str], patience: float = 1.0) -> Verdict:
            path.write_text(after)
            try:
                if is_new:
                    return self._try_anew(tests, patience=patience)
                return self._forks.run(tests, lambda: swap(changes or []), patience=patience)
            finally:
                path.write_text(before)
                os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

        while True:
            tests, _ = self._choice.tests_for(mutant, seconds=self._options.budget, without=self._unsound | passed)
            if not tests:
                return NO_TEST
            verdict = attempt(tests)
            if verdict.how == "too slow" and verdict.killer in tests:
                slow = verdict.killer
                again = attempt([slow], PATIENCE)  # the machine may be busy, and it may not be the mutation's fault
                if again.how == "survived":
                    passed.add(slow)
                    continue
                verdict = again
            if verdict.how == "survived":
                if is_new or self._options.glance:
                    return verdict
                is_new = True
            elif self._is_sound(verdict.killer or "", is_new):
                if verdict.how == "failed":  # one that hangs again costs seconds each time
                    self._choice.remember(mutant, verdict.killer or "")
                return verdict

    def _is_sound(self, test: str, is_new: bool) -> bool:
        """Whether a test passes without a mutation, in the same kind of process."""
        if not self._forks.knows(test):
            return True
        if (test, is_new) not in self._sound:
            if is_new:
                verdict = self._try_anew([test], patience=PATIENCE)
            else:
                verdict = self._forks.run([test], lambda: None, patience=PATIENCE)
            self._sound[test, is_new] = verdict.how == "survived"
            if verdict.how != "survived":
                print(f"fails without a mutation: {test}", file=sys.__stderr__)
                self._unsound.add(test)
        return self._sound[test, is_new]

    def _try_anew(self, tests: list[str], *, patience: float = 1.0) -> Verdict:
        return in_a_new_process(tests, self._copy, self._work, self._runs.seconds, patience=patience)


def run_session(copy: Path, work: Path, notes: Path, options: argparse.Namespace, choose: random.Random) -> int:
    """Try what the options ask for, and print the report."""
    wings = [wing for wing in sorted((copy / "trioreg").iterdir()) if not options.wing or wing.name in options.wing]
    files = [file for wing in wings for file in sorted(wing.rglob("*.py") if wing.is_dir() else [wing])]
    wanted = [mutant for file in files if file.suffix == ".py" for mutant in mutants_of(copy, file)]
    results = Results(work / "results.sqlite", wanted)
    if options.sample is not None:
        wanted = choose.sample(wanted, min(options.sample, len(wanted)))
    else:
        choose.shuffle(wanted)
    if not options.report:
        done: Mapping[str, Any] = results.by_name()
        again = {name for name, result in done.items() if result.has_survived} if options.again else set[str]()
        runs = lines.read(notes)
        trials = Trials(copy, work, runs, results, options)
        trials.mutants = [mutant for mutant in wanted if mutant.name not in done or mutant.name in again]
        if options.again:
            trials.mutants = [mutant for mutant in trials.mutants if mutant.name in again]
        if trials.mutants:
            collect_and_try(copy, trials, runs)
    return report(wanted, results.by_name())


def collect_and_try(copy: Path, trials: Trials, runs: lines.Runs) -> None:
    """Have pytest collect the tests that run anything, and hand them to ``trials``."""
    os.chdir(copy)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(copy), str(copy / "tests")])
    names = sorted({test.partition("::")[0] for test in runs.seconds})
    there = [name for name in names if (copy / name).exists()]
    quiet = ("-qq", "-p", "no:cacheprovider", "-p", "no:xdist", "--timeout=0", "--capture=sys", "--color=no")
    pytest.main([*quiet, *there], plugins=[trials, Told(os.open(os.devnull, os.O_WRONLY))])
