"""A clock for the slices of a look: what is done between two rests is counted."""

from __future__ import annotations

import pytest
from support.observed import Steps

from trioreg._observer import owner_tables, pace
from trioreg._observer.pace import Pace


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    steps = Steps()
    is_over, rest = Pace.is_over, Pace.rest

    def counted(self: Pace) -> bool:
        steps.steps += 1
        steps.since_rest += 1
        steps.most = max(steps.most, steps.since_rest)
        return is_over(self)

    async def rested(self: Pace) -> None:
        steps.since_rest = 0
        await rest(self)

    monkeypatch.setattr(pace, "perf_counter", steps)
    monkeypatch.setattr(owner_tables, "perf_counter", steps)
    monkeypatch.setattr(Pace, "is_over", counted)
    monkeypatch.setattr(Pace, "rest", rested)
    return steps
