"""The observer on machines and in programs that are seldom seen."""

from __future__ import annotations

import os
import traceback
from collections import OrderedDict
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace
from typing import Any

import pytest

from trioreg._observer import actor, overview, samples
from trioreg._observer.observation import REMEMBERED, Observation
from trioreg._observer_web.app import finite


def test_a_copy_of_trioreg_that_is_not_installed_has_an_unknown_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(overview, "version", not_installed)
    assert overview._trioreg_version() == "unknown"


def test_memory_is_unknown_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert samples.memory() is None


def test_of_a_long_stack_the_end_is_shown() -> None:
    frames = [traceback.FrameSummary("shop.py", line, "f" * 100, line="pay()") for line in range(1, 500)]
    shown = actor._stack(traceback.StackSummary.from_list(frames))
    assert shown.startswith("...")
    assert len(shown) <= actor.STACK
    assert shown.endswith("pay()")


def test_of_very_many_actors_only_the_places_of_the_last_are_remembered() -> None:
    seen: Any = SimpleNamespace(nodes=OrderedDict[int, str]())
    for number in range(REMEMBERED + 3):
        Observation.remember(seen, number, "a place")
    assert len(seen.nodes) == REMEMBERED
    assert min(seen.nodes) == 3


def test_numbers_that_json_has_not_are_none_at_any_depth() -> None:
    data = {"a": [1.5, float("inf"), ("b", float("nan"))], "c": {"d": float("-inf")}, "e": "text"}
    assert finite(data) == {"a": [1.5, None, ["b", None]], "c": {"d": None}, "e": "text"}
