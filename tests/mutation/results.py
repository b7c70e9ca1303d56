"""What has been tried, in the database that Cosmic Ray keeps its work in: its `cr-html` and `cr-rate` read it, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs

from mutation.known import Change, change_between
from mutation.mutants import Mutant
from mutation.trial import Verdict


@attrs.frozen
class Result:
    """What has become of one mutant.

    Attributes:
        outcome: `killed`, `survived`, or `incompetent` if the mutation makes no Python.
        told: How, by which test, after how many tests and seconds.
        change: What the mutation changes.
    """

    outcome: str
    told: str
    change: Change

    @property
    def has_survived(self) -> bool:
        return self.outcome == "survived"


class Results:
    """The results of all mutants that there are now, and of some that there were."""

    def __init__(self, file: Path, mutants: Sequence[Mutant]) -> None:
        self._items: Any = import_module("cosmic_ray.work_item")
        database: Any = import_module("cosmic_ray.work_db").WorkDB
        self._database = database(str(file), database.Mode.create)
        known = {item.job_id for item in self._database.work_items}
        self._database.add_work_items(self._item(mutant) for mutant in mutants if mutant.name not in known)

    def keep(self, mutant: Mutant, verdict: Verdict, before: str, after: str) -> None:
        """Note a verdict at once: a run that is ended loses nothing."""
        change = change_between(mutant.file, before, after)
        by = f" by {verdict.killer}" if verdict.killer else ""
        told = f"{verdict.how}{by}, {verdict.tests} tests, {verdict.seconds:.1f} s"
        outcome = "survived" if verdict.killer is None else "killed"
        self._set(mutant, outcome, told, f"{change.line}\n{change.becomes}")

    def no_python(self, mutant: Mutant) -> None:
        """The mutation makes no Python: this mutant counts for nothing."""
        self._set(mutant, "incompetent", "no Python", "\n")

    def by_name(self) -> Mapping[str, Result]:
        """All results, by the names of their mutants."""
        return {name: self._result(name, result) for name, result in self._database.results}

    def _set(self, mutant: Mutant, outcome: str, told: str, diff: str) -> None:
        result = self._items.WorkResult(
            worker_outcome=self._items.WorkerOutcome.NORMAL,
            output=told,
            test_outcome=self._items.TestOutcome(outcome),
            diff=diff,
        )
        self._database.set_result(mutant.name, result)

    def _item(self, mutant: Mutant) -> Any:
        place = {"occurrence": mutant.occurrence, "start_pos": mutant.start, "end_pos": mutant.end}
        spec = self._items.MutationSpec(module_path=mutant.file, operator_name=f"core/{mutant.operator}", **place)
        return self._items.WorkItem.single(mutant.name, spec)

    def _result(self, name: str, result: Any) -> Result:
        line, _, becomes = (result.diff or "\n").partition("\n")
        return Result(result.test_outcome.value, result.output, Change(name.partition(":")[0], line, becomes))
