"""For the tests of what you build on trioreg. It needs no pytest.

With pytest and pytest-trio, ``pip install "trioreg[testing]"`` also gives you fixtures: ``pytest --fixtures`` explains
them. The guide is "Testing what you build" in the docs.
"""

from __future__ import annotations

from ._program import replace_state, state
from ._testing import (
    Answers,
    ChaosError,
    ChaosFault,
    Crash,
    Explored,
    NoAnswer,
    NotSettled,
    Recorded,
    Recorder,
    ScheduleFailed,
    Sent,
    Stuck,
    assert_empty,
    chaos,
    checked,
    crash,
    expect_crash,
    explore,
    hang,
    replay,
    sent,
    settled,
    slow,
)

__all__ = [
    "Answers",
    "ChaosError",
    "ChaosFault",
    "Crash",
    "Explored",
    "NoAnswer",
    "NotSettled",
    "Recorded",
    "Recorder",
    "ScheduleFailed",
    "Sent",
    "Stuck",
    "assert_empty",
    "chaos",
    "checked",
    "crash",
    "expect_crash",
    "explore",
    "hang",
    "replace_state",
    "replay",
    "sent",
    "settled",
    "slow",
    "state",
]


def _make_public() -> None:
    # A traceback shows the name that you import, and not the private file, as for `trioreg` itself. What another public
    # module has too keeps that name.
    for name in __all__:
        value = globals()[name]
        if value.__module__.startswith("trioreg._"):
            value.__module__ = __name__


_make_public()
del _make_public
