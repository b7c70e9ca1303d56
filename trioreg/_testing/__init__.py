"""For the tests of those who build on trioreg."""

from .faults import crash, hang, is_planned, slow
from .settled import NotSettled, settled

__all__ = ["NotSettled", "crash", "hang", "is_planned", "settled", "slow"]
