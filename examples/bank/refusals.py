"""The bank's answer is no. Nothing has changed, and every actor lives on. Any other error is a crash."""


class Refused(Exception):
    """The bank has not done what you asked for."""


class UnknownAccount(Refused):
    """There is no account with this number."""


class WrongTransfer(Refused):
    """There cannot be such a transfer: its amount, its accounts or its id are wrong."""


class Overdraft(Refused):
    """The payer has less than that."""


class IdInUse(Refused):
    """Another transfer has this id already."""
