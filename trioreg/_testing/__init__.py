"""For the tests of those who build on trioreg."""

from .faults import crash, hang, is_planned, slow
from .recorded import Recorded, Sent, sent
from .recorder import Answers, NoAnswer, Recorder
from .settled import NotSettled, settled

__all__ = [
    "Answers",
    "NoAnswer",
    "NotSettled",
    "Recorded",
    "Recorder",
    "Sent",
    "crash",
    "hang",
    "is_planned",
    "sent",
    "settled",
    "slow",
]
