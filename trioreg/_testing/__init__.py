"""What users of trioreg test with: checks of a test, faults from outside, and many schedules of one scenario.

Read first: `checked.py` (what a test is held to), then `crashes.py` and `leaks.py`.

This wing needs no pytest: `trioreg/pytest_plugin.py` makes fixtures of it. What is public is in `trioreg/testing.py`.
"""

from .checked import Check, checked, judged
from .crashes import Crash, CrashWatch, ExpectCrash, expect_crash, expect_error
from .empty import assert_empty
from .run_end import wait_until_alone
from .stopping import StopWatch, stopped_in_time

__all__ = [
    "Check",
    "Crash",
    "CrashWatch",
    "ExpectCrash",
    "StopWatch",
    "assert_empty",
    "checked",
    "expect_crash",
    "expect_error",
    "judged",
    "stopped_in_time",
    "wait_until_alone",
]
