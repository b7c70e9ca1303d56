"""What users of trioreg test with: checks of a test, faults from outside, and many schedules of one scenario.

Read first: `checked.py` (what a test is held to), then `crashes.py` and `leaks.py`. For many schedules, read
`schedule.py`, then `one_run.py` and `explore.py`. `faults.py`, `chaos.py`, `settled.py` and `recorder.py` stand for
themselves.

This wing needs no pytest: `trioreg/pytest_plugin.py` makes fixtures of it. What is public is in `trioreg/testing.py`.
"""

from .chaos import ChaosError, ChaosFault, chaos
from .checked import Check, checked, judged
from .crashes import Crash, CrashWatch, ExpectCrash, expect_crash, expect_error, leaves_of
from .empty import assert_empty
from .explore import Explored, ScheduleFailed, explore, replay
from .faults import crash, hang, slow
from .one_run import Stuck
from .recorded import Recorded, Sent, sent
from .recorder import Answers, NoAnswer, Recorder
from .run_end import wait_until_alone
from .settled import NotSettled, settled
from .stopping import EndedEarly, StopWatch, stopped_in_time

__all__ = [
    "Answers",
    "ChaosError",
    "ChaosFault",
    "Check",
    "Crash",
    "CrashWatch",
    "EndedEarly",
    "ExpectCrash",
    "Explored",
    "NoAnswer",
    "NotSettled",
    "Recorded",
    "Recorder",
    "ScheduleFailed",
    "Sent",
    "StopWatch",
    "Stuck",
    "assert_empty",
    "chaos",
    "checked",
    "crash",
    "expect_crash",
    "expect_error",
    "explore",
    "hang",
    "judged",
    "leaves_of",
    "replay",
    "sent",
    "settled",
    "slow",
    "stopped_in_time",
    "wait_until_alone",
]
