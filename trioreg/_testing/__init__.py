"""What users of trioreg test with: checks of a test, faults from outside, and many schedules of one scenario.

Read first: `checked.py` (what a test is held to), then `crashes.py` and `leaks.py`. For many schedules, read
`schedule.py`, then `one_run.py` and `explore.py`.

This wing needs no pytest: `trioreg/pytest_plugin.py` makes fixtures of it. What is public is in `trioreg/testing.py`.
"""

from .crashes import Crash, CrashWatch, ExpectCrash, expect_crash, expect_error
from .empty import assert_empty
from .explore import Explored, ScheduleFailed, explore, replay
from .one_run import Stuck

__all__ = [
    "Crash",
    "CrashWatch",
    "ExpectCrash",
    "Explored",
    "ScheduleFailed",
    "Stuck",
    "assert_empty",
    "expect_crash",
    "expect_error",
    "explore",
    "replay",
]
