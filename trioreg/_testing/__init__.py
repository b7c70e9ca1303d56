"""What users of trioreg test with: checks of a test, faults from outside, and many schedules of one scenario.

Read first: `checked.py` (what a test is held to), then `crashes.py` and `leaks.py`. For many schedules, read
`schedule.py`, then `one_run.py` and `explore.py`. `faults.py`, `settled.py` and `recorder.py` stand for themselves.

This wing needs no pytest: `trioreg/pytest_plugin.py` makes fixtures of it. What is public is in `trioreg/testing.py`.
"""

from .crashes import Crash, CrashWatch, ExpectCrash, expect_crash, expect_error
from .empty import assert_empty
from .explore import Explored, ScheduleFailed, explore, replay
from .faults import crash, hang, slow
from .one_run import Stuck
from .recorded import Recorded, Sent, sent
from .recorder import Answers, NoAnswer, Recorder
from .settled import NotSettled, settled

__all__ = [
    "Answers",
    "Crash",
    "CrashWatch",
    "ExpectCrash",
    "Explored",
    "NoAnswer",
    "NotSettled",
    "Recorded",
    "Recorder",
    "ScheduleFailed",
    "Sent",
    "Stuck",
    "assert_empty",
    "crash",
    "expect_crash",
    "expect_error",
    "explore",
    "hang",
    "replay",
    "sent",
    "settled",
    "slow",
]
