"""A span of time for people in a hurry: "0.3 seconds", "42 seconds", "5 minutes", "2 hours 10 minutes", "3 days"."""

from .counted import counted


def duration(seconds: float) -> str:
    """The span in two figures or so. Never negative: a clock that was set back does not show."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} seconds"
    if seconds < 119.5:
        return f"{seconds:.0f} seconds"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 2:
        return counted(60 * hours + minutes, "minute")
    if hours < 48:
        return f"{hours} hours" + (f" {counted(minutes, 'minute')}" if minutes else "")
    return counted(round(hours / 24), "day")
