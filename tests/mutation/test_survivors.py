"""Each entry of `survivors.toml` is about code that is there, and gives a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from mutation.known import Change, Survivor, change_between, joined, known_survivors
from mutation.report import percent_of
from mutation.results import Result

ROOT = Path(__file__).parents[2]


def test_the_line_of_each_explained_survivor_is_still_there() -> None:
    gone = [
        survivor.change
        for survivor in known_survivors()
        if survivor.change.line not in joined((ROOT / survivor.change.file).read_text().splitlines())
    ]
    assert not gone, "these lines of survivors.toml are in no file any more: remove the entries"


def test_each_explained_survivor_is_there_once_changes_something_and_has_a_reason() -> None:
    survivors = known_survivors()
    changes = [survivor.change for survivor in survivors]
    assert len(set(changes)) == len(changes)
    assert not [change for change in changes if change.line == change.becomes]
    assert not [survivor.change for survivor in survivors if len(survivor.reason.split()) < 4]


def test_a_change_is_found_whatever_stands_around_it() -> None:
    before = "def f():\n    raise Wrong(\n        1,\n    )\n"
    change = change_between("f.py", before, before.replace("raise Wrong(\n        1,\n    )", "pass\n\n"))
    assert change.line == "raise Wrong( 1, )"
    assert change.becomes == "pass"


def test_a_score_does_not_count_what_no_test_can_kill() -> None:
    same, promised_by_nobody, fell = (Change("f.py", str(number), "pass") for number in range(3))
    explained = {
        same: Survivor(same, "it does the same", is_equivalent=True),
        promised_by_nobody: Survivor(promised_by_nobody, "a number", is_equivalent=False),
    }
    results = [Result("survived", "", same), Result("survived", "", promised_by_nobody), Result("killed", "", fell)]
    assert percent_of(results, explained) == pytest.approx(50)
    assert percent_of(results[:1], explained) == 100
